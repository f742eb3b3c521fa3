// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The two halves of -saccade-expand-math: functions of real numbers, and
// integer operations made total. Each expands one operation in place.

#ifndef SACCADE_LIB_TRANSFORMS_EXPANDMATH_H
#define SACCADE_LIB_TRANSFORMS_EXPANDMATH_H

#include "lib/Transforms/Lane.h"

namespace saccade {

/// What the only result of an operation is to be replaced with; null to keep
/// it.
mlir::Value expandFunction(mlir::ImplicitLocOpBuilder &builder,
                           mlir::Operation *op);
mlir::Value expandInteger(mlir::ImplicitLocOpBuilder &builder,
                          mlir::Operation *op);

} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_EXPANDMATH_H
