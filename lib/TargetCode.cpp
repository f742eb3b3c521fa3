// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Chooses the code generator of a target and brings what it gives into the one
// form that the compiler puts into blobs.

#include "lib/TargetCode.h"

#include "lib/Target/CpuTarget.h"
#include "lib/Target/PtxTarget.h"

#include <chrono>

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

static LogicalResult generateGpuCode(ModuleOp module, const GpuChip &chip,
                                     const CompileOptions &options,
                                     TargetCode &code) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin = Clock::now();
  auto lap = [&](StringRef stage) {
    std::chrono::duration<double, std::milli> spent = Clock::now() - begin;
    code.stagesMs.emplace_back(stage, spent.count());
    begin = Clock::now();
  };
  code.target = chip.name.str();
  code.driver = chip.driver;
  for (const GpuEntry &entry : gpuEntries(module)) {
    TargetEntry target{entry.name,    entry.threads, entry.sharedBytes,
                       entry.mapWord, entry.maps,    entry.waits,
                       /*launch=*/""};
    code.entries.push_back(target);
    target.launch = entry.name;
    for (const std::string &name : entry.fused) {
      target.name = name;
      code.entries.push_back(target);
    }
  }

  std::string ir, ptx;
  if (failed(emitPtx(module, chip, ptx, options.keepStages ? &ir : nullptr)))
    return failure();
  lap("ptx");
  if (options.keepStages) {
    code.stages.emplace_back("llvm", std::move(ir));
    code.stages.emplace_back("ptx", ptx);
  }
  if (!options.assemble) {
    code.binary = std::move(ptx);
    code.format = "ptx";
    return success();
  }
  SmallVector<GpuResources> resources;
  if (failed(assemblePtx(module.getLoc(), ptx, chip, code.binary, resources)))
    return failure();
  lap("cubin");
  code.format = "cubin";
  if (options.keepStages)
    code.stages.emplace_back("cubin", code.binary);
  for (TargetEntry &entry : code.entries)
    for (const GpuResources &found : resources)
      if (found.name == (entry.launch.empty() ? entry.name : entry.launch)) {
        entry.registers = found.registers;
        entry.spilledBytes = found.spillStoreBytes + found.spillLoadBytes;
      }
  return success();
}

LogicalResult saccade::generateCode(ModuleOp module,
                                    const CompileOptions &options,
                                    TargetCode &code) {
  if (options.target == "cpu")
    return generateCpuCode(module, options, code);
  if (const GpuChip *chip = GpuChip::find(options.target))
    return generateGpuCode(module, *chip, options, code);
  return module.emitError("expects a target with a code generator, but got '")
         << options.target << "'";
}
