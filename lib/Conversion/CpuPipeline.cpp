// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The last levels of a CPU kernel: loops over buffers, then LLVM.

#include "lib/Conversion/CpuPipeline.h"

#include "lib/Conversion/Passes.h"
#include "lib/Transforms/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace saccade;

void saccade::buildCpuPipeline(OpPassManager &pm, int64_t lanes) {
  // tile, scf, arith, math, vector
  pm.addPass(createExpandMathPass());
  pm.addPass(createConvertTileToCpuPass({lanes}));
  // func, llvm, scf, arith, math, vector: exp2 sees vectors only now.
  pm.addPass(createExpandExp2Pass());
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}
