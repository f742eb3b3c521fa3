// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The body of an append entry: rows of new keys and values go to their places
// in a paged cache. Here rows of an item are tokens, not packed rows.

#include "lib/Conversion/AppendEmitter.h"

#include "dialects/Tile/Tile.h"
#include "include/saccade/KernelABI.h"
#include "lib/Conversion/AttendEmitter.h"

using namespace mlir;
using namespace saccade;

/// Wide elements in units of a scale (null: 1), rounded to 8 bits. The largest
/// finite element stands for what is beyond it; NaN stays.
static Value emitQuantized(ImplicitLocOpBuilder &b, Value tile,
                           FloatType element, Value scale) {
  auto largest =
      llvm::APFloat::getLargest(element.getFloatSemantics()).convertToFloat();
  auto type = cast<tile::TileType>(tile.getType());
  return emitMap(
      b, type.withElementType(element), tile,
      [&](ImplicitLocOpBuilder &b, ValueRange x, Scalar, Scalar) -> Value {
        Value wide = widened(b, x[0]);
        if (scale)
          wide = arith::DivFOp::create(b, wide, scale);
        wide = arith::MinimumFOp::create(b, wide, f32(b, largest));
        wide = arith::MaximumFOp::create(b, wide, f32(b, -largest));
        return arith::TruncFOp::create(b, element, wide);
      });
}

/// Copies one of the two tensors, from tiles of `type`.
static void copyRows(ImplicitLocOpBuilder &b, const ItemScope &item,
                     const CacheWalk &walk, int64_t cacheWord,
                     int64_t sourceWord, tile::TileType type, Type element,
                     Value scale, bool values) {
  auto load =
      tile::LoadOp::create(b, type, readAddress(b, item.words, sourceWord));
  emitRows(b, load.getRows(), [&](ImplicitLocOpBuilder &b, Scalar row) {
    ItemScope scope = item.in(b);
    Scalar offset =
        scope.tensorOffset(b, sourceWord, scope.packed(row), scope.kvHead);
    return std::pair(offset, scope.present(row));
  });
  Value rows = load;
  if (type.getElementType() != element)
    rows = emitQuantized(b, rows, cast<FloatType>(element), scale);
  auto store = tile::StoreOp::create(b, rows, walk.base(b, values));
  emitRows(b, store.getRows(), [&](ImplicitLocOpBuilder &b, Scalar row) {
    ItemScope scope = item.in(b);
    Scalar place = scope.queryPosition(scope.packed(row)) - walk.start;
    CacheRow there = walk.row(b, place);
    // A page id outside the cache is not clamped here: the row is dropped.
    Scalar page = walk.pageOf(b, place).wide();
    Scalar limit = readI64(b, item.words, cacheWord + SACCADE_CACHE_LIMIT);
    Scalar owned = page.atLeast(0) & page.less(limit) & place.atLeast(0);
    return std::pair(walk.offset(b, there, values),
                     scope.present(row) & there.present & owned);
  });
}

void saccade::emitAppend(ImplicitLocOpBuilder &b, const ItemScope &item,
                         const KernelWords &kernelWords, int64_t rows,
                         attn::AppendOp append) {
  attn::LayoutType layout = append.getCache().getType();
  int64_t cacheWord = kernelWords.ofCache(append.getCache());
  CacheWalk walk(b, item, layout, cacheWord, rows);
  auto copy = [&](Value source, Value scale, bool values) {
    auto given = cast<attn::LayoutType>(source.getType());
    auto type = tile::TileType::get(b.getContext(), rows, given.getHeadDim(),
                                    given.getElementType());
    copyRows(b, item, walk, cacheWord,
             kernelWords.of(cast<BlockArgument>(source)), type,
             layout.getElementType(), cacheScale(b, item, kernelWords, scale),
             values);
  };
  copy(append.getKey(), append.getKeyScale(), /*values=*/false);
  copy(append.getValue(), append.getValueScale(), /*values=*/true);
}
