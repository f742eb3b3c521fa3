// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lets a kernel begin while the one launched before it still runs (PTX ISA,
// "griddepcontrol"): what that one may write is touched only behind a wait for
// its end. A wait costs nothing where a launch does not ask for this.

#include "include/saccade/KernelABI.h"
#include "lib/Transforms/Passes.h"
#include "lib/Transforms/StepCopy.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include "llvm/ADT/SetVector.h"

namespace saccade {
#define GEN_PASS_DEF_ORDERLAUNCHESPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

using B = ImplicitLocOpBuilder;

static void wait(OpBuilder &b, Location loc) {
  NVVM::GriddepcontrolOp::create(b, loc, NVVM::GridDepActionKind::wait);
}

/// Waits before the first operation of a block that touches tiles; what is
/// before reads the plan and its tables.
static void waitBeforeTiles(Block &block) {
  for (Operation &op : block)
    if (!isScalarCode(&op)) {
      OpBuilder b(&op);
      return wait(b, op.getLoc());
    }
  OpBuilder b = OpBuilder::atBlockEnd(&block);
  wait(b, block.getParentOp()->getLoc());
}

static Value constant(B &b, int64_t c, Type type) {
  return arith::ConstantIntOp::create(b, type, c);
}

/// An i32 of entry `index` of a table of records.
static Value lookUp(B &b, Value words, int64_t word, Value index,
                    int64_t recordBytes, int64_t fieldBytes) {
  Type i64 = b.getI64Type();
  Value base = WordOp::create(b, AddressType::get(b.getContext()), words, word);
  Value wide = arith::ExtSIOp::create(b, i64, index);
  Value record =
      arith::MulIOp::create(b, wide, constant(b, recordBytes / 4, i64));
  Value field =
      arith::AddIOp::create(b, record, constant(b, fieldBytes / 4, i64));
  return LookupOp::create(b, b.getI32Type(), base, field);
}

namespace {
/// The warps that load where keys are dealt. The first copies queries, behind
/// the wait; the others copy older keys before it, and wait where their tile
/// may have keys that were just appended. Where rows are gathered all copy
/// queries, and so all wait.
class DealtLoads {
public:
  DealtLoads(EntryOp entry, Block &role) : entry(entry), role(role) {}

  void run() {
    SmallVector<PutOp> queries;
    llvm::SmallSetVector<scf::ForOp, 2> loops;
    bool known = true;
    role.walk([&](PutOp put) {
      auto pipe = put.getPipe().getDefiningOp<PipeOp>();
      auto loop = put->getParentOfType<scf::ForOp>();
      if (!pipe || pipe.getCopy() != CopyKind::tma)
        known = false;
      else if (!pipe.getDealt())
        queries.push_back(put);
      else if (loop && countsTiles(loop))
        loops.insert(loop);
      else
        known = false;
    });
    if (!known)
      return waitBeforeTiles(role);
    for (PutOp put : queries)
      waitForQueries(put);
    for (scf::ForOp loop : loops)
      waitForNewKeys(loop);
  }

private:
  EntryOp entry;
  Block &role;

  /// Whether a loop over tiles of an item counts them, from the last one on,
  /// within a loop over items.
  bool countsTiles(scf::ForOp loop) const {
    auto items = dyn_cast<scf::ForOp>(loop->getParentOp());
    return items && items->getBlock() == &role &&
           loop.getLowerBound().getDefiningOp<GroupOp>();
  }

  void waitForQueries(PutOp put) {
    B b(put.getLoc(), put);
    Type i32 = b.getI32Type();
    Value warp = GroupOp::create(b, i32);
    Value copies = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, warp,
                                         constant(b, 0, i32));
    b.setInsertionPointToStart(
        scf::IfOp::create(b, copies, /*withElseRegion=*/false).thenBlock());
    wait(b, b.getLoc());
  }

  /// Tile i from the end begins at least (i + 1) * keys - (keys - 1) before the
  /// end of the sequence; so it has keys that are new, the last q_len, only
  /// if i * keys < q_len + keys - 1.
  void waitForNewKeys(scf::ForOp loop) {
    auto items = cast<scf::ForOp>(loop->getParentOp());
    B b(loop.getLoc(), loop);
    Type i32 = b.getI32Type();
    int64_t keys = entry.getSchedule().getKeys();
    Value words = entry.getBody().getArgument(0);
    Value request =
        lookUp(b, words, SACCADE_WORD_ITEMS, items.getInductionVar(),
               sizeof(SaccadeWorkItem), offsetof(SaccadeWorkItem, request));
    Value tokens =
        lookUp(b, words, SACCADE_WORD_REQUESTS, request, sizeof(SaccadeRequest),
               offsetof(SaccadeRequest, q_len));
    Value sum =
        arith::AddIOp::create(b, tokens, constant(b, 2 * (keys - 1), i32));
    Value recent = arith::DivUIOp::create(b, sum, constant(b, keys, i32));

    b.setInsertionPointToStart(loop.getBody());
    Value isRecent = arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                                           loop.getInductionVar(), recent);
    b.setInsertionPointToStart(
        scf::IfOp::create(b, isRecent, /*withElseRegion=*/false).thenBlock());
    wait(b, b.getLoc());
  }
};

struct OrderLaunches : saccade::impl::OrderLaunchesPassBase<OrderLaunches> {
  void runOnOperation() override {
    EntryOp entry = getOperation();
    Block &body = entry.getBody().front();
    auto all = body.getOps<RolesOp>();
    if (all.empty())
      waitBeforeTiles(body);
    for (RolesOp roles : all) {
      Block &load = roles.getLoad().front();
      Block &compute = roles.getCompute().front();
      if (!entry.getSchedule().dealsKeys()) {
        waitBeforeTiles(load);
        waitBeforeTiles(compute);
        continue;
      }
      DealtLoads(entry, load).run();
      // Items are read while the kernel before still runs. At the end once
      // more: a CTA without items must not end before that kernel does.
      for (auto items : compute.getOps<scf::ForOp>())
        waitBeforeTiles(*items.getBody());
      OpBuilder b = OpBuilder::atBlockEnd(&compute);
      wait(b, roles.getLoc());
    }
    OpBuilder b = OpBuilder::atBlockBegin(&body);
    NVVM::GriddepcontrolOp::create(b, entry.getLoc(),
                                   NVVM::GridDepActionKind::launch_dependents);
  }
};
} // namespace
