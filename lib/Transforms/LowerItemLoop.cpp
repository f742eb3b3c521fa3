// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Makes the outer loop of an entry explicit: the CTA's share of the plan, one
// work item a trip. The same loop for CPU and GPU.

#include "lib/Transforms/Passes.h"

#include "include/saccade/KernelABI.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace saccade {
#define GEN_PASS_DEF_LOWERITEMLOOPPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;

/// The fields of a work item in the order of the loop's block arguments, as
/// indices into the item's i32 words.
static constexpr size_t kFields[] = {offsetof(SaccadeWorkItem, request) / 4,
                                     offsetof(SaccadeWorkItem, kv_head) / 4,
                                     offsetof(SaccadeWorkItem, row_begin) / 4,
                                     offsetof(SaccadeWorkItem, row_end) / 4,
                                     offsetof(SaccadeWorkItem, kv_begin) / 4,
                                     offsetof(SaccadeWorkItem, kv_end) / 4,
                                     offsetof(SaccadeWorkItem, partial) / 4};

namespace {
struct LowerItemLoop : saccade::impl::LowerItemLoopPassBase<LowerItemLoop> {
  void runOnOperation() override {
    SmallVector<tile::ForEachItemOp> loops;
    getOperation()->walk(
        [&](tile::ForEachItemOp loop) { loops.push_back(loop); });
    for (tile::ForEachItemOp loop : loops)
      lower(loop);
  }

  static void lower(tile::ForEachItemOp items) {
    ImplicitLocOpBuilder b(items.getLoc(), items);
    auto address = tile::AddressType::get(b.getContext());
    auto word = [&](int64_t index) {
      return tile::WordOp::create(b, address, items.getWords(), index);
    };
    auto wide = [&](Value value) {
      return arith::ExtSIOp::create(b, b.getI64Type(), value);
    };
    auto constant = [&](int64_t value) {
      return arith::ConstantIntOp::create(b, b.getI64Type(), value);
    };

    Value table = word(SACCADE_WORD_CTA_BEGIN);
    Value cta = wide(tile::CtaOp::create(b, b.getI32Type()));
    Value next = arith::AddIOp::create(b, cta, constant(1));
    Value begin = tile::LookupOp::create(b, b.getI32Type(), table, cta);
    Value end = tile::LookupOp::create(b, b.getI32Type(), table, next);
    Value records = word(SACCADE_WORD_ITEMS);
    Value step = arith::ConstantIntOp::create(b, b.getI32Type(), 1);

    auto loop = scf::ForOp::create(b, begin, end, step);
    b.setInsertionPointToStart(loop.getBody());
    Value first = arith::MulIOp::create(b, wide(loop.getInductionVar()),
                                        constant(sizeof(SaccadeWorkItem) / 4));
    SmallVector<Value> fields;
    for (size_t field : kFields) {
      Value offset = arith::AddIOp::create(b, first, constant(field));
      fields.push_back(
          tile::LookupOp::create(b, b.getI32Type(), records, offset));
    }
    Block &body = items.getBody().front();
    for (auto [argument, field] : llvm::zip_equal(body.getArguments(), fields))
      argument.replaceAllUsesWith(field);
    loop.getBody()->getOperations().splice(b.getInsertionPoint(),
                                           body.getOperations());
    items.erase();
  }
};
} // namespace
