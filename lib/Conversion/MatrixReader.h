// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operands of matrix instructions read from shared memory by ldmatrix: from any
// tile, and from the panels of pipes, where addresses cost next to nothing.

#ifndef SACCADE_LIB_CONVERSION_MATRIXREADER_H
#define SACCADE_LIB_CONVERSION_MATRIXREADER_H

#include "lib/Conversion/TileToNvvm.h"

namespace saccade {

/// Four registers of ldmatrix.x4, or of a left operand.
using Quad = llvm::SmallVector<mlir::Value, 4>;

/// Reads matrices of a tile in shared memory as operands. What the lane
/// contributes to the addresses is computed once.
class MatrixReader {
public:
  MatrixReader(mlir::ImplicitLocOpBuilder &b, tile::TileType type,
               mlir::Value base, tile::MatrixUse use);

  /// The elements from (row, column) on; `row` may depend on the warp.
  Quad read(Scalar row, int64_t column);

private:
  mlir::ImplicitLocOpBuilder &b;
  SharedTile shared;
  tile::MatrixUse use;
  tile::Place<Scalar> lane;
};

/// Reads matrices of a tile in panels of 128 bytes a row that begin at a
/// multiple of 1024 bytes. Swizzles are exclusive ors of address bits, so one
/// address serves a whole panel.
class PanelReader {
public:
  PanelReader(mlir::ImplicitLocOpBuilder &b, tile::TileType type,
              mlir::Value base, tile::MatrixUse use);

  /// Whether a tile lies in such panels.
  static bool takes(tile::TileType type);

  /// The elements from (row, column) on, multiples of 8 and of what `use`
  /// reads; four matrices, or the first two.
  Quad read(int64_t row, int64_t column, int64_t matrices = 4);
  /// The two words of MatrixUse::RightInterleaved.
  llvm::SmallVector<mlir::Value, 2> readByLane(int64_t row, int64_t column);

private:
  mlir::ImplicitLocOpBuilder &b;
  tile::SharedLayout layout;
  tile::MatrixUse use;
  Scalar address; // of what the lane reads at row and column 0

  mlir::Value pointerTo(int64_t row, int64_t column);
};

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_MATRIXREADER_H
