// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Two entries that share no request need not wait for each other: one waits for
// memory, the other for matrix units, so that both at a time end sooner than
// one after the other. When each is code for threads, they become two bodies of
// one kernel, and each CTA runs one of them.

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Transforms/Passes.h"
#include "lib/Transforms/PipelineModel.h"
#include "saccade/KernelABI.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <cstddef>

namespace saccade {
#define GEN_PASS_DEF_FUSEENTRIESPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

static constexpr int64_t kGroupThreads = kGroupWarps * kWarpSize;

static int64_t numberOf(LLVM::LLVMFuncOp kernel, StringRef name) {
  auto attribute = kernel->getAttrOfType<IntegerAttr>(name);
  return attribute ? attribute.getInt() : 0;
}

/// A value that is the same in all lanes, which the assembler comes to know.
static Value uniform(ImplicitLocOpBuilder &b, Value value,
                     NVVM::ReduxKind kind) {
  Value all = arith::ConstantIntOp::create(b, b.getI32Type(), -1);
  return NVVM::ReduxOp::create(b, b.getI32Type(), value, kind, all);
}

/// Says of where a body's items begin and end that it is uniform: in a kernel
/// of several bodies the assembler loses sight of that, and keeps what follows
/// from it in registers that roles do not have.
static void keepItemsUniform(ArrayRef<LLVM::GEPOp> words) {
  auto readsOf = [](Value pointer, SmallVectorImpl<LLVM::LoadOp> &loads) {
    for (Operation *user : pointer.getUsers())
      if (auto load = dyn_cast<LLVM::LoadOp>(user))
        loads.push_back(load);
  };
  for (LLVM::GEPOp word : words) {
    if (word.getRawConstantIndices()[0] != SACCADE_WORD_CTA_BEGIN)
      continue;
    SmallVector<LLVM::LoadOp> tables, bounds;
    readsOf(word, tables);
    for (LLVM::LoadOp table : tables)
      for (Operation *pointer : table->getUsers())
        for (Operation *place : pointer->getUsers())
          if (isa<LLVM::GEPOp>(place))
            readsOf(place->getResult(0), bounds);
    for (LLVM::LoadOp bound : bounds) {
      if (!bound.getType().isInteger(32))
        continue;
      ImplicitLocOpBuilder b(bound.getLoc(), bound->getContext());
      b.setInsertionPointAfter(bound);
      Value same = uniform(b, bound, NVVM::ReduxKind::MIN);
      bound.getResult().replaceAllUsesExcept(same, same.getDefiningOp());
    }
  }
}

namespace {
/// A kernel that is to become a body of another.
struct Body {
  LLVM::LLVMFuncOp kernel;
  int64_t threads = 0;
  /// Of a thread that loads, and of one that computes; 0: warps have no roles.
  int64_t loadRegisters = 0, computeRegisters = 0;
  SmallVector<LLVM::GEPOp> words; ///< that it reads, all by constant indices
  bool knowsWords = true;
  bool waits = false; ///< for the launch before
  explicit Body(LLVM::LLVMFuncOp kernel) : kernel(kernel) {
    if (auto given = kernel->getAttrOfType<DenseI32ArrayAttr>(
            NVVM::NVVMDialect::getMaxntidAttrName()))
      threads = given[0];
    kernel.walk([&](NVVM::SetMaxRegisterOp set) {
      bool less = set.getAction() == NVVM::SetMaxRegisterAction::decrease;
      (less ? loadRegisters : computeRegisters) = set.getRegCount();
    });
    kernel.walk([&](NVVM::GriddepcontrolOp control) {
      waits |= control.getKind() == NVVM::GridDepActionKind::wait;
    });
    for (Operation *user : kernel.getArgument(0).getUsers()) {
      auto word = dyn_cast<LLVM::GEPOp>(user);
      knowsWords &= word && word.getDynamicIndices().empty() &&
                    word.getRawConstantIndices().size() == 1 &&
                    word.getElemType().isInteger(64);
      if (word)
        words.push_back(word);
    }
  }

  /// Of all threads of a CTA, of which some may have nothing to do here.
  int64_t registersAmong(int64_t all) const {
    return kGroupThreads * loadRegisters +
           (threads - kGroupThreads) * computeRegisters +
           (all - threads) * kLeastRegisters;
  }
};
} // namespace

/// Why one kernel cannot have both bodies, or nothing.
static std::string whyApart(Body &many, Body &few) {
  if (!many.loadRegisters || !few.loadRegisters)
    return "only warps with roles change their registers";
  if (numberOf(many.kernel, kPartialFloatsAttr) &&
      numberOf(few.kernel, kPartialFloatsAttr))
    return "both leave partial states";
  if (!many.knowsWords || !few.knowsWords)
    return "an argument is not read word by word";
  int64_t threads = std::max(many.threads, few.threads);
  int64_t each = kRegisters / threads / 8 * 8;
  std::string reason;
  llvm::raw_string_ostream stream(reason);
  for (Body *body : {&many, &few}) {
    if (int64_t all = body->registersAmong(threads); all > kRegisters)
      stream << "'" << body->kernel.getName() << "' takes " << all
             << " registers among " << threads << " threads, and there are "
             << kRegisters;
    else if (body->loadRegisters > each || body->computeRegisters < each)
      stream << "'" << body->kernel.getName() << "' gives roles "
             << body->loadRegisters << " and " << body->computeRegisters
             << " registers, and " << threads << " threads begin with " << each;
    if (!reason.empty())
      break;
  }
  return reason;
}

namespace {
struct FuseEntries : saccade::impl::FuseEntriesPassBase<FuseEntries> {
  void runOnOperation() override {
    for (auto few : llvm::make_early_inc_range(
             getOperation().getOps<LLVM::LLVMFuncOp>())) {
      auto name = few->getAttrOfType<FlatSymbolRefAttr>(kBesideAttr);
      auto many =
          name ? getOperation().lookupSymbol<LLVM::LLVMFuncOp>(name.getValue())
               : nullptr;
      if (!many || many.isExternal() || few.isExternal())
        continue;
      Body first(many), second(few);
      if (std::string reason = whyApart(first, second); !reason.empty())
        emitRemark(many.getLoc(), "launches ")
            << many.getName() << " and " << few.getName()
            << " one after the other: " << reason;
      else
        fuse(first, second);
    }
  }

private:
  void fuse(Body &many, Body &few) {
    LLVM::LLVMFuncOp kernel = many.kernel;
    joinMaps(many, few);
    keepItemsUniform(many.words);
    keepItemsUniform(few.words);
    few.kernel.getArgument(0).replaceAllUsesWith(kernel.getArgument(0));

    // What the kernel did so far becomes a block of its own.
    Block &entry = kernel.getBody().front();
    auto *own = new Block;
    own->getOperations().splice(own->begin(), entry.getOperations(),
                                entry.begin(), std::prev(entry.end()));
    auto b = ImplicitLocOpBuilder::atBlockBegin(kernel.getLoc(), &entry);
    scf::IfOp choice =
        choose(b, kernel.getArgument(0), many.waits && few.waits);
    int64_t threads = std::max(many.threads, few.threads);
    Block &other = few.kernel.getBody().front();
    other.getTerminator()->erase();
    put(b, many, *own, threads, choice.elseBlock());
    put(b, few, other, threads, choice.thenBlock());
    delete own;

    kernel->setAttr(NVVM::NVVMDialect::getMaxntidAttrName(),
                    b.getDenseI32ArrayAttr(int32_t(threads)));
    int64_t shared = std::max(numberOf(kernel, kSharedBytesAttr),
                              numberOf(few.kernel, kSharedBytesAttr));
    kernel->setAttr(kSharedBytesAttr, b.getI64IntegerAttr(shared));
    kernel->setAttr(kFusedAttr, b.getStrArrayAttr(few.kernel.getName()));
    few.kernel.erase();
  }

  /// A branch by the first item of this CTA, in one for CTAs that have items.
  scf::IfOp choose(ImplicitLocOpBuilder &b, Value words, bool waits) {
    auto read = [&](Type type, Value from, Type step,
                    LLVM::GEPArg at) -> Value {
      Value place = LLVM::GEPOp::create(b, words.getType(), step, from,
                                        ArrayRef<LLVM::GEPArg>(at));
      return LLVM::LoadOp::create(b, type, place, /*alignment=*/0,
                                  /*isVolatile=*/false,
                                  /*isNonTemporal=*/false,
                                  /*isInvariant=*/true);
    };
    auto table = [&](int32_t word) -> Value {
      return LLVM::IntToPtrOp::create(
          b, words.getType(),
          read(b.getI64Type(), words, b.getI64Type(), word));
    };
    auto differ = [&](Value x, Value y) -> Value {
      Value off = arith::SubIOp::create(b, x, y);
      Value any = uniform(b, off, NVVM::ReduxKind::OR);
      Value zero = arith::ConstantIntOp::create(b, b.getI32Type(), 0);
      return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, any, zero);
    };
    Type i32 = b.getI32Type();
    Value cta = NVVM::BlockIdXOp::create(b, i32);
    Value begins =
        LLVM::GEPOp::create(b, words.getType(), i32,
                            table(SACCADE_WORD_CTA_BEGIN), ValueRange{cta});
    Value begin = read(i32, begins, i32, 0), end = read(i32, begins, i32, 1);
    auto some = scf::IfOp::create(b, differ(begin, end), waits);
    if (waits) {
      // A launch without any items ends no earlier than the one before it.
      b.setInsertionPointToStart(some.elseBlock());
      NVVM::GriddepcontrolOp::create(b, NVVM::GridDepActionKind::wait);
    }
    b.setInsertionPointToStart(some.thenBlock());
    constexpr int32_t size = sizeof(SaccadeWorkItem) / sizeof(int32_t);
    constexpr int32_t format =
        offsetof(SaccadeWorkItem, format) / sizeof(int32_t);
    auto item = LLVM::LLVMArrayType::get(i32, size);
    Value first = LLVM::GEPOp::create(
        b, words.getType(), item, table(SACCADE_WORD_ITEMS), ValueRange{begin});
    Value zero = arith::ConstantIntOp::create(b, i32, 0);
    Value added = arith::TruncIOp::create(
        b, i32,
        read(b.getI64Type(), words, b.getI64Type(), SACCADE_WORD_FORMAT));
    Value all = arith::AddIOp::create(b, read(i32, first, i32, format), added);
    return scf::IfOp::create(b, differ(all, zero),
                             /*withElseRegion=*/true);
  }

  /// Puts a body into its branch, for the threads that it has work for.
  void put(ImplicitLocOpBuilder &b, Body &body, Block &from, int64_t threads,
           Block *to) {
    Block *place = to;
    if (body.threads < threads) {
      SmallVector<NVVM::Barrier0Op> barriers;
      from.walk([&](NVVM::Barrier0Op all) { barriers.push_back(all); });
      for (NVVM::Barrier0Op all : barriers) {
        b.setInsertionPoint(all);
        Value zero = arith::ConstantIntOp::create(b, b.getI32Type(), 0);
        Value count =
            arith::ConstantIntOp::create(b, b.getI32Type(), body.threads);
        NVVM::BarrierOp::create(b, TypeRange(), zero, count,
                                NVVM::BarrierReductionAttr(), Value());
        all.erase();
      }
      b.setInsertionPointToStart(to);
      Value group = arith::DivUIOp::create(
          b, NVVM::ThreadIdXOp::create(b, b.getI32Type()),
          arith::ConstantIntOp::create(b, b.getI32Type(), kGroupThreads));
      group = uniform(b, group, NVVM::ReduxKind::UMAX);
      Value groups = arith::ConstantIntOp::create(b, b.getI32Type(),
                                                  body.threads / kGroupThreads);
      auto busy = scf::IfOp::create(
          b, arith::CmpIOp::create(b, arith::CmpIPredicate::slt, group, groups),
          /*withElseRegion=*/true);
      b.setInsertionPointToStart(busy.elseBlock());
      NVVM::SetMaxRegisterOp::create(b, uint32_t(kLeastRegisters),
                                     NVVM::SetMaxRegisterAction::decrease);
      place = busy.thenBlock();
    }
    place->getOperations().splice(place->begin(), from.getOperations());
  }

  /// Gives the kernel the maps of both, each once.
  void joinMaps(Body &many, Body &few) {
    LLVM::LLVMFuncOp kernel = many.kernel;
    auto mapsOf = [](Body &body) {
      auto maps = body.kernel->getAttrOfType<ArrayAttr>(kTensorMapsAttr);
      return maps ? maps.getValue() : ArrayRef<Attribute>();
    };
    SmallVector<Attribute> maps(mapsOf(many));
    int64_t from = numberOf(few.kernel, kMapWordAttr), first = from;
    if (!maps.empty())
      first = numberOf(kernel, kMapWordAttr);
    SmallVector<int64_t> places;
    for (Attribute map : mapsOf(few)) {
      auto *known = llvm::find(maps, map);
      places.push_back(first +
                       SACCADE_TENSOR_MAP_WORDS * (known - maps.begin()));
      if (known == maps.end())
        maps.push_back(map);
    }
    OpBuilder b(&getContext());
    for (LLVM::GEPOp word : few.words)
      if (int64_t index = word.getRawConstantIndices()[0];
          !places.empty() && index >= from)
        word.setRawConstantIndices(
            {int32_t(places[(index - from) / SACCADE_TENSOR_MAP_WORDS])});
    auto bytesOf = [](Body &body) {
      return cast<LLVM::LLVMArrayType>(
                 cast<TypeAttr>(body.kernel.getArgAttr(
                                    0, LLVM::LLVMDialect::getByValAttrName()))
                     .getValue())
          .getNumElements();
    };
    uint64_t words = std::max(bytesOf(many), bytesOf(few));
    if (!maps.empty()) {
      kernel->setAttr(kMapWordAttr, b.getI64IntegerAttr(first));
      kernel->setAttr(kTensorMapsAttr, b.getArrayAttr(maps));
      words = first + SACCADE_TENSOR_MAP_WORDS * maps.size();
      kernel.setArgAttr(0, LLVM::LLVMDialect::getAlignAttrName(),
                        b.getI64IntegerAttr(64));
    }
    kernel.setArgAttr(
        0, LLVM::LLVMDialect::getByValAttrName(),
        TypeAttr::get(LLVM::LLVMArrayType::get(b.getI64Type(), words)));
  }
};
} // namespace
