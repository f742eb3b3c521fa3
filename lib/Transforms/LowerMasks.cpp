// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns masks into maps, after the passes that profit from knowing which scalar
// code is a mask. What is left of `full` is only a permission, and is not used.

#include "lib/Transforms/Passes.h"

namespace saccade {
#define GEN_PASS_DEF_LOWERMASKSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;

namespace {
struct LowerMasks : saccade::impl::LowerMasksPassBase<LowerMasks> {
  void runOnOperation() override {
    getOperation()->walk([](tile::MaskOp mask) { lower(mask); });
  }

  static void lower(tile::MaskOp mask) {
    OpBuilder b(mask);
    Location loc = mask.getLoc();
    auto map = tile::MapOp::create(b, loc, mask.getType(), mask.getInput());
    map.getBody().takeBody(mask.getBody());
    Block &block = map.getBody().front();
    Value x = block.insertArgument(0u, mask.getType().getElementType(), loc);
    auto yield = cast<tile::YieldOp>(block.getTerminator());
    b.setInsertionPoint(yield);
    Value kept =
        arith::SelectOp::create(b, loc, yield.getOperand(0), x, mask.getFill());
    yield->setOperand(0, kept);
    mask.getResult().replaceAllUsesWith(map.getResult());
    mask.erase();
  }
};
} // namespace
