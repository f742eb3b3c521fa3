// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arithmetic from key ranges to tiles. The loop body gets only selects on its
// counter; all divisions stand before the loop.

#include "lib/Transforms/TileBounds.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

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

SmallVector<KeyRange>
saccade::emitKeyRanges(OpBuilder &builder, Location loc,
                       attn::VariantOp variant, attn::PositionFn position,
                       ValueRange parameters, attn::ReadFn read) {
  SmallVector<KeyRange> ranges;
  if (auto bounds = variant.getBodyOf<attn::BoundsOp>()) {
    SmallVector<Value> values = attn::inlineBody(
        builder, cast<attn::BodyOpInterface>(bounds.getOperation()), {},
        position, parameters, read);
    for (size_t i = 0; i + 3 < values.size(); i += 4)
      ranges.push_back(
          {values[i], values[i + 1], values[i + 2], values[i + 3]});
    return ranges;
  }
  Value zero = getConstant(builder, loc, 0);
  Value kvLen = position(attn::Position::kv_len);
  bool hasMask = static_cast<bool>(variant.getBodyOf<attn::MaskOp>());
  return {{zero, kvLen, zero, hasMask ? zero : kvLen}};
}

TileVisit::TileVisit(OpBuilder &builder, Location loc,
                     ArrayRef<KeyRange> ranges, Value kvBegin, Value kvEnd,
                     int64_t tileN)
    : tileN(tileN) {
  auto constant = [&](int64_t value) {
    return getConstant(builder, loc, value);
  };
  // 0 <= kvBegin <= kvEnd, and ends are below 2^30: unsigned division is
  // exact, and rounding up does not overflow.
  Value size = constant(tileN), rounding = constant(tileN - 1);
  count = constant(0);
  Value reached = count;
  for (const KeyRange &range : ranges) {
    if (!isKnownEmpty(range.fullLo, range.fullHi))
      fulls.push_back(
          {builder.createOrFold<arith::MaxSIOp>(loc, range.fullLo, kvBegin),
           builder.createOrFold<arith::MinSIOp>(loc, range.fullHi, kvEnd)});
    if (isKnownEmpty(range.lo, range.hi))
      continue;
    Value lo = builder.createOrFold<arith::MaxSIOp>(loc, range.lo, kvBegin);
    Value hi = builder.createOrFold<arith::MinSIOp>(loc, range.hi, kvEnd);
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
    shift = builder.createOrFold<arith::SelectOp>(loc, isHere, run.shift, shift);
  }
  return builder.createOrFold<arith::AddIOp>(loc, i, shift);
}

Value TileVisit::emitIsFull(OpBuilder &builder, Location loc,
                            Value tile) const {
  Value size = getConstant(builder, loc, tileN);
  Value begin = builder.createOrFold<arith::MulIOp>(loc, tile, size);
  Value end = builder.createOrFold<arith::AddIOp>(loc, begin, size);
  Value result;
  for (auto [fullLo, fullHi] : fulls) {
    Value isAfter = builder.createOrFold<arith::CmpIOp>(loc, CmpIPredicate::sge,
                                                        begin, fullLo);
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
