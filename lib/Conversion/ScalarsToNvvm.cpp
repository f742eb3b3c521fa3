// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The last step to the LLVM dialect for GPU kernels: control flow, arithmetic
// and vectors. It is also the gate before code generation, where LLVM would
// abort the process: an operation that is not on the list is an error here.

#include "lib/Conversion/Passes.h"

#include "mlir/Conversion/ArithCommon/AttrToLLVMConverter.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/VectorPattern.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"

namespace saccade {
#define GEN_PASS_DEF_CONVERTSCALARSTONVVMPASS
#include "lib/Conversion/Passes.h.inc"
} // namespace saccade

using namespace mlir;

namespace {
/// Calls a function of the hardware on an f32, or on each f32 of a vector.
template <typename OpTy>
struct CallApproximation : ConvertOpToLLVMPattern<OpTy> {
  CallApproximation(const LLVMTypeConverter &converter, StringRef intrinsic)
      : ConvertOpToLLVMPattern<OpTy>(converter), intrinsic(intrinsic) {}

  LogicalResult
  matchAndRewrite(OpTy op, typename OpTy::Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "is not of f32");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    StringAttr name = b.getStringAttr(intrinsic);
    auto call = [&](Value x) -> Value {
      return LLVM::CallIntrinsicOp::create(b, b.getF32Type(), name,
                                           ValueRange{x})
          .getResult(0);
    };
    Value input = adaptor.getOperand();
    auto vector = dyn_cast<VectorType>(input.getType());
    if (!vector) {
      rewriter.replaceOp(op, call(input));
      return success();
    }
    Value result = LLVM::PoisonOp::create(b, vector);
    for (int64_t i = 0; i < vector.getNumElements(); ++i) {
      Value place = LLVM::ConstantOp::create(b, b.getI32Type(), i);
      Value x = LLVM::ExtractElementOp::create(b, input, place);
      result = LLVM::InsertElementOp::create(b, result, call(x), place);
    }
    rewriter.replaceOp(op, result);
    return success();
  }

private:
  std::string intrinsic;
};

template <typename From, typename To>
using ToIntrinsic =
    VectorConvertToLLVMPattern<From, To, arith::AttrConvertFastMathToLLVM>;
template <typename From, typename To>
using ToPlainIntrinsic = VectorConvertToLLVMPattern<From, To>;

struct ConvertAbsI : ConvertOpToLLVMPattern<math::AbsIOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult
  matchAndRewrite(math::AbsIOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<LLVM::AbsOp>(op, op.getType(),
                                             adaptor.getOperand(), false);
    return success();
  }
};

/// What the math dialect may still hold: what one instruction or a short fixed
/// sequence of NVPTX does. The rest has been rewritten by -saccade-expand-math.
void populateMathPatterns(const LLVMTypeConverter &converter,
                          RewritePatternSet &patterns) {
  patterns.add<CallApproximation<math::Exp2Op>>(converter,
                                                "llvm.nvvm.ex2.approx.ftz.f32");
  patterns.add<CallApproximation<math::Log2Op>>(converter,
                                                "llvm.nvvm.lg2.approx.ftz.f");
  patterns.add<CallApproximation<math::RsqrtOp>>(
      converter, "llvm.nvvm.rsqrt.approx.ftz.f");
  patterns.add<ToIntrinsic<math::SqrtOp, LLVM::SqrtOp>,
               ToIntrinsic<math::FmaOp, LLVM::FMAOp>,
               ToIntrinsic<math::AbsFOp, LLVM::FAbsOp>,
               ToIntrinsic<math::FloorOp, LLVM::FFloorOp>,
               ToIntrinsic<math::CeilOp, LLVM::FCeilOp>,
               ToIntrinsic<math::TruncOp, LLVM::FTruncOp>,
               ToIntrinsic<math::RoundOp, LLVM::RoundOp>,
               ToIntrinsic<math::RoundEvenOp, LLVM::RoundEvenOp>,
               ToIntrinsic<math::CopySignOp, LLVM::CopySignOp>, ConvertAbsI>(
      converter);
}

struct ConvertScalarsToNvvmPass
    : saccade::impl::ConvertScalarsToNvvmPassBase<ConvertScalarsToNvvmPass> {
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet simple(context);
    vector::populateVectorInsertExtractStridedSliceTransforms(simple);
    vector::populateVectorStepLoweringPatterns(simple);
    vector::populateVectorInterleaveToShufflePatterns(simple);
    vectorPatterns = std::move(simple);
    return success();
  }

  void runOnOperation() override {
    for (auto function : getOperation().getOps<LLVM::LLVMFuncOp>())
      if (!function.isExternal() && failed(convert(function)))
        return signalPassFailure();
  }

private:
  FrozenRewritePatternSet vectorPatterns;

  LogicalResult convert(LLVM::LLVMFuncOp function) {
    MLIRContext *context = &getContext();
    bool vectors = false;
    function.walk([&](Operation *op) {
      vectors |=
          isa<vector::InsertStridedSliceOp, vector::ExtractStridedSliceOp,
              vector::StepOp, vector::InterleaveOp, vector::DeinterleaveOp>(op);
    });
    if (vectors && failed(applyPatternsGreedily(function, vectorPatterns)))
      return failure();

    RewritePatternSet structured(context);
    populateSCFToControlFlowConversionPatterns(structured);
    ConversionTarget flat(*context);
    flat.addIllegalDialect<scf::SCFDialect>();
    flat.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    if (failed(applyPartialConversion(function, flat, std::move(structured))))
      return failure();

    LowerToLLVMOptions options(context);
    LLVMTypeConverter converter(context, options);
    RewritePatternSet patterns(context);
    arith::populateCeilFloorDivExpandOpsPatterns(patterns);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    populateVectorToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateMathPatterns(converter, patterns);
    LLVMConversionTarget target(*context);
    target.addLegalDialect<NVVM::NVVMDialect>();
    if (failed(applyPartialConversion(function, target, std::move(patterns))))
      return failure();
    return refuseTheRest(function);
  }

  LogicalResult refuseTheRest(LLVM::LLVMFuncOp function) {
    WalkResult result = function.walk([](Operation *op) -> WalkResult {
      if (isa<LLVM::LLVMDialect, NVVM::NVVMDialect>(op->getDialect()))
        return WalkResult::advance();
      return op->emitOpError("has no instruction on the GPU");
    });
    return failure(result.wasInterrupted());
  }
};
} // namespace
