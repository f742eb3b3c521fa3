// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Makes a branch of every mask that knows when its predicate holds on a whole
// tile. Most tiles of a long sequence are full, and then cost no mask.

#include "lib/Transforms/Passes.h"

#include "mlir/IR/Matchers.h"

namespace saccade {
#define GEN_PASS_DEF_SPLITFULLTILESPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;

namespace {
struct SplitFullTiles : saccade::impl::SplitFullTilesPassBase<SplitFullTiles> {
  void runOnOperation() override {
    SmallVector<tile::MaskOp> masks;
    getOperation()->walk([&](tile::MaskOp mask) {
      if (!matchPattern(mask.getFull(), m_Constant()))
        masks.push_back(mask);
    });
    for (tile::MaskOp mask : masks)
      split(mask);
  }

  void split(tile::MaskOp mask) {
    OpBuilder b(mask);
    Location loc = mask.getLoc();
    auto branch = scf::IfOp::create(b, loc, TypeRange{mask.getType()},
                                    mask.getFull(), /*withElseRegion=*/true);
    mask.getResult().replaceAllUsesWith(branch.getResult(0));
    b.setInsertionPointToStart(branch.thenBlock());
    scf::YieldOp::create(b, loc, mask.getInput());
    b.setInsertionPointToStart(branch.elseBlock());
    Value never = arith::ConstantIntOp::create(b, loc, b.getI1Type(), 0);
    mask.getFullMutable().assign(never);
    mask->moveBefore(branch.elseBlock(), b.getInsertionPoint());
    scf::YieldOp::create(b, loc, mask.getResult());
  }
};
} // namespace
