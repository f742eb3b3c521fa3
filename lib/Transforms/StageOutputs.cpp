// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A fragment holds pairs of columns of eight rows at a time: stored from there,
// each row is written in pieces of 16 bytes, eight to an instruction.

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Transforms/Passes.h"

namespace saccade {
#define GEN_PASS_DEF_STAGEOUTPUTSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

/// The tile of a pipe of the block that may give its place to another, and what
/// releases it.
static std::pair<GetOp, ReleaseOp> findPlace(Block &block, TileType tile) {
  for (auto get : block.getOps<GetOp>()) {
    TileType place = get.getType();
    TileType there = tile.withLayout(place.getLayout());
    if (place.getRows() != tile.getRows() ||
        place.getElementType().getIntOrFloatBitWidth() != 16 ||
        SharedLayout(there).bytes() > SharedLayout(place).bytes())
      continue;
    for (auto release : block.getOps<ReleaseOp>())
      if (release.getPipe() == get.getPipe() &&
          release.getIndex() == get.getIndex())
        return {get, release};
  }
  return {};
}

static void stage(StoreOp store) {
  TileType type = store.getTile().getType();
  if (!isa_and_present<AccumulatorAttr>(type.getLayout()) ||
      type.getElementType().isF32())
    return;
  auto [place, release] = findPlace(*store->getBlock(), type);
  if (!place)
    return;
  OpBuilder b(store);
  Value moved = OverwriteOp::create(
      b, store.getLoc(), type.withLayout(place.getType().getLayout()), place,
      store.getTile());
  store.getTileMutable().assign(moved);
  if (release->isBeforeInBlock(store))
    release->moveAfter(store);
}

namespace {
struct StageOutputs : saccade::impl::StageOutputsPassBase<StageOutputs> {
  void runOnOperation() override {
    if (getOperation().getSchedule().dealsKeys())
      return; // warps hold columns of results, not whole rows
    for (auto roles : getOperation().getBody().front().getOps<RolesOp>())
      for (auto items : roles.getCompute().front().getOps<scf::ForOp>())
        for (auto store :
             llvm::make_early_inc_range(items.getBody()->getOps<StoreOp>()))
          stage(store);
  }
};
} // namespace
