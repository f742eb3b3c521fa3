// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fuses maps into their reader, so that intermediate tiles are never written.
// Register pressure and memory traffic both follow from this one pass.

#include "lib/Transforms/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace saccade {
#define GEN_PASS_DEF_FUSEMAPSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;

namespace {
struct FuseIntoReader : OpRewritePattern<tile::MapOp> {
  using OpRewritePattern::OpRewritePattern;

  /// The input of `reader` that can be computed in it.
  static std::optional<unsigned> findProducer(tile::MapOp reader) {
    for (auto [index, input] : llvm::enumerate(reader.getInputs())) {
      auto producer = input.getDefiningOp<tile::MapOp>();
      // Column vectors into columns, tiles into tiles; in one block, so that
      // nothing is computed more often than before.
      if (producer && producer->hasOneUse() &&
          producer->getBlock() == reader->getBlock() &&
          producer.getType().getColumns() == reader.getType().getColumns())
        return index;
    }
    return std::nullopt;
  }

  LogicalResult matchAndRewrite(tile::MapOp reader,
                                PatternRewriter &rewriter) const override {
    std::optional<unsigned> index = findProducer(reader);
    if (!index)
      return rewriter.notifyMatchFailure(reader, "reads no map of its own");
    auto producer = reader.getInputs()[*index].getDefiningOp<tile::MapOp>();

    SmallVector<Value> inputs(reader.getInputs());
    inputs.erase(inputs.begin() + *index);
    llvm::append_range(inputs, producer.getInputs());
    SmallVector<Type> arguments;
    for (Value input : inputs)
      arguments.push_back(
          cast<tile::TileType>(input.getType()).getElementType());
    arguments.append(2, rewriter.getI32Type());

    auto fused = tile::MapOp::create(rewriter, reader.getLoc(),
                                     reader.getType(), inputs);
    Block *block = rewriter.createBlock(
        &fused.getBody(), {}, arguments,
        SmallVector<Location>(arguments.size(), reader.getLoc()));
    ValueRange all = block->getArguments();
    ValueRange place = all.take_back(2);
    size_t kept = reader.getInputs().size() - 1;

    IRMapping mapping;
    Block &first = producer.getBody().front();
    mapping.map(first.getArguments().drop_back(2),
                all.slice(kept, producer.getInputs().size()));
    mapping.map(first.getArguments().take_back(2), place);
    for (Operation &op : first.without_terminator())
      rewriter.clone(op, mapping);
    Value value = mapping.lookupOrDefault(first.getTerminator()->getOperand(0));

    Block &second = reader.getBody().front();
    SmallVector<Value> data(all.take_front(kept));
    data.insert(data.begin() + *index, value);
    mapping.map(second.getArguments().drop_back(2), data);
    mapping.map(second.getArguments().take_back(2), place);
    for (Operation &op : second)
      rewriter.clone(op, mapping);

    rewriter.replaceOp(reader, fused);
    rewriter.eraseOp(producer);
    return success();
  }
};

struct FuseMaps : saccade::impl::FuseMapsPassBase<FuseMaps> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseIntoReader>(&getContext());
    tile::MapOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
