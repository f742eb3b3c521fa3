// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tiles between memories: gathers into shared memory by asynchronous copies of
// 16 bytes, stores of fragments and of shared tiles, and rows mapped whole.

#include "lib/Conversion/TileToNvvm.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
/// A chunk of a row that a lane copies: its row and place in the tile, its
/// address in global memory, and whether the row is there.
struct RowChunk {
  Scalar row, chunk;
  Value pointer, there;
};

/// Deals the rows of a tile to warps and the chunks of their rows to lanes. The
/// body that finds a row runs once a row, in one lane, which tells the others:
/// it may look up a page, and its code may be long.
class RowGather {
public:
  RowGather(ImplicitLocOpBuilder &b, TileType type, int64_t warps, Value base,
            Region &find)
      : b(b), thread(b), rowsPerWarp(type.getRows() / warps),
        elementBytes(type.getElementType().getIntOrFloatBitWidth() / 8),
        base(base), find(find) {}

  void forEachChunk(int64_t chunks, function_ref<void(RowChunk)> copy) {
    Scalar warpRow = thread.warp * rowsPerWarp;
    for (int64_t first = 0; first < rowsPerWarp; first += kWarpSize)
      copyRows(warpRow + first, std::min(kWarpSize, rowsPerWarp - first),
               chunks, copy);
  }

private:
  ImplicitLocOpBuilder &b;
  Thread thread;
  int64_t rowsPerWarp, elementBytes;
  Value base;
  Region &find;

  void copyRows(Scalar firstRow, int64_t count, int64_t chunks,
                function_ref<void(RowChunk)> copy) {
    Scalar mine = count == kWarpSize ? thread.lane : thread.lane.min(count - 1);
    Value address = findRow(firstRow + mine);
    int64_t total = count * chunks;
    for (int64_t step = 0; step < total; step += kWarpSize) {
      Scalar index = thread.lane + step;
      if (step + kWarpSize <= total) {
        copy(at(firstRow, address, index, chunks));
        continue;
      }
      // Every lane takes part in the shuffle; the last ones have nothing to
      // copy.
      RowChunk chunk = at(firstRow, address, index.min(total - 1), chunks);
      scf::IfOp branch = scf::IfOp::create(b, index.less(total), false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(branch.thenBlock());
      copy(chunk);
    }
  }

  /// The address of a row as an i64. Rows begin at multiples of 16 bytes, so an
  /// odd address can say "not there".
  Value findRow(Scalar row) {
    SmallVector<Value> found = cloneBody(b, find, ValueRange{row});
    Value zero = i64(b, 0), one = i64(b, 1);
    Value offset = arith::SelectOp::create(b, found[1], found[0], zero);
    Value address = LLVM::PtrToIntOp::create(b, b.getI64Type(), base);
    address = Scalar{&b, offset} * elementBytes + address;
    Value absent = arith::SelectOp::create(b, found[1], zero, one);
    return arith::OrIOp::create(b, address, absent);
  }

  RowChunk at(Scalar firstRow, Value address, Scalar index, int64_t chunks) {
    Scalar row = index / chunks, chunk = index % chunks;
    // Halves of the address travel, and the mark with the lower one.
    Type half = b.getI32Type();
    Type halves = VectorType::get(2, half);
    Value pair = LLVM::BitcastOp::create(b, halves, address);
    Value low = shuffleFrom(b, element(b, pair, 0), row);
    Value high = shuffleFrom(b, element(b, pair, 1), row);
    Value mark = arith::TruncIOp::create(b, b.getI1Type(), low);
    Value there = arith::XOrIOp::create(b, mark, yes(b));
    low = arith::AndIOp::create(b, low, i32(b, -2));
    Value whole =
        LLVM::BitcastOp::create(b, b.getI64Type(), vectorOf(b, {low, high}));
    Value pointer = LLVM::IntToPtrOp::create(b, base.getType(), whole);
    return {firstRow + row, chunk,
            advance(b, pointer, (chunk * kChunkBytes).wide()), there};
  }
};

struct LowerLoad : TilePattern<LoadOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(LoadOp load, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    TileType type = load.getResult().getType();
    if (!isa_and_present<SharedAttr>(type.getLayout()))
      return rewriter.notifyMatchFailure(load,
                                         "does not load to shared memory");
    ImplicitLocOpBuilder b(load.getLoc(), rewriter);
    SharedLayout layout(type);
    RowGather gather(b, type, warps, adaptor.getBase(), load.getRows());
    gather.forEachChunk(layout.filledChunks(), [&](RowChunk at) {
      // A copy of 0 of 16 bytes fills with zeros and reads nothing: so it is
      // for rows that are not there and for the padding that products read.
      Value some = at.there;
      if (layout.filledChunks() > layout.dataChunks())
        some =
            arith::AndIOp::create(b, some, at.chunk.less(layout.dataChunks()));
      Value size =
          arith::SelectOp::create(b, some, i32(b, kChunkBytes), i32(b, 0));
      Value to = sharedPointer(b, layout.byteOfChunk(at.row, at.chunk));
      NVVM::CpAsyncOp::create(b, to, at.pointer, uint32_t(kChunkBytes),
                              NVVM::LoadCacheModifierKind::CG, size);
    });
    NVVM::CpAsyncCommitGroupOp::create(b);
    rewriter.replaceOp(load, i32(b, layout.getOffset()).value);
    return success();
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
    else if (isa<AccumulatorAttr, RowsOfAttr>(type.getLayout()))
      storeFragment(b, store, adaptor);
    else
      return rewriter.notifyMatchFailure(store, "cannot be stored from there");
    rewriter.eraseOp(store);
    return success();
  }

private:
  void storeShared(ImplicitLocOpBuilder &b, StoreOp store,
                   OpAdaptor adaptor) const {
    TileType type = store.getTile().getType();
    SharedLayout layout(type);
    Type chunk = VectorType::get(4, b.getI32Type());
    RowGather gather(b, type, warps, adaptor.getBase(), store.getRows());
    gather.forEachChunk(layout.dataChunks(), [&](RowChunk at) {
      scf::IfOp branch = scf::IfOp::create(b, at.there, false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(branch.thenBlock());
      Value from = sharedPointer(b, layout.byteOfChunk(at.row, at.chunk));
      Value value = LLVM::LoadOp::create(b, chunk, from, kChunkBytes);
      LLVM::StoreOp::create(b, value, at.pointer, kChunkBytes);
    });
  }

  /// A thread writes the pairs of columns that it holds, row by row; of a
  /// column vector, which the four lanes of a quad all hold, the first lane's
  /// copy.
  void storeFragment(ImplicitLocOpBuilder &b, StoreOp store,
                     OpAdaptor adaptor) const {
    TileType type = store.getTile().getType();
    FragmentLayout layout(type);
    int64_t bytes = type.getElementType().getIntOrFloatBitWidth() / 8;
    Thread thread(b);
    Place<Scalar> lane = FragmentLayout::ofLane(thread.lane);
    Scalar firstRow = lane.row + FragmentLayout::rowOfWarp(thread.warp);
    for (int64_t slot = 0; slot < layout.rowSlots(); ++slot) {
      SmallVector<Value> found = cloneBody(
          b, store.getRows(), ValueRange{firstRow + layout.rowOfSlot(slot)});
      Value there = found[1];
      if (type.isColumn())
        there = arith::AndIOp::create(b, there, lane.column.less(1));
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
          advance(b, adaptor.getBase(), (offset + lane.column.wide()) * bytes);
      for (int64_t pair = 0; pair < layout.columnSlots(); pair += 2) {
        int64_t reg = layout.registerOf(slot, pair);
        Value two = vectorOf(b, {element(b, adaptor.getTile(), reg),
                                 element(b, adaptor.getTile(), reg + 1)});
        LLVM::StoreOp::create(
            b, two, advance(b, row, i64(b, layout.columnOfSlot(pair) * bytes)),
            2 * bytes);
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
    int64_t threads = warps * kWarpSize;
    Scalar first = Thread(b).id;
    auto loop = scf::ForOp::create(b, first, i32(b, rows), i32(b, threads));
    b.setInsertionPointToStart(loop.getBody());
    Scalar row{&b, loop.getInductionVar()};
    Value input = loadRow(b, map.getInput().getType(), row);
    Value output = cloneBody(b, map.getBody(), ValueRange{input, row})[0];
    storeRow(b, map.getResult().getType(), row, output);
    b.setInsertionPointAfter(loop);
    rewriter.replaceOp(
        map, i32(b, SharedLayout(map.getResult().getType()).getOffset()).value);
    return success();
  }

private:
  static VectorType chunkOf(TileType type) {
    return VectorType::get(SharedLayout(type).elementsPerChunk(),
                           type.getElementType());
  }

  Value loadRow(ImplicitLocOpBuilder &b, TileType type, Scalar row) const {
    SharedLayout layout(type);
    VectorType chunk = chunkOf(type);
    SmallVector<Value> elements;
    for (int64_t c = 0; c < layout.dataChunks(); ++c) {
      Value from = sharedPointer(b, layout.byteOfChunk(row, i32(b, c)));
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

  void storeRow(ImplicitLocOpBuilder &b, TileType type, Scalar row,
                Value output) const {
    SharedLayout layout(type);
    VectorType chunk = chunkOf(type);
    int64_t perChunk = chunk.getNumElements();
    for (int64_t c = 0; c < layout.filledChunks(); ++c) {
      Value part;
      if (c >= layout.dataChunks()) {
        part = arith::ConstantOp::create(b, b.getZeroAttr(chunk));
      } else {
        SmallVector<Value> elements;
        for (int64_t i = 0; i < perChunk; ++i)
          elements.push_back(element(b, output, c * perChunk + i));
        part = vectorOf(b, elements);
        if (!type.getElementType().isF32())
          part = arith::TruncFOp::create(b, chunk, part);
      }
      LLVM::StoreOp::create(
          b, part, sharedPointer(b, layout.byteOfChunk(row, i32(b, c))),
          kChunkBytes);
    }
  }
};
} // namespace

void saccade::populateTileMemoryPatterns(const TypeConverter &converter,
                                         RewritePatternSet &patterns,
                                         int64_t warps) {
  patterns.add<LowerLoad, LowerStore, LowerMapRows>(
      converter, patterns.getContext(), warps);
}
