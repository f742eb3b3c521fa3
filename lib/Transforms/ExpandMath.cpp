// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Walks over scalar code and expands what no target has, or what has undefined
// behaviour. The formulas are in ExpandFunctions.cpp and ExpandIntegers.cpp.

#include "lib/Transforms/ExpandMath.h"
#include "lib/Transforms/Passes.h"

using namespace mlir;

namespace saccade {
#define GEN_PASS_DEF_EXPANDMATHPASS
#include "lib/Transforms/Passes.h.inc"

namespace {

struct ExpandMathPass : impl::ExpandMathPassBase<ExpandMathPass> {
  void runOnOperation() override {
    SmallVector<Operation *> work;
    getOperation()->walk([&](Operation *op) {
      if (isa_and_nonnull<arith::ArithDialect, math::MathDialect>(
              op->getDialect()) &&
          op->getNumOperands() > 0 && op->getNumResults() == 1)
        work.push_back(op);
    });
    for (Operation *op : work) {
      ImplicitLocOpBuilder builder(op->getLoc(), op);
      Value result = expandFunction(builder, op);
      if (!result)
        result = expandInteger(builder, op);
      if (!result)
        continue;
      op->getResult(0).replaceAllUsesWith(result);
      op->erase();
    }
  }
};

} // namespace
} // namespace saccade
