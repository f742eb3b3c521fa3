// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// In program order queries come after all KV tiles of the item before, and
// these wait for stages: too late to be there when they are wanted.

#include "lib/Transforms/Passes.h"
#include "lib/Transforms/ScalarSlice.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace saccade {
#define GEN_PASS_DEF_LOADQUERIESEARLYPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
class EarlyQueries {
public:
  EarlyQueries(scf::ForOp items, scf::ForOp keys, ArrayRef<PutOp> puts,
               const ScalarSlice &slice)
      : items(items), keys(keys), puts(puts), slice(slice) {}

  void run() {
    ImplicitLocOpBuilder b(items.getLoc(), items);
    Value some = less(b, items.getLowerBound(), items.getUpperBound());
    putIf(b, some, items.getLowerBound());

    b.setInsertionPointToStart(items.getBody());
    Value next =
        arith::AddIOp::create(b, items.getInductionVar(), items.getStep());
    Value isThere = less(b, next, items.getUpperBound());

    b.setInsertionPoint(keys.getBody()->getTerminator());
    Value second =
        arith::AddIOp::create(b, keys.getLowerBound(), keys.getStep());
    Value now = arith::CmpIOp::create(b, arith::CmpIPredicate::eq,
                                      keys.getInductionVar(), second);
    putIf(b, arith::AndIOp::create(b, now, isThere), next);

    b.setInsertionPointAfter(keys);
    Value last = arith::AddIOp::create(b, keys.getLowerBound(), keys.getStep());
    Value few = arith::CmpIOp::create(b, arith::CmpIPredicate::sle,
                                      keys.getUpperBound(), last);
    putIf(b, arith::AndIOp::create(b, few, isThere), next);
    for (PutOp put : puts)
      put.erase();
  }

private:
  scf::ForOp items, keys;
  ArrayRef<PutOp> puts;
  const ScalarSlice &slice; ///< what they hang on

  static Value less(ImplicitLocOpBuilder &b, Value x, Value y) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, x, y);
  }

  /// Puts the queries of an item.
  void putIf(ImplicitLocOpBuilder &b, Value condition, Value item) {
    auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    IRMapping mapping;
    cloneForTrip(b, slice, items, item, mapping);
    for (PutOp put : puts)
      b.clone(*put, mapping);
  }
};

struct LoadQueriesEarly
    : saccade::impl::LoadQueriesEarlyPassBase<LoadQueriesEarly> {
  void runOnOperation() override {
    for (auto roles : getOperation().getBody().front().getOps<RolesOp>())
      for (auto items : roles.getLoad().front().getOps<scf::ForOp>())
        loadEarly(items);
  }

  static void loadEarly(scf::ForOp items) {
    SmallVector<PutOp> puts(items.getBody()->getOps<PutOp>());
    auto loops = items.getBody()->getOps<scf::ForOp>();
    if (puts.empty() || loops.empty())
      return;
    ScalarSlice slice;
    for (PutOp put : puts)
      // With one stage, the next queries would wait for these, and these for
      // keys that come after.
      if (put.getPipe().getType().getStages() < int64_t(2 * puts.size()) ||
          failed(collectScalars(put, items, slice)))
        return;
    EarlyQueries(items, *loops.begin(), puts, slice).run();
  }
};
} // namespace
