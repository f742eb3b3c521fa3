// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix units of a warpgroup are always asynchronous: a product that nothing
// has been found to do beside is awaited at once.

#include "lib/Transforms/Passes.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace saccade {
#define GEN_PASS_DEF_ISSUEPRODUCTSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
struct IssueProducts : saccade::impl::IssueProductsPassBase<IssueProducts> {
  void runOnOperation() override {
    if (getOperation().getSchedule().dealsKeys())
      return; // a warp multiplies by itself
    SmallVector<DotOp> dots;
    getOperation()->walk([&](RolesOp roles) {
      roles.getCompute().walk([&](DotOp dot) { dots.push_back(dot); });
    });
    for (DotOp dot : dots) {
      ImplicitLocOpBuilder b(dot.getLoc(), dot);
      auto inflight = InflightType::get(b.getContext(), dot.getType());
      Value product =
          IssueDotOp::create(b, inflight, dot.getLhs(), dot.getRhs(),
                             dot.getAccumulator(), dot.getTransposed());
      auto await = AwaitOp::create(b, TypeRange{dot.getType()}, product,
                                   /*pending=*/0, ValueRange());
      dot.getResult().replaceAllUsesWith(await.getResult());
      dot.erase();
    }
  }
};
} // namespace
