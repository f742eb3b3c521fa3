// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Says where each tile of an entry lives: the choice that turns whole tiles
// into work of lanes and warps, made once, in types, before any code of a
// thread exists.

#include "dialects/Tile/FragmentLayout.h"
#include "include/saccade/KernelABI.h"
#include "lib/Transforms/Passes.h"

#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <numeric>

namespace saccade {
#define GEN_PASS_DEF_ASSIGNLAYOUTSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade::tile;

namespace {
/// Where keys are dealt, each warp computes tiles of its own from the keys that
/// it took, up to where these are combined. What is computed from each other,
/// element by element, lives alike; so the tiles that are private are those
/// that hang together with a product.
class PrivateTiles {
public:
  explicit PrivateTiles(EntryOp entry) {
    entry.walk([&](Operation *op) {
      llvm::TypeSwitch<Operation *>(op)
          .Case([&](DotOp dot) {
            for (Value accumulator :
                 dot.getAccumulatorMutable().getAsOperandRange())
              join(accumulator, dot.getResult());
            products.push_back(dot.getResult());
            if (widens(dot) && !dot.getTransposed())
              interleaved.push_back(dot.getResult());
          })
          .Case([&](CombineOp combine) {
            products.push_back(combine.getInput());
          })
          .Case<MapOp, ScaleRowsOp>([&](auto map) {
            for (Value input : map->getOperands())
              join(input, map.getResult());
          })
          .Case([&](scf::ForOp loop) {
            for (auto [init, argument, yielded, result] :
                 llvm::zip_equal(loop.getInitArgs(), loop.getRegionIterArgs(),
                                 loop.getYieldedValues(), loop.getResults()))
              for (Value value : {init, Value(argument), yielded})
                join(value, result);
          })
          .Case([&](scf::IfOp branch) {
            for (Region *region : branch.getRegions())
              if (!region->empty())
                for (auto [yielded, result] :
                     llvm::zip(region->front().getTerminator()->getOperands(),
                               branch.getResults()))
                  join(yielded, result);
          });
    });
  }

  bool contains(Value value) const { return isOneOf(products, value); }
  /// Whether it hangs together with a product of 8-bit values.
  bool isInterleaved(Value value) const { return isOneOf(interleaved, value); }

  /// Whether a product widens elements on their way to the matrix unit.
  static bool widens(DotOp dot) {
    Type element = dot.getRhs().getType().getElementType();
    return element.getIntOrFloatBitWidth() == 8;
  }

private:
  llvm::EquivalenceClasses<const void *> classes;
  SmallVector<Value> products, interleaved;

  bool isOneOf(ArrayRef<Value> values, Value value) const {
    return llvm::any_of(values, [&](Value one) {
      return classes.isEquivalent(key(one), key(value));
    });
  }

  static const void *key(Value value) { return value.getAsOpaquePointer(); }

  /// Columns live alike anyway, and what is filled can be filled again.
  void join(Value x, Value y) {
    auto type = dyn_cast<TileType>(x.getType());
    if (type && !type.isColumn() && isa<TileType>(y.getType()) &&
        !cast<TileType>(y.getType()).isColumn() && !x.getDefiningOp<FillOp>())
      classes.unionSets(key(x), key(y));
  }
};

/// Gives results their layouts in program order, and converts operands that are
/// wanted in another one.
class LayoutAssigner {
public:
  explicit LayoutAssigner(EntryOp entry)
      : context(entry.getContext()), warps(entry.getSchedule().getWarps()),
        pipelined(entry.getSchedule().getPipeline()),
        movesRows(entry.getKind() == EntryKind::rows) {
    if (!entry.getSchedule().dealsKeys())
      return;
    dealt.emplace(entry);
    constexpr int64_t others = 60; // what 24 rows of 192 columns need
    ScheduleAttr schedule = entry.getSchedule();
    queryLimit = schedule.getPipeline().getComputeRegisters() - others;
    bool anyWidens = false;
    entry.walk([&](DotOp dot) {
      anyWidens |= PrivateTiles::widens(dot);
      if (dot.getAccumulator())
        outputRegisters = std::max(outputRegisters, registersOf(dot.getType()));
    });
    // Keys of 8 bits come by more than 16, with their logits and weights, and
    // are in registers before and after they are widened.
    constexpr int64_t words = 8, perAtom = 4 + 2;
    if (anyWidens)
      queryLimit -= words + perAtom * (schedule.getRows() / kAtomColumns) *
                                (schedule.getKeys() / kAtomRows - 1);
  }

  LogicalResult assignBlock(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(block))
      if (failed(assign(&op)))
        return failure();
    return success();
  }

private:
  MLIRContext *context;
  int64_t warps;
  bool pipelined, movesRows;
  std::optional<PrivateTiles> dealt; // if keys are
  /// Registers of a thread that results take, and those that may be taken with
  /// queries: the rest is for logits, operands and addresses.
  int64_t outputRegisters = 0, queryLimit = 0;
  /// Operands that were made of loaded tiles.
  DenseMap<std::pair<Operation *, Attribute>, Value> loadedOperands;

  /// Of a tile that one warp has.
  static int64_t registersOf(TileType type) {
    return type.getRows() * llvm::alignTo(type.getColumns(), kAtomDepth) *
           type.getElementType().getIntOrFloatBitWidth() / 32 / kWarpSize;
  }

  static TileType tileOf(Value value) {
    return cast<TileType>(value.getType());
  }

  LogicalResult assign(Operation *op) {
    return TypeSwitch<Operation *, LogicalResult>(op)
        .Case([&](LoadOp load) { return assignLoad(load); })
        .Case([&](MapRowsOp map) -> LogicalResult {
          if (dealt)
            return map.emitOpError("expects no functions of whole rows where "
                                   "keys are dealt to warps");
          want(map.getInputMutable(), shared(map.getInput()));
          return give(map.getResult(), shared(map.getResult()));
        })
        .Case([&](MapOp map) {
          if (isQueryOfBytes(map))
            return assignQuery(map);
          for (OpOperand &input : map.getInputsMutable())
            want(input, alike(input.get(), map.getResult()));
          return give(map.getResult(), inRegisters(map.getResult()));
        })
        .Case([&](FillOp fill) {
          return give(fill.getResult(), inRegisters(fill.getResult()));
        })
        .Case([&](ReduceOp reduce) {
          want(reduce.getInputMutable(), inRegisters(reduce.getInput()));
          return give(reduce.getResult(), inRegisters(reduce.getResult()));
        })
        .Case([&](DotOp dot) { return assignDot(dot); })
        .Case([&](ScaleRowsOp scale) {
          for (OpOperand &operand : scale->getOpOperands())
            want(operand, alike(operand.get(), scale.getResult()));
          return give(scale.getResult(), inRegisters(scale.getResult()));
        })
        .Case([&](CombineOp combine) -> LogicalResult {
          if (!dealt)
            return combine.emitOpError("expects a schedule that deals keys to "
                                       "warps");
          want(combine.getInputMutable(), inRegisters(combine.getInput()));
          return give(combine.getResult(), inRegisters(combine.getResult()));
        })
        .Case([&](StoreOp store) { return assignStore(store); })
        .Case([&](scf::ForOp loop) { return assignLoop(loop); })
        .Case([&](scf::IfOp branch) { return assignBranch(branch); })
        .Default([&](Operation *other) { return assignOther(other); });
  }

  /// Whether a tile of a partial state comes back. It goes to registers, as it
  /// was stored from there.
  static bool loadsState(LoadOp load) {
    auto word = load.getBase().getDefiningOp<WordOp>();
    return word && word.getIndex() == SACCADE_WORD_WORKSPACE;
  }

  LogicalResult assignLoad(LoadOp load) {
    if (loadsState(load))
      return give(load.getResult(), inRegisters(load.getResult()));
    TileType type = load.getResult().getType();
    if (type.getElementType().isF32())
      return load.emitOpError("expects elements of bf16 or f16 on the GPU, but "
                              "got f32: its matrix instructions take no f32");
    if (type.isColumn())
      return load.emitOpError("expects rows of at least 8 elements on the GPU, "
                              "but got 1");
    if (!pipelined && type.getRows() % warps)
      return load.emitOpError("expects rows to be a multiple of ")
             << warps << " warps, but got " << type.getRows();
    return give(load.getResult(), shared(load.getResult()));
  }

  /// Whether queries are converted for products with 8-bit keys.
  bool isQueryOfBytes(MapOp map) const {
    return dealt && map.getInputs().size() == 1 &&
           map.getInputs().front().getDefiningOp<LoadOp>() &&
           llvm::all_of(map->getUsers(), [&](Operation *user) {
             auto dot = dyn_cast<DotOp>(user);
             return dot && dot.getLhs() == map.getResult() &&
                    PrivateTiles::widens(dot) && dot.getTransposed();
           });
  }
  /// They come to registers as operands, and are converted there; where
  /// results leave no room, for each product anew.
  LogicalResult assignQuery(MapOp map) {
    if (registersOf(map.getType()) + outputRegisters > queryLimit) {
      for (OpOperand &use : llvm::make_early_inc_range(map->getUses()))
        if (Operation *dot = use.getOwner(); dot->getBlock() != map->getBlock())
          use.set(OpBuilder(dot).clone(*map)->getResult(0));
      if (map->use_empty()) {
        map.erase();
        return success();
      }
    }
    auto layout = OperandAttr::get(context, 1, /*transposed=*/true,
                                   /*interleaved=*/true);
    want(map.getInputsMutable()[0], layout);
    return give(map.getResult(), layout);
  }

  /// Neighbours of a 16-bit transposed tile are of two rows; as an operand, of
  /// one, which then needs one address.
  /// What does nothing but move rows stores them 16 bytes at a time.
  LogicalResult assignStore(StoreOp store) {
    TileType type = tileOf(store.getTile());
    if (movesRows && !type.isColumn() && !type.getElementType().isF32()) {
      want(store.getTileMutable(), shared(store.getTile()));
      return success();
    }
    auto tile = dyn_cast_if_present<AccumulatorAttr>(type.getLayout());
    if (tile && tile.getTransposed() && !type.getElementType().isF32())
      want(store.getTileMutable(),
           OperandAttr::get(context, tile.getWarps(), /*transposed=*/true));
    return success();
  }

  LogicalResult assignDot(DotOp dot) {
    TileType lhs = tileOf(dot.getLhs()), rhs = tileOf(dot.getRhs());
    bool widened =
        dealt && PrivateTiles::widens(dot) && lhs.getElementType().isF16();
    if (!widened && (lhs.getElementType() != rhs.getElementType() ||
                     lhs.getElementType().isF32()))
      return dot.emitOpError("expects both sides in bf16 or both in f16 on the "
                             "GPU, but got ")
             << lhs.getElementType() << " and " << rhs.getElementType();
    // Keys pair up in fragments, as columns of one product and depth of the
    // next.
    if (rhs.getRows() % kAtomDepth)
      return dot.emitOpError("expects keys to be a multiple of ")
             << kAtomDepth << ", but got " << rhs.getRows();
    if (dealt)
      wantRightOperand(dot);
    else if (!isa_and_present<SharedAttr>(lhs.getLayout()))
      want(dot.getLhsMutable(), OperandAttr::get(context, warps));
    want(dot.getRhsMutable(), shared(dot.getRhs()));
    for (OpOperand &accumulator : dot.getAccumulatorMutable())
      want(accumulator, inRegisters(dot.getResult()));
    return give(dot.getResult(), inRegisters(dot.getResult()));
  }

  /// What was loaded is brought to registers right behind the load, since
  /// queries serve all keys of an item; where results leave no room, products
  /// read it from shared memory.
  void wantRightOperand(DotOp dot) {
    OpOperand &operand = dot.getLhsMutable();
    Attribute layout =
        OperandAttr::get(context, 1, /*transposed=*/true,
                         PrivateTiles::widens(dot) && dot.getTransposed());
    auto load = operand.get().getDefiningOp<LoadOp>();
    if (!load)
      return want(operand, layout);
    if (registersOf(load.getType()) + outputRegisters > queryLimit)
      return;
    Value &made = loadedOperands[{load, layout}];
    if (!made) {
      OpBuilder builder(context);
      builder.setInsertionPointAfter(load);
      made = ConvertOp::create(builder, load.getLoc(),
                               load.getType().withLayout(layout), load);
    }
    operand.set(made);
  }

  /// A loop carries tiles in registers: a buffer would have to be copied.
  LogicalResult assignLoop(scf::ForOp loop) {
    for (auto [init, argument, result] :
         llvm::zip_equal(loop.getInitArgsMutable(), loop.getRegionIterArgs(),
                         loop.getResults())) {
      if (!isa<TileType>(init.get().getType()))
        continue;
      Attribute layout = inRegisters(result);
      want(init, layout);
      if (failed(give(argument, layout)) || failed(give(result, layout)))
        return failure();
    }
    if (failed(assignBlock(*loop.getBody())))
      return failure();
    wantYielded(loop.getBody()->getTerminator(), loop.getResults());
    return success();
  }

  LogicalResult assignBranch(scf::IfOp branch) {
    for (Region *region : branch.getRegions())
      if (!region->empty()) {
        if (failed(assignBlock(region->front())))
          return failure();
        wantYielded(region->front().getTerminator(), branch.getResults());
      }
    for (Value result : branch.getResults())
      if (isa<TileType>(result.getType()) &&
          failed(give(result, inRegisters(result))))
        return failure();
    return success();
  }

  LogicalResult assignOther(Operation *op) {
    auto isTile = [](Type type) { return isa<TileType>(type); };
    if (!op->hasTrait<OpTrait::IsTerminator>() &&
        (llvm::any_of(op->getOperandTypes(), isTile) ||
         llvm::any_of(op->getResultTypes(), isTile)))
      return op->emitOpError("has no layouts on the GPU");
    for (Region &region : op->getRegions())
      for (Block &block : region)
        if (failed(assignBlock(block)))
          return failure();
    return success();
  }

  /// Results and yielded values of a loop or branch live in registers.
  void wantYielded(Operation *yield, ValueRange results) {
    for (auto [operand, result] :
         llvm::zip_equal(yield->getOpOperands(), results))
      if (isa<TileType>(operand.get().getType()))
        want(operand, inRegisters(result));
  }

  Attribute inRegisters(Value value) const {
    TileType type = tileOf(value);
    if (dealt && type.isColumn())
      return RowsOfAttr::get(context, 1, /*transposed=*/true);
    if (dealt)
      return AccumulatorAttr::get(
          context,
          dealt->contains(value)
              ? 1
              : std::gcd(warps, llvm::divideCeil(type.getColumns(), kAtomRows)),
          /*transposed=*/true, dealt->isInterleaved(value));
    if (type.isColumn())
      return RowsOfAttr::get(context, warps);
    return AccumulatorAttr::get(context, warps);
  }
  /// In registers, beside the elements of the tile that is computed from it.
  Attribute alike(Value value, Value result) const {
    return inRegisters(tileOf(value).isColumn() ? value : result);
  }
  Attribute shared(Value value) const {
    return pipelined ? SharedLayout::choosePanels(tileOf(value))
                     : SharedLayout::choose(tileOf(value));
  }

  LogicalResult give(Value value, Attribute layout) {
    TileType type = tileOf(value);
    if (dealt && type.getRows() % kAtomColumns)
      return emitError(value.getLoc())
             << "expects rows to be a multiple of " << kAtomColumns
             << " where keys are dealt, but got " << type.getRows();
    if (!dealt && FragmentLayout::isFragment(layout) &&
        type.getRows() % (kAtomRows * warps))
      return emitError(value.getLoc()) << "expects rows to be a multiple of "
                                       << kAtomRows << " for each of " << warps
                                       << " warps, but got " << type.getRows();
    if (!type.isColumn() && type.getColumns() % kAtomColumns)
      return emitError(value.getLoc())
             << "expects columns to be a multiple of " << kAtomColumns
             << ", but got " << type.getColumns();
    value.setType(type.withLayout(layout));
    return success();
  }

  void want(OpOperand &operand, Attribute layout) {
    TileType type = tileOf(operand.get());
    if (type.getLayout() == layout)
      return;
    OpBuilder builder(operand.getOwner());
    if (auto fill = operand.get().getDefiningOp<FillOp>(); fill && dealt) {
      builder.setInsertionPoint(fill);
      operand.set(FillOp::create(builder, fill.getLoc(),
                                 type.withLayout(layout), fill.getValue()));
      if (fill->use_empty())
        fill.erase();
      return;
    }
    operand.set(ConvertOp::create(builder, operand.getOwner()->getLoc(),
                                  type.withLayout(layout), operand.get()));
  }
};

struct AssignLayoutsPass
    : saccade::impl::AssignLayoutsPassBase<AssignLayoutsPass> {
  void runOnOperation() override {
    EntryOp entry = getOperation();
    if (failed(LayoutAssigner(entry).assignBlock(entry.getBody().front())))
      signalPassFailure();
  }
};
} // namespace
