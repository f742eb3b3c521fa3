// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One way through every cache layout. A cache is walked in tiles of its own
// index `j`: the token for ragged, dense and paged caches, the place in the
// list of key blocks for block-sparse ones. The walk knows which tiles to
// visit, where row `j` lies, and which position it has.

#ifndef SACCADE_LIB_CONVERSION_CACHEWALK_H
#define SACCADE_LIB_CONVERSION_CACHEWALK_H

#include "lib/Conversion/ItemScope.h"

#include <functional>

namespace saccade {

/// Where a row of a cache is: its physical row in the storage (`slot`), split
/// for paged caches, and whether it exists.
struct CacheRow {
  Scalar batch;   // i64: page id or request; scales the batch stride
  Scalar token;   // i64: row within it; scales the token stride
  Scalar slot;    // i32: physical row
  Scalar present; // i1
};

class CacheWalk {
public:
  /// Reads the cache's record of the item's request.
  CacheWalk(mlir::ImplicitLocOpBuilder &b, const ItemScope &item,
            attn::LayoutType type, int64_t firstWord, int64_t tileKeys);

  /// The tiles that the item visits: a loop over `count` calls `tileAt`, then
  /// `isFull` tells whether all keys of a tile exist and are seen by all rows.
  struct Visit {
    Scalar count;
    std::function<Scalar(mlir::ImplicitLocOpBuilder &, Scalar)> tileAt;
    std::function<mlir::Value(mlir::ImplicitLocOpBuilder &, Scalar)> isFull;
  };
  /// `bounds` holds the intervals of the variant's attn.bounds (four i32 each,
  /// positions); none: the mask is unknown unless `unmasked`.
  Visit visit(mlir::ImplicitLocOpBuilder &b, mlir::ValueRange bounds,
              bool unmasked) const;

  /// Row `j` of the cache.
  CacheRow row(mlir::ImplicitLocOpBuilder &b, Scalar j) const;
  /// Element offset of a row in the keys (or values).
  Scalar offset(mlir::ImplicitLocOpBuilder &b, const CacheRow &row,
                bool values) const;
  /// Position of row `j` in the request's sequence, and whether it exists.
  std::pair<Scalar, Scalar> position(mlir::ImplicitLocOpBuilder &b,
                                     Scalar j) const;
  /// The page id of row `j` of a paged cache as the table has it, unclamped.
  Scalar pageOf(mlir::ImplicitLocOpBuilder &b, Scalar j) const;
  /// Base address of the keys (or values).
  mlir::Value base(mlir::ImplicitLocOpBuilder &b, bool values) const;

  /// The first of the four words of the keys (or values).
  int64_t tensorWord(bool values) const;
  /// How many rows from a multiple of as many on, at most a tile, lie one
  /// token after another.
  int64_t contiguousRows() const;
  /// Whether positions ascend with `j`, so that only the last tile is short.
  bool ascends() const { return !mlir::isa<attn::BlockSparseType>(type); }
  /// How many rows there are from row `j`, the first of a tile, on; negative
  /// past the end.
  Scalar rowsFrom(mlir::ImplicitLocOpBuilder &b, Scalar j) const;

  /// First position of the cache in the request's sequence; tokens in it.
  Scalar start, length; // i32

private:
  static Scalar in(mlir::ImplicitLocOpBuilder &b, Scalar s) {
    return {&b, s.value};
  }
  /// `j` brought into the rows of the cache, so that tables may be read at it.
  Scalar inside(mlir::ImplicitLocOpBuilder &b, Scalar j) const;
  /// `known` where all key blocks lie within the sequence, so that no list has
  /// to be read; else what `otherwise` finds.
  Scalar ifBlocksAreWhole(
      mlir::ImplicitLocOpBuilder &b, mlir::Value known,
      llvm::function_ref<Scalar(mlir::ImplicitLocOpBuilder &)> otherwise) const;
  Scalar blockSparseKey(mlir::ImplicitLocOpBuilder &b, Scalar j) const;
  Scalar inTable(mlir::ImplicitLocOpBuilder &b, Scalar entry) const;

  ItemScope item;
  attn::LayoutType type;
  int64_t firstWord, tileKeys;
  Scalar segmentBase;     // i64, SaccadeSegment::base
  Scalar listBegin, rows; // block-sparse: i64 first list entry; i32 extent of j
};

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_CACHEWALK_H
