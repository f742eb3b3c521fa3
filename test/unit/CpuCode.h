// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text of any level below attn, compiled for this host and called: what numeric
// tests of the CPU lowering share.

#ifndef SACCADE_TEST_UNIT_CPUCODE_H
#define SACCADE_TEST_UNIT_CPUCODE_H

#include "dialects/Attn/Attn.h"
#include "dialects/Tile/Tile.h"
#include "lib/Conversion/CpuPipeline.h"
#include "lib/Target/CpuTarget.h"
#include "test/unit/Test.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

namespace saccade::test {

/// The code of one module; functions live as long as it does.
class CpuCode {
public:
  explicit CpuCode(const std::string &text,
                   int64_t lanes = CpuMachine::host().lanes()) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    context.loadDialect<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                        mlir::LLVM::LLVMDialect, mlir::math::MathDialect,
                        mlir::scf::SCFDialect, mlir::vector::VectorDialect,
                        tile::TileDialect>();
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    REQUIRE(module);
    mlir::PassManager passes(&context);
    buildCpuPipeline(passes, lanes);
    REQUIRE(mlir::succeeded(passes.run(*module)));
    REQUIRE(mlir::succeeded(emitCpuObject(*module, object)));
  }

  template <typename Function> Function *get(llvm::StringRef name) {
    llvm::Expected<void *> function = loader.load(object, name);
    if (!function)
      FAIL(llvm::toString(function.takeError()));
    return reinterpret_cast<Function *>(*function);
  }

private:
  std::string object;
  CpuLoader loader;
};

} // namespace saccade::test

#endif // SACCADE_TEST_UNIT_CPUCODE_H
