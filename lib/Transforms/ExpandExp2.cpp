// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// exp2, log2 and rsqrt as polynomials over exponent bits. Softmax spends its
// time in exp2, so its form is chosen for few instructions; errors are measured
// over the whole range by test/unit/MathErrorTest.cpp.

#include "lib/Transforms/Lane.h"
#include "lib/Transforms/Passes.h"

using namespace mlir;

namespace saccade {
#define GEN_PASS_DEF_EXPANDEXP2PASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

namespace saccade {
namespace {

/// 2^x = 2^n 2^r, |r| <= 1/2. Adding 1.5 * 2^23 rounds to an integer and leaves
/// it in the low bits, already biased as an exponent; the scale is 2^(n-1) and
/// the polynomial doubled, so that n = 128 neither overflows early nor at all
/// before the product. Below n = -125 the scale is zero.
Lane expandExp2(Lane x) {
  constexpr float magic = 0x1.8p23f + 126;
  Lane bounded = atMost(128.0f, atLeast(-126.0f, x));
  Lane shifted = bounded + x.f(magic);
  Lane scale = shiftLeft(shifted.bitsToInt(), x.i(23)).bitsToFloat();
  Lane r = bounded - (shifted - x.f(magic));
  // Minimax over [-1/2, 1/2], relative, 1.1e-7, times two; exact at 0.
  Lane p = polynomial(r, {2.0f, 2 * 0x1.62e42ap-1f, 2 * 0x1.ebf9bcp-3f,
                          2 * 0x1.c6b752p-5f, 2 * 0x1.3cea88p-7f,
                          2 * 0x1.5bba14p-10f});
  return p * scale;
}

/// log2(2^e m) = e + log2(m), m in [sqrt(1/2), sqrt(2)): near 1 the exponent is
/// 0, and f = m - 1 is exact, so the result keeps its relative error there.
Lane expandLog2(Lane x) {
  // Subnormals are brought into the normal range first.
  Lane tiny = x < x.f(0x1p-126f);
  Lane bits = tiny.select(x * x.f(0x1p24f), x).bitsToInt();
  Lane from = x.i(0x3f3504f3); // sqrt(1/2)
  Lane distance = bits - from;
  Lane exponent = shiftRight(distance, x.i(23));
  Lane m = (bits - shiftLeft(exponent, x.i(23))).bitsToFloat();
  Lane e = exponent.toFloat() - tiny.select(x.f(24.0f), x.f(0.0f));
  Lane f = m - x.f(1.0f);
  // log(1 + f) = f - f^2 / 2 + f^3 P(f): minimax, relative, 7.5e-10.
  Lane p = polynomial(f, {0x1.555548p-2f, -0x1.000006p-2f, 0x1.99a4b6p-3f,
                          -0x1.555c4ep-3f, 0x1.233768p-3f, -0x1.fc2206p-4f,
                          0x1.e6f062p-4f, -0x1.de3c1cp-4f, 0x1.1457c4p-4f});
  Lane square = f * f;
  Lane tail = fma(square * f, p, square * x.f(-0.5f));
  // log2(e) is in two parts: its rounding would count near 1.
  Lane low = fma(tail, x.f(0x1.715476p+0f), f * x.f(0x1.4ae0c0p-26f));
  Lane result = fma(f, x.f(0x1.715476p+0f), e) + low;
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  result = (x < x.f(infinity)).select(result, x); // inf and NaN
  result = (x > x.f(0.0f)).select(result, x + x.f(nan));
  return (x == x.f(0.0f)).select(x.f(-infinity), result);
}

Lane expandRsqrt(Lane x) { return x.f(1.0f) / x.make<math::SqrtOp>(x.value); }

struct ExpandExp2Pass : impl::ExpandExp2PassBase<ExpandExp2Pass> {
  void runOnOperation() override {
    SmallVector<Operation *> work;
    getOperation()->walk([&](Operation *op) {
      if (isa<math::Exp2Op, math::Log2Op, math::RsqrtOp>(op) &&
          isF32Lanes(op->getResult(0).getType()))
        work.push_back(op);
    });
    for (Operation *op : work) {
      ImplicitLocOpBuilder builder(op->getLoc(), op);
      Lane x{&builder, op->getOperand(0)};
      Lane result = isa<math::Exp2Op>(op)   ? expandExp2(x)
                    : isa<math::Log2Op>(op) ? expandLog2(x)
                                            : expandRsqrt(x);
      op->getResult(0).replaceAllUsesWith(result.value);
      op->erase();
    }
  }
};

} // namespace
} // namespace saccade
