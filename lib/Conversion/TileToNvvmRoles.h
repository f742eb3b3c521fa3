// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the patterns for warps with roles share: instructions that have no
// operation, and what asynchronous ones ask for.

#ifndef SACCADE_LIB_CONVERSION_TILETONVVMROLES_H
#define SACCADE_LIB_CONVERSION_TILETONVVMROLES_H

#include "lib/Conversion/TileToNvvm.h"

namespace saccade {

/// The value, which is the same in all lanes of a warp, in a register of which
/// ptxas knows that: descriptors are then computed once a warp.
Scalar uniform(mlir::ImplicitLocOpBuilder &b, mlir::Value value);

/// The 32-bit address of a byte of the CTA's shared memory.
Scalar sharedAddress(mlir::ImplicitLocOpBuilder &b, mlir::Value bytes);

/// Assembly that LLVM neither drops nor moves other memory accesses across.
mlir::LLVM::InlineAsmOp assembly(mlir::ImplicitLocOpBuilder &b,
                                 mlir::Type result, llvm::StringRef text,
                                 llvm::StringRef constraints,
                                 mlir::ValueRange operands);

/// What generic accesses of this thread wrote or saw is seen by TMA and wgmma.
void fenceAsyncProxy(mlir::ImplicitLocOpBuilder &b);

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_TILETONVVMROLES_H
