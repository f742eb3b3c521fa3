// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Copies of the control flow of an entry, stripped to some of its operations:
// what a role needs to keep step with another.

#ifndef SACCADE_LIB_TRANSFORMS_STEPCOPY_H
#define SACCADE_LIB_TRANSFORMS_STEPCOPY_H

#include "dialects/Tile/Tile.h"

#include "mlir/IR/IRMapping.h"

namespace saccade {

/// Whether a type is a tile or a product in flight.
bool isTileLike(mlir::Type type);

/// Whether an operation has no effects and, regions included, no tiles.
bool isScalarCode(mlir::Operation *op);

/// Clones from a block the operations that `keep` names, the loops and branches
/// around them without the tiles that those carry, and scalar code.
void copySteps(mlir::Block &from, mlir::OpBuilder &b, mlir::IRMapping &mapping,
               llvm::function_ref<bool(mlir::Operation *)> keep);

/// Erases what a block computes and nothing uses.
void eraseUnused(mlir::Block &block);

} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_STEPCOPY_H
