// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The code of bounds: sums, extremes, and networks that order, separate and
// complement intervals whose ends are known at run time only.

#include "lib/Transforms/BoundsWriter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace saccade;

/// More intervals than this are joined before they are sorted.
static constexpr size_t kMaxSorted = 8;
static constexpr int64_t kMinI32 = std::numeric_limits<int32_t>::min();
static constexpr int64_t kMaxI32 = std::numeric_limits<int32_t>::max();

BoundsWriter::BoundsWriter(attn::MaskOp mask, ArrayRef<MaskVariable> variables)
    : variables(variables), builder(mask->getContext()), loc(mask.getLoc()),
      values(variables.size()) {
  builder.setInsertionPointAfter(mask);
  bounds = attn::BoundsOp::create(builder, loc, builder.getArrayAttr({}));
  builder.setInsertionPointToStart(&bounds.getBody().emplaceBlock());
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

Value BoundsWriter::constant(int64_t value, unsigned width) {
  return arith::ConstantOp::create(
      builder, loc,
      builder.getIntegerAttr(builder.getIntegerType(width), value));
}

Value BoundsWriter::variable(unsigned index) {
  Value &value = values[index];
  if (value)
    return value;
  const MaskVariable &variable = variables[index];
  auto getPosition = [&](attn::Position position) -> Value {
    Block &block = bounds.getBody().front();
    SmallVector<Attribute> positions(bounds.getPositions().getValue());
    auto attribute = attn::PositionAttr::get(builder.getContext(), position);
    auto it = llvm::find(positions, attribute);
    if (it != positions.end())
      return block.getArgument(it - positions.begin());
    positions.push_back(attribute);
    bounds.setPositionsAttr(builder.getArrayAttr(positions));
    return block.addArgument(builder.getI32Type(), loc);
  };
  if (variable.position)
    value = getPosition(*variable.position);
  else if (variable.parameter.getType().isInteger(32))
    value = variable.parameter;
  else
    value = attn::ReadOp::create(builder, loc, variable.parameter,
                                 getPosition(attn::Position::request));
  return value;
}

Value BoundsWriter::sum(const Affine &expr, unsigned width) {
  Value result;
  auto getTerm = [&](unsigned index, int64_t factor) {
    Value value = variable(index);
    if (width != 32)
      value = create<arith::ExtSIOp>(builder.getIntegerType(width), value);
    return factor == 1 ? value
                       : create<arith::MulIOp>(value, constant(factor, width));
  };
  // Added terms first: `last - window`, not `-1 * window + last`.
  for (auto [index, factor] : llvm::enumerate(expr.coefficients))
    if (factor > 0) {
      Value term = getTerm(index, factor);
      result = result ? create<arith::AddIOp>(result, term) : term;
    }
  bool startsWithConstant = !result;
  if (startsWithConstant)
    result = constant(expr.constant, width);
  for (auto [index, factor] : llvm::enumerate(expr.coefficients))
    if (factor < 0)
      result = create<arith::SubIOp>(result, getTerm(index, -factor));
  if (!startsWithConstant && expr.constant != 0)
    result = create<arith::AddIOp>(result, constant(expr.constant, width));
  return result;
}

/// i32 if neither the sum nor its constant leaves it, else i64.
static unsigned getWidth(ArrayRef<MaskVariable> variables, const Affine &expr) {
  auto [min, max] = getRange(variables, expr);
  return kMinI32 <= std::min(min, expr.constant) &&
                 std::max(max, expr.constant) <= kMaxI32
             ? 32
             : 64;
}

Value BoundsWriter::bound(const Bound &bound) {
  unsigned width = getWidth(variables, bound.dividend);
  Value value = sum(bound.dividend, width);
  if (bound.divisor != 1)
    value = create<arith::FloorDivSIOp>(value, constant(bound.divisor, width));
  if (width == 32)
    return value;
  value = create<arith::MaxSIOp>(value, constant(kMinI32, width));
  value = create<arith::MinSIOp>(value, constant(kMaxI32, width));
  return create<arith::TruncIOp>(builder.getI32Type(), value);
}

Value BoundsWriter::largest(ArrayRef<Bound> bounds) {
  Value result;
  for (const Bound &one : bounds) {
    Value value = bound(one);
    result = result ? create<arith::MaxSIOp>(result, value) : value;
  }
  return result;
}

Value BoundsWriter::smallest(ArrayRef<Bound> bounds) {
  Value result;
  for (const Bound &one : bounds) {
    Value value = bound(one);
    result = result ? create<arith::MinSIOp>(result, value) : value;
  }
  return result;
}

Value BoundsWriter::guard(ArrayRef<Constraint> guards) {
  Value result;
  for (const Constraint &constraint : guards) {
    Affine left = constraint.expr;
    left.constant = 0;
    int64_t right = -constraint.expr.constant;
    unsigned width =
        std::abs(right) <= kMaxI32 ? getWidth(variables, left) : 64;
    Value holds =
        create<arith::CmpIOp>(constraint.isEquality ? arith::CmpIPredicate::eq
                                                    : arith::CmpIPredicate::sge,
                              sum(left, width), constant(right, width));
    result = result ? create<arith::AndIOp>(result, holds) : holds;
  }
  return result;
}

Value BoundsWriter::selectIf(Value condition, Value value, Value otherwise) {
  return condition ? create<arith::SelectOp>(condition, value, otherwise)
                   : value;
}

//===----------------------------------------------------------------------===//
// Intervals
//===----------------------------------------------------------------------===//

void BoundsWriter::sort(MutableArrayRef<Range> ranges) {
  // Odd-even transposition: short, and there are few.
  size_t size = ranges.size();
  for (size_t round = 0; round != size; ++round)
    for (size_t i = round % 2; i + 1 < size; i += 2) {
      Range a = ranges[i], b = ranges[i + 1];
      Value inOrder =
          create<arith::CmpIOp>(arith::CmpIPredicate::sle, a.lo, b.lo);
      ranges[i] = {create<arith::SelectOp>(inOrder, a.lo, b.lo),
                   create<arith::SelectOp>(inOrder, a.hi, b.hi)};
      ranges[i + 1] = {create<arith::SelectOp>(inOrder, b.lo, a.lo),
                       create<arith::SelectOp>(inOrder, b.hi, a.hi)};
    }
}

BoundsWriter::Union BoundsWriter::unite(ArrayRef<KeyInterval> intervals) {
  Union result;
  for (const KeyInterval &interval : intervals) {
    Value condition = guard(interval.guards);
    if (interval.lo.empty()) {
      Value hi = interval.hi.empty() ? variable(kKvLen) : smallest(interval.hi);
      hi = selectIf(condition, hi, constant(0));
      result.start =
          result.start ? create<arith::MaxSIOp>(result.start, hi) : hi;
    } else if (interval.hi.empty()) {
      Value lo = largest(interval.lo);
      if (condition)
        lo = selectIf(condition, lo, variable(kKvLen));
      result.end = result.end ? create<arith::MinSIOp>(result.end, lo) : lo;
    } else {
      Value lo = largest(interval.lo), hi = smallest(interval.hi);
      result.middles.push_back({lo, selectIf(condition, hi, lo)});
    }
  }
  return result;
}

SmallVector<BoundsWriter::Range> BoundsWriter::getVisited(Union keys) {
  SmallVector<Range> &middles = keys.middles;
  if (middles.size() > 1) {
    // Empty ones must not stand between others, nor stretch a joint one.
    for (Range &range : middles) {
      Value isEmpty =
          create<arith::CmpIOp>(arith::CmpIPredicate::sge, range.lo, range.hi);
      range = {selectIf(isEmpty, variable(kKvLen), range.lo),
               selectIf(isEmpty, constant(0), range.hi)};
    }
    if (middles.size() <= kMaxSorted)
      sort(middles);
  }
  // A tail that has no place of its own is joined.
  size_t places = kMaxIntervals - (keys.start ? 1 : 0) - (keys.end ? 1 : 0);
  if (middles.size() > kMaxSorted)
    places = 1;
  while (middles.size() > places) {
    isExact = false;
    Range last = middles.pop_back_val();
    Range &other = middles.back();
    other = {create<arith::MinSIOp>(other.lo, last.lo),
             create<arith::MaxSIOp>(other.hi, last.hi)};
  }

  SmallVector<Range> result;
  Value reached;
  if (keys.start) {
    result.push_back({constant(0), keys.start});
    reached = keys.start;
  }
  for (Range range : middles) {
    if (reached)
      range.lo = create<arith::MaxSIOp>(range.lo, reached);
    if (keys.end)
      range.hi = create<arith::MinSIOp>(range.hi, keys.end);
    result.push_back(range);
    reached = reached ? create<arith::MaxSIOp>(reached, range.hi) : range.hi;
  }
  if (keys.end)
    result.push_back(
        {keys.start ? create<arith::MaxSIOp>(keys.end, keys.start) : keys.end,
         variable(kKvLen)});
  return result;
}

SmallVector<BoundsWriter::Range> BoundsWriter::getGaps(const Union &keys) {
  Value begin = keys.start ? keys.start : constant(0);
  Value end = keys.end ? keys.end : variable(kKvLen);
  SmallVector<Range> middles = keys.middles;
  for (Range &range : middles) {
    Value isEmpty =
        create<arith::CmpIOp>(arith::CmpIPredicate::sge, range.lo, range.hi);
    range = {selectIf(isEmpty, end, range.lo),
             selectIf(isEmpty, end, range.hi)};
  }
  if (middles.size() > kMaxSorted) {
    // Joined, they hide the gaps between them, which is sound.
    isExact = false;
    Range joined = middles.front();
    for (const Range &range : ArrayRef(middles).drop_front())
      joined = {create<arith::MinSIOp>(joined.lo, range.lo),
                create<arith::MaxSIOp>(joined.hi, range.hi)};
    middles = {joined};
  }
  sort(middles);

  SmallVector<Range> result;
  for (const Range &range : middles) {
    result.push_back({begin, create<arith::MinSIOp>(range.lo, end)});
    begin = create<arith::MaxSIOp>(begin, range.hi);
  }
  result.push_back({begin, end});
  return result;
}

void BoundsWriter::keepLongest(SmallVectorImpl<Range> &ranges) {
  while (ranges.size() > kMaxIntervals) {
    Range extra = ranges.pop_back_val();
    for (Range &range : MutableArrayRef(ranges).take_front(kMaxIntervals)) {
      Value length = create<arith::SubIOp>(range.hi, range.lo);
      Value isLonger =
          create<arith::CmpIOp>(arith::CmpIPredicate::sge, length,
                                create<arith::SubIOp>(extra.hi, extra.lo));
      Range kept = {create<arith::SelectOp>(isLonger, range.lo, extra.lo),
                    create<arith::SelectOp>(isLonger, range.hi, extra.hi)};
      extra = {create<arith::SelectOp>(isLonger, extra.lo, range.lo),
               create<arith::SelectOp>(isLonger, extra.hi, range.hi)};
      range = kept;
    }
  }
}

bool BoundsWriter::write(ArrayRef<KeyInterval> mayHold,
                         ArrayRef<KeyInterval> mayFail) {
  SmallVector<Range> visited = getVisited(unite(mayHold));
  SmallVector<Range> full;
  bool failsAnywhere = llvm::any_of(mayFail, [](const KeyInterval &interval) {
    return interval.lo.empty() && interval.hi.empty() &&
           interval.guards.empty();
  });
  if (!failsAnywhere)
    full = getGaps(unite(mayFail));
  if (full.size() > kMaxIntervals) {
    isExact = false;
    keepLongest(full);
  }

  SmallVector<Value> results;
  Value zero;
  auto append = [&](ArrayRef<Range> ranges, size_t index) {
    if (index < ranges.size())
      return results.append({ranges[index].lo, ranges[index].hi});
    if (!zero)
      zero = constant(0);
    results.append({zero, zero});
  };
  size_t size = std::max<size_t>({1, visited.size(), full.size()});
  for (size_t i = 0; i != size; ++i) {
    append(visited, i);
    append(full, i);
  }
  attn::YieldOp::create(builder, loc, results);
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(bounds.getBody().front())))
    if (isOpTriviallyDead(&op))
      op.erase();
  return isExact;
}
