// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tiles between memories: gathers into shared memory by asynchronous copies of
// 16 bytes, stores of fragments and of shared tiles, and rows mapped whole.

#include "lib/Conversion/RowGather.h"
#include "lib/Conversion/TileToNvvmRoles.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
struct LowerLoad : TilePattern<LoadOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(LoadOp load, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    TileType type = load.getResult().getType();
    ImplicitLocOpBuilder b(load.getLoc(), rewriter);
    if (isa_and_present<AccumulatorAttr, RowsOfAttr>(type.getLayout())) {
      rewriter.replaceOp(load, loadFragment(b, load, adaptor.getBase()));
      return success();
    }
    if (!isa_and_present<SharedAttr>(type.getLayout()))
      return rewriter.notifyMatchFailure(load, "cannot be loaded to there");
    SharedTile to(b, type);
    RowGather gather(b, type, Thread(b), facts.warps, adaptor.getBase(),
                     load.getRows());
    copyAsync(b, gather, to);
    NVVM::CpAsyncCommitGroupOp::create(b);
    rewriter.replaceOp(load, to.base.value);
    return success();
  }

private:
  /// Each thread reads what it holds of f32 rows, as LowerStore writes it.
  Value loadFragment(ImplicitLocOpBuilder &b, LoadOp load, Value base) const {
    constexpr int64_t bytes = 4;
    TileType type = load.getResult().getType();
    FragmentLayout layout(type);
    Thread thread = facts.hasRoles ? Thread::local(b) : Thread(b);
    Place<Scalar> first = layout.ofThread(thread.lane, thread.warp);
    SmallVector<Value> elements(layout.registers());
    for (int64_t slot = 0; slot < layout.rowSlots(); ++slot) {
      SmallVector<Value> found = cloneBody(
          b, load.getRows(), ValueRange{first.row + layout.rowOfSlot(slot)});
      Scalar offset{&b, found[0]}, there{&b, found[1]};
      if (type.isColumn()) {
        elements[slot] =
            loadIf(b, there, advance(b, base, offset * bytes), 1)[0];
        continue;
      }
      Value row = advance(b, base, (offset + first.column.wide()) * bytes);
      int64_t run = layout.columnRun();
      for (int64_t at = 0; at < layout.columnSlots(); at += run) {
        int64_t column = layout.columnOfSlot(at);
        Value from = advance(b, row, i64(b, column * bytes));
        // Columns in sixteens may reach past the last one.
        bool isPadded = type.getColumns() % kAtomRows && run == 1;
        Scalar inside =
            isPadded ? there & (first.column + column).less(type.getColumns())
                     : there;
        for (auto [i, value] : llvm::enumerate(loadIf(b, inside, from, run)))
          elements[layout.registerOf(slot, at) + i] = value;
      }
    }
    return vectorOf(b, elements);
  }

  /// One or two floats, or zeros. Predicated, since between branches no load
  /// would wait beside another; and never from the non-coherent cache, for
  /// other CTAs wrote them.
  static SmallVector<Value> loadIf(ImplicitLocOpBuilder &b, Value there,
                                   Value from, int64_t count) {
    Type f32 = b.getF32Type();
    Value flag = arith::ExtUIOp::create(b, b.getI32Type(), there);
    if (count == 1)
      return {
          assembly(
              b, f32,
              "{ .reg .pred p; setp.ne.s32 p, $2, 0; mov.f32 $0, 0f00000000; "
              "@p ld.global.f32 $0, [$1]; }",
              "=f,l,r", ValueRange{from, flag})
              .getRes()};
    Value two =
        assembly(
            b, LLVM::LLVMStructType::getLiteral(b.getContext(), {f32, f32}),
            "{ .reg .pred p; setp.ne.s32 p, $3, 0; mov.f32 $0, 0f00000000; "
            "mov.f32 $1, 0f00000000; @p ld.global.v2.f32 {$0, $1}, [$2]; }",
            "=f,=f,l,r", ValueRange{from, flag})
            .getRes();
    return {LLVM::ExtractValueOp::create(b, two, 0),
            LLVM::ExtractValueOp::create(b, two, 1)};
  }
};

struct LowerStore : TilePattern<StoreOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(StoreOp store, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(store.getLoc(), rewriter);
    TileType type = store.getTile().getType();
    if (isa<SharedAttr>(type.getLayout()))
      storeShared(b, store, adaptor);
    else if (isa<AccumulatorAttr, OperandAttr, RowsOfAttr>(type.getLayout()))
      storeFragment(b, store, adaptor);
    else
      return rewriter.notifyMatchFailure(store, "cannot be stored from there");
    rewriter.eraseOp(store);
    return success();
  }

private:
  Thread thread(ImplicitLocOpBuilder &b) const {
    return facts.hasRoles ? Thread::local(b) : Thread(b);
  }

  void storeShared(ImplicitLocOpBuilder &b, StoreOp store,
                   OpAdaptor adaptor) const {
    TileType type = store.getTile().getType();
    SharedTile tile(b, type, adaptor.getTile());
    Type chunk = VectorType::get(4, b.getI32Type());
    RowGather gather(b, type, thread(b), facts.warps, adaptor.getBase(),
                     store.getRows());
    // All is read before anything is written, so that the latencies of reads
    // run beside each other.
    struct Piece {
      RowChunk to;
      Value value;
    };
    SmallVector<Piece> pieces;
    auto write = [&](const Piece &piece) {
      scf::IfOp branch = scf::IfOp::create(b, piece.to.there, false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(branch.thenBlock());
      LLVM::StoreOp::create(b, piece.value, piece.to.pointer, kChunkBytes);
    };
    Block *whole = b.getInsertionBlock();
    gather.forEachChunk(tile.layout.dataChunks(), [&](RowChunk at) {
      Value from = tile.chunk(b, at.row, at.chunk);
      Piece piece{at, LLVM::LoadOp::create(b, chunk, from, kChunkBytes)};
      if (b.getInsertionBlock() == whole)
        pieces.push_back(piece);
      else
        write(piece); // the last lanes have no such piece
    });
    for (const Piece &piece : pieces)
      write(piece);
  }

  /// A thread writes the columns that it holds, row by row, in pairs where they
  /// are neighbours; of a column vector, which several lanes hold, the first
  /// lane's copy, and of what several warps hold, the first one's.
  void storeFragment(ImplicitLocOpBuilder &b, StoreOp store,
                     OpAdaptor adaptor) const {
    TileType type = store.getTile().getType();
    FragmentLayout layout(type);
    int64_t bytes = type.getElementType().getIntOrFloatBitWidth() / 8;
    Thread thread = this->thread(b);
    Place<Scalar> first = layout.ofThread(thread.lane, thread.warp);
    bool transposed = FragmentLayout::isTransposed(type.getLayout());
    // Columns of a transposed tile are dealt to warps.
    int64_t furthest = transposed ? (layout.getWarps() - 1) * kAtomRows : 0;
    for (int64_t slot = 0; slot < layout.rowSlots(); ++slot) {
      SmallVector<Value> found = cloneBody(
          b, store.getRows(), ValueRange{first.row + layout.rowOfSlot(slot)});
      Value there = found[1];
      if (type.isColumn())
        there = arith::AndIOp::create(b, there, first.column.less(1));
      if (transposed && layout.getWarps() < facts.warps)
        there = arith::AndIOp::create(b, there,
                                      thread.warp.less(layout.getWarps()));
      scf::IfOp branch = scf::IfOp::create(b, there, false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(branch.thenBlock());
      Scalar offset{&b, found[0]};
      if (type.isColumn()) {
        LLVM::StoreOp::create(b, element(b, adaptor.getTile(), slot),
                              advance(b, adaptor.getBase(), offset * bytes),
                              bytes);
        continue;
      }
      Value row =
          advance(b, adaptor.getBase(), (offset + first.column.wide()) * bytes);
      int64_t run = layout.columnRun();
      for (int64_t at = 0; at < layout.columnSlots(); at += run) {
        int64_t column = layout.columnOfSlot(at);
        if (column >= type.getColumns())
          continue;
        OpBuilder::InsertionGuard guard(b);
        if (column + furthest >= type.getColumns()) {
          Value inside = (first.column + column).less(type.getColumns());
          b.setInsertionPointToStart(
              scf::IfOp::create(b, inside, false).thenBlock());
        }
        int64_t reg = layout.registerOf(slot, at);
        Value value = run == 2
                          ? fragmentPair(b, type, adaptor.getTile(), reg)
                          : fragmentElement(b, type, adaptor.getTile(), reg);
        LLVM::StoreOp::create(b, value, advance(b, row, i64(b, column * bytes)),
                              run * bytes);
      }
    }
  }
};

/// One thread has a whole row: it reads the row from shared memory, and puts
/// the mapped row there, over the old one or beside it.
struct LowerMapRows : TilePattern<MapRowsOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(MapRowsOp map, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(map.getLoc(), rewriter);
    int64_t rows = map.getInput().getType().getRows();
    int64_t threads = facts.warps * kWarpSize;
    Scalar first = Thread(b).id;
    auto loop = scf::ForOp::create(b, first, i32(b, rows), i32(b, threads));
    b.setInsertionPointToStart(loop.getBody());
    Scalar row{&b, loop.getInductionVar()};
    TileType from = map.getInput().getType(), to = map.getResult().getType();
    Value input =
        loadRow(b, from, SharedTile(b, from, adaptor.getInput()), row);
    Value output = cloneBody(b, map.getBody(), ValueRange{input, row})[0];
    storeRow(b, to, SharedTile(b, to), row, output);
    b.setInsertionPointAfter(loop);
    rewriter.replaceOp(map, SharedTile(b, to).base.value);
    return success();
  }

private:
  static VectorType chunkOf(TileType type) {
    return VectorType::get(SharedLayout(type).elementsPerChunk(),
                           type.getElementType());
  }

  Value loadRow(ImplicitLocOpBuilder &b, TileType type, const SharedTile &tile,
                Scalar row) const {
    VectorType chunk = chunkOf(type);
    SmallVector<Value> elements;
    for (int64_t c = 0; c < tile.layout.dataChunks(); ++c) {
      Value from = tile.chunk(b, row, i32(b, c));
      Value part = LLVM::LoadOp::create(b, chunk, from, kChunkBytes);
      for (int64_t i = 0; i < chunk.getNumElements(); ++i) {
        Value x = element(b, part, i);
        elements.push_back(type.getElementType().isF32()
                               ? x
                               : arith::ExtFOp::create(b, b.getF32Type(), x));
      }
    }
    return vectorOf(b, elements);
  }

  void storeRow(ImplicitLocOpBuilder &b, TileType type, const SharedTile &tile,
                Scalar row, Value output) const {
    VectorType chunk = chunkOf(type);
    int64_t perChunk = chunk.getNumElements();
    for (int64_t c = 0; c < tile.layout.filledChunks(); ++c) {
      Value part;
      if (c >= tile.layout.dataChunks()) {
        part = arith::ConstantOp::create(b, b.getZeroAttr(chunk));
      } else {
        SmallVector<Value> elements;
        for (int64_t i = 0; i < perChunk; ++i)
          elements.push_back(element(b, output, c * perChunk + i));
        part = vectorOf(b, elements);
        if (!type.getElementType().isF32())
          part = arith::TruncFOp::create(b, chunk, part);
      }
      LLVM::StoreOp::create(b, part, tile.chunk(b, row, i32(b, c)),
                            kChunkBytes);
    }
  }
};

/// What all warps stored is seen by the CTA that is told to be the last: they
/// meet, one thread releases all of it with the count and acquires what others
/// released, and they meet again (PTX ISA, "Causality order").
struct LowerArrive : TilePattern<ArriveOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(ArriveOp arrive, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(arrive.getLoc(), rewriter);
    facts.meet(b);
    Value first = Thread(b).id.less(1);
    auto one = scf::IfOp::create(b, b.getI1Type(), first, true);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(one.thenBlock());
      scf::YieldOp::create(b, count(b, adaptor));
      b.setInsertionPointToStart(one.elseBlock());
      scf::YieldOp::create(b, yes(b, false));
    }
    rewriter.replaceOpWithNewOp<LLVM::CallIntrinsicOp>(
        arrive, b.getI1Type(),
        b.getStringAttr("llvm.nvvm.barrier.cta.red.or.aligned.count"),
        ValueRange{facts.computeBarrier(b), i32(b, facts.warps * kWarpSize),
                   one.getResult(0)});
    return success();
  }

private:
  /// Whether this CTA is the last: it finds the highest number, and
  /// leaves 0.
  static Value count(ImplicitLocOpBuilder &b, OpAdaptor adaptor) {
    Value counter = advance(b, adaptor.getCounters(),
                            Scalar{&b, adaptor.getIndex()}.wide() * 4);
    Value highest = Scalar{&b, adaptor.getCount()} - 1;
    Value before = assembly(b, b.getI32Type(),
                            "atom.acq_rel.gpu.global.inc.u32 $0, [$1], $2;",
                            "=r,l,r", ValueRange{counter, highest})
                       .getRes();
    return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, before, highest);
  }
};
} // namespace

void saccade::populateTileMemoryPatterns(const TypeConverter &converter,
                                         RewritePatternSet &patterns,
                                         const EntryFacts &facts) {
  patterns.add<LowerLoad, LowerStore, LowerMapRows, LowerArrive>(
      converter, patterns.getContext(), facts);
}
