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
    schedule. One that has `attn.few_rows_schedule` too gets a second attend entry,
    `<kernel>_few`, for requests of at most two of its tiles of rows; the first one then
    takes those of more (`tile.most_rows`, `tile.least_rows`), and may be computed in one
    launch with it (`tile.beside`).
  }];
  let dependentDialects = [
    "::saccade::tile::TileDialect", "::mlir::arith::ArithDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"
  ];
}

//===----------------------------------------------------------------------===//
// tile to NVVM
//===----------------------------------------------------------------------===//

def ConvertTileToNvvmPass : Pass<"convert-tile-to-nvvm", "::mlir::ModuleOp"> {
  let summary = "Lowers tiles with layouts to what one thread of a GPU does";
  let description = [{
    Each `tile.entry` becomes an `llvm.func` kernel. A tile in registers becomes
    one vector of the elements that a thread holds; a tile in shared memory becomes
    its offset. Bodies of maps are cloned per register, products become
    `nvvm.mma.sync`, loads `nvvm.cp.async`. Control flow stays `scf`, and scalar code
    `arith`, `math` and `vector`, for `-convert-scalars-to-nvvm`.

    Before:

    ```text
    %m = tile.reduce max %s : !tile.tile<16x8xf32, #tile.accumulator<warps = 1>>
        -> !tile.tile<16x1xf32, #tile.rows_of<warps = 1>>
    ```

    After:

    ```text
    %0 = vector.extract %s[0] : f32 from vector<4xf32>
    %1 = vector.extract %s[1] : f32 from vector<4xf32>
    %2 = arith.maxnumf %0, %1 : f32
    %3 = nvvm.shfl.sync bfly %all, %2, %c1, %c31 : f32 -> f32
    ...
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect",
                           "::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def ConvertScalarsToNvvmPass : Pass<"convert-scalars-to-nvvm", "::mlir::ModuleOp"> {
  let summary = "Lowers control flow, arithmetic and vectors of GPU kernels to LLVM";
  let description = [{
    Exponentials and logarithms to base 2 become the approximations of the hardware.
    What NVPTX has no instruction for is an error here, and never reaches code
    generation: a call of libdevice, or an intrinsic that LLVM aborts on.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect",
                           "::mlir::cf::ControlFlowDialect"];
}

//===----------------------------------------------------------------------===//
// tile to CPU
//===----------------------------------------------------------------------===//

def ConvertTileToCpuPass : Pass<"convert-tile-to-cpu", "::mlir::ModuleOp"> {
  let summary = "Turns entries over tiles into functions over stack buffers";
  let description = [{
    Each `tile.entry` becomes `void f(words, cta)`. Tiles become buffers on the stack,
    row-major, in f32, updated in place where an operand dies; operations on them
    become loops over rows with vectors of `lanes` elements inside. Loads gather rows
    straight from the caller's memory and widen them; products are register-blocked
    loops. Rows that no store can see are left out of the loops.

    Before: `%p = tile.map (%s, %m) { ... } : ...`
    After: `scf.for` over rows, in it `scf.for` over vectors of columns.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
  let options = [
    Option<"lanes", "lanes", "int64_t", /*default=*/"16",
           "f32 elements of a vector register: 16 for AVX-512, 8 for AVX2, 4 else">
  ];
}

#endif // SACCADE_CONVERSION_PASSES_TD
