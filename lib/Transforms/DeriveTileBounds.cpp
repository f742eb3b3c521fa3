// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the bounds of a mask. The intervals are known up to run-time values,
// so their order, overlaps and gaps are computed by the code written here.

#include "lib/Transforms/BoundsWriter.h"
#include "lib/Transforms/KeyIntervals.h"
#include "lib/Transforms/Passes.h"

using namespace mlir;
using namespace saccade;

namespace saccade {
#define GEN_PASS_DEF_DERIVETILEBOUNDSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

namespace {

struct DeriveTileBoundsPass
    : saccade::impl::DeriveTileBoundsPassBase<DeriveTileBoundsPass> {
  void runOnOperation() override;
};

void DeriveTileBoundsPass::runOnOperation() {
  attn::VariantOp variant = getOperation();
  auto mask = variant.getBodyOf<attn::MaskOp>();
  if (!mask || variant.getBodyOf<attn::BoundsOp>())
    return markAllAnalysesPreserved();

  MaskFormula formula = readMask(mask);
  llvm::SetVector<std::pair<Operation *, StringRef>> undecided;
  for (auto &[op, reason] : formula.undecided)
    undecided.insert({op, reason});
  for (auto [op, reason] : undecided)
    emitRemark(op->getLoc(), "tests the mask per element: ") << reason;

  BoundsWriter writer(mask, formula.variables);
  bool isExact =
      writer.write(projectOntoKeys(formula.variables, formula.keep.holds),
                   projectOntoKeys(formula.variables, formula.keep.fails));
  if (!isExact)
    emitRemark(mask.getLoc(), "tests the mask per element: ")
        << "it takes more than " << BoundsWriter::kMaxIntervals
        << " intervals of keys";
}

} // namespace
