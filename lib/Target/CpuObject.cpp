// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From the LLVM dialect to an object file for the host. The lowering chooses
// vectors and register blocks, so LLVM has addresses to simplify and little
// else: its own -O2 takes ten times as long for the same inner loops.

#include "lib/Target/CpuTarget.h"

#include "lib/Target/Optimize.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <mutex>

using namespace saccade;

const CpuMachine &CpuMachine::host() {
  static const CpuMachine machine = [] {
    CpuMachine host;
    host.triple = llvm::sys::getProcessTriple();
    host.cpu = llvm::sys::getHostCPUName().str();
    llvm::SmallVector<std::string> features;
    for (auto &feature : llvm::sys::getHostCPUFeatures())
      features.push_back((feature.second ? "+" : "-") + feature.first().str());
    llvm::sort(features);
    for (const std::string &feature : features)
      host.features += (host.features.empty() ? "" : ",") + feature;
    return host;
  }();
  return machine;
}

int64_t CpuMachine::lanes() const {
  llvm::SmallVector<llvm::StringRef> list;
  llvm::StringRef(features).split(list, ',');
  auto has = [&](llvm::StringRef name) {
    return llvm::is_contained(list, name);
  };
  if (has("+avx512f") && has("+avx512bw") && has("+avx512vl"))
    return 16;
  return has("+avx2") && has("+fma") ? 8 : 4;
}

static std::unique_ptr<llvm::TargetMachine>
createMachine(const CpuMachine &host, std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
  llvm::Triple triple(host.triple);
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, host.cpu, host.features, llvm::TargetOptions(), llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}

/// Loops come as they are written: tested at the head, addresses computed in
/// place.
static constexpr llvm::StringLiteral kPasses =
    "function(simplifycfg,early-cse<memssa>,instcombine,loop-simplify,"
    "loop-mssa(loop-rotate,licm),early-cse<memssa>,instcombine,simplifycfg)";

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  for (llvm::Function &function : module)
    if (!function.isDeclaration())
      function.addFnAttr(llvm::Attribute::NoUnwind); // no unwind tables

  optimizeModule(module, machine, {}, [](llvm::PassBuilder &builder) {
    llvm::ModulePassManager passes;
    llvm::cantFail(builder.parsePassPipeline(passes, kPasses));
    return passes;
  });
}

static bool generate(llvm::Module &module, llvm::TargetMachine &machine,
                     llvm::CodeGenFileType type, std::string &out) {
  llvm::SmallVector<char, 0> buffer;
  llvm::raw_svector_ostream stream(buffer);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type,
                                  /*DisableVerify=*/true))
    return false;
  passes.run(module);
  out.assign(buffer.begin(), buffer.end());
  return true;
}

mlir::LogicalResult saccade::emitCpuObject(mlir::ModuleOp module,
                                           std::string &object, std::string *ir,
                                           std::string *assembly) {
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code =
      mlir::translateModuleToLLVMIR(module, context, "saccade");
  if (!code)
    return mlir::failure();

  std::string error;
  auto machine = createMachine(CpuMachine::host(), error);
  if (!machine)
    return module.emitError("expects LLVM to know this host: ") << error;
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  optimize(*code, *machine);
  if (ir) {
    llvm::raw_string_ostream stream(*ir);
    code->print(stream, nullptr);
  }
  // Code generation changes the module: text is made of a copy of its own.
  if (assembly) {
    std::unique_ptr<llvm::Module> copy = llvm::CloneModule(*code);
    generate(*copy, *machine, llvm::CodeGenFileType::AssemblyFile, *assembly);
  }
  if (!generate(*code, *machine, llvm::CodeGenFileType::ObjectFile, object))
    return module.emitError("expects a target that writes object files");
  return mlir::success();
}
