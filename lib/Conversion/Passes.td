// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes from one level to the next: attn to tile, tile to a target.

#ifndef SACCADE_CONVERSION_PASSES_TD
#define SACCADE_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertAttnToTilePass : Pass<"convert-attn-to-tile", "::mlir::ModuleOp"> {
  let summary = "Turns kernels into entries that fold KV tiles";
  let description = [{
    An `attn.kernel` becomes one entry for each append and one for what it attends,
    to be launched in this order. An item of an attend entry is one query tile of
    one KV head: every `attn.attend` becomes a loop over the KV tiles that the bounds of
    its variant leave, with an online softmax; `attn.merge` and `attn.finish` become maps. The
    variant's bodies are inlined here, once, for every target. Kernels need a
    schedule.
  }];
  let dependentDialects = [
    "::saccade::tile::TileDialect", "::mlir::arith::ArithDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"
  ];
}

#endif // SACCADE_CONVERSION_PASSES_TD
