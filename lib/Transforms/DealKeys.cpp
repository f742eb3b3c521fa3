// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Deals the tiles of loops over keys to the warps of a role. Tile i of an item
// goes to a computing warp by i alone, so an item gives the same bits wherever
// it stands among others.

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Transforms/Passes.h"
#include "lib/Transforms/StepCopy.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

namespace saccade {
#define GEN_PASS_DEF_DEALKEYSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

/// The number of the tile that an end of a dealt pipe names; null for all else.
static OpOperand *dealtIndex(Operation *op) {
  if (!isa<PutOp, GetOp, ReleaseOp>(op))
    return nullptr;
  auto pipe = op->getOperand(0).getDefiningOp<PipeOp>();
  return pipe && pipe.getDealt() ? &op->getOpOperand(1) : nullptr;
}

static SmallVector<OpOperand *> dealtIndices(scf::ForOp loop) {
  SmallVector<OpOperand *> indices;
  loop.getBody()->walk([&](Operation *op) {
    if (OpOperand *index = dealtIndex(op))
      indices.push_back(index);
  });
  return indices;
}

namespace {
/// The loop over items of a role. Of `stride` warps each takes every
/// `stride`-th tile of an item; those belong to `sharers` computing warps in
/// turn. Stages belong to computing warps too, so tiles are numbered for each
/// of them apart: its `t`-th tile is number `t * warps + warp`.
class RoleDealer {
public:
  RoleDealer(scf::ForOp items, Value warp, int64_t stride, int64_t warps)
      : items(items), warp(warp), stride(stride), warps(warps),
        sharers(warps / stride) {}

  LogicalResult run() {
    SmallVector<scf::ForOp> loops;
    for (auto loop : items.getBody()->getOps<scf::ForOp>())
      if (!dealtIndices(loop).empty())
        loops.push_back(loop);
    if (loops.empty())
      return success();
    forgetOldCount(loops.front());
    SmallVector<Value> first = addCounts();
    for (scf::ForOp loop : loops)
      if (failed(deal(loop, first)))
        return failure();
    Operation *yield = items.getBody()->getTerminator();
    yield->setOperands(yield->getNumOperands() - sharers, sharers, first);
    eraseUnused(*items.getBody());
    return success();
  }

private:
  scf::ForOp items;
  Value warp;
  int64_t stride, warps, sharers;

  static Value constant(ImplicitLocOpBuilder &b, int64_t c) {
    return arith::ConstantIntOp::create(b, b.getI32Type(), c);
  }

  /// Tiles were counted for all warps together, in a value of the items' loop
  /// that is handed on unchanged from here on, and so goes away.
  void forgetOldCount(scf::ForOp loop) {
    auto sum = dealtIndices(loop).front()->get().getDefiningOp<arith::AddIOp>();
    if (!sum)
      return;
    for (Value part : sum->getOperands())
      for (auto [argument, yielded] :
           llvm::zip(items.getRegionIterArgs(),
                     items.getYieldedValuesMutable().value()))
        if (argument == part)
          yielded.set(argument);
  }

  /// The multiples of `warps` from which the tiles of an item count on, one for
  /// each computing warp that is served.
  SmallVector<Value> addCounts() {
    ImplicitLocOpBuilder b(items.getLoc(), items);
    SmallVector<Value> zeros(sharers, constant(b, 0));
    IRRewriter rewriter(items.getContext());
    items = cast<scf::ForOp>(*items.replaceWithAdditionalYields(
        rewriter, zeros, /*replaceInitOperandUsesInLoop=*/false,
        [](OpBuilder &, Location, ArrayRef<BlockArgument> arguments) {
          return SmallVector<Value>(arguments); // replaced below
        }));
    return SmallVector<Value>(items.getRegionIterArgs().take_back(sharers));
  }

  LogicalResult deal(scf::ForOp loop, SmallVector<Value> &first) {
    if (!matchPattern(loop.getLowerBound(), m_Zero()) ||
        !matchPattern(loop.getStep(), m_One()))
      return loop.emitOpError("expects to count tiles by one from 0, to be "
                              "dealt to warps");
    ImplicitLocOpBuilder b(loop.getLoc(), loop);
    loop.setLowerBound(warp);
    loop.setStep(constant(b, stride));
    b.setInsertionPointToStart(loop.getBody());
    Value i = loop.getInductionVar();
    Value number = arith::AddIOp::create(b, ownerOf(b, i, first), i);
    for (OpOperand *index : dealtIndices(loop))
      index->set(number);

    b.setInsertionPointAfter(loop);
    for (int64_t sharer = 0; sharer < sharers; ++sharer) {
      Value owner =
          b.createOrFold<arith::AddIOp>(warp, constant(b, sharer * stride));
      Value left = arith::SubIOp::create(b, loop.getUpperBound(), owner);
      left = arith::MaxSIOp::create(b, left, constant(b, 0));
      left = arith::AddIOp::create(b, left, constant(b, warps - 1));
      Value taken = arith::DivUIOp::create(b, left, constant(b, warps));
      taken = arith::MulIOp::create(b, taken, constant(b, warps));
      first[sharer] = arith::AddIOp::create(b, first[sharer], taken);
    }
    return success();
  }

  /// From where the tiles of the warp that computes tile `i` count.
  Value ownerOf(ImplicitLocOpBuilder &b, Value i, ArrayRef<Value> first) {
    Value count = first.front();
    if (sharers == 1)
      return count;
    Value trip = arith::DivUIOp::create(b, i, constant(b, stride));
    Value which = arith::RemUIOp::create(b, trip, constant(b, sharers));
    for (int64_t sharer = 1; sharer < sharers; ++sharer) {
      Value is = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, which,
                                       constant(b, sharer));
      count = arith::SelectOp::create(b, is, first[sharer], count);
    }
    return count;
  }
};

struct DealKeys : saccade::impl::DealKeysPassBase<DealKeys> {
  void runOnOperation() override {
    EntryOp entry = getOperation();
    if (!entry.getSchedule().dealsKeys())
      return;
    for (auto roles : entry.getBody().front().getOps<RolesOp>())
      if (failed(deal(roles.getLoad().front(), kGroupWarps)) ||
          failed(
              deal(roles.getCompute().front(), entry.getSchedule().getWarps())))
        return signalPassFailure();
    entry->setAttr(kDealtAttr, UnitAttr::get(&getContext()));
  }

  LogicalResult deal(Block &role, int64_t stride) {
    OpBuilder b = OpBuilder::atBlockBegin(&role);
    Value warp =
        GroupOp::create(b, role.getParentOp()->getLoc(), b.getI32Type());
    int64_t warps = getOperation().getSchedule().getWarps();
    SmallVector<scf::ForOp> loops(role.getOps<scf::ForOp>());
    for (scf::ForOp items : loops)
      if (failed(RoleDealer(items, warp, stride, warps).run()))
        return failure();
    return success();
  }
};
} // namespace
