// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From tiles to the LLVM dialect of a CPU, as a list of passes. It stands apart
// from lib/Pipelines.cpp so that tests of the CPU need no more than this room.

#ifndef SACCADE_LIB_CONVERSION_CPUPIPELINE_H
#define SACCADE_LIB_CONVERSION_CPUPIPELINE_H

#include "mlir/Pass/PassManager.h"

namespace saccade {

/// tile -> the LLVM dialect, for vectors of `lanes` f32. Math functions may be
/// expanded already.
void buildCpuPipeline(mlir::OpPassManager &pm, int64_t lanes);

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_CPUPIPELINE_H
