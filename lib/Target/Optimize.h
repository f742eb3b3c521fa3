// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs LLVM passes over a module of kernels. Targets differ in their passes;
// what the passes may assume of a kernel's surroundings is the same and said
// once.

#ifndef SACCADE_LIB_TARGET_OPTIMIZE_H
#define SACCADE_LIB_TARGET_OPTIMIZE_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"

namespace saccade {

/// Runs the passes that `build` gives.
void optimizeModule(
    llvm::Module &module, llvm::TargetMachine &machine,
    llvm::PipelineTuningOptions tuning,
    llvm::function_ref<llvm::ModulePassManager(llvm::PassBuilder &)> build);

} // namespace saccade

#endif // SACCADE_LIB_TARGET_OPTIMIZE_H
