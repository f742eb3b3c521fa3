// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// exp, log, tanh, sin, cos, powf and remf through exp2, log2, fma and integer
// operations. Upstream's approximations reduce sine and cosine in one step,
// which is wrong for rotary positions; these hold to arguments of 1e6 and more.

#include "lib/Transforms/ExpandMath.h"

#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;

namespace saccade {

static constexpr float infinity = std::numeric_limits<float>::infinity();
static constexpr float nan32 = std::numeric_limits<float>::quiet_NaN();
static constexpr float log2e = 0x1.715476p+0f, log2eLow = 0x1.4ae0c0p-26f;
static constexpr float ln2 = 0x1.62e430p-1f;

/// The sign bit of x on the magnitude of a lane that is not negative.
static Lane withSignOf(Lane x, Lane magnitude) {
  Lane sign = x.bitsToInt() & x.i(std::numeric_limits<int32_t>::min());
  return (magnitude.bitsToInt() | sign).bitsToFloat();
}

/// 2^(high + low) for a small low part: the error of rounding the exponent,
/// which grows with it, is repaired by a factor.
static Lane exp2OfPair(Lane high, Lane low) {
  return exp2(high) * fma(low, high.f(ln2), high.f(1.0f));
}

static Lane expandExp(Lane x) {
  Lane bounded = atMost(90.0f, atLeast(-110.0f, x));
  Lane high = bounded * x.f(log2e);
  Lane low = fma(bounded, x.f(log2e), -high);
  return exp2OfPair(high, fma(bounded, x.f(log2eLow), low));
}

static Lane expandLog(Lane x) { return log2(x) * x.f(ln2); }

static Lane expandTanh(Lane x) {
  Lane a = x.abs();
  // tanh(x) = x + x^3 P(x^2) below 0.625: minimax, relative, 4e-9.
  Lane z = x * x;
  Lane p = polynomial(z, {-0x1.555534p-2f, 0x1.110768p-3f, -0x1.b84448p-5f,
                          0x1.5256d8p-6f, -0x1.76ac1cp-8f});
  Lane small = fma(x * z, p, x);
  // 1 - 2 / (e^2a + 1) above; e^2a may be infinite.
  Lane e = exp2(a * x.f(2 * log2e));
  Lane large = x.f(1.0f) - x.f(2.0f) / (e + x.f(1.0f));
  return (a < x.f(0.625f)).select(small, withSignOf(x, large));
}

/// Cody and Waite: x = n pi/2 + r with pi/2 in three parts. The first product
/// is exact under fma while n < 2^22, so r is good to its last bit or so.
static Lane expandSine(Lane x, int32_t quarterTurns) {
  constexpr float magic = 0x1.8p23f;
  Lane shifted = fma(x, x.f(0x1.45f306p-1f), x.f(magic));
  Lane n = shifted - x.f(magic);
  Lane r = fma(n, x.f(-0x1.921fb6p+0f), x);
  r = fma(n, x.f(0x1.777a5cp-25f), r);
  r = fma(n, x.f(0x1.ee59dap-50f), r);
  // The rounding of 2 / pi lets |r| pass pi/4 by 4e-8 |x|. Beyond reduction,
  // this holds the polynomials near [-1, 1].
  r = atMost(1.1f, atLeast(-1.1f, r));
  Lane quarter = shifted.bitsToInt();
  if (quarterTurns)
    quarter = quarter + x.i(quarterTurns);
  Lane z = r * r; // sinf and cosf of Cephes (Moshier)
  Lane sine = fma(
      r * z,
      polynomial(z, {-1.6666654611e-1f, 8.3321608736e-3f, -1.9515295891e-4f}),
      r);
  Lane cosine = polynomial(z, {1.0f, -0.5f, 4.166664568298827e-2f,
                               -1.388731625493765e-3f, 2.443315711809948e-5f});
  Lane odd = (quarter & x.i(1)) == x.i(1);
  Lane sign = shiftLeft(quarter & x.i(2), x.i(30));
  return (odd.select(cosine, sine).bitsToInt() ^ sign).bitsToFloat();
}

namespace {
/// A number as an unevaluated sum.
struct Pair {
  Lane high, low;
};
} // namespace

/// log2 of a positive lane to about 2^-30: atanh's series in s = (m-1)/(m+1),
/// with the leading terms in two parts (after Cody and Waite's power
/// algorithm).
static Pair log2Pair(Lane a) {
  Lane tiny = a < a.f(0x1p-126f);
  Lane bits = tiny.select(a * a.f(0x1p24f), a).bitsToInt();
  Lane exponent = shiftRight(bits - a.i(0x3f3504f3), a.i(23));
  Lane m = (bits - shiftLeft(exponent, a.i(23))).bitsToFloat();
  Lane e = exponent.toFloat() - tiny.select(a.f(24.0f), a.f(0.0f));

  Lane one = a.f(1.0f);
  Lane u = m - one, v = m + one, vLow = m - (v - one);
  Lane s = u / v;
  Lane sLow = fma(-s, vLow, fma(-s, v, u)) / v;
  Lane c = a.f(2 * log2e), cLow = a.f(2 * log2eLow);
  Lane p = s * c;
  Lane pLow = fma(s, c, -p) + fma(s, cLow, sLow * c);
  Lane z = s * s;
  Lane series = polynomial(z, {0x1.555556p-2f, 0x1.9999ecp-3f, 0x1.245c0ep-3f,
                               0x1.ddd848p-4f}); // minimax, relative, 6e-10
  Lane tail = (p * z) * series;

  Lane high = e + p;
  Lane low = (p - (high - e)) + (pLow + tail);
  Lane sum = high + low;
  return {sum, low - (sum - high)};
}

static Lane expandPow(Lane x, Lane y) {
  Lane a = x.abs(), zero = x.f(0.0f), one = x.f(1.0f);
  Pair log = log2Pair(a);
  Lane high = (a < x.f(infinity)).select(log.high, a); // inf and NaN
  high = (a == zero).select(x.f(-infinity), high);
  Lane product = y * high;
  Lane low = fma(y, log.low, fma(y, high, -product));
  low = (product.abs() < x.f(256.0f)).select(low, zero);
  Lane power = exp2OfPair(product, low);

  // Negative bases: whole exponents only, odd ones keep the sign.
  Lane half = y * x.f(0.5f);
  Lane whole = x.make<math::FloorOp>(y.value) == y;
  Lane even = x.make<math::FloorOp>(half.value) == half;
  Lane odd = whole & (even.select(even.like(0), even.like(1)));
  power = odd.select(withSignOf(x, power), power);
  Lane nowhere = (x < zero) & (a < x.f(infinity)) &
                 whole.select(whole.like(0), whole.like(1));
  power = nowhere.select(x.f(nan32), power);
  Lane unit = (y == zero) | (x == one);
  return unit.select(one, power);
}

/// fmod by way of doubles: exact while the quotient is below 2^53.
static Lane expandRemainder(Lane x, Lane y) {
  Type wide = x.shaped(x.builder->getF64Type());
  Lane a = x.make<arith::ExtFOp>(wide, x.value);
  Lane b = y.make<arith::ExtFOp>(wide, y.value);
  Lane quotient = a.make<math::TruncOp>((a / b).value);
  Lane r = fma(-quotient, b, a);
  // The quotient may have been rounded up to the next whole number, once.
  Lane other =
      ((a < a.like(0)) & (r > a.like(0))) | ((a > a.like(0)) & (r < a.like(0)));
  Lane sameSide = a.make<math::CopySignOp>(b.value, a.value);
  r = other.select(r + sameSide, r);
  Lane outside = r.abs() > b.abs(); // the quotient did not fit
  r = outside.select(a.like(0), r);
  Lane result = x.make<arith::TruncFOp>(x.value.getType(), r.value);
  Lane whole = (y.abs() == x.f(infinity)) & (x.abs() < x.f(infinity));
  return whole.select(x, result);
}

Value expandFunction(ImplicitLocOpBuilder &builder, Operation *op) {
  if (!isF32Lanes(op->getResult(0).getType()) ||
      !isF32Lanes(op->getOperand(0).getType()))
    return {};
  auto operand = [&](unsigned i) { return Lane{&builder, op->getOperand(i)}; };
  return TypeSwitch<Operation *, Value>(op)
      .Case<math::ExpOp>([&](auto) { return expandExp(operand(0)).value; })
      .Case<math::LogOp>([&](auto) { return expandLog(operand(0)).value; })
      .Case<math::TanhOp>([&](auto) { return expandTanh(operand(0)).value; })
      .Case<math::SinOp>([&](auto) { return expandSine(operand(0), 0).value; })
      .Case<math::CosOp>([&](auto) { return expandSine(operand(0), 1).value; })
      .Case<math::PowFOp>(
          [&](auto) { return expandPow(operand(0), operand(1)).value; })
      .Case<arith::RemFOp>(
          [&](auto) { return expandRemainder(operand(0), operand(1)).value; })
      .Default(Value());
}

} // namespace saccade
