// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From the LLVM dialect to PTX. NVPTX aborts the process on what it cannot
// select, so a module is checked against a list before it gets there.

#include "lib/Target/PtxTarget.h"

#include "dialects/Tile/Tile.h"
#include "lib/Target/Optimize.h"
#include "lib/Transforms/PipelineModel.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <mutex>

using namespace saccade;

static constexpr GpuChip kChips[] = {
    {"sm_80", 70, 11000, 163 * 1024},
    {"sm_89", 78, 11080, 99 * 1024},
    {"sm_90a", 80, 12000, 227 * 1024},
    {"sm_120", 87, 12080, 99 * 1024},
};

llvm::ArrayRef<GpuChip> GpuChip::all() { return kChips; }

const GpuChip *GpuChip::find(llvm::StringRef name) {
  const auto *chip =
      llvm::find_if(kChips, [&](const GpuChip &c) { return c.name == name; });
  return chip == std::end(kChips) ? nullptr : chip;
}

llvm::SmallVector<GpuEntry> saccade::gpuEntries(mlir::ModuleOp module) {
  llvm::SmallVector<GpuEntry> entries;
  for (auto function : module.getOps<mlir::LLVM::LLVMFuncOp>()) {
    auto threads = function->getAttrOfType<mlir::DenseI32ArrayAttr>(
        mlir::NVVM::NVVMDialect::getMaxntidAttrName());
    bool takesWords =
        function.getNumArguments() &&
        function.getArgAttr(0, mlir::LLVM::LLVMDialect::getByValAttrName());
    if (!threads || !takesWords)
      continue;
    auto shared =
        function->getAttrOfType<mlir::IntegerAttr>(tile::kSharedBytesAttr);
    GpuEntry &entry = entries.emplace_back();
    entry.name = function.getName().str();
    entry.threads = threads[0];
    entry.sharedBytes = shared ? shared.getInt() : 0;
    function.walk([&](mlir::NVVM::GriddepcontrolOp control) {
      entry.waits |= control.getKind() == mlir::NVVM::GridDepActionKind::wait;
    });
    if (auto fused = function->getAttrOfType<mlir::ArrayAttr>(kFusedAttr))
      for (auto name : fused.getAsRange<mlir::StringAttr>())
        entry.fused.push_back(name.str());
    auto mapWord =
        function->getAttrOfType<mlir::IntegerAttr>(tile::kMapWordAttr);
    auto maps = function->getAttrOfType<mlir::ArrayAttr>(tile::kTensorMapsAttr);
    if (!mapWord || !maps)
      continue;
    entry.mapWord = mapWord.getInt();
    for (auto map : maps.getAsRange<mlir::DenseI64ArrayAttr>())
      entry.maps.push_back({map[0], map[1], map[2]});
  }
  return entries;
}

//===----------------------------------------------------------------------===//
// What NVPTX can select
//===----------------------------------------------------------------------===//

static bool isSelectable(llvm::Intrinsic::ID id) {
  using namespace llvm;
  if (Intrinsic::getBaseName(id).starts_with("llvm.nvvm."))
    return true;
  switch (id) {
  case Intrinsic::abs:
  case Intrinsic::assume:
  case Intrinsic::bitreverse:
  case Intrinsic::ceil:
  case Intrinsic::copysign:
  case Intrinsic::ctlz:
  case Intrinsic::ctpop:
  case Intrinsic::cttz:
  case Intrinsic::fabs:
  case Intrinsic::floor:
  case Intrinsic::fma:
  case Intrinsic::fmuladd:
  case Intrinsic::fptosi_sat:
  case Intrinsic::fptoui_sat:
  case Intrinsic::fshl:
  case Intrinsic::fshr:
  case Intrinsic::is_fpclass:
  case Intrinsic::lifetime_end:
  case Intrinsic::lifetime_start:
  case Intrinsic::maximum:
  case Intrinsic::maxnum:
  case Intrinsic::minimum:
  case Intrinsic::minnum:
  case Intrinsic::round:
  case Intrinsic::roundeven:
  case Intrinsic::sadd_with_overflow:
  case Intrinsic::smax:
  case Intrinsic::smin:
  case Intrinsic::smul_with_overflow:
  case Intrinsic::sqrt:
  case Intrinsic::ssub_with_overflow:
  case Intrinsic::trunc:
  case Intrinsic::uadd_sat:
  case Intrinsic::uadd_with_overflow:
  case Intrinsic::umax:
  case Intrinsic::umin:
  case Intrinsic::umul_with_overflow:
  case Intrinsic::usub_sat:
  case Intrinsic::usub_with_overflow:
  case Intrinsic::vector_reduce_add:
  case Intrinsic::vector_reduce_and:
  case Intrinsic::vector_reduce_fadd:
  case Intrinsic::vector_reduce_fmax:
  case Intrinsic::vector_reduce_fmaximum:
  case Intrinsic::vector_reduce_fmin:
  case Intrinsic::vector_reduce_fminimum:
  case Intrinsic::vector_reduce_fmul:
  case Intrinsic::vector_reduce_mul:
  case Intrinsic::vector_reduce_or:
  case Intrinsic::vector_reduce_smax:
  case Intrinsic::vector_reduce_smin:
  case Intrinsic::vector_reduce_umax:
  case Intrinsic::vector_reduce_umin:
  case Intrinsic::vector_reduce_xor:
    return true;
  default:
    return false;
  }
}

static bool isSelectable(llvm::Type *type) {
  llvm::Type *scalar = type->getScalarType();
  if (scalar->isIntegerTy())
    return scalar->getIntegerBitWidth() <= 64;
  return !scalar->isFP128Ty() && !scalar->isX86_FP80Ty() &&
         !scalar->isPPC_FP128Ty() && !llvm::isa<llvm::ScalableVectorType>(type);
}

/// Why the code generator would not take the module, or nothing.
static std::string findUnselectable(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function)) {
      if (auto *call = llvm::dyn_cast<llvm::CallBase>(&instruction)) {
        // Assembly is the lowering's own: a spec cannot hold any.
        if (call->isInlineAsm())
          continue;
        llvm::Function *callee = call->getCalledFunction();
        if (!callee)
          return "expects no indirect call";
        if (!callee->isIntrinsic() || !isSelectable(callee->getIntrinsicID()))
          return ("expects only functions with instructions on the GPU, but "
                  "calls " +
                  callee->getName())
              .str();
      }
      if (!isSelectable(instruction.getType()))
        return "expects scalars of at most 64 bits";
    }
  return "";
}

//===----------------------------------------------------------------------===//
// The way through LLVM
//===----------------------------------------------------------------------===//

static std::unique_ptr<llvm::TargetMachine> createMachine(const GpuChip &chip,
                                                          std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, chip.name, "+ptx" + std::to_string(chip.ptx),
      llvm::TargetOptions(), llvm::Reloc::PIC_, std::nullopt,
      llvm::CodeGenOptLevel::Aggressive));
}

/// Waits and barriers in assembly are for warps as a whole, like those that are
/// intrinsics: no copy of them may come to stand in a branch.
static void keepConvergent(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *call = llvm::dyn_cast<llvm::CallBase>(&instruction);
          call && call->isInlineAsm()) {
        call->setConvergent();
        function.setConvergent();
      }
}

/// Cleans up addresses and loops. The lowering has chosen all shapes, so
/// nothing is vectorised, unrolled or interleaved.
static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = false;
  tuning.LoopInterleaving = tuning.LoopUnrolling = false;
  optimizeModule(module, machine, tuning, [](llvm::PassBuilder &builder) {
    return builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O1);
  });
}

/// Tells ptxas not to unroll loops of functions with assembly: registers have
/// been dealt out, and copies of products in flight would be serialised.
static void keepLoopsRolled(llvm::Module &module) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration() ||
        llvm::none_of(llvm::instructions(function), [](const auto &i) {
          auto *call = llvm::dyn_cast<llvm::CallBase>(&i);
          return call && call->isInlineAsm();
        }))
      continue;
    llvm::DominatorTree dominators(function);
    llvm::LoopInfo loops(dominators);
    for (llvm::Loop *loop : loops.getLoopsInPreorder())
      loop->setLoopAlreadyUnrolled();
  }
}

/// Errors of the code generator that it reports instead of aborting.
static void collectErrors(const llvm::DiagnosticInfo *info, void *errors) {
  if (info->getSeverity() != llvm::DS_Error)
    return;
  llvm::raw_string_ostream stream(*static_cast<std::string *>(errors));
  llvm::DiagnosticPrinterRawOStream printer(stream);
  info->print(printer);
}

mlir::LogicalResult saccade::emitPtx(mlir::ModuleOp module, const GpuChip &chip,
                                     std::string &ptx, std::string *ir) {
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  mlir::registerNVVMDialectTranslation(*module.getContext());
  llvm::LLVMContext context;
  std::string errors;
  context.setDiagnosticHandlerCallBack(collectErrors, &errors);
  std::unique_ptr<llvm::Module> code =
      mlir::translateModuleToLLVMIR(module, context, "saccade");
  if (!code)
    return mlir::failure();
  if (std::string reason = findUnselectable(*code); !reason.empty())
    return module.emitError(reason);

  std::string error;
  auto machine = createMachine(chip, error);
  if (!machine)
    return module.emitError("expects LLVM to know NVPTX: ") << error;
  code->setTargetTriple(machine->getTargetTriple());
  // Pointers to shared memory are 32 bits wide, which halves their registers;
  // the target's own layout leaves them at 64.
  code->setDataLayout("e-p3:32:32-p4:32:32-p5:32:32-p6:32:32-p7:32:32-i64:64-"
                      "i128:128-i256:256-v16:16-v32:32-n16:32:64");
  keepConvergent(*code);
  optimize(*code, *machine);
  keepLoopsRolled(*code);
  if (std::string reason = findUnselectable(*code); !reason.empty())
    return module.emitError(reason);
  if (ir) {
    llvm::raw_string_ostream stream(*ir);
    code->print(stream, nullptr);
  }

  llvm::SmallVector<char, 0> buffer;
  llvm::raw_svector_ostream stream(buffer);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr,
                                   llvm::CodeGenFileType::AssemblyFile,
                                   /*DisableVerify=*/true))
    return module.emitError("expects a target that writes PTX");
  passes.run(*code);
  if (!errors.empty())
    return module.emitError("expects code that NVPTX can select: ") << errors;
  ptx.assign(buffer.begin(), buffer.end());
  return mlir::success();
}
