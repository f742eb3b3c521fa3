// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks that operations of the dialect share: a product is a product, and a
// gather a gather, whether it is waited for or not.

#ifndef SACCADE_DIALECTS_TILE_TILEVERIFY_H
#define SACCADE_DIALECTS_TILE_TILEVERIFY_H

#include "dialects/Tile/Tile.h"

namespace saccade::tile {

/// The regions of a load of `tile`.
mlir::LogicalResult verifyGather(mlir::Operation *op, TileType tile,
                                 mlir::Region &rows, BoxAttr box,
                                 mlir::Region &boxes);

/// Shapes and types of a product; the accumulator may be null.
mlir::LogicalResult verifyProduct(mlir::Operation *op, TileType lhs,
                                  TileType rhs, mlir::Value accumulator,
                                  bool transposed, TileType result);

/// Registers that `setmaxnreg` can give to threads that load and that compute.
mlir::LogicalResult
verifyRegisters(llvm::function_ref<mlir::InFlightDiagnostic()> emitError,
                int64_t load, int64_t compute);

} // namespace saccade::tile

#endif // SACCADE_DIALECTS_TILE_TILEVERIFY_H
