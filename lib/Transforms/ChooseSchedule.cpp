// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Chooses tile shapes: one typed attribute on the kernel, so that every later
// pass reads its sizes from there and none hides a constant.

#include "lib/Transforms/DecodeModel.h"
#include "lib/Transforms/Passes.h"

#include "dialects/Attn/VariantBodies.h"

#include "llvm/ADT/StringRef.h"

#include <numeric>

namespace saccade {
#define GEN_PASS_DEF_CHOOSESCHEDULEPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;

namespace {
/// The largest shapes among the kernel's attends and appends.
struct Shape {
  int64_t headDim = 0, valueDim = 0;
  Type element;           // that products take
  int64_t cacheBytes = 0; // of an element of a cache
};

struct ChooseSchedule : saccade::impl::ChooseSchedulePassBase<ChooseSchedule> {
  using ChooseSchedulePassBase::ChooseSchedulePassBase;

  void runOnOperation() override {
    attn::KernelOp kernel = getOperation();
    Attribute tokens = kernel->getAttr(kQueryTokensAttr);
    auto count = dyn_cast_or_null<IntegerAttr>(tokens);
    if (tokens && (!count || count.getInt() < 1)) {
      kernel.emitOpError("expects '")
          << kQueryTokensAttr << "' to be a positive integer, but got "
          << tokens;
      return signalPassFailure();
    }
    Shape shape;
    for (BlockArgument cache : kernel.getCaches()) {
      auto layout = cast<attn::LayoutType>(cache.getType());
      shape.headDim = std::max(shape.headDim, layout.getHeadDim());
      shape.valueDim = std::max(shape.valueDim, layout.getValueDim());
      int64_t bits = layout.getElementType().getIntOrFloatBitWidth();
      shape.cacheBytes = std::max(shape.cacheBytes, bits / 8);
      // Elements of 8 bits are widened to f16, which holds them exactly.
      if (attn::isEightBits(layout.getElementType()))
        shape.element = Float16Type::get(&getContext());
      else if (!shape.element)
        shape.element = layout.getElementType();
    }
    if (!shape.element)
      addTokens(shape);
    if (Attribute given = kernel.getScheduleAttr()) {
      auto schedule = dyn_cast<tile::ScheduleAttr>(given);
      Attribute few = kernel->getAttr(kFewRowsScheduleAttr);
      if (failed(verifyFits(schedule, shape)) ||
          failed(verifyWidens(schedule)) ||
          (few && failed(verifyFits(dyn_cast<tile::ScheduleAttr>(few), shape))))
        signalPassFailure();
      return;
    }
    if (Attribute few = kernel->getAttr(kFewRowsScheduleAttr)) {
      kernel.emitOpError("expects a schedule beside '")
          << kFewRowsScheduleAttr << "' " << few;
      return signalPassFailure();
    }
    tile::ScheduleAttr schedule;
    if (target == "cpu")
      schedule = forCpu(shape);
    else if (tile::ScheduleAttr pipelined = forHopper(shape, count))
      schedule = pipelined;
    else
      schedule = forGpu(shape);
    if (failed(verifyWidens(schedule)))
      return signalPassFailure();
    kernel.setScheduleAttr(schedule);
  }

  /// The shape of a kernel without a cache: rows are resumed or mapped.
  void addTokens(Shape &shape) {
    for (Operation &op : getOperation().getBody().front())
      if (Value rows = attn::KernelOp::getRows(&op)) {
        auto layout = cast<attn::LayoutType>(rows.getType());
        shape.headDim = std::max(shape.headDim, layout.getHeadDim());
        shape.element = layout.getElementType();
      }
    // Products would take 16 bits, but there are none.
    if (!shape.element || shape.element.isF32())
      shape.element = BFloat16Type::get(&getContext());
    shape.valueDim = shape.headDim;
  }

  /// On the GPU, products widen 8-bit elements where keys are dealt, and
  /// nothing rounds to them.
  LogicalResult verifyWidens(tile::ScheduleAttr schedule) {
    attn::KernelOp kernel = getOperation();
    bool appends = !kernel.getBody().getOps<attn::AppendOp>().empty();
    if (target == "cpu" || (schedule && schedule.dealsKeys() && !appends &&
                            schedule.getWeights().isF16()))
      return success();
    for (BlockArgument cache : kernel.getCaches())
      if (attn::isEightBits(
              cast<attn::LayoutType>(cache.getType()).getElementType()))
        return kernel.emitOpError("expects caches of 16-bit elements on the "
                                  "GPU, but argument #")
               << cache.getArgNumber() << " is " << cache.getType()
               << "; 8 bits take a schedule of few rows that deals keys to "
                  "warps, with weights of f16, and no attn.append";
    return success();
  }

  /// Whether a schedule that is given can run on the target. What depends on
  /// the tiles of an entry, such as their bytes, is found when they are placed.
  LogicalResult verifyFits(tile::ScheduleAttr given, const Shape &shape) {
    attn::KernelOp kernel = getOperation();
    if (given && given.getSplits() && !canSplit())
      return kernel.emitOpError(
          "expects caches whose keys lie in the order of their positions to "
          "split them, but got a block-sparse one");
    if (!given || !given.getPipeline())
      return success();
    if (target != "sm_90a")
      return kernel.emitOpError("expects sm_90a for a pipeline, but the target "
                                "is ")
             << StringRef(target);
    bool dealsKeys = given.dealsKeys();
    int64_t registers =
        dealsKeys ? liveRegistersOfDealt(given.getRows(), given.getKeys(),
                                         shape.valueDim)
                  : liveRegisters(given.getKeys(), shape.valueDim);
    int64_t available = given.getPipeline().getComputeRegisters();
    if (registers > available) {
      auto error = kernel.emitOpError("expects tiles that fit in ")
                   << available << " registers a thread, but those of ";
      if (dealsKeys)
        error << given.getRows() << " rows, ";
      return error << given.getKeys() << " keys and " << shape.valueDim
                   << " columns of values take " << registers;
    }
    for (auto attend : kernel.getBody().getOps<attn::AttendOp>())
      if (int64_t group = attend.getGroup(); group > given.getRows())
        return kernel.emitOpError("expects rows for the ")
               << group << " query heads of a KV head, but got "
               << given.getRows();
    return success();
  }

  /// Whether the keys of an item are a range of every cache, which can be cut.
  bool canSplit() {
    return llvm::none_of(getOperation().getCaches(), [](BlockArgument cache) {
      return isa<attn::BlockSparseType>(cache.getType());
    });
  }

  /// A query tile and a KV tile lie in the second-level cache together; softmax
  /// weights stay f32, as products are f32 anyway.
  tile::ScheduleAttr forCpu(const Shape &shape) {
    int64_t keys = shape.headDim + shape.valueDim <= 384 ? 128 : 64;
    return tile::ScheduleAttr::get(&getContext(), /*rows=*/64, keys,
                                   /*warps=*/1, Float32Type::get(&getContext()),
                                   /*pipeline=*/{}, canSplit());
  }

  /// One warp for each 16 rows. Q, K and V tiles share the 99 KB of the
  /// smallest target where they can; beyond that the KV tile shrinks.
  tile::ScheduleAttr forGpu(const Shape &shape) {
    int64_t rows = kRowsWithoutRoles, keys = 64;
    auto bytes = [&] {
      return 2 *
             (rows * shape.headDim + keys * (shape.headDim + shape.valueDim));
    };
    while (bytes() > 99 * 1024 && keys > 16)
      keys /= 2;
    return tile::ScheduleAttr::get(&getContext(), rows, keys, rows / 16,
                                   shape.element, /*pipeline=*/{}, canSplit());
  }

  /// Warps with roles, where there are rows enough to feed wgmma and nothing
  /// stands in the way; else null, and a remark says why.
  tile::ScheduleAttr forHopper(const Shape &shape, IntegerAttr queryTokens) {
    attn::KernelOp kernel = getOperation();
    auto attends = kernel.getBody().getOps<attn::AttendOp>();
    if (attends.empty() || shape.element.isF32())
      return {};
    auto decline = [&](const Twine &reason) -> tile::ScheduleAttr {
      emitRemark(kernel.getLoc(), "gives no roles to warps: ") << reason;
      return {};
    };
    if (target != "sm_90a")
      return decline("only sm_90a has wgmma, and the target is " + target);
    attn::AttendOp first = *attends.begin();
    PipelineShape wanted;
    wanted.headDim = shape.headDim;
    wanted.valueDim = shape.valueDim;
    wanted.element = shape.element;
    wanted.cacheBytes = shape.cacheBytes;
    wanted.tokens = queryTokens ? queryTokens.getInt() : 0;
    wanted.group = first.getGroup();
    for (attn::AttendOp attend : attends) {
      if (StringRef body = rowFunctionOf(attend); !body.empty())
        return decline("rows pass through attn." + body);
      addCache(attend.getCache().getType(), wanted);
      wanted.extraRegisters =
          std::max(wanted.extraRegisters, bodyRegistersOf(attend));
    }
    // While one cache is folded, the states of those before it wait.
    if (llvm::range_size(attends) > 1)
      wanted.extraRegisters += shape.valueDim / 2;
    for (auto finish : kernel.getBody().getOps<attn::FinishOp>())
      if (attn::lookupVariant(finish, finish.getVariantAttr())
              .getBodyOf<attn::OutputOp>())
        return decline("rows pass through attn.output");
    if (queryTokens) {
      if (tile::ScheduleAttr dealt = chooseDealtKeys(
              &getContext(), wanted, queryTokens.getInt(), limit, canSplit()))
        return dealt;
      if (queryTokens.getInt() * wanted.group <= kRowsWithoutRoles)
        return decline("a request has " + Twine(queryTokens.getInt()) +
                       " query tokens, which fill no tile of wgmma");
    }
    tile::ScheduleAttr schedule = choosePipeline(&getContext(), wanted, limit);
    if (!schedule)
      return decline("no tile of head dims " + Twine(shape.headDim) + " and " +
                     Twine(shape.valueDim) + " and " + Twine(wanted.group) +
                     " query heads a KV head fits");
    // Nobody says how long queries are: a batch may hold both kinds. Only keys
    // that can be split feed all multiprocessors with few rows.
    if (queryTokens || !canSplit())
      return schedule;
    for (tile::ScheduleAttr beside : {schedule, tile::ScheduleAttr()})
      if (tile::ScheduleAttr few =
              chooseDealtKeys(&getContext(), wanted, /*queryTokens=*/1, limit,
                              canSplit(), beside)) {
        kernel->setAttr(kFewRowsScheduleAttr, few);
        break;
      }
    return schedule;
  }

private:
  static constexpr int64_t kRowsWithoutRoles = 64;

  static StringRef rowFunctionOf(attn::AttendOp attend) {
    attn::VariantOp variant =
        attn::lookupVariant(attend, attend.getVariantAttr());
    if (variant.getBodyOf<attn::QueryOp>())
      return "query";
    if (variant.getBodyOf<attn::KeyOp>())
      return "key";
    return variant.getBodyOf<attn::ValueOp>() ? "value" : "";
  }

  /// What bodies keep in registers while logits are there: parameters, and
  /// rows and columns of tables (measured on the examples).
  static int64_t bodyRegistersOf(attn::AttendOp attend) {
    constexpr int64_t body = 16, table = 24, bits = 50;
    attn::VariantOp variant =
        attn::lookupVariant(attend, attend.getVariantAttr());
    bool shapes = variant.getBodyOf<attn::LogitsOp>() ||
                  variant.getNormalizer() == attn::Normalizer::sigmoid;
    int64_t reads = 0;
    if (auto mask = variant.getBodyOf<attn::MaskOp>())
      mask.walk([&](attn::ReadOp read) {
        Type type = read.getTable().getType();
        auto strided = dyn_cast<attn::TableType>(type);
        bool wide =
            isa<attn::BitsType>(type) || (strided && strided.getRank() > 1);
        reads = std::max(reads, wide ? bits : table);
      });
    return (shapes ? body : 0) + reads;
  }

  static void addCache(attn::LayoutType layout, PipelineShape &shape) {
    if (auto paged = dyn_cast<attn::PagedType>(layout))
      shape.contiguous = std::gcd(shape.contiguous, paged.getPage());
    auto sparse = dyn_cast<attn::BlockSparseType>(layout);
    if (!sparse)
      return;
    shape.contiguous = std::gcd(shape.contiguous, sparse.getBlockColumns());
    shape.keyBlock = std::gcd(shape.keyBlock, sparse.getBlockColumns());
    shape.rowBlock =
        std::gcd(shape.rowBlock, sparse.getBlockRows() * shape.group);
  }
};
} // namespace
