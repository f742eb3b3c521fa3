// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Integer operations defined for every operand: a zero divisor or a wide shift
// in a body of a user's must neither trap nor let LLVM assume it away.

#include "lib/Transforms/ExpandMath.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

namespace saccade {

static unsigned widthOf(Lane x) {
  return cast<IntegerType>(getElementTypeOrSelf(x.value.getType())).getWidth();
}

/// A division-like operation on a divisor that cannot trap; 0 by zero.
static Lane guarded(Lane x, Lane y, bool isSigned,
                    llvm::function_ref<Lane(Lane, Lane)> compute) {
  Lane zero = y.like(0);
  Lane byZero = y == zero;
  Lane bad = byZero;
  if (isSigned) { // the least number by -1 does not fit either
    APInt least = APInt::getSignedMinValue(widthOf(x));
    Lane overflow =
        (x == x.constant(IntegerAttr::get(
                  getElementTypeOrSelf(x.value.getType()), least))) &
        (y == y.like(-1));
    bad = bad | overflow;
  }
  Lane divisor = bad.select(y.like(1), y);
  return byZero.select(zero, compute(x, divisor));
}

template <typename OpTy> static Lane divide(Lane x, Lane y) {
  return x.make<OpTy>(x.value, y.value);
}

/// Whether no guard is needed: a constant that is neither 0 nor -1.
static bool isPlainDivisor(Value value) {
  APInt constant;
  return matchPattern(value, m_ConstantInt(&constant)) && !constant.isZero() &&
         !constant.isAllOnes();
}

static Lane floorDivide(Lane x, Lane y, bool up) {
  Lane q = divide<arith::DivSIOp>(x, y);
  Lane r = x - q * y;
  Lane zero = x.like(0);
  Lane sameSign = (r ^ y).compare(CmpIPredicate::sge, zero);
  Lane otherSign = (r ^ y).compare(CmpIPredicate::slt, zero);
  Lane off = r.compare(CmpIPredicate::ne, zero) & (up ? sameSign : otherSign);
  return off.select(up ? q + x.like(1) : q - x.like(1), q);
}

static Lane ceilDivideUnsigned(Lane x, Lane y) {
  Lane one = x.like(1);
  Lane q = divide<arith::DivUIOp>(x - one, y) + one;
  return (x == x.like(0)).select(x, q);
}

/// Shifts by the width or more.
static Lane shift(Operation *op, Lane x, Lane y) {
  unsigned width = widthOf(x);
  if (isa<arith::ShRSIOp>(op)) {
    Lane most = y.like(width - 1);
    Lane by = y.compare(CmpIPredicate::ult, most).select(y, most);
    return x.make<arith::ShRSIOp>(x.value, by.value);
  }
  Lane inside = y.compare(CmpIPredicate::ult, y.like(width));
  Lane by = inside.select(y, y.like(0));
  Lane shifted = isa<arith::ShLIOp>(op)
                     ? x.make<arith::ShLIOp>(x.value, by.value)
                     : x.make<arith::ShRUIOp>(x.value, by.value);
  return inside.select(shifted, x.like(0));
}

/// Saturates; NaN becomes 0.
static Lane toInteger(Lane x, Type type, bool isSigned) {
  unsigned width = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
  int bits = isSigned ? width - 1 : width;
  float limit = std::ldexp(1.0f, bits);
  float low = isSigned ? -limit : 0.0f;
  Lane number = x.compare(CmpFPredicate::ORD, x).select(x, x.f(0.0f));
  Lane bounded = atMost(std::nextafter(limit, 0.0f), atLeast(low, number));
  Lane whole = isSigned ? x.make<arith::FPToSIOp>(type, bounded.value)
                        : x.make<arith::FPToUIOp>(type, bounded.value);
  APInt most =
      isSigned ? APInt::getSignedMaxValue(width) : APInt::getMaxValue(width);
  Lane top = x.constant(IntegerAttr::get(getElementTypeOrSelf(type), most));
  return x.compare(CmpFPredicate::OGE, x.f(limit)).select(top, whole);
}

Value expandInteger(ImplicitLocOpBuilder &builder, Operation *op) {
  Lane x{&builder, op->getOperand(0)};
  if (isa<arith::FPToSIOp, arith::FPToUIOp>(op) &&
      isF32Lanes(x.value.getType()))
    return toInteger(x, op->getResult(0).getType(), isa<arith::FPToSIOp>(op))
        .value;
  if (op->getNumOperands() != 2 ||
      !isa<IntegerType>(getElementTypeOrSelf(op->getResult(0).getType())) ||
      !isa<IntegerType>(getElementTypeOrSelf(x.value.getType())))
    return {};
  Lane y{&builder, op->getOperand(1)};
  if (isa<arith::ShLIOp, arith::ShRUIOp, arith::ShRSIOp>(op)) {
    APInt by;
    if (matchPattern(y.value, m_ConstantInt(&by)) && by.ult(widthOf(x)))
      return {};
    return shift(op, x, y).value;
  }

  using Compute = std::function<Lane(Lane, Lane)>;
  bool isSigned = true, native = true;
  auto compute =
      TypeSwitch<Operation *, Compute>(op)
          .Case<arith::DivSIOp>([&](auto) { return divide<arith::DivSIOp>; })
          .Case<arith::RemSIOp>([&](auto) { return divide<arith::RemSIOp>; })
          .Case<arith::DivUIOp>([&](auto) {
            isSigned = false;
            return divide<arith::DivUIOp>;
          })
          .Case<arith::RemUIOp>([&](auto) {
            isSigned = false;
            return divide<arith::RemUIOp>;
          })
          .Case<arith::FloorDivSIOp>([&](auto) {
            native = false;
            return [](Lane a, Lane b) { return floorDivide(a, b, false); };
          })
          .Case<arith::CeilDivSIOp>([&](auto) {
            native = false;
            return [](Lane a, Lane b) { return floorDivide(a, b, true); };
          })
          .Case<arith::CeilDivUIOp>([&](auto) {
            native = isSigned = false;
            return ceilDivideUnsigned;
          })
          .Default(Compute());
  if (!compute)
    return {};
  if (isPlainDivisor(y.value))
    return native ? Value() : compute(x, y).value;
  return guarded(x, y, isSigned, compute).value;
}

} // namespace saccade
