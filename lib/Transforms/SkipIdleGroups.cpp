// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The rows of an item are consecutive, so a warpgroup whose first row is not
// there has none. It still has to keep step: others wait for it.

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Transforms/Passes.h"
#include "lib/Transforms/StepCopy.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace saccade {
#define GEN_PASS_DEF_SKIPIDLEGROUPSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

/// Whether the first row of this group is stored anywhere.
static Value hasRows(ImplicitLocOpBuilder &b, ArrayRef<StoreOp> stores) {
  Value group = GroupOp::create(b, b.getI32Type());
  Value rows = arith::ConstantIntOp::create(b, b.getI32Type(), kGroupRows);
  Value first = arith::MulIOp::create(b, group, rows);
  Value any;
  for (StoreOp store : stores) {
    Block &region = store.getRows().front();
    IRMapping mapping;
    mapping.map(region.getArgument(0), first);
    for (Operation &op : region.without_terminator())
      b.clone(op, mapping);
    Value there =
        mapping.lookupOrDefault(region.getTerminator()->getOperand(1));
    any = any ? b.createOrFold<arith::OrIOp>(any, there) : there;
  }
  return any;
}

static void skip(scf::ForOp items) {
  Block *body = items.getBody();
  SmallVector<StoreOp> stores(body->getOps<StoreOp>());
  if (stores.empty())
    return;
  SmallVector<Operation *> work;
  for (Operation &op : body->without_terminator())
    if (!isScalarCode(&op))
      work.push_back(&op);
  ImplicitLocOpBuilder b(items.getLoc(), body->getTerminator());
  auto branch =
      scf::IfOp::create(b, hasRows(b, stores), /*withElseRegion=*/true);
  for (Operation *op : work)
    op->moveBefore(branch.thenBlock()->getTerminator());
  b.setInsertionPointToStart(branch.elseBlock());
  IRMapping mapping;
  copySteps(*branch.thenBlock(), b, mapping, [](Operation *op) {
    return isa<GetOp, ReleaseOp, TakeTurnOp, PassTurnOp>(op);
  });
  eraseUnused(*branch.elseBlock());
}

namespace {
struct SkipIdleGroups : saccade::impl::SkipIdleGroupsPassBase<SkipIdleGroups> {
  void runOnOperation() override {
    EntryOp entry = getOperation();
    if (entry.getSchedule().dealsKeys() || // each warp has all rows
        entry.getSchedule().getWarps() <= kGroupWarps)
      return;
    for (auto roles : entry.getBody().front().getOps<RolesOp>())
      for (auto items : roles.getCompute().front().getOps<scf::ForOp>())
        skip(items);
  }
};
} // namespace
