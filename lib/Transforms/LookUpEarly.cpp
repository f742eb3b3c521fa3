// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A warp that loads waits for a free stage, and should then copy at once: not
// wait again for the page table, which is as far away as what it copies.

#include "dialects/Tile/Tile.h"
#include "lib/Transforms/Passes.h"
#include "lib/Transforms/ScalarSlice.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace saccade {
#define GEN_PASS_DEF_LOOKUPEARLYPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;

/// Whether a loop fills stages, and no loop in it does.
static bool fillsStages(scf::ForOp loop) {
  bool fills = false;
  WalkResult inner = loop.getBody()->walk([&](Operation *op) {
    if (isa<scf::ForOp>(op))
      return WalkResult::interrupt();
    fills |=
        isa<NVVM::MBarrierArriveExpectTxOp, NVVM::CpAsyncMBarrierArriveOp>(op);
    return WalkResult::advance();
  });
  return fills && !inner.wasInterrupted();
}

/// Moves reads of the kernel's argument words to the front of a loop: they are
/// there whether the loop has trips or not.
static void hoistWords(scf::ForOp loop) {
  auto function = loop->getParentOfType<LLVM::LLVMFuncOp>();
  for (auto load :
       llvm::make_early_inc_range(loop.getBody()->getOps<LLVM::LoadOp>())) {
    auto word = load.getAddr().getDefiningOp<LLVM::GEPOp>();
    if (!load.getInvariant() || !word || !word.getDynamicIndices().empty() ||
        word.getBase() != function.getArgument(0))
      continue;
    if (word->getParentRegion() == &loop.getRegion())
      word->moveBefore(loop);
    load->moveBefore(loop);
  }
}

namespace {
/// Table reads of a loop's body whose addresses its induction variable gives.
class EarlyLookups {
public:
  explicit EarlyLookups(scf::ForOp loop) : loop(loop) {
    hoistWords(loop);
    for (auto load : loop.getBody()->getOps<LLVM::LoadOp>()) {
      ScalarSlice address;
      if (load.getInvariant() &&
          succeeded(collectScalars(load.getOperation(), loop, address)) &&
          llvm::any_of(address, [&](Operation *op) {
            return llvm::is_contained(op->getOperands(),
                                      loop.getInductionVar());
          })) {
        slice.insert_range(address);
        loads.push_back(load);
      }
    }
  }

  void run() {
    if (loads.empty())
      return;
    ImplicitLocOpBuilder b(loop.getLoc(), loop);
    SmallVector<Value> first = readFirst(b);
    b.setInsertionPointToStart(loop.getBody());
    // What lies past the last trip is in no list.
    Value last = arith::SubIOp::create(
        b, loop.getUpperBound(),
        arith::ConstantIntOp::create(b, loop.getUpperBound().getType(), 1));
    Value next =
        arith::AddIOp::create(b, loop.getInductionVar(), loop.getStep());
    SmallVector<Value> ahead = read(b, arith::MinSIOp::create(b, next, last));
    IRRewriter rewriter(loop.getContext());
    loop = cast<scf::ForOp>(*loop.replaceWithAdditionalYields(
        rewriter, first, /*replaceInitOperandUsesInLoop=*/false,
        [&](OpBuilder &, Location, ArrayRef<BlockArgument>) { return ahead; }));
    auto carried = loop.getRegionIterArgs().take_back(loads.size());
    for (auto [load, value] : llvm::zip_equal(loads, carried)) {
      load.getResult().replaceAllUsesWith(value);
      load.erase();
    }
  }

private:
  scf::ForOp loop;
  ScalarSlice slice;
  SmallVector<LLVM::LoadOp> loads;

  /// What the trip of `iv` reads.
  SmallVector<Value> read(ImplicitLocOpBuilder &b, Value iv) {
    IRMapping mapping;
    cloneForTrip(b, slice, loop, iv, mapping);
    return llvm::map_to_vector(loads, [&](LLVM::LoadOp load) -> Value {
      return b.clone(*load, mapping)->getResult(0);
    });
  }

  /// The first trip's, if there is one.
  SmallVector<Value> readFirst(ImplicitLocOpBuilder &b) {
    SmallVector<Type> types = llvm::map_to_vector(
        loads, [](LLVM::LoadOp load) { return load.getType(); });
    Value any =
        arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                              loop.getLowerBound(), loop.getUpperBound());
    auto branch = scf::IfOp::create(b, types, any, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    scf::YieldOp::create(b, read(b, loop.getLowerBound()));
    b.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(b, llvm::map_to_vector(types, [&](Type type) -> Value {
                           return LLVM::ZeroOp::create(b, type);
                         }));
    return SmallVector<Value>(branch.getResults());
  }
};

struct LookUpEarly : saccade::impl::LookUpEarlyPassBase<LookUpEarly> {
  void runOnOperation() override {
    LLVM::LLVMFuncOp function = getOperation();
    if (!function->hasAttr(tile::kDealtAttr))
      return;
    SmallVector<scf::ForOp> loops;
    function->walk([&](scf::ForOp loop) {
      if (fillsStages(loop))
        loops.push_back(loop);
    });
    for (scf::ForOp loop : loops)
      EarlyLookups(loop).run();
  }
};
} // namespace
