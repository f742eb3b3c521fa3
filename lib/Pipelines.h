// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The compiler as a list of passes, a function a level. What runs between a
// spec and machine code is said here and nowhere else.

#ifndef SACCADE_LIB_PIPELINES_H
#define SACCADE_LIB_PIPELINES_H

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringSet.h"

#include <string>

namespace saccade {

struct PipelineOptions {
  /// "cpu", or a GPU architecture: "sm_80", "sm_89", "sm_90a", "sm_120".
  std::string target = "cpu";
  /// Optional passes to leave out, by their argument. Results stay right.
  llvm::StringSet<> disabled;

  bool isCpu() const { return target == "cpu"; }
};

/// Passes that legality does not need: any of them may be disabled.
llvm::ArrayRef<llvm::StringLiteral> optionalPasses();

/// attn -> attn: bounds of masks, schedules.
void buildAttnPipeline(mlir::OpPassManager &pm, const PipelineOptions &options);
/// attn -> tile, and tile -> tile as far as all targets share it.
void buildTilePipeline(mlir::OpPassManager &pm, const PipelineOptions &options);
/// tile -> the LLVM dialect of the target.
void buildTargetPipeline(mlir::OpPassManager &pm,
                         const PipelineOptions &options);

/// Every dialect that a level may hold.
void registerDialects(mlir::DialectRegistry &registry);
/// Every pass, and the levels as pipelines: --saccade-attn, --saccade-tile,
/// --saccade-target.
void registerPasses();

} // namespace saccade

#endif // SACCADE_LIB_PIPELINES_H
