// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns `attn.bounds` into the data that planners read (saccade/Blob.h,
// "bounds"): the runtime knows no MLIR, but must know what a mask lets a kernel
// skip.

#ifndef SACCADE_LIB_BOUNDSPROGRAM_H
#define SACCADE_LIB_BOUNDSPROGRAM_H

#include "dialects/Attn/Attn.h"

#include "llvm/Support/JSON.h"

#include <optional>

namespace saccade {

/// The program of the bounds of a variant, for an attend that passes it these
/// parameters. Nothing if it is too long to be worth it.
std::optional<llvm::json::Object> describeBounds(attn::BoundsOp bounds,
                                                 mlir::ValueRange parameters);

} // namespace saccade

#endif // SACCADE_LIB_BOUNDSPROGRAM_H
