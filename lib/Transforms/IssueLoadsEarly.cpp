// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Moves loads up within their block, so that their copies are on the way while
// other tiles are worked on. Purely for speed: the program means the same.

#include "lib/Transforms/Passes.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Transforms/RegionUtils.h"

namespace saccade {
#define GEN_PASS_DEF_ISSUELOADSEARLYPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade::tile;

namespace {
/// Whether an operation writes memory that a load may read.
bool writes(Operation &op) {
  return op
      .walk([](Operation *inner) {
        return isa<StoreOp, ArriveOp>(inner) ? WalkResult::interrupt()
                                             : WalkResult::advance();
      })
      .wasInterrupted();
}

/// The operations of the load's block, after `first`, that the load needs.
/// Fails where one of them is itself a tile operation: then it must not move.
LogicalResult collectNeeded(LoadOp load, Operation *first,
                            SetVector<Operation *> &needed) {
  BackwardSliceOptions options;
  options.omitBlockArguments = true;
  options.inclusive = true;
  options.filter = [&](Operation *op) {
    return op->getBlock() == load->getBlock() && first->isBeforeInBlock(op);
  };
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(load.getRows(), captured);
  captured.insert(load.getBase());
  for (Value value : captured)
    if (Operation *op = value.getDefiningOp(); op && options.filter(op))
      if (failed(getBackwardSlice(op, &needed, options)))
        return failure();
  for (Operation *op : needed)
    if (!isPure(op) || op->getNumRegions())
      return failure();
  return success();
}

void issueEarly(Block &block) {
  Operation *previous =
      nullptr; // the last load before which nothing was written
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (writes(op))
      previous = nullptr;
    auto load = dyn_cast<LoadOp>(op);
    if (!load)
      continue;
    SetVector<Operation *> needed;
    if (previous && succeeded(collectNeeded(load, previous, needed))) {
      SetVector<Operation *> sorted = topologicalSort(needed);
      Operation *place = previous;
      for (Operation *moved : sorted) {
        moved->moveAfter(place);
        place = moved;
      }
      load->moveAfter(place);
    }
    previous = load;
  }
}

struct IssueLoadsEarlyPass
    : saccade::impl::IssueLoadsEarlyPassBase<IssueLoadsEarlyPass> {
  void runOnOperation() override {
    if (getOperation().getSchedule().getPipeline())
      return; // pipes wait for copies, and know who reads them
    getOperation().walk([](Block *block) { issueEarly(*block); });
  }
};
} // namespace
