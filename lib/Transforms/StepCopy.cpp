// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loops lose the tiles that they carry and keep their scalars, so trips and the
// numbers of tiles stay what they were.

#include "lib/Transforms/StepCopy.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace saccade;

using Keep = llvm::function_ref<bool(Operation *)>;

bool saccade::isTileLike(Type type) {
  return isa<tile::TileType, tile::InflightType>(type);
}

static bool hasTiles(Operation *op) {
  return llvm::any_of(op->getOperandTypes(), isTileLike) ||
         llvm::any_of(op->getResultTypes(), isTileLike);
}

bool saccade::isScalarCode(Operation *op) {
  if (op->hasTrait<OpTrait::IsTerminator>() || !isMemoryEffectFree(op))
    return false;
  return !op->walk([](Operation *inner) {
              return hasTiles(inner) ? WalkResult::interrupt()
                                     : WalkResult::advance();
            }).wasInterrupted();
}

static bool holdsAny(Operation *op, Keep keep) {
  return op
      ->walk([&](Operation *inner) {
        return inner != op && keep(inner) ? WalkResult::interrupt()
                                          : WalkResult::advance();
      })
      .wasInterrupted();
}

/// The places of the scalars among values.
static SmallVector<unsigned> scalarsOf(ValueRange values) {
  SmallVector<unsigned> places;
  for (auto [place, value] : llvm::enumerate(values))
    if (!isTileLike(value.getType()))
      places.push_back(place);
  return places;
}

static void copyLoop(scf::ForOp loop, OpBuilder &b, IRMapping &mapping,
                     Keep keep) {
  SmallVector<unsigned> kept = scalarsOf(loop.getInitArgs());
  SmallVector<Value> inits;
  for (unsigned place : kept)
    inits.push_back(mapping.lookupOrDefault(loop.getInitArgs()[place]));
  auto copy = scf::ForOp::create(
      b, loop.getLoc(), mapping.lookupOrDefault(loop.getLowerBound()),
      mapping.lookupOrDefault(loop.getUpperBound()),
      mapping.lookupOrDefault(loop.getStep()), inits);
  mapping.map(loop.getInductionVar(), copy.getInductionVar());
  for (auto [to, from] : llvm::enumerate(kept)) {
    mapping.map(loop.getRegionIterArg(from), copy.getRegionIterArg(to));
    mapping.map(loop.getResult(from), copy.getResult(to));
  }
  OpBuilder::InsertionGuard guard(b);
  if (kept.empty())
    b.setInsertionPoint(copy.getBody()->getTerminator());
  else
    b.setInsertionPointToEnd(copy.getBody());
  copySteps(*loop.getBody(), b, mapping, keep);
  if (kept.empty())
    return;
  SmallVector<Value> yielded;
  for (unsigned place : kept)
    yielded.push_back(mapping.lookupOrDefault(loop.getYieldedValues()[place]));
  scf::YieldOp::create(b, loop.getLoc(), yielded);
}

/// A branch around kept operations gives no scalars in any entry.
static void copyBranch(scf::IfOp branch, OpBuilder &b, IRMapping &mapping,
                       Keep keep) {
  bool otherwise = branch.elseBlock() != nullptr;
  auto copy = scf::IfOp::create(b, branch.getLoc(),
                                mapping.lookupOrDefault(branch.getCondition()),
                                otherwise);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(copy.thenBlock());
  copySteps(*branch.thenBlock(), b, mapping, keep);
  if (!otherwise)
    return;
  b.setInsertionPointToStart(copy.elseBlock());
  copySteps(*branch.elseBlock(), b, mapping, keep);
}

void saccade::copySteps(Block &from, OpBuilder &b, IRMapping &mapping,
                        Keep keep) {
  for (Operation &op : from) {
    if (keep(&op) || isScalarCode(&op))
      b.clone(op, mapping);
    else if (!holdsAny(&op, keep))
      continue;
    else if (auto loop = dyn_cast<scf::ForOp>(op))
      copyLoop(loop, b, mapping, keep);
    else if (auto branch = dyn_cast<scf::IfOp>(op))
      copyBranch(branch, b, mapping, keep);
  }
}

void saccade::eraseUnused(Block &block) {
  // Users stand after what they use, so one way back suffices.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        eraseUnused(inner);
    if (isOpTriviallyDead(&op))
      op.erase();
  }
}
