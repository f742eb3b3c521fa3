// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A pass that writes a module of the LLVM dialect as PTX, so that tests go from
// hand-written tiles to machine code. `saccade compile` starts from specs only.

#include "tools/saccade-opt/PrintPtx.h"

#include "lib/Target/PtxTarget.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;

namespace {
struct PrintPtxPass : PassWrapper<PrintPtxPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PrintPtxPass)

  PrintPtxPass() = default;
  PrintPtxPass(const PrintPtxPass &other) : PassWrapper(other) {}

  StringRef getArgument() const override { return "print-ptx"; }
  StringRef getDescription() const override {
    return "Prints the PTX of a module on standard output";
  }

  void runOnOperation() override {
    const saccade::GpuChip *chip = saccade::GpuChip::find(target);
    if (!chip) {
      getOperation().emitError("expects a GPU architecture, but got ")
          << target.getValue();
      return signalPassFailure();
    }
    std::string ptx;
    if (failed(saccade::emitPtx(getOperation(), *chip, ptx)))
      return signalPassFailure();
    llvm::outs() << ptx;
  }

  Option<std::string> target{*this, "target",
                             llvm::cl::desc("GPU architecture"),
                             llvm::cl::init("sm_90a")};
};
} // namespace

void saccade::registerPrintPtxPass() { PassRegistration<PrintPtxPass>(); }
