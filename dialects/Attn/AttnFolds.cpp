// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Canonical forms of attn: bodies that say nothing are erased, positions that a
// body does not read are not asked for, the default scale is not spelt out.

#include "dialects/Attn/Attn.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

#include <cmath>

using namespace mlir;
using namespace saccade::attn;

static Value getYielded(Operation *body) {
  return body->getRegion(0).front().getTerminator()->getOperand(0);
}

namespace {
/// A logits or row body that yields its data argument is the identity.
template <typename OpTy> struct EraseIdentity : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;
  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    if (getYielded(op) != op.getBody().getArgument(0))
      return rewriter.notifyMatchFailure(op, "computes something");
    rewriter.eraseOp(op);
    return success();
  }
};

/// All keys are visible without a mask, too.
struct EraseTrueMask : OpRewritePattern<MaskOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MaskOp op,
                                PatternRewriter &rewriter) const override {
    if (!matchPattern(getYielded(op), m_One()))
      return rewriter.notifyMatchFailure(op, "may hide a key");
    rewriter.eraseOp(op);
    return success();
  }
};

/// exp(-inf) adds nothing to the denominator.
struct EraseEmptySink : OpRewritePattern<SinkOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SinkOp op,
                                PatternRewriter &rewriter) const override {
    if (!matchPattern(getYielded(op), m_NegInfFloat()))
      return rewriter.notifyMatchFailure(op, "may add to the denominator");
    rewriter.eraseOp(op);
    return success();
  }
};

/// A position that is not read need not be computed.
template <typename OpTy> struct DropUnusedPositions : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;
  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    Block &block = op.getBody().front();
    auto body = cast<BodyOpInterface>(op.getOperation());
    unsigned numData = body.getNumDataArguments();
    llvm::BitVector unused(block.getNumArguments());
    SmallVector<Attribute> kept;
    for (auto [i, position] : llvm::enumerate(op.getPositions())) {
      if (block.getArgument(numData + i).use_empty())
        unused.set(numData + i);
      else
        kept.push_back(position);
    }
    if (unused.none())
      return rewriter.notifyMatchFailure(op, "reads all its positions");
    rewriter.modifyOpInPlace(op, [&] {
      block.eraseArguments(unused);
      op.setPositionsAttr(rewriter.getArrayAttr(kept));
    });
    return success();
  }
};

/// A constant scale of 1 / sqrt(head dim) is what stands for no scale.
struct DropDefaultScale : OpRewritePattern<AttendOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AttendOp op,
                                PatternRewriter &rewriter) const override {
    APFloat scale(0.0f);
    if (!op.getScale() || !matchPattern(op.getScale(), m_ConstantFloat(&scale)))
      return rewriter.notifyMatchFailure(op, "has no constant scale");
    if (scale.convertToFloat() != op.getDefaultScale())
      return rewriter.notifyMatchFailure(op, "has a scale of its own");
    rewriter.modifyOpInPlace(op, [&] { op.getScaleMutable().clear(); });
    return success();
  }
};
} // namespace

float AttendOp::getDefaultScale() {
  return static_cast<float>(
      1.0 / std::sqrt(static_cast<double>(getQuery().getType().getHeadDim())));
}

template <typename OpTy, typename... Patterns>
static void addBody(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<DropUnusedPositions<OpTy>, Patterns...>(context);
}

void LogitsOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  addBody<LogitsOp, EraseIdentity<LogitsOp>>(patterns, context);
}

void MaskOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                         MLIRContext *context) {
  addBody<MaskOp, EraseTrueMask>(patterns, context);
}

void SinkOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                         MLIRContext *context) {
  addBody<SinkOp, EraseEmptySink>(patterns, context);
}

void QueryOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  addBody<QueryOp, EraseIdentity<QueryOp>>(patterns, context);
}

void KeyOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                        MLIRContext *context) {
  addBody<KeyOp, EraseIdentity<KeyOp>>(patterns, context);
}

void ValueOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  addBody<ValueOp, EraseIdentity<ValueOp>>(patterns, context);
}

void OutputOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  addBody<OutputOp, EraseIdentity<OutputOp>>(patterns, context);
}

void BoundsOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  addBody<BoundsOp>(patterns, context);
}

void AttendOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  patterns.add<DropDefaultScale>(context);
}
