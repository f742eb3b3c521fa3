// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Warps with roles: which warps run which region with how many registers, the
// barriers that must be ready before, and turns between those that compute.

#include "lib/Conversion/TileToNvvmRoles.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

//===----------------------------------------------------------------------===//
// What the patterns share
//===----------------------------------------------------------------------===//

Scalar saccade::uniform(ImplicitLocOpBuilder &b, Value value) {
  return {&b, NVVM::ReduxOp::create(b, value.getType(), value,
                                    NVVM::ReduxKind::UMAX, i32(b, -1))};
}

Scalar saccade::sharedAddress(ImplicitLocOpBuilder &b, Value bytes) {
  return {&b,
          LLVM::PtrToIntOp::create(b, b.getI32Type(), sharedPointer(b, bytes))};
}

LLVM::InlineAsmOp saccade::assembly(ImplicitLocOpBuilder &b, Type result,
                                    StringRef text, StringRef constraints,
                                    ValueRange operands) {
  std::string all =
      constraints.str() + (constraints.empty() ? "" : ",") + "~{memory}";
  return LLVM::InlineAsmOp::create(
      b, result ? TypeRange(result) : TypeRange(), operands, text, all,
      /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
}

void saccade::fenceAsyncProxy(ImplicitLocOpBuilder &b) {
  NVVM::FenceProxyOp::create(
      b,
      NVVM::ProxyKindAttr::get(b.getContext(), NVVM::ProxyKind::async_shared),
      NVVM::SharedSpaceAttr::get(b.getContext(),
                                 NVVM::SharedSpace::shared_cta));
}

static Value equal(ImplicitLocOpBuilder &b, Value x, int64_t y) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, i32(b, y));
}

/// Counts this warpgroup as arrived at a turn's barrier, where another waits.
static void arriveAtTurn(ImplicitLocOpBuilder &b, Value barrier) {
  LLVM::CallIntrinsicOp::create(
      b, b.getStringAttr("llvm.nvvm.barrier.cta.arrive.aligned.count"),
      ValueRange{barrier, i32(b, 2 * kGroupThreads)});
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

namespace {
struct LowerRoles : TilePattern<RolesOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(RolesOp roles, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (facts.warps % kGroupWarps)
      return roles.emitOpError("expects groups of four warps to compute, but "
                               "the schedule has ")
             << facts.warps << " warps";
    // Of 16 named barriers 0 is the CTA's, a group has two, and one is left for
    // all that compute.
    if (2 * facts.groups() >= 16)
      return roles.emitOpError(
                 "expects at most 7 groups that compute, but got ")
             << facts.groups();
    ImplicitLocOpBuilder b(roles.getLoc(), rewriter);
    Thread thread(b);
    if (facts.dealsKeys)
      readPlanAhead(b, roles, thread);
    auto first = scf::IfOp::create(b, equal(b, thread.id, 0), false);
    b.setInsertionPointToStart(first.thenBlock());
    prepare(b, roles);
    b.setInsertionPointAfter(first);
    NVVM::Barrier0Op::create(b);

    auto branch =
        scf::IfOp::create(b, equal(b, facts.group, facts.groups()), true);
    b.setInsertionPointToStart(branch.thenBlock());
    setRegisters(b, roles.getLoadRegisters(),
                 NVVM::SetMaxRegisterAction::decrease);
    Operation *place = branch.thenYield();
    if (!facts.gathers && !facts.dealsKeys) {
      // Boxes are copied by one warp; the others only give up registers.
      Scalar warp = uniform(b, thread.warp);
      auto one = scf::IfOp::create(b, equal(b, warp, facts.warps), false);
      place = one.thenYield();
    }
    rewriter.inlineBlockBefore(&roles.getLoad().front(), place);

    b.setInsertionPointToStart(branch.elseBlock());
    setRegisters(b, roles.getComputeRegisters(),
                 NVVM::SetMaxRegisterAction::increase);
    if (facts.takesTurns && facts.groups() > 1) {
      auto last = scf::IfOp::create(
          b, equal(b, facts.group, facts.groups() - 1), false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(last.thenBlock());
      arriveAtTurn(b, facts.turnBarrier(b, i32(b, 0)));
    }
    rewriter.inlineBlockBefore(&roles.getCompute().front(), branch.elseYield());
    rewriter.eraseOp(roles);
    return success();
  }

private:
  /// The first key is found through a chain of look-ups. All CTAs together ask
  /// for the lines of the plan at once, so that each of the chain finds its own
  /// in the second-level cache.
  void readPlanAhead(ImplicitLocOpBuilder &b, RolesOp roles,
                     const Thread &thread) const {
    constexpr int64_t line = 128;
    Value words = roles->getParentOfType<LLVM::LLVMFuncOp>().getArgument(0);
    auto word = [&](int32_t index) -> Scalar {
      Value pointer = LLVM::GEPOp::create(b, words.getType(), b.getI64Type(),
                                          words, ArrayRef<LLVM::GEPArg>{index});
      return {&b, LLVM::LoadOp::create(b, b.getI64Type(), pointer)};
    };
    Scalar cta{&b, NVVM::BlockIdXOp::create(b, b.getI32Type())};
    Scalar at = (cta * facts.threads() + thread.id).wide() * line;
    auto some = scf::IfOp::create(b, at.less(word(SACCADE_WORD_PLAN_BYTES)),
                                  /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(some.thenBlock());
    assembly(b, {}, "prefetch.global.L2 [$0];", "l",
             (word(SACCADE_WORD_REQUESTS) + at).value);
  }

  /// What one thread does for all before any of them waits.
  void prepare(ImplicitLocOpBuilder &b, RolesOp roles) const {
    for (PipeOp pipe : facts.pipes) {
      for (int64_t stage = 0; stage < pipe.getType().getStages(); ++stage) {
        int64_t full =
            pipe.getBarriers().value_or(0) + kStageBarrierBytes * stage;
        NVVM::MBarrierInitOp::create(b, sharedPointer(b, i32(b, full)),
                                     i32(b, facts.producers(pipe)), Value());
        NVVM::MBarrierInitOp::create(
            b, sharedPointer(b, i32(b, full + kEmptyBarrier)),
            i32(b, facts.consumers(pipe)), Value());
      }
    }
    NVVM::FenceMbarrierInitOp::create(b);
    for (BoxAttr box : facts.maps)
      assembly(b, {}, "prefetch.tensormap [$0];", "l",
               LLVM::PtrToIntOp::create(b, b.getI64Type(),
                                        facts.mapPointer(b, roles, box))
                   .getResult());
  }

  void setRegisters(ImplicitLocOpBuilder &b, int64_t count,
                    NVVM::SetMaxRegisterAction action) const {
    NVVM::SetMaxRegisterOp::create(b, uint32_t(count), action);
  }
};

struct LowerGroup : TilePattern<GroupOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(GroupOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!facts.hasRoles)
      return op.emitOpError("expects warps that have roles");
    rewriter.replaceOp(op, facts.dealsKeys ? facts.warpOfRole : facts.group);
    return success();
  }
};

struct LowerTakeTurn : TilePattern<TakeTurnOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(TakeTurnOp turn, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(turn.getLoc(), rewriter);
    if (facts.groups() > 1)
      NVVM::BarrierOp::create(b, TypeRange(), facts.turnBarrier(b, facts.group),
                              i32(b, 2 * kGroupThreads),
                              NVVM::BarrierReductionAttr(), Value());
    rewriter.eraseOp(turn);
    return success();
  }
};

struct LowerPassTurn : TilePattern<PassTurnOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(PassTurnOp turn, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(turn.getLoc(), rewriter);
    if (int64_t groups = facts.groups(); groups > 1) {
      Value wraps = equal(b, facts.group, groups - 1);
      Value next = arith::SelectOp::create(b, wraps, i32(b, 0),
                                           Scalar{&b, facts.group} + 1);
      arriveAtTurn(b, facts.turnBarrier(b, next));
    }
    rewriter.eraseOp(turn);
    return success();
  }
};
} // namespace

void saccade::populateRolePatterns(const TypeConverter &converter,
                                   RewritePatternSet &patterns,
                                   const EntryFacts &facts) {
  patterns.add<LowerRoles, LowerGroup, LowerTakeTurn, LowerPassTurn>(
      converter, patterns.getContext(), facts);
}
