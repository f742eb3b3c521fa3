// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arithmetic from key ranges to tiles. The loop body gets only selects on its
// counter; all divisions stand before the loop.

#include "lib/Transforms/TileBounds.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace saccade;
using arith::CmpIPredicate;

static Value getConstant(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantOp::create(builder, loc,
                                   builder.getI32IntegerAttr(value));
}

/// Whether a range is seen to be empty, as those that only fill a place are.
static bool isKnownEmpty(Value lo, Value hi) {
  APInt first, last;
  return matchPattern(lo, m_ConstantInt(&first)) &&
         matchPattern(hi, m_ConstantInt(&last)) && first.sge(last);
}

TileVisit::TileVisit(OpBuilder &builder, Location loc,
                     ArrayRef<KeyRange> ranges, Value kvBegin, Value kvEnd,
                     int64_t tileN, Value origin)
    : tileN(tileN) {
  auto constant = [&](int64_t value) {
    return getConstant(builder, loc, value);
  };
  // Clipped before it is moved: ranges may reach far outside.
  auto clip = [&](Value lo, Value hi) {
    lo = builder.createOrFold<arith::MaxSIOp>(loc, lo, kvBegin);
    hi = builder.createOrFold<arith::MaxSIOp>(loc, hi, kvBegin);
    hi = builder.createOrFold<arith::MinSIOp>(loc, hi, kvEnd);
    lo = builder.createOrFold<arith::SubIOp>(loc, lo, origin);
    hi = builder.createOrFold<arith::SubIOp>(loc, hi, origin);
    return std::pair(lo, hi);
  };
  // Keys are not negative and below 2^30, so unsigned division is exact, and
  // rounding up does not overflow.
  Value size = constant(tileN), rounding = constant(tileN - 1);
  count = constant(0);
  Value reached = count;
  for (const KeyRange &range : ranges) {
    if (!isKnownEmpty(range.fullLo, range.fullHi))
      fulls.push_back(clip(range.fullLo, range.fullHi));
    if (isKnownEmpty(range.lo, range.hi))
      continue;
    auto [lo, hi] = clip(range.lo, range.hi);
    Value isEmpty =
        builder.createOrFold<arith::CmpIOp>(loc, CmpIPredicate::sge, lo, hi);
    Value begin = builder.createOrFold<arith::DivUIOp>(loc, lo, size);
    if (!runs.empty())
      begin = builder.createOrFold<arith::MaxSIOp>(loc, begin, reached);
    Value end = builder.createOrFold<arith::AddIOp>(loc, hi, rounding);
    end = builder.createOrFold<arith::DivUIOp>(loc, end, size);
    end = builder.createOrFold<arith::SelectOp>(loc, isEmpty, begin, end);
    end = builder.createOrFold<arith::MaxSIOp>(loc, begin, end);

    Value shift = builder.createOrFold<arith::SubIOp>(loc, begin, count);
    runs.push_back({count, shift});
    Value length = builder.createOrFold<arith::SubIOp>(loc, end, begin);
    count = builder.createOrFold<arith::AddIOp>(loc, count, length);
    // An empty range starts where it likes: it must not hide later ones.
    reached = builder.createOrFold<arith::SelectOp>(loc, isEmpty, reached, end);
  }
}

Value TileVisit::emitTile(OpBuilder &builder, Location loc, Value i) const {
  if (runs.empty())
    return i;
  Value shift = runs.front().shift;
  for (const Run &run : ArrayRef(runs).drop_front()) {
    Value isHere = builder.createOrFold<arith::CmpIOp>(loc, CmpIPredicate::sge,
                                                       i, run.firstCount);
    shift =
        builder.createOrFold<arith::SelectOp>(loc, isHere, run.shift, shift);
  }
  return builder.createOrFold<arith::AddIOp>(loc, i, shift);
}

Value TileVisit::emitIsFull(OpBuilder &builder, Location loc,
                            Value firstKey) const {
  Value end = builder.createOrFold<arith::AddIOp>(
      loc, firstKey, getConstant(builder, loc, tileN));
  Value result;
  for (auto [fullLo, fullHi] : fulls) {
    Value isAfter = builder.createOrFold<arith::CmpIOp>(loc, CmpIPredicate::sge,
                                                        firstKey, fullLo);
    Value isBefore = builder.createOrFold<arith::CmpIOp>(
        loc, CmpIPredicate::sle, end, fullHi);
    Value isFull = builder.createOrFold<arith::AndIOp>(loc, isAfter, isBefore);
    result = result ? builder.createOrFold<arith::OrIOp>(loc, result, isFull)
                    : isFull;
  }
  if (result)
    return result;
  return arith::ConstantOp::create(builder, loc, builder.getBoolAttr(false));
}
