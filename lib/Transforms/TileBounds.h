// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From the key intervals of `attn.bounds` to the KV tiles that a loop visits.
// The lowerings to both targets share this arithmetic, so they visit the same
// tiles.

#ifndef SACCADE_LIB_TRANSFORMS_TILEBOUNDS_H
#define SACCADE_LIB_TRANSFORMS_TILEBOUNDS_H

#include "mlir/IR/Builders.h"

namespace saccade {

/// Keys `[lo, hi)` to visit, and keys `[fullLo, fullHi)` that all queries of
/// the tile see; all i32. The two are independent: a full part may belong to
/// the keys of several intervals.
struct KeyRange {
  mlir::Value lo, hi, fullLo, fullHi;
};

/// The KV tiles of `tileN` keys, counted from key `origin`, that a query tile
/// visits. Of keys in `[kvBegin, kvEnd)`, the part of the sequence at hand,
/// none that a query sees is left out; no tile is visited twice; tiles ascend.
/// `0 <= origin <= kvBegin <= kvEnd`.
class TileVisit {
public:
  TileVisit(mlir::OpBuilder &builder, mlir::Location loc,
            llvm::ArrayRef<KeyRange> ranges, mlir::Value kvBegin,
            mlir::Value kvEnd, int64_t tileN, mlir::Value origin);

  /// How many tiles are visited, i32.
  mlir::Value getCount() const { return count; }
  /// The tile of the loop counter `i` (i32, below the count).
  mlir::Value emitTile(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value i) const;
  /// Whether the `tileN` keys from `origin + firstKey` on are all in `[kvBegin,
  /// kvEnd)` and seen by all queries, so that neither mask nor ends need to be
  /// tested; i1.
  mlir::Value emitIsFull(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value firstKey) const;

private:
  struct Run {
    mlir::Value firstCount; ///< counters from here on are of this run
    mlir::Value shift;      ///< tile = counter + shift
  };
  llvm::SmallVector<Run> runs;
  llvm::SmallVector<std::pair<mlir::Value, mlir::Value>> fulls;
  mlir::Value count;
  int64_t tileN;
};

} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_TILEBOUNDS_H
