// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tiles in registers: bodies of maps cloned for each element that a thread
// holds, rows scaled, and reductions over the lanes of a row.

#include "lib/Conversion/TileToNvvm.h"

#include "mlir/Transforms/RegionUtils.h"

#include <map>

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
/// Clones what an element needs of a map's body, on demand. What depends on the
/// row alone, on the column alone or on neither is cloned once for all elements
/// that share it.
class ElementCloner {
public:
  ElementCloner(ImplicitLocOpBuilder &b, MapOp map, ValueRange inputs,
                bool hasRoles)
      : b(b), map(map), body(map.getBody().front()),
        layout(map.getResult().getType()), inputs(inputs), thread(b) {
    // Columns are cheap to compute; kept round a loop each would take a
    // register.
    bool asksColumn =
        !map.getType().isColumn() && !body.getArguments().back().use_empty();
    Thread asked = hasRoles && asksColumn ? Thread::local(b) : thread;
    firstColumn = layout.columnOfThread(asked.lane, asked.warp);
    for (BlockArgument argument : body.getArguments())
      depends[argument] = dependsOf(argument);
    for (Operation &op : body.without_terminator()) {
      unsigned all = 0;
      forEachOperand(&op, [&](Value value) { all |= depends.lookup(value); });
      for (Value result : op.getResults())
        depends[result] = all;
    }
  }

  /// A value of the body for one element: what it needs and is not there yet is
  /// cloned, in the body's order.
  Value operator()(Value value, int64_t rowSlot, int64_t columnSlot) {
    for (Operation *op : neededFor(value)) {
      if (clones.contains(keyOf(op->getResult(0), rowSlot, columnSlot)))
        continue;
      IRMapping mapping;
      forEachOperand(op, [&](Value operand) {
        mapping.map(operand, lookup(operand, rowSlot, columnSlot));
      });
      Operation *clone = b.clone(*op, mapping);
      for (auto [from, to] :
           llvm::zip_equal(op->getResults(), clone->getResults()))
        clones[keyOf(from, rowSlot, columnSlot)] = to;
    }
    return lookup(value, rowSlot, columnSlot);
  }

private:
  enum : unsigned { kRow = 1, kColumn = 2 };

  ImplicitLocOpBuilder &b;
  MapOp map;
  Block &body;
  FragmentLayout layout;
  ValueRange inputs;
  Thread thread;
  Scalar firstColumn;
  DenseMap<Value, unsigned> depends;
  /// A value, and the row and column slots that it depends on.
  using Key = std::tuple<void *, int64_t, int64_t>;
  std::map<Key, Value> clones;
  DenseMap<Value, SmallVector<Operation *>> needed;

  Key keyOf(Value value, int64_t rowSlot, int64_t columnSlot) const {
    unsigned on = depends.lookup(value);
    return {value.getAsOpaquePointer(), on & kRow ? rowSlot : 0,
            on & kColumn ? columnSlot : 0};
  }

  Value lookup(Value value, int64_t rowSlot, int64_t columnSlot) {
    if (value.getParentBlock() != &body)
      return value;
    Value &clone = clones[keyOf(value, rowSlot, columnSlot)];
    if (auto argument = dyn_cast<BlockArgument>(value); argument && !clone)
      clone = valueOf(argument, rowSlot, columnSlot);
    return clone;
  }

  ArrayRef<Operation *> neededFor(Value value) {
    auto [found, isNew] = needed.try_emplace(value);
    if (!isNew)
      return found->second;
    DenseSet<Value> wanted{value};
    for (Operation &op : llvm::reverse(body.without_terminator())) {
      if (llvm::none_of(op.getResults(),
                        [&](Value result) { return wanted.contains(result); }))
        continue;
      found->second.push_back(&op);
      forEachOperand(&op, [&](Value operand) { wanted.insert(operand); });
    }
    std::reverse(found->second.begin(), found->second.end());
    return found->second;
  }

  static void forEachOperand(Operation *op, function_ref<void(Value)> visit) {
    for (Value operand : op->getOperands())
      visit(operand);
    SetVector<Value> captured;
    getUsedValuesDefinedAbove(op->getRegions(), captured);
    for (Value value : captured)
      visit(value);
  }

  unsigned dependsOf(BlockArgument argument) {
    unsigned number = argument.getArgNumber();
    if (number < inputs.size())
      return inputType(number).isColumn() ? kRow : kRow | kColumn;
    return number == inputs.size() ? kRow : kColumn;
  }

  TileType inputType(unsigned number) {
    return cast<TileType>(map.getInputs()[number].getType());
  }

  Value valueOf(BlockArgument argument, int64_t rowSlot, int64_t columnSlot) {
    unsigned number = argument.getArgNumber();
    if (number == inputs.size())
      return layout.ofThread(thread.lane, thread.warp).row +
             layout.rowOfSlot(rowSlot);
    if (number > inputs.size())
      return map.getType().isColumn()
                 ? i32(b, 0)
                 : firstColumn + layout.columnOfSlot(columnSlot);
    FragmentLayout input(inputType(number));
    int64_t reg = inputType(number).isColumn()
                      ? rowSlot
                      : input.registerOf(rowSlot, columnSlot);
    return fragmentElement(b, inputType(number), inputs[number], reg);
  }
};

struct LowerMap : TilePattern<MapOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(MapOp map, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(map.getLoc(), rewriter);
    FragmentLayout layout(map.getType());
    ElementCloner cloneFor(b, map, adaptor.getInputs(), facts.hasRoles);
    Value yielded = map.getBody().front().getTerminator()->getOperand(0);
    auto round = yielded.getDefiningOp<arith::TruncFOp>();
    bool inPairs = round && round.getIn().getType().isF32() &&
                   round->getBlock() == &map.getBody().front() &&
                   !map.getType().isColumn();
    SmallVector<Value> elements(layout.registers());
    for (int64_t reg = 0; reg < layout.registers(); ++reg) {
      int64_t row = layout.rowSlotOf(reg), column = layout.columnSlotOf(reg);
      if (!inPairs) {
        elements[reg] = cloneFor(yielded, row, column);
      } else if (reg % 2 == 0) {
        // One instruction rounds two neighbours into one register.
        Value two =
            vectorOf(b, {cloneFor(round.getIn(), row, column),
                         cloneFor(round.getIn(), layout.rowSlotOf(reg + 1),
                                  layout.columnSlotOf(reg + 1))});
        two = arith::TruncFOp::create(b, VectorType::get(2, round.getType()),
                                      two);
        elements[reg] = element(b, two, 0);
        elements[reg + 1] = element(b, two, 1);
      }
    }
    rewriter.replaceOp(map, fragmentOf(b, map.getType(), elements));
    return success();
  }
};

struct LowerFill : TilePattern<FillOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(FillOp fill, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    TileType type = fill.getType();
    if (!FragmentLayout::isFragment(type.getLayout()))
      return rewriter.notifyMatchFailure(fill, "does not fill registers");
    ImplicitLocOpBuilder b(fill.getLoc(), rewriter);
    Value value = fill.getValue();
    if (isPacked(type))
      value = bitcast(b, b.getI32Type(), vectorOf(b, {value, value}));
    rewriter.replaceOpWithNewOp<vector::BroadcastOp>(
        fill, getTypeConverter()->convertType(type), value);
    return success();
  }
};

/// Multiplies in warps that have a factor other than 1; the branch is the
/// warp's.
struct LowerScaleRows : TilePattern<ScaleRowsOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(ScaleRowsOp scale, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!FragmentLayout::isFragment(scale.getInput().getType().getLayout()))
      return rewriter.notifyMatchFailure(scale, "does not scale registers");
    ImplicitLocOpBuilder b(scale.getLoc(), rewriter);
    TileType type = scale.getInput().getType();
    FragmentLayout layout(type);
    Value one =
        arith::ConstantOp::create(b, b.getFloatAttr(type.getElementType(), 1));
    SmallVector<Value> factors;
    Value differs = yes(b, false);
    for (int64_t slot = 0; slot < layout.rowSlots(); ++slot) {
      factors.push_back(element(b, adaptor.getFactors(), slot));
      Value other = arith::CmpFOp::create(b, arith::CmpFPredicate::UNE,
                                          factors.back(), one);
      differs = b.createOrFold<arith::OrIOp>(differs, other);
    }
    Value any = NVVM::VoteSyncOp::create(b, b.getI1Type(), i32(b, -1), differs,
                                         NVVM::VoteSyncKind::any);
    Value input = adaptor.getInput();
    auto branch = scf::IfOp::create(b, input.getType(), any, true, true);
    b.setInsertionPointToStart(branch.thenBlock());
    SmallVector<Value> elements;
    for (int64_t reg = 0; reg < layout.registers(); ++reg)
      elements.push_back(
          arith::MulFOp::create(b, fragmentElement(b, type, input, reg),
                                factors[layout.rowSlotOf(reg)]));
    scf::YieldOp::create(b, fragmentOf(b, type, elements));
    b.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(b, input);
    rewriter.replaceOp(scale, branch.getResults());
    return success();
  }
};

struct LowerReduce : TilePattern<ReduceOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(ReduceOp reduce, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(reduce.getLoc(), rewriter);
    auto combine = [&](Value x, Value y) -> Value {
      if (reduce.getKind() == ReduceKind::max)
        return arith::MaxNumFOp::create(b, x, y);
      return arith::AddFOp::create(b, x, y);
    };
    TileType type = reduce.getInput().getType();
    FragmentLayout layout(type);
    if (FragmentLayout::isTransposed(type.getLayout()) && layout.getWarps() > 1)
      return reduce.emitOpError("expects rows that one warp holds, but got ")
             << type;
    SmallVector<Value> rows;
    for (int64_t slot = 0; slot < layout.rowSlots(); ++slot) {
      SmallVector<Value> left;
      for (int64_t column = 0; column < layout.columnSlots(); ++column)
        if (layout.columnOfSlot(column) < type.getColumns())
          left.push_back(fragmentElement(b, type, adaptor.getInput(),
                                         layout.registerOf(slot, column)));
      // Halves at a time: the chain of dependences is short, the order fixed.
      for (size_t n = left.size(); n > 1; n = (n + 1) / 2)
        for (size_t i = 0; i < n / 2; ++i)
          left[i] = combine(left[i], left[i + (n + 1) / 2]);
      bool whole = !isa<PartsOfAttr>(reduce.getType().getLayout());
      rows.push_back(whole ? overRow(b, layout, left.front(), combine)
                           : left.front());
    }
    rewriter.replaceOp(reduce, vectorOf(b, rows));
    return success();
  }
};
} // namespace

void saccade::populateTileRegisterPatterns(const TypeConverter &converter,
                                           RewritePatternSet &patterns,
                                           const EntryFacts &facts) {
  patterns.add<LowerMap, LowerFill, LowerScaleRows, LowerReduce>(
      converter, patterns.getContext(), facts);
}
