// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A software pipeline of depth one, made by hand since what is delayed is a
// product and what it reads, not a stage of equal trips. Weights are rounded
// only after the product that reads the registers of the last ones has ended;
// ptxas would serialise everything otherwise (its note C7513).

#include "lib/Transforms/Passes.h"
#include "lib/Transforms/ScalarSlice.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace saccade {
#define GEN_PASS_DEF_OVERLAPPRODUCTSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
/// What a loop over keys does, if it has the form that this pass knows: a
/// first product, and a last one into an accumulator that the loop carries.
struct KeyLoop {
  scf::ForOp loop;
  DotOp first, last;
  GetOp values;          ///< right side of the last product
  ReleaseOp release;     ///< of the values
  ScalarSlice indices;   ///< what the numbers of both hang on
  BlockArgument carried; ///< the accumulator as a trip begins
  unsigned carriedIndex = 0;
  SetVector<Operation *> rounding; ///< from weights to the last left side
  SmallVector<Value> kept;         ///< what rounding begins with
  ReleaseOp releaseLeft;           ///< of the first product's left side

  static std::optional<KeyLoop> match(scf::ForOp loop);
  bool isLate(Operation *op) const {
    return op == values || op == last || op == release;
  }
};
} // namespace

std::optional<KeyLoop> KeyLoop::match(scf::ForOp loop) {
  KeyLoop found;
  found.loop = loop;
  SmallVector<DotOp> dots(loop.getBody()->getOps<DotOp>());
  if (dots.size() != 2)
    return std::nullopt;
  found.first = dots[0];
  found.last = dots[1];
  Operation *yield = loop.getBody()->getTerminator();
  if (!found.last->hasOneUse() || *found.last->user_begin() != yield)
    return std::nullopt;
  found.carriedIndex = found.last->use_begin()->getOperandNumber();
  found.carried = loop.getRegionIterArg(found.carriedIndex);
  found.values = found.last.getRhs().getDefiningOp<GetOp>();
  if (!found.values || found.values->getBlock() != loop.getBody() ||
      !found.values->hasOneUse())
    return std::nullopt;
  for (auto release : loop.getBody()->getOps<ReleaseOp>())
    if (release.getPipe() == found.values.getPipe())
      found.release = release;
  if (!found.release || found.release->isBeforeInBlock(found.last))
    return std::nullopt;
  if (failed(collectScalars({found.values.getIndex(), found.release.getIndex()},
                            loop, found.indices)))
    return std::nullopt;
  // What the first products read, which the last one has no use for.
  if (auto left = found.first.getLhs().getDefiningOp<GetOp>();
      left && left->hasOneUse())
    for (Operation *op = loop->getNextNode(); op; op = op->getNextNode())
      if (auto release = dyn_cast<ReleaseOp>(op);
          release && release.getPipe() == left.getPipe() &&
          release.getIndex() == left.getIndex())
        found.releaseLeft = release;
  // From the left side back to tiles of f32: those wait for the product.
  SmallVector<Value> open{found.last.getLhs()};
  while (!open.empty()) {
    Value value = open.pop_back_val();
    Operation *op = value.getDefiningOp();
    auto type = dyn_cast<TileType>(value.getType());
    if (!type || !op || op->getBlock() != loop.getBody())
      continue;
    if (type.getElementType().isF32()) {
      if (!type.isColumn() && !llvm::is_contained(found.kept, value))
        found.kept.push_back(value);
      continue;
    }
    if (found.rounding.insert(op))
      llvm::append_range(open, op->getOperands());
  }
  return found;
}

namespace {
class Overlapper {
public:
  explicit Overlapper(KeyLoop keys) : keys(std::move(keys)) {}

  void run() {
    scf::ForOp loop = keys.loop;
    ImplicitLocOpBuilder b(loop.getLoc(), loop);
    Value any =
        arith::CmpIOp::create(b, arith::CmpIPredicate::sgt,
                              loop.getUpperBound(), loop.getLowerBound());
    auto guard = scf::IfOp::create(b, loop.getResultTypes(), any,
                                   /*withElseRegion=*/true);
    b.setInsertionPointToStart(guard.elseBlock());
    if (keys.releaseLeft)
      b.clone(*keys.releaseLeft);
    scf::YieldOp::create(b, loop.getInitArgs());
    b.setInsertionPointToStart(guard.thenBlock());

    Trip first = emitFirstTrip(b);
    scf::ForOp rest = emitRest(b, first);
    if (keys.releaseLeft) {
      b.clone(*keys.releaseLeft);
      keys.releaseLeft.erase();
    }
    Trip after{SmallVector<Value>(rest.getResults())};
    Value last = arith::SubIOp::create(b, loop.getUpperBound(), loop.getStep());
    Value product = issueLate(b, after, last);
    auto await = AwaitOp::create(b, TypeRange{keys.last.getType()}, product,
                                 /*pending=*/0, ValueRange());
    releaseLate(b, last);
    SmallVector<Value> results(after.values);
    results.pop_back(); // the weights
    results[keys.carriedIndex] = await.getResult();
    scf::YieldOp::create(b, results);
    loop.replaceAllUsesWith(guard.getResults());
    loop.erase();
  }

private:
  KeyLoop keys;

  /// What a trip hands on: the loop's values, with the accumulator as it goes
  /// into the delayed product, and last that product's left side.
  struct Trip {
    SmallVector<Value> values;
  };

  /// The scalars of a late operation in the trip of `iv`, then the operation.
  Operation *cloneLate(ImplicitLocOpBuilder &b, Operation *op, Value iv) {
    IRMapping mapping;
    cloneForTrip(b, keys.indices, keys.loop, iv, mapping);
    return b.clone(*op, mapping);
  }

  /// Issues the delayed product of the trip of `iv`.
  Value issueLate(ImplicitLocOpBuilder &b, const Trip &trip, Value iv) {
    Operation *values = cloneLate(b, keys.values, iv);
    auto inflight = InflightType::get(b.getContext(), keys.last.getType());
    return IssueDotOp::create(
        b, inflight, trip.values.back(), values->getResult(0),
        trip.values[keys.carriedIndex], keys.last.getTransposed());
  }
  void releaseLate(ImplicitLocOpBuilder &b, Value iv) {
    cloneLate(b, keys.release, iv);
  }

  /// What a trip hands on, once its early operations are cloned.
  Trip handOn(const IRMapping &mapping) {
    Trip trip;
    for (Value value : keys.loop.getYieldedValues())
      trip.values.push_back(mapping.lookupOrDefault(value));
    trip.values[keys.carriedIndex] =
        mapping.lookupOrDefault(keys.last.getAccumulator());
    trip.values.push_back(mapping.lookupOrDefault(keys.last.getLhs()));
    return trip;
  }

  Trip emitFirstTrip(ImplicitLocOpBuilder &b) {
    IRMapping mapping;
    mapping.map(keys.loop.getInductionVar(), keys.loop.getLowerBound());
    mapping.map(keys.loop.getRegionIterArgs(), keys.loop.getInitArgs());
    for (Operation &op : keys.loop.getBody()->without_terminator())
      if (!keys.isLate(&op))
        b.clone(op, mapping);
    return handOn(mapping);
  }

  scf::ForOp emitRest(ImplicitLocOpBuilder &b, const Trip &first) {
    scf::ForOp loop = keys.loop;
    Value second =
        arith::AddIOp::create(b, loop.getLowerBound(), loop.getStep());
    auto rest = scf::ForOp::create(b, second, loop.getUpperBound(),
                                   loop.getStep(), first.values);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(rest.getBody());
    Trip before{SmallVector<Value>(rest.getRegionIterArgs())};
    Value iv = rest.getInductionVar();
    Value previous = arith::SubIOp::create(b, iv, loop.getStep());
    IRMapping mapping;
    mapping.map(loop.getInductionVar(), iv);
    for (auto [argument, value] :
         llvm::zip(loop.getRegionIterArgs(), before.values))
      mapping.map(argument, value);

    Value product;
    bool awaited = false;
    auto awaitLate = [&] {
      SmallVector<Value> kept;
      for (Value value : keys.kept)
        kept.push_back(mapping.lookup(value));
      SmallVector<Type> types{keys.last.getType()};
      llvm::append_range(types, ValueRange(kept).getTypes());
      auto await = AwaitOp::create(b, types, product, /*pending=*/0, kept);
      mapping.map(keys.carried, await.getResult());
      mapping.map(keys.kept, await.getKept());
      releaseLate(b, previous);
      awaited = true;
    };
    for (Operation &op : loop.getBody()->without_terminator()) {
      if (keys.isLate(&op))
        continue;
      if (&op == keys.first) {
        Value logits = issueFirst(b, mapping);
        product = issueLate(b, before, previous);
        auto await = AwaitOp::create(b, TypeRange{keys.first.getType()}, logits,
                                     /*pending=*/1, ValueRange());
        mapping.map(keys.first.getResult(), await.getResult());
        continue;
      }
      if (!awaited && product && waits(&op))
        awaitLate();
      b.clone(op, mapping);
    }
    if (!awaited)
      awaitLate();
    scf::YieldOp::create(b, handOn(mapping).values);
    return rest;
  }

  Value issueFirst(ImplicitLocOpBuilder &b, const IRMapping &mapping) {
    auto inflight = InflightType::get(b.getContext(), keys.first.getType());
    return IssueDotOp::create(b, inflight,
                              mapping.lookupOrDefault(keys.first.getLhs()),
                              mapping.lookupOrDefault(keys.first.getRhs()),
                              Value(), keys.first.getTransposed());
  }

  /// Whether an operation touches what the delayed product reads or writes.
  bool waits(Operation *op) const {
    return keys.rounding.contains(op) ||
           llvm::is_contained(op->getOperands(), keys.carried);
  }
};

struct OverlapProducts
    : saccade::impl::OverlapProductsPassBase<OverlapProducts> {
  void runOnOperation() override {
    if (getOperation().getSchedule().dealsKeys())
      return; // a warp multiplies by itself
    SmallVector<KeyLoop> loops;
    getOperation()->walk([&](scf::ForOp loop) {
      if (!loop->getParentOfType<RolesOp>())
        return;
      if (std::optional<KeyLoop> keys = KeyLoop::match(loop))
        loops.push_back(*keys);
    });
    for (KeyLoop &keys : loops)
      Overlapper(keys).run();
  }
};
} // namespace
