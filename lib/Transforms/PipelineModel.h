// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Chooses the tile of a pipelined entry on Hopper: which shapes fit its
// registers and shared memory, and how long a step of each takes.

#ifndef SACCADE_LIB_TRANSFORMS_PIPELINEMODEL_H
#define SACCADE_LIB_TRANSFORMS_PIPELINEMODEL_H

#include "dialects/Tile/Tile.h"

#include <optional>

namespace saccade {

/// Discardable attribute of a kernel: tokens of a request's query that it is to
/// be fast for, a hint that changes no result.
inline constexpr llvm::StringLiteral kQueryTokensAttr = "attn.query_tokens";

/// Discardable attribute of a kernel: the schedule of a second entry, which
/// takes the requests of few query rows.
inline constexpr llvm::StringLiteral kFewRowsScheduleAttr =
    "attn.few_rows_schedule";

/// Discardable attributes of an entry: packed rows of the requests that it
/// takes, at least and at most. Absent: any number.
inline constexpr llvm::StringLiteral kLeastRowsAttr = "tile.least_rows";
inline constexpr llvm::StringLiteral kMostRowsAttr = "tile.most_rows";

/// Discardable attribute of an entry that takes other requests than another one
/// does: the name of that, in whose launch it may be.
inline constexpr llvm::StringLiteral kBesideAttr = "tile.beside";
/// Discardable attribute of a kernel of threads: names of the entries whose
/// items it computes beside its own.
inline constexpr llvm::StringLiteral kFusedAttr = "tile.fused";

/// Registers of a thread that has nothing to do: no warp can have fewer.
inline constexpr int64_t kLeastRegisters = 24;

/// What the choice depends on.
struct PipelineShape {
  int64_t headDim = 0, valueDim = 0;
  int64_t group = 1;  ///< packed rows a query token
  int64_t tokens = 0; ///< of a request's query, as a hint; 0: unknown
  /// Rows that no item may straddle a multiple of; 0: free.
  int64_t rowBlock = 0;
  /// Tokens of a page, keys of a block; 0: one after another. Several caches:
  /// what divides all.
  int64_t contiguous = 0;
  /// Keys of a block of a block-sparse cache; 0: none.
  int64_t keyBlock = 0;
  /// Registers of a thread beside those of the tiles of one plain softmax.
  int64_t extraRegisters = 0;
  mlir::Type element;     ///< that products take
  int64_t cacheBytes = 2; ///< of an element of a cache, the largest
};

/// Registers of a thread that tiles take at a time: logits and results in f32,
/// weights in 16 bits.
inline int64_t liveRegisters(int64_t keys, int64_t valueDim) {
  return keys / 2 + valueDim / 2 + keys / 4;
}

/// How tiles of so many keys come into shared memory.
tile::CopyKind copyFor(const PipelineShape &shape, int64_t keys);

/// The schedule whose steps take least time, or null where none fits.
tile::ScheduleAttr choosePipeline(mlir::MLIRContext *context,
                                  const PipelineShape &shape,
                                  int64_t sharedBytes);

/// Clocks of an item: of itself, of each of its rows and of each key.
struct ItemCost {
  double item = 0, row = 0, key = 0;
  /// What cutting tiles costs a launch, and how many times as fast a CTA works
  /// when most others are done; 0: not known.
  double merge = 0, rush = 0;
  /// What a key costs with 1, 2, ... warpgroups at work, over `key`; empty
  /// where they own no rows.
  llvm::SmallVector<double> groups;
};

/// Nothing for entries without a pipeline, and without products.
std::optional<ItemCost> costOfItems(tile::EntryOp entry);

} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_PIPELINEMODEL_H
