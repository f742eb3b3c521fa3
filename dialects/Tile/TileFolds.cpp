// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Folds and canonicalizations of the tile operations: what every level may rely
// on being gone.

#include "dialects/Tile/Tile.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace saccade::tile;

OpFoldResult ConvertOp::fold(FoldAdaptor) {
  if (getInput().getType() == getType())
    return getInput();
  return {};
}

/// What begins as zero needs no scaling.
OpFoldResult ScaleRowsOp::fold(FoldAdaptor) {
  if (auto fill = getInput().getDefiningOp<FillOp>();
      fill && matchPattern(fill.getValue(), m_AnyZeroFloat()))
    return getInput();
  return {};
}

namespace {
/// A map that yields one of its inputs unchanged is that input.
struct DropIdentityMap : OpRewritePattern<MapOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MapOp map,
                                PatternRewriter &rewriter) const override {
    Value yielded =
        cast<YieldOp>(map.getBody().front().getTerminator()).getOperand(0);
    auto argument = dyn_cast<BlockArgument>(yielded);
    if (!argument || argument.getOwner() != &map.getBody().front() ||
        argument.getArgNumber() >= map.getInputs().size())
      return rewriter.notifyMatchFailure(map, "does not yield an input");
    Value input = map.getInputs()[argument.getArgNumber()];
    if (input.getType() != map.getType())
      return rewriter.notifyMatchFailure(map, "broadcasts its input");
    rewriter.replaceOp(map, input);
    return success();
  }
};

/// A map need not name an input twice, nor one that its body does not read.
struct DropUnusedInputs : OpRewritePattern<MapOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MapOp map,
                                PatternRewriter &rewriter) const override {
    Block &body = map.getBody().front();
    SmallVector<Value> kept;
    llvm::BitVector drop(body.getNumArguments());
    for (auto [index, input] : llvm::enumerate(map.getInputs())) {
      BlockArgument argument = body.getArgument(index);
      auto *same = llvm::find(kept, input);
      if (same != kept.end()) {
        unsigned first = 0;
        while (map.getInputs()[first] != input)
          ++first;
        rewriter.replaceAllUsesWith(argument, body.getArgument(first));
      }
      if (argument.use_empty())
        drop.set(index);
      else
        kept.push_back(input);
    }
    if (drop.none())
      return rewriter.notifyMatchFailure(map, "reads every input once");
    rewriter.modifyOpInPlace(map, [&] {
      body.eraseArguments(drop);
      map.getInputsMutable().assign(kept);
    });
    return success();
  }
};
} // namespace

void MapOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                        MLIRContext *context) {
  patterns.add<DropIdentityMap, DropUnusedInputs>(context);
}
