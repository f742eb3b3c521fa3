// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs passes over IR of any level, as mlir-opt does. Tests and people who look
// into the compiler use it; users of kernels use `saccade`.

#include "lib/Pipelines.h"
#include "tools/saccade-opt/PrintPtx.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  saccade::registerDialects(registry);
  saccade::registerPasses();
  saccade::registerPrintPtxPass();
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "saccade-opt: passes over attention kernels", registry));
}
