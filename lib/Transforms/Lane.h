// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Formulas over lanes: a value that is an f32, i32, i64 or i1, or a vector of
// such, with operators that build arith and math operations. One formula then
// serves scalars and vectors of any length, and reads like the paper's.

#ifndef SACCADE_LIB_TRANSFORMS_LANE_H
#define SACCADE_LIB_TRANSFORMS_LANE_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace saccade {

/// A value in a formula. The builder outlives all its lanes.
struct Lane {
  mlir::ImplicitLocOpBuilder *builder = nullptr;
  mlir::Value value;

  bool isFloat() const {
    return mlir::isa<mlir::FloatType>(
        mlir::getElementTypeOrSelf(value.getType()));
  }
  /// The type of this shape with another element type.
  mlir::Type shaped(mlir::Type element) const {
    if (auto vector = mlir::dyn_cast<mlir::VectorType>(value.getType()))
      return vector.clone(element);
    return element;
  }
  template <typename OpTy, typename... Args> Lane make(Args &&...args) const {
    return {builder, OpTy::create(*builder, args...)};
  }
  Lane constant(mlir::TypedAttr element) const {
    mlir::Type type = shaped(element.getType());
    if (auto vector = mlir::dyn_cast<mlir::VectorType>(type))
      element = mlir::DenseElementsAttr::get(vector, mlir::Attribute(element));
    return make<mlir::arith::ConstantOp>(element);
  }
  /// An f32 constant of this shape.
  Lane f(float x) const { return constant(builder->getF32FloatAttr(x)); }
  /// An i32 constant of this shape.
  Lane i(int32_t x) const { return constant(builder->getI32IntegerAttr(x)); }
  /// A constant of this lane's own element type.
  Lane like(double x) const {
    mlir::Type type = mlir::getElementTypeOrSelf(value.getType());
    if (isFloat())
      return constant(builder->getFloatAttr(type, x));
    return constant(builder->getIntegerAttr(type, static_cast<int64_t>(x)));
  }
  Lane bitsToInt() const {
    return make<mlir::arith::BitcastOp>(shaped(builder->getI32Type()), value);
  }
  Lane bitsToFloat() const {
    return make<mlir::arith::BitcastOp>(shaped(builder->getF32Type()), value);
  }
  Lane toFloat() const {
    return make<mlir::arith::SIToFPOp>(shaped(builder->getF32Type()), value);
  }
  Lane compare(mlir::arith::CmpFPredicate predicate, Lane y) const {
    return make<mlir::arith::CmpFOp>(predicate, value, y.value);
  }
  Lane compare(mlir::arith::CmpIPredicate predicate, Lane y) const {
    return make<mlir::arith::CmpIOp>(predicate, value, y.value);
  }
  /// For a lane of i1.
  Lane select(Lane yes, Lane no) const {
    return make<mlir::arith::SelectOp>(value, yes.value, no.value);
  }
  Lane abs() const { return make<mlir::math::AbsFOp>(value); }
};

inline Lane operator+(Lane x, Lane y) {
  return x.isFloat() ? x.make<mlir::arith::AddFOp>(x.value, y.value)
                     : x.make<mlir::arith::AddIOp>(x.value, y.value);
}
inline Lane operator-(Lane x, Lane y) {
  return x.isFloat() ? x.make<mlir::arith::SubFOp>(x.value, y.value)
                     : x.make<mlir::arith::SubIOp>(x.value, y.value);
}
inline Lane operator*(Lane x, Lane y) {
  return x.isFloat() ? x.make<mlir::arith::MulFOp>(x.value, y.value)
                     : x.make<mlir::arith::MulIOp>(x.value, y.value);
}
inline Lane operator/(Lane x, Lane y) {
  return x.make<mlir::arith::DivFOp>(x.value, y.value);
}
inline Lane operator-(Lane x) { return x.make<mlir::arith::NegFOp>(x.value); }
inline Lane operator&(Lane x, Lane y) {
  return x.make<mlir::arith::AndIOp>(x.value, y.value);
}
inline Lane operator|(Lane x, Lane y) {
  return x.make<mlir::arith::OrIOp>(x.value, y.value);
}
inline Lane operator^(Lane x, Lane y) {
  return x.make<mlir::arith::XOrIOp>(x.value, y.value);
}
inline Lane shiftLeft(Lane x, Lane y) {
  return x.make<mlir::arith::ShLIOp>(x.value, y.value);
}
inline Lane shiftRight(Lane x, Lane y) { // the sign follows
  return x.make<mlir::arith::ShRSIOp>(x.value, y.value);
}
inline Lane operator<(Lane x, Lane y) {
  return x.compare(mlir::arith::CmpFPredicate::OLT, y);
}
inline Lane operator>(Lane x, Lane y) {
  return x.compare(mlir::arith::CmpFPredicate::OGT, y);
}
inline Lane operator==(Lane x, Lane y) {
  return x.isFloat() ? x.compare(mlir::arith::CmpFPredicate::OEQ, y)
                     : x.compare(mlir::arith::CmpIPredicate::eq, y);
}
/// x * y + z, rounded once.
inline Lane fma(Lane x, Lane y, Lane z) {
  return x.make<mlir::math::FmaOp>(x.value, y.value, z.value);
}
/// `coefficients[0] + x * (coefficients[1] + ...)`.
inline Lane polynomial(Lane x, llvm::ArrayRef<float> coefficients) {
  Lane sum = x.f(coefficients.back());
  for (float c : llvm::reverse(coefficients.drop_back()))
    sum = fma(sum, x, x.f(c));
  return sum;
}
/// The greater of a constant bound and x; NaN stays. One instruction on x86.
inline Lane atLeast(float bound, Lane x) {
  return (x.f(bound) > x).select(x.f(bound), x);
}
inline Lane atMost(float bound, Lane x) {
  return (x.f(bound) < x).select(x.f(bound), x);
}
inline Lane exp2(Lane x) { return x.make<mlir::math::Exp2Op>(x.value); }
inline Lane log2(Lane x) { return x.make<mlir::math::Log2Op>(x.value); }

/// Whether a type is f32 or a fixed vector of f32.
inline bool isF32Lanes(mlir::Type type) {
  return mlir::getElementTypeOrSelf(type).isF32() &&
         (type.isF32() || (mlir::isa<mlir::VectorType>(type) &&
                           !mlir::cast<mlir::VectorType>(type).isScalable()));
}

} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_LANE_H
