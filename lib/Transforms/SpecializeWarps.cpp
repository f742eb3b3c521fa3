// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Partitions an entry at the ends of its pipes. Scalars that both roles need
// are computed by both: that is cheaper than to hand them over.

#include "lib/Transforms/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace saccade {
#define GEN_PASS_DEF_SPECIALIZEWARPSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

static bool isTile(Type type) { return isa<TileType>(type); }

static bool holdsPut(Operation *op) {
  return op->walk([](PutOp) { return WalkResult::interrupt(); })
      .wasInterrupted();
}

/// Copies puts, and loops without the tiles that they carry; whatever scalars
/// they may need come along.
static void copyLoads(Block &from, OpBuilder &b, IRMapping &mapping) {
  for (Operation &op : from) {
    if (auto loop = dyn_cast<scf::ForOp>(op); loop && holdsPut(loop)) {
      SmallVector<Value> inits;
      SmallVector<unsigned> kept;
      for (auto [index, init] : llvm::enumerate(loop.getInitArgs()))
        if (!isTile(init.getType())) {
          inits.push_back(mapping.lookupOrDefault(init));
          kept.push_back(index);
        }
      auto copy = scf::ForOp::create(
          b, loop.getLoc(), mapping.lookupOrDefault(loop.getLowerBound()),
          mapping.lookupOrDefault(loop.getUpperBound()),
          mapping.lookupOrDefault(loop.getStep()), inits);
      mapping.map(loop.getInductionVar(), copy.getInductionVar());
      for (auto [place, index] : llvm::enumerate(kept)) {
        mapping.map(loop.getRegionIterArg(index), copy.getRegionIterArg(place));
        mapping.map(loop.getResult(index), copy.getResult(place));
      }
      OpBuilder::InsertionGuard guard(b);
      if (kept.empty())
        b.setInsertionPoint(copy.getBody()->getTerminator());
      else
        b.setInsertionPointToEnd(copy.getBody());
      copyLoads(*loop.getBody(), b, mapping);
      if (kept.empty())
        continue;
      SmallVector<Value> yielded;
      for (unsigned index : kept)
        yielded.push_back(
            mapping.lookupOrDefault(loop.getYieldedValues()[index]));
      scf::YieldOp::create(b, loop.getLoc(), yielded);
      continue;
    }
    bool scalar = !op.hasTrait<OpTrait::IsTerminator>() && isPure(&op) &&
                  llvm::none_of(op.getOperandTypes(), isTile) &&
                  llvm::none_of(op.getResultTypes(), isTile);
    if (isa<PutOp>(op) || scalar)
      b.clone(op, mapping);
  }
}

/// Users stand after what they use, so one way back suffices.
static void eraseUnused(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        eraseUnused(inner);
    if (isOpTriviallyDead(&op))
      op.erase();
  }
}

namespace {
struct SpecializeWarps
    : saccade::impl::SpecializeWarpsPassBase<SpecializeWarps> {
  void runOnOperation() override {
    EntryOp entry = getOperation();
    PipelineAttr pipeline = entry.getSchedule().getPipeline();
    if (!pipeline)
      return;
    Block &body = entry.getBody().front();
    SmallVector<Operation *> work;
    for (Operation &op : body)
      if (!isa<PipeOp>(op))
        work.push_back(&op);

    OpBuilder b = OpBuilder::atBlockEnd(&body);
    auto roles = RolesOp::create(b, entry.getLoc(), pipeline.getLoadRegisters(),
                                 pipeline.getComputeRegisters());
    Block *load = b.createBlock(&roles.getLoad());
    Block *compute = b.createBlock(&roles.getCompute());
    for (Operation *op : work)
      op->moveBefore(compute, compute->end());
    b.setInsertionPointToEnd(load);
    IRMapping mapping;
    copyLoads(*compute, b, mapping);
    compute->walk([](PutOp put) { put.erase(); });
    eraseUnused(*load);
    eraseUnused(*compute);
  }
};
} // namespace
