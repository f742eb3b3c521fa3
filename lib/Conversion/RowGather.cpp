// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The address of each row is found by one lane and read by the others from its
// registers.

#include "lib/Conversion/RowGather.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

RowGather::RowGather(ImplicitLocOpBuilder &b, TileType type,
                     const Thread &thread, int64_t warps, Value base,
                     Region &find)
    : b(b), lane(thread.lane),
      elementBytes(type.getElementType().getIntOrFloatBitWidth() / 8),
      base(base) {
  int64_t rowsPerWarp = type.getRows() / warps;
  Scalar warpRow = thread.warp * rowsPerWarp;
  for (int64_t first = 0; first < rowsPerWarp; first += kWarpSize) {
    int64_t count = std::min(kWarpSize, rowsPerWarp - first);
    Scalar mine = count == kWarpSize ? lane : lane.min(count - 1);
    Scalar firstRow = warpRow + first;
    found.push_back({firstRow, count, findRow(find, firstRow + mine)});
  }
}

void RowGather::forEachChunk(int64_t chunks,
                             function_ref<void(RowChunk)> copy) {
  for (const Found &rows : found)
    copyRows(rows, chunks, copy);
}

void RowGather::copyRows(const Found &rows, int64_t chunks,
                         function_ref<void(RowChunk)> copy) {
  int64_t total = rows.count * chunks;
  for (int64_t step = 0; step < total; step += kWarpSize) {
    Scalar index = lane + step;
    if (step + kWarpSize <= total) {
      copy(at(rows, index, chunks));
      continue;
    }
    // Every lane takes part in the shuffle; the last ones have nothing to
    // copy.
    RowChunk chunk = at(rows, index.min(total - 1), chunks);
    scf::IfOp branch = scf::IfOp::create(b, index.less(total), false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    copy(chunk);
  }
}

/// The address of a row as an i64. Rows begin at multiples of 16 bytes, so an
/// odd address can say "not there".
Value RowGather::findRow(Region &find, Scalar row) {
  SmallVector<Value> place = cloneBody(b, find, ValueRange{row});
  Value zero = i64(b, 0), one = i64(b, 1);
  Value offset = arith::SelectOp::create(b, place[1], place[0], zero);
  Value address = LLVM::PtrToIntOp::create(b, b.getI64Type(), base);
  address = Scalar{&b, offset} * elementBytes + address;
  Value absent = arith::SelectOp::create(b, place[1], zero, one);
  return arith::OrIOp::create(b, address, absent);
}

RowChunk RowGather::at(const Found &rows, Scalar index, int64_t chunks) {
  Scalar row = index / chunks, chunk = index % chunks;
  // Halves of the address travel, and the mark with the lower one.
  Type halves = VectorType::get(2, b.getI32Type());
  Value pair = LLVM::BitcastOp::create(b, halves, rows.address);
  Value low = shuffleFrom(b, element(b, pair, 0), row);
  Value high = shuffleFrom(b, element(b, pair, 1), row);
  Value mark = arith::TruncIOp::create(b, b.getI1Type(), low);
  Value there = arith::XOrIOp::create(b, mark, yes(b));
  low = arith::AndIOp::create(b, low, i32(b, -2));
  Value whole =
      LLVM::BitcastOp::create(b, b.getI64Type(), vectorOf(b, {low, high}));
  Value pointer = LLVM::IntToPtrOp::create(b, base.getType(), whole);
  return {rows.firstRow + row, chunk,
          advance(b, pointer, (chunk * kChunkBytes).wide()), there};
}

void saccade::copyAsync(ImplicitLocOpBuilder &b, RowGather &gather,
                        const SharedTile &to) {
  const SharedLayout &layout = to.layout;
  gather.forEachChunk(layout.filledChunks(), [&](RowChunk at) {
    // A copy of 0 of 16 bytes fills with zeros and reads nothing.
    Value some = at.there;
    if (layout.filledChunks() > layout.dataChunks())
      some = arith::AndIOp::create(b, some, at.chunk.less(layout.dataChunks()));
    Value size =
        arith::SelectOp::create(b, some, i32(b, kChunkBytes), i32(b, 0));
    NVVM::CpAsyncOp::create(b, to.chunk(b, at.row, at.chunk), at.pointer,
                            uint32_t(kChunkBytes),
                            NVVM::LoadCacheModifierKind::CG, size);
  });
}
