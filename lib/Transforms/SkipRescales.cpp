// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds where an online softmax rescales what it has summed. Its factor is 1
// for most tiles, but nothing in a map says so.

#include "lib/Transforms/Passes.h"

namespace saccade {
#define GEN_PASS_DEF_SKIPRESCALESPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

static bool multipliesRows(MapOp map) {
  if (map.getInputs().size() != 2 || map.getType().isColumn() ||
      map.getInputs()[0].getType() != map.getType() ||
      !cast<TileType>(map.getInputs()[1].getType()).isColumn())
    return false;
  Block &body = map.getBody().front();
  auto product =
      body.getTerminator()->getOperand(0).getDefiningOp<arith::MulFOp>();
  return product && product.getLhs() == body.getArgument(0) &&
         product.getRhs() == body.getArgument(1);
}

namespace {
struct SkipRescales : saccade::impl::SkipRescalesPassBase<SkipRescales> {
  void runOnOperation() override {
    SmallVector<MapOp> maps;
    getOperation()->walk([&](scf::ForOp loop) {
      for (auto map : loop.getBody()->getOps<MapOp>())
        if (multipliesRows(map) &&
            llvm::is_contained(loop.getRegionIterArgs(), map.getInputs()[0]))
          maps.push_back(map);
    });
    for (MapOp map : maps) {
      OpBuilder b(map);
      Value scaled = ScaleRowsOp::create(b, map.getLoc(), map.getInputs()[0],
                                         map.getInputs()[1]);
      map.getResult().replaceAllUsesWith(scaled);
      map.erase();
    }
  }
};
} // namespace
