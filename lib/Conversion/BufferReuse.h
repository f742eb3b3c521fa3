// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whether an operation may overwrite the buffer of a tile: the question behind
// updates in place. The state of a softmax is carried through the loop over
// keys without a copy because of it.

#ifndef SACCADE_LIB_CONVERSION_BUFFERREUSE_H
#define SACCADE_LIB_CONVERSION_BUFFERREUSE_H

#include "mlir/IR/Operation.h"

namespace saccade {

/// Whether no use of the tile comes after `op`, on any path. Uses by `op`
/// itself do not count. Tiles from outside of a loop around `op` are needed by
/// its next trip.
bool diesAt(mlir::Value tile, mlir::Operation *op);

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_BUFFERREUSE_H
