// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loads become transfers: what fills a stage and what reads it are apart from
// here on, and meet only in the number of the tile.

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Transforms/Passes.h"
#include "lib/Transforms/ReadOnce.h"
#include "lib/Transforms/ScalarSlice.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace saccade {
#define GEN_PASS_DEF_MAKEPIPESPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
/// One loop over items, whose loads become puts and gets.
class PipeMaker {
public:
  PipeMaker(EntryOp entry, scf::ForOp items)
      : pipeline(entry.getSchedule().getPipeline()),
        dealsKeys(entry.getSchedule().dealsKeys()), items(items),
        context(entry.getContext()) {}

  void run() {
    llvm::append_range(itemLoads, body().getOps<LoadOp>());
    for (auto loop : body().getOps<scf::ForOp>())
      if (!loop.getBody()->getOps<LoadOp>().empty())
        keyLoops.push_back(loop);
    if (!keyLoops.empty())
      pipeKeyLoops();
    pipeItemLoads();
  }

private:
  PipelineAttr pipeline;
  bool dealsKeys;
  scf::ForOp items;
  MLIRContext *context;
  SmallVector<LoadOp> itemLoads;
  SmallVector<scf::ForOp> keyLoops;
  /// Pipes by their tiles; a loop takes those of equal tiles in turn.
  DenseMap<Type, SmallVector<Value>> pipes;

  Block &body() { return *items.getBody(); }

  Value pipe(TileType type, int64_t stages, CopyKind copy, bool dealt) {
    OpBuilder b(items);
    return PipeOp::create(b, items.getLoc(),
                          PipeType::get(context, type, stages), copy,
                          IntegerAttr(), dealt);
  }

  /// The loads of an item in the order of the pipe: what is loaded `k`-th of
  /// `count` equal tiles is number `item * count + k` there.
  void pipeItemLoads() {
    DenseMap<Type, int64_t> counts;
    for (LoadOp load : itemLoads)
      ++counts[load.getType()];
    DenseMap<Type, std::pair<Value, int64_t>> state;
    for (LoadOp load : itemLoads) {
      auto [found, isNew] = state.try_emplace(load.getType());
      auto &[itemPipe, next] = found->second;
      if (isNew)
        itemPipe = pipe(load.getType(), pipeline.getQueryStages(), copyOf(load),
                        /*dealt=*/false);
      ImplicitLocOpBuilder b(load.getLoc(), load);
      Value item = b.createOrFold<arith::SubIOp>(items.getInductionVar(),
                                                 items.getLowerBound());
      Value count = arith::ConstantIntOp::create(b, b.getI32Type(),
                                                 counts[load.getType()]);
      Value first = b.createOrFold<arith::MulIOp>(item, count);
      Value place = arith::ConstantIntOp::create(b, b.getI32Type(), next++);
      PutOp put =
          replace(load, itemPipe, b.createOrFold<arith::AddIOp>(first, place));
      if (!dealsKeys) // few rows; what they drive out is small
        put->setAttr(kOnceAttr, b.getUnitAttr());
    }
  }

  CopyKind copyOf(LoadOp load) const {
    return load.getBox() ? pipeline.getCopy() : CopyKind::gather;
  }

  /// Counts tiles through items and loops.
  void pipeKeyLoops() {
    IRRewriter rewriter(context);
    Value zero;
    {
      ImplicitLocOpBuilder b(items.getLoc(), items);
      zero = arith::ConstantIntOp::create(b, b.getI32Type(), 0);
    }
    auto grown = cast<scf::ForOp>(*items.replaceWithAdditionalYields(
        rewriter, zero, /*replaceInitOperandUsesInLoop=*/false,
        [&](OpBuilder &, Location, ArrayRef<BlockArgument> arguments) {
          return SmallVector<Value>{arguments[0]}; // replaced below
        }));
    items = grown;
    Value first = items.getRegionIterArgs().back();
    for (scf::ForOp loop : keyLoops) {
      pipeLoop(loop, first);
      ImplicitLocOpBuilder b(loop.getLoc(), loop);
      b.setInsertionPointAfter(loop);
      first = b.createOrFold<arith::AddIOp>(first, loop.getUpperBound());
    }
    Operation *yield = body().getTerminator();
    yield->setOperand(yield->getNumOperands() - 1, first);
  }

  void pipeLoop(scf::ForOp loop, Value first) {
    DenseMap<Type, size_t> taken;
    SmallVector<LoadOp> loads(loop.getBody()->getOps<LoadOp>());
    for (LoadOp load : loads) {
      SmallVector<Value> &equal = pipes[load.getType()];
      size_t index = taken[load.getType()]++;
      if (index == equal.size())
        equal.push_back(pipe(load.getType(), pipeline.getStages(), copyOf(load),
                             dealsKeys));
      ImplicitLocOpBuilder b(load.getLoc(), load);
      Value n = b.createOrFold<arith::AddIOp>(first, loop.getInductionVar());
      if (load.getLimit() && isMultipliedAsValues(load))
        clearAbsentRows(load, loop, equal[index], n, first);
      replace(load, equal[index], n);
    }
  }

  /// Whether rows are summed with weights, which may be 0. A row that is not
  /// there must be 0 too, for 0 times anything else may be NaN; elsewhere
  /// masks hide it.
  static bool isMultipliedAsValues(LoadOp load) {
    return llvm::any_of(load->getUsers(), [&](Operation *user) {
      auto dot = dyn_cast<DotOp>(user);
      return dot && dot.getRhs() == load.getResult() && !dot.getTransposed();
    });
  }

  void clearAbsentRows(LoadOp load, scf::ForOp loop, Value from, Value n,
                       Value first) {
    if (copyOf(load) == CopyKind::gather)
      return; // copies zeros itself
    ImplicitLocOpBuilder b(load.getLoc(), load);
    Value limit = load.getLimit();
    ScalarSlice slice;
    if (!dealsKeys && load.getTail() &&
        succeeded(collectScalars(limit, loop, slice))) {
      // Once, before the loop: the tile stays in its stage until it is
      // released. Dealt tiles are in the hands of one warp, which finds out in
      // its loop.
      b.setInsertionPoint(loop);
      IRMapping firstTrip;
      cloneForTrip(b, slice, loop, loop.getLowerBound(), firstTrip);
      limit = firstTrip.lookupOrDefault(limit);
      n = first;
      Value any =
          arith::CmpIOp::create(b, arith::CmpIPredicate::sgt,
                                loop.getUpperBound(), loop.getLowerBound());
      enterIf(b, any);
    }
    Value rows = arith::ConstantIntOp::create(b, b.getI32Type(),
                                              load.getType().getRows());
    enterIf(b,
            arith::CmpIOp::create(b, arith::CmpIPredicate::slt, limit, rows));
    Value zero = arith::ConstantIntOp::create(b, b.getI32Type(), 0);
    limit = b.createOrFold<arith::MaxSIOp>(limit, zero);
    Value tile = GetOp::create(b, load.getType(), from, n);
    ClearRowsOp::create(b, tile, limit);
  }

  /// Goes on building where a condition holds.
  static void enterIf(ImplicitLocOpBuilder &b, Value condition) {
    auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
    b.setInsertionPointToStart(branch.thenBlock());
  }

  PutOp replace(LoadOp load, Value from, Value n) {
    ImplicitLocOpBuilder b(load.getLoc(), load);
    auto put = PutOp::create(b, from, n, load.getBase(), load.getBoxAttr());
    put.getRows().takeBody(load.getRows());
    put.getBoxes().takeBody(load.getBoxes());
    Value tile = GetOp::create(b, load.getType(), from, n);
    Operation *last = tile.getDefiningOp();
    for (Operation *user : load->getUsers()) {
      Operation *here = load->getBlock()->findAncestorOpInBlock(*user);
      if (last->isBeforeInBlock(here))
        last = here;
    }
    b.setInsertionPointAfter(last);
    ReleaseOp::create(b, from, n);
    load.getResult().replaceAllUsesWith(tile);
    load.erase();
    return put;
  }
};

struct MakePipes : saccade::impl::MakePipesPassBase<MakePipes> {
  void runOnOperation() override {
    EntryOp entry = getOperation();
    if (!entry.getSchedule().getPipeline())
      return;
    SmallVector<scf::ForOp> loops(entry.getBody().front().getOps<scf::ForOp>());
    for (scf::ForOp items : loops)
      PipeMaker(entry, items).run();
    WalkResult left = entry->walk([](LoadOp load) {
      if (FragmentLayout::isFragment(load.getType().getLayout()))
        return WalkResult::advance(); // a partial state, straight to registers
      load.emitOpError("expects to stand in the loop over items, or in a loop "
                       "over keys within it, to be pipelined");
      return WalkResult::interrupt();
    });
    if (left.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
