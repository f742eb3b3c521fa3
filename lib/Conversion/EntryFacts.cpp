// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One walk over the entry, and what follows from it.

#include "lib/Conversion/TileToNvvmRoles.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

/// The combinations that begin where the one before in their block, or the last
/// one of the trip before, passes something through the same memory. Between
/// others all warps meet.
static void findWaiting(EntryOp entry, DenseSet<Operation *> &waiting) {
  DenseMap<Block *, SmallVector<CombineOp>> blocks;
  entry.walk([&](CombineOp combine) {
    blocks[combine->getBlock()].push_back(combine);
  });
  for (auto &[block, combines] : blocks) {
    CombineOp last = combines.back();
    for (CombineOp combine : combines) {
      if (blocks.size() > 1 ||
          last->getAttr(kExchangeAttr) == combine->getAttr(kExchangeAttr))
        waiting.insert(combine);
      last = combine;
    }
  }
}

EntryFacts::EntryFacts(EntryOp entry)
    : warps(entry.getSchedule().getWarps()),
      dealsKeys(entry.getSchedule().dealsKeys()) {
  words = 1;
  entry.walk([&](Operation *op) {
    if (auto word = dyn_cast<WordOp>(op)) {
      words = std::max<int64_t>(words, word.getIndex() + 1);
    } else if (isa<RolesOp>(op)) {
      hasRoles = true;
    } else if (auto pipe = dyn_cast<PipeOp>(op)) {
      pipes.push_back(pipe);
      gathers |= pipe.getCopy() == CopyKind::gather;
    } else if (auto put = dyn_cast<PutOp>(op)) {
      auto pipe = put.getPipe().getDefiningOp<PipeOp>();
      if (pipe && pipe.getCopy() == CopyKind::tma && put.getBoxAttr())
        maps.insert(put.getBoxAttr());
    } else if (auto get = dyn_cast<GetOp>(op)) {
      if (!llvm::all_of(get->getUsers(),
                        llvm::IsaPred<IssueDotOp, ClearRowsOp>))
        readByThreads.insert(get.getPipe());
    } else if (isa<TakeTurnOp>(op)) {
      takesTurns = true;
    }
  });
  auto given = entry->getAttrOfType<IntegerAttr>(kWordsAttr);
  findWaiting(entry, waitsForReaders);
  mapWord = llvm::alignTo(given ? given.getInt() : words, kMapAlignment);
  if (!hasRoles)
    return;
  auto b = ImplicitLocOpBuilder::atBlockBegin(entry.getLoc(),
                                              &entry.getBody().front());
  if (!dealsKeys) {
    group = uniform(b, Thread(b).id / kGroupThreads);
    return;
  }
  Scalar warp = uniform(b, Thread(b).warp);
  group = warp / kGroupWarps;
  // Warps that load come after those that compute.
  warpOfRole = arith::SelectOp::create(b, warp.less(warps), warp, warp - warps);
}

int64_t EntryFacts::producers(PipeOp pipe) const {
  if (pipe.getCopy() == CopyKind::tma)
    return 1; // beside the bytes
  return pipe.getDealt() ? kWarpSize : kGroupThreads;
}

Value EntryFacts::mapPointer(ImplicitLocOpBuilder &b, Operation *user,
                             BoxAttr box) const {
  auto index = llvm::find(maps, box) - maps.begin();
  Value words = user->getParentOfType<LLVM::LLVMFuncOp>().getArgument(0);
  return LLVM::GEPOp::create(b, words.getType(), b.getI64Type(), words,
                             ArrayRef<LLVM::GEPArg>{int32_t(
                                 mapWord + SACCADE_TENSOR_MAP_WORDS * index)});
}

Value EntryFacts::turnBarrier(ImplicitLocOpBuilder &b, Value group) const {
  return Scalar{&b, group} + 1;
}

Value EntryFacts::groupBarrier(ImplicitLocOpBuilder &b) const {
  return Scalar{&b, group} + (groups() + 1);
}

Value EntryFacts::computeBarrier(ImplicitLocOpBuilder &b) const {
  return i32(b, hasRoles ? 2 * groups() + 1 : 0);
}

void EntryFacts::meet(ImplicitLocOpBuilder &b) const {
  NVVM::BarrierOp::create(b, TypeRange(), computeBarrier(b),
                          i32(b, warps * kWarpSize),
                          NVVM::BarrierReductionAttr(), Value());
}
