// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pipes: rings of stages in shared memory, each with a barrier that says it is
// full and one that says it is empty, and the copies that fill them.

#include "lib/Conversion/RowGather.h"
#include "lib/Conversion/TileToNvvmRoles.h"
#include "lib/Transforms/ReadOnce.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
/// The stage where tile `index` of a pipe lies. Its barriers complete one phase
/// each time that the stage is filled or freed; a wait names the parity of the
/// phase whose end it is for, and what was never used counts as freed before.
class Stage {
public:
  Stage(ImplicitLocOpBuilder &b, PipeOp pipe, Value index)
      : b(b), pipe(pipe), number(Scalar{&b, index} % stages()),
        parity(Scalar{&b, index} / stages() & i32(b, 1)) {}

  /// The byte where the tile begins.
  Scalar offset() {
    SharedLayout layout(pipe.getType().getTile());
    return number * layout.bytes() + layout.getOffset();
  }
  /// The same in a register of which ptxas knows that it is uniform, and still
  /// does when the start of shared memory is added: it is subtracted here.
  Scalar uniformOffset() {
    if (stages() == 1 || pipe.getDealt()) // no descriptors hang on it
      return offset();
    return uniform(b, sharedAddress(b, offset())) - sharedAddress(b, i32(b, 0));
  }
  Value full() { return sharedPointer(b, barrier(0)); }
  Value empty() { return sharedPointer(b, barrier(kEmptyBarrier)); }
  Scalar fullAddress() { return sharedAddress(b, barrier(0)); }

  void waitFull() { wait(barrier(0), parity); }
  void waitEmpty() { wait(barrier(kEmptyBarrier), parity ^ i32(b, 1)); }

private:
  ImplicitLocOpBuilder &b;
  PipeOp pipe;
  Scalar number, parity;

  int64_t stages() { return pipe.getType().getStages(); }
  Scalar barrier(int64_t which) {
    return number * kStageBarrierBytes +
           (pipe.getBarriers().value_or(0) + which);
  }

  /// Tries until the phase has ended. A try sleeps for a while by itself.
  void wait(Scalar barrier, Scalar phase) {
    assembly(b, {},
             "{\n"
             ".reg .pred done;\n"
             "again:\n"
             "mbarrier.try_wait.parity.shared::cta.b64 done, [$0], $1;\n"
             "@!done bra again;\n"
             "}",
             "r,r", ValueRange{sharedAddress(b, barrier), phase});
  }
};

/// The pipe that an operation names, once it is known where its stages lie.
template <typename OpTy> FailureOr<PipeOp> pipeOf(OpTy op) {
  auto pipe = op.getPipe().template getDefiningOp<PipeOp>();
  if (!pipe || !pipe.getBarriers() ||
      !isa_and_present<SharedAttr>(pipe.getType().getTile().getLayout()))
    return op.emitOpError("expects a pipe that has a place in shared memory");
  return pipe;
}

scf::IfOp oneLaneIf(ImplicitLocOpBuilder &b, Value condition) {
  auto branch = scf::IfOp::create(b, condition, false);
  b.setInsertionPointToStart(branch.thenBlock());
  return branch;
}

struct LowerPipe : TilePattern<PipeOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(PipeOp pipe, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<arith::ConstantIntOp>(
        pipe, rewriter.getI32Type(), pipe.getBarriers().value_or(0));
    return success();
  }
};

/// Copies a tile box by box and panel by panel through a tensor map. All lanes
/// of the warp find coordinates; one copies.
class BoxCopy {
public:
  BoxCopy(ImplicitLocOpBuilder &b, PutOp put, Value map)
      : b(b), put(put), map(map), layout(put.getPipe().getType().getTile()),
        boxRows(put.getBox()->rows()),
        boxes(put.getPipe().getType().getTile().getRows() / boxRows) {}

  /// Finds head, token and batch of the boxes, one a lane: that may take a
  /// look-up of a page.
  void findBoxes() {
    Scalar lane = Thread(b).lane;
    for (int64_t first = 0; first < boxes; first += kWarpSize) {
      Scalar box =
          boxes == 1 ? i32(b, 0)
                     : lane.min(std::min(kWarpSize, boxes - first) - 1) + first;
      found.push_back(cloneBody(b, put.getBoxes(), (box * boxRows).value));
    }
  }

  int64_t bytes() const {
    return boxes * layout.panels() * boxRows * kPanelBytes;
  }

  /// A few boxes at a time, since their coordinates take registers.
  void copy(Value isElected, Scalar to, Value barrier) {
    for (int64_t box = 0; box < boxes; box += kAtOnce) {
      SmallVector<SmallVector<Value>> coordinates;
      int64_t end = std::min(boxes, box + kAtOnce);
      for (int64_t i = box; i < end; ++i)
        coordinates.push_back(coordinatesOf(i));
      auto branch = scf::IfOp::create(b, isElected, false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(branch.thenBlock());
      for (int64_t i = box; i < end; ++i)
        copyBox(i, coordinates[i - box], to, barrier);
    }
  }

private:
  static constexpr int64_t kPanelBytes = 128; // of a row in a panel
  static constexpr int64_t kAtOnce = 5;

  ImplicitLocOpBuilder &b;
  PutOp put;
  Value map;
  SharedLayout layout;
  int64_t boxRows, boxes;
  /// What each lane has found; of box `i`, lane `i % 32`, in the round `i /
  /// 32`.
  SmallVector<SmallVector<Value>> found;

  SmallVector<Value> coordinatesOf(int64_t box) {
    return llvm::map_to_vector(
        found[box / kWarpSize], [&](Value value) -> Value {
          return boxes == 1 || isSame(value)
                     ? value
                     : shuffleFrom(b, value, i32(b, box % kWarpSize));
        });
  }

  void copyBox(int64_t box, ValueRange coordinates, Scalar to, Value barrier) {
    for (int64_t panel = 0; panel < layout.panels(); ++panel) {
      SmallVector<Value> operands{
          sharedAddress(b, to + (panel * layout.panelBytes() +
                                 box * boxRows * kPanelBytes)),
          map, i32(b, panel * layout.panelColumns())};
      llvm::append_range(operands, coordinates);
      operands.push_back(barrier);
      std::string text =
          "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier"
          "::complete_tx::bytes";
      std::string where = " [$0], [$1, {$2, $3, $4, $5}], [$6]";
      std::string types = "r,l,r,r,r,r,r";
      if (put->hasAttr(kOnceAttr)) {
        // The word that createpolicy.fractional.L2::evict_first gives.
        operands.push_back(i64(b, 0x12F0000000000000));
        text += ".L2::cache_hint";
        where += ", $7";
        types += ",l";
      }
      assembly(b, {}, text + where + ";", types, operands);
    }
  }

  /// Whether a coordinate is the same for all boxes: it was not cloned.
  bool isSame(Value value) {
    return llvm::is_contained(
        put.getBoxes().front().getTerminator()->getOperands(), value);
  }
};

struct LowerPut : TilePattern<PutOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(PutOp put, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    FailureOr<PipeOp> pipe = pipeOf(put);
    if (failed(pipe))
      return failure();
    ImplicitLocOpBuilder b(put.getLoc(), rewriter);
    bool boxes = pipe->getCopy() == CopyKind::tma;
    // All warps come here that load, and one can copy boxes.
    if (boxes && facts.dealsKeys && !pipe->getDealt()) {
      auto first =
          scf::IfOp::create(b, Scalar{&b, facts.warpOfRole}.less(1), false);
      b.setInsertionPointToStart(first.thenBlock());
    }
    Stage stage(b, *pipe, adaptor.getIndex());
    LogicalResult done = boxes
                             ? putBoxes(b, put, stage)
                             : putRows(b, put, *pipe, adaptor.getBase(), stage);
    if (succeeded(done))
      rewriter.eraseOp(put);
    return done;
  }

private:
  LogicalResult putBoxes(ImplicitLocOpBuilder &b, PutOp put,
                         Stage &stage) const {
    if (facts.gathers)
      return put.emitOpError("expects all pipes of an entry to copy alike");
    if (SharedLayout(put.getPipe().getType().getTile()).pitch() != 128)
      return put.emitOpError("expects panels of 128 bytes a row");
    Value map = LLVM::PtrToIntOp::create(
        b, b.getI64Type(), facts.mapPointer(b, put, *put.getBox()));
    BoxCopy boxes(b, put, map);
    boxes.findBoxes();
    stage.waitEmpty();
    Value one = NVVM::ElectSyncOp::create(b, b.getI1Type(), Value());
    {
      OpBuilder::InsertionGuard guard(b);
      oneLaneIf(b, one);
      NVVM::MBarrierArriveExpectTxOp::create(
          b, Type(), stage.full(), i32(b, boxes.bytes()),
          NVVM::MemScopeKind::CTA, /*relaxed=*/false, /*predicate=*/Value());
    }
    boxes.copy(one, stage.offset(), stage.fullAddress());
    return success();
  }

  LogicalResult putRows(ImplicitLocOpBuilder &b, PutOp put, PipeOp pipe,
                        Value base, Stage &stage) const {
    TileType type = pipe.getType().getTile();
    int64_t warpsThatCopy = pipe.getDealt() ? 1 : kGroupWarps;
    if (type.getRows() % warpsThatCopy)
      return put.emitOpError("expects rows to be a multiple of ")
             << warpsThatCopy << " warps that copy them, but got "
             << type.getRows();
    Thread thread = pipe.getDealt() ? Thread(b) : Thread::local(b);
    thread.warp = pipe.getDealt() ? i32(b, 0) : thread.warp - facts.warps;
    RowGather gather(b, type, thread, warpsThatCopy, base, put.getRows());
    stage.waitEmpty();
    copyAsync(b, gather, SharedTile(b, type, stage.uniformOffset()));
    NVVM::CpAsyncMBarrierArriveOp::create(b, stage.full(), /*noinc=*/true);
    return success();
  }
};

struct LowerGet : TilePattern<GetOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(GetOp get, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    FailureOr<PipeOp> pipe = pipeOf(get);
    if (failed(pipe))
      return failure();
    ImplicitLocOpBuilder b(get.getLoc(), rewriter);
    Stage stage(b, *pipe, adaptor.getIndex());
    stage.waitFull();
    // What cp.async wrote is seen by wgmma only after a fence where it is read;
    // where keys are dealt, ldmatrix reads it, of the same proxy.
    if (pipe->getCopy() == CopyKind::gather && !facts.dealsKeys)
      fenceAsyncProxy(b);
    rewriter.replaceOp(get, stage.uniformOffset().value);
    return success();
  }
};

struct LowerRelease : TilePattern<ReleaseOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(ReleaseOp release, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    FailureOr<PipeOp> pipe = pipeOf(release);
    if (failed(pipe))
      return failure();
    ImplicitLocOpBuilder b(release.getLoc(), rewriter);
    // Waits for wgmma are of whole warps; threads end lane by lane, and what
    // fills the stage next is another proxy.
    if (facts.readByThreads.contains(release.getPipe())) {
      // cp.async is of the same proxy as what threads read and write.
      if (pipe->getCopy() == CopyKind::tma || !facts.dealsKeys)
        fenceAsyncProxy(b);
      NVVM::SyncWarpOp::create(b, i32(b, -1));
    }
    oneLaneIf(b, Thread(b).lane.less(1));
    NVVM::MBarrierArriveOp::create(
        b, Type(), Stage(b, *pipe, adaptor.getIndex()).empty(), Value());
    rewriter.eraseOp(release);
    return success();
  }
};

/// Each warpgroup writes zeros to all rows, since it does not wait for others;
/// where keys are dealt, the one warp that has the tile.
struct LowerClearRows : TilePattern<ClearRowsOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(ClearRowsOp clear, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    TileType type = clear.getTile().getType();
    if (!isa_and_present<SharedAttr>(type.getLayout()))
      return rewriter.notifyMatchFailure(clear, "is not in shared memory");
    if (!facts.hasRoles)
      return clear.emitOpError("expects warps that have roles");
    ImplicitLocOpBuilder b(clear.getLoc(), rewriter);
    SharedTile tile(b, type, adaptor.getTile());
    Scalar first = uniform(b, Scalar{&b, adaptor.getFirst()}.max(0));
    auto some = scf::IfOp::create(b, first.less(type.getRows()), false);
    b.setInsertionPointToStart(some.thenBlock());
    int64_t threads = facts.dealsKeys ? kWarpSize : kGroupThreads;
    Scalar thread = Thread(b).id % threads;
    // A row of a panel is zero wherever its chunks lie.
    int64_t chunks = tile.layout.pitch() / kChunkBytes;
    int64_t rows = threads / chunks;
    auto loop = scf::ForOp::create(b, first + thread / chunks,
                                   i32(b, type.getRows()), i32(b, rows));
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      auto chunk = VectorType::get(4, b.getI32Type());
      Value zero = arith::ConstantOp::create(b, b.getZeroAttr(chunk));
      Scalar at = Scalar{&b, loop.getInductionVar()} * tile.layout.pitch() +
                  thread % chunks * kChunkBytes + tile.base;
      for (int64_t panel = 0; panel < tile.layout.panels(); ++panel)
        LLVM::StoreOp::create(
            b, zero, sharedPointer(b, at + panel * tile.layout.panelBytes()),
            kChunkBytes);
    }
    if (facts.dealsKeys) {
      NVVM::SyncWarpOp::create(b, i32(b, -1));
    } else {
      fenceAsyncProxy(b);
      NVVM::BarrierOp::create(b, TypeRange(), facts.groupBarrier(b),
                              i32(b, kGroupThreads),
                              NVVM::BarrierReductionAttr(), Value());
    }
    rewriter.eraseOp(clear);
    return success();
  }
};
} // namespace

void saccade::populatePipePatterns(const TypeConverter &converter,
                                   RewritePatternSet &patterns,
                                   const EntryFacts &facts) {
  patterns.add<LowerPipe, LowerPut, LowerGet, LowerRelease, LowerClearRows>(
      converter, patterns.getContext(), facts);
}
