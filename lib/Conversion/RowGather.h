// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows of a tile dealt to warps and chunks of rows to lanes: how threads copy a
// tile between global and shared memory 16 bytes at a time.

#ifndef SACCADE_LIB_CONVERSION_ROWGATHER_H
#define SACCADE_LIB_CONVERSION_ROWGATHER_H

#include "lib/Conversion/TileToNvvm.h"

namespace saccade {

/// A chunk of a row that a lane copies: its row and place in the tile, its
/// address in global memory, and whether the row is there.
struct RowChunk {
  Scalar row, chunk;
  mlir::Value pointer, there;
};

/// Deals the rows of a tile to warps and the chunks of their rows to lanes. The
/// body that finds a row runs once a row, in one lane, which tells the others:
/// it may look up a page, and its code may be long.
class RowGather {
public:
  /// Finds the rows of the thread's warp, one of `warps` that copy.
  RowGather(mlir::ImplicitLocOpBuilder &b, tile::TileType type,
            const Thread &thread, int64_t warps, mlir::Value base,
            mlir::Region &find);

  void forEachChunk(int64_t chunks, llvm::function_ref<void(RowChunk)> copy);

private:
  /// Rows that the lanes of a warp have found, one each.
  struct Found {
    Scalar firstRow;
    int64_t count;
    mlir::Value address;
  };

  mlir::ImplicitLocOpBuilder &b;
  Scalar lane;
  int64_t elementBytes;
  mlir::Value base;
  llvm::SmallVector<Found> found;

  mlir::Value findRow(mlir::Region &find, Scalar row);
  void copyRows(const Found &rows, int64_t chunks,
                llvm::function_ref<void(RowChunk)> copy);
  RowChunk at(const Found &rows, Scalar index, int64_t chunks);
};

/// Starts to copy a tile to shared memory. Rows that are not there and the
/// padding that products read become zeros.
void copyAsync(mlir::ImplicitLocOpBuilder &b, RowGather &gather,
               const SharedTile &to);

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_ROWGATHER_H
