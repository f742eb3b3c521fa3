// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where every warpgroup would multiply and then exponentiate at the same time,
// turns make them alternate (the ping-pong of Shah et al., arXiv 2407.08608).

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Transforms/Passes.h"

namespace saccade {
#define GEN_PASS_DEF_TAKETURNSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
struct TakeTurns : saccade::impl::TakeTurnsPassBase<TakeTurns> {
  void runOnOperation() override {
    EntryOp entry = getOperation();
    if (entry.getSchedule().getWarps() <= kGroupWarps)
      return; // alone
    entry->walk([&](scf::ForOp loop) {
      // Products of the loop that are in flight together.
      SmallVector<IssueDotOp> issues(loop.getBody()->getOps<IssueDotOp>());
      if (issues.size() < 2 || !loop->getParentOfType<RolesOp>())
        return;
      OpBuilder b(issues.front());
      TakeTurnOp::create(b, issues.front().getLoc());
      b.setInsertionPointAfter(issues.back());
      PassTurnOp::create(b, issues.back().getLoc());
    });
  }
};
} // namespace
