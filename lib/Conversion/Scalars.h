// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shorthand for the scalar arithmetic that conversions emit: constants, sums
// and comparisons of i32 positions and i64 offsets. Folding is left to the
// builder.

#ifndef SACCADE_LIB_CONVERSION_SCALARS_H
#define SACCADE_LIB_CONVERSION_SCALARS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace saccade {

/// An i32 or i64 value with arithmetic. Both sides of an operator have one
/// width.
struct Scalar {
  mlir::ImplicitLocOpBuilder *b;
  mlir::Value value;

  operator mlir::Value() const { return value; }

  template <typename Op> Scalar apply(mlir::Value other) const {
    return {b, b->createOrFold<Op>(value, other)};
  }
  Scalar operator+(mlir::Value o) const {
    return apply<mlir::arith::AddIOp>(o);
  }
  Scalar operator-(mlir::Value o) const {
    return apply<mlir::arith::SubIOp>(o);
  }
  Scalar operator*(mlir::Value o) const {
    return apply<mlir::arith::MulIOp>(o);
  }
  /// Of values that are not negative.
  Scalar operator/(mlir::Value o) const {
    return apply<mlir::arith::DivUIOp>(o);
  }
  Scalar operator%(mlir::Value o) const {
    return apply<mlir::arith::RemUIOp>(o);
  }
  Scalar operator+(int64_t c) const { return *this + constant(c); }
  Scalar operator-(int64_t c) const { return *this - constant(c); }
  Scalar operator*(int64_t c) const { return *this * constant(c); }
  Scalar operator/(int64_t c) const { return *this / constant(c); }
  Scalar operator%(int64_t c) const { return *this % constant(c); }
  Scalar max(mlir::Value o) const { return apply<mlir::arith::MaxSIOp>(o); }
  Scalar min(mlir::Value o) const { return apply<mlir::arith::MinSIOp>(o); }
  Scalar max(int64_t c) const { return max(constant(c)); }
  Scalar min(int64_t c) const { return min(constant(c)); }
  Scalar operator&(mlir::Value o) const {
    return apply<mlir::arith::AndIOp>(o);
  }

  Scalar less(mlir::Value o) const { return compare(Predicate::slt, o); }
  Scalar lessEqual(mlir::Value o) const { return compare(Predicate::sle, o); }
  Scalar less(int64_t c) const { return less(constant(c)); }
  Scalar atLeast(int64_t c) const {
    return compare(Predicate::sge, constant(c));
  }

  /// The value as i64.
  Scalar wide() const {
    return {b, b->createOrFold<mlir::arith::ExtSIOp>(b->getI64Type(), value)};
  }
  /// The low half as i32.
  Scalar narrow() const {
    return {b, b->createOrFold<mlir::arith::TruncIOp>(b->getI32Type(), value)};
  }

  mlir::Value constant(int64_t c) const {
    return mlir::arith::ConstantIntOp::create(*b, value.getType(), c);
  }

private:
  using Predicate = mlir::arith::CmpIPredicate;
  Scalar compare(Predicate predicate, mlir::Value o) const {
    return {b, b->createOrFold<mlir::arith::CmpIOp>(predicate, value, o)};
  }
};

inline Scalar i32(mlir::ImplicitLocOpBuilder &b, int64_t c) {
  return {&b, mlir::arith::ConstantIntOp::create(b, b.getI32Type(), c)};
}
inline Scalar i64(mlir::ImplicitLocOpBuilder &b, int64_t c) {
  return {&b, mlir::arith::ConstantIntOp::create(b, b.getI64Type(), c)};
}
inline mlir::Value f32(mlir::ImplicitLocOpBuilder &b, float c) {
  return mlir::arith::ConstantOp::create(b, b.getF32FloatAttr(c));
}
/// A float as f32.
inline mlir::Value widened(mlir::ImplicitLocOpBuilder &b, mlir::Value x) {
  return x.getType().isF32()
             ? x
             : mlir::arith::ExtFOp::create(b, b.getF32Type(), x).getResult();
}
inline mlir::Value yes(mlir::ImplicitLocOpBuilder &b, bool c = true) {
  return mlir::arith::ConstantIntOp::create(b, b.getI1Type(), c);
}

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_SCALARS_H
