// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The scalar code of a loop's body that something hangs on: what has to be
// computed again to have that thing for another trip.

#ifndef SACCADE_LIB_TRANSFORMS_SCALARSLICE_H
#define SACCADE_LIB_TRANSFORMS_SCALARSLICE_H

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace saccade {

using ScalarSlice = llvm::SetVector<mlir::Operation *>;

/// Adds to a slice the pure operations of the loop's body that values hang on,
/// in order. Fails where they hang on more than the induction variable and what
/// is outside of the loop.
mlir::LogicalResult collectScalars(mlir::ValueRange values,
                                   mlir::scf::ForOp loop, ScalarSlice &slice);

/// The same for all that an operation reads, in its regions too.
mlir::LogicalResult collectScalars(mlir::Operation *op, mlir::scf::ForOp loop,
                                   ScalarSlice &slice);

/// Clones a slice for the trip of `iv`, and maps what it computes.
void cloneForTrip(mlir::OpBuilder &b, const ScalarSlice &slice,
                  mlir::scf::ForOp loop, mlir::Value iv,
                  mlir::IRMapping &mapping);

} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_SCALARSLICE_H
