// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Chooses the code generator of a target and brings what it gives into the one
// form that the compiler puts into blobs.

#include "lib/TargetCode.h"

#include "lib/Target/CpuTarget.h"

using namespace mlir;
using namespace saccade;

const TargetEntry &TargetCode::entry(StringRef name) const {
  static const TargetEntry none;
  for (const TargetEntry &entry : entries)
    if (entry.name == name)
      return entry;
  return none;
}

std::string saccade::hostCpu() { return CpuMachine::host().key(); }

static LogicalResult generateCpuCode(ModuleOp module,
                                     const CompileOptions &options,
                                     TargetCode &code) {
  std::string ir;
  if (failed(emitCpuObject(module, code.binary,
                           options.keepStages ? &ir : nullptr)))
    return failure();
  code.format = "elf";
  code.target = "cpu:" + CpuMachine::host().cpu;
  if (options.keepStages) {
    code.stages.emplace_back("llvm", std::move(ir));
    code.stages.emplace_back("obj", code.binary);
  }
  return success();
}

LogicalResult saccade::generateCode(ModuleOp module,
                                    const CompileOptions &options,
                                    TargetCode &code) {
  if (options.target == "cpu")
    return generateCpuCode(module, options, code);
  return module.emitError("expects a target with a code generator, but got '")
         << options.target << "'";
}
