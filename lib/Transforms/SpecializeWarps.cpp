// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Partitions an entry at the ends of its pipes. Scalars that both roles need
// are computed by both: that is cheaper than to hand them over.

#include "lib/Transforms/Passes.h"
#include "lib/Transforms/StepCopy.h"

namespace saccade {
#define GEN_PASS_DEF_SPECIALIZEWARPSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
struct SpecializeWarps
    : saccade::impl::SpecializeWarpsPassBase<SpecializeWarps> {
  void runOnOperation() override {
    EntryOp entry = getOperation();
    PipelineAttr pipeline = entry.getSchedule().getPipeline();
    if (!pipeline)
      return;
    Block &body = entry.getBody().front();
    SmallVector<Operation *> work;
    for (Operation &op : body)
      if (!isa<PipeOp>(op))
        work.push_back(&op);

    OpBuilder b = OpBuilder::atBlockEnd(&body);
    auto roles = RolesOp::create(b, entry.getLoc(), pipeline.getLoadRegisters(),
                                 pipeline.getComputeRegisters());
    Block *load = b.createBlock(&roles.getLoad());
    Block *compute = b.createBlock(&roles.getCompute());
    for (Operation *op : work)
      op->moveBefore(compute, compute->end());
    b.setInsertionPointToEnd(load);
    IRMapping mapping;
    copySteps(*compute, b, mapping,
              [](Operation *op) { return isa<PutOp>(op); });
    compute->walk([](PutOp put) { put.erase(); });
    eraseUnused(*load);
    eraseUnused(*compute);
  }
};
} // namespace
