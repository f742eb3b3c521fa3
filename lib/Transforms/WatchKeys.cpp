// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A wait that costs nothing, placed where it keeps two others apart.

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Transforms/Passes.h"
#include "lib/Transforms/ScalarSlice.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace saccade {
#define GEN_PASS_DEF_WATCHKEYSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

static void watch(scf::ForOp loop) {
  SmallVector<AwaitOp> awaits(loop.getBody()->getOps<AwaitOp>());
  auto gets = loop.getBody()->getOps<GetOp>();
  if (awaits.size() < 2 || awaits.back().getPending() != 0 || gets.empty())
    return;
  GetOp keys = *gets.begin();
  ScalarSlice slice;
  if (failed(collectScalars(keys.getIndex(), loop, slice)))
    return;
  ImplicitLocOpBuilder b(loop.getLoc(), awaits.back());
  Value next = arith::AddIOp::create(b, loop.getInductionVar(), loop.getStep());
  // The last tile of the loop may be overwritten by now.
  Value isThere = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, next,
                                        loop.getUpperBound());
  auto branch = scf::IfOp::create(b, isThere, /*withElseRegion=*/false);
  b.setInsertionPointToStart(branch.thenBlock());
  IRMapping mapping;
  cloneForTrip(b, slice, loop, next, mapping);
  b.clone(*keys, mapping);
}

namespace {
struct WatchKeys : saccade::impl::WatchKeysPassBase<WatchKeys> {
  void runOnOperation() override {
    EntryOp entry = getOperation();
    if (entry.getSchedule().getWarps() > 2 * kGroupWarps)
      return;
    for (auto roles : entry.getBody().front().getOps<RolesOp>())
      roles.getCompute().walk(watch);
  }
};
} // namespace
