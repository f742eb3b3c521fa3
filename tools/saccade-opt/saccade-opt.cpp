// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs passes over IR of any level, as mlir-opt does. Tests and people who look
// into the compiler use it; users of kernels use `saccade`.

#include "dialects/Attn/Attn.h"
#include "dialects/Tile/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                  mlir::math::MathDialect, mlir::vector::VectorDialect,
                  saccade::attn::AttnDialect, saccade::tile::TileDialect>();
  mlir::registerTransformsPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "saccade-opt: passes over attention kernels", registry));
}
