// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows between the caller's memory and buffers. Keys and values are gathered
// straight into the buffer that a product reads, transposed on the way where it
// wants them so: there is no other copy of a cache.

#include "lib/Conversion/CpuEmitter.h"

using namespace mlir;
using namespace saccade;

void CpuEmitter::loadTile(tile::LoadOp op, const Buffer &to, Value rows) {
  Type element = op.getType().getElementType();
  Value base = op->getOperand(0);
  Value absent =
      zeroRow(op.getType().getColumns() * element.getIntOrFloatBitWidth() / 8);
  // A row that is not there is read from a row of zeros, never from its place.
  auto address = [&](Scalar row) -> Value {
    auto [offset, there] = place(op.getRows(), row);
    return arith::SelectOp::create(b, there, at(base, element, offset), absent);
  };
  if (to.isColumn()) {
    loop(i64(0), rows, 1, [&](Scalar row) {
      Value lane = vector::ExtractOp::create(
          b, loadWidened(address(row), element, 1), int64_t{0});
      store(lane, at(to, row));
    });
    return;
  }
  if (!to.transposed) {
    loop(i64(0), rows, 1, [&](Scalar row) {
      Value from = address(row);
      eachVector(to.columns, [&](Scalar column, int64_t count) {
        store(loadWidened(at(from, element, column), element, count),
              at(to, row, column));
      });
    });
    return;
  }

  // Addresses first: a block needs those of `lanes` rows at once.
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Buffer list = allocate(1, 2 * padded(to.rows));
  loop(0, to.rows, 1, [&](Scalar row) {
    store(address(row), at(list.pointer, pointer, row), 8);
  });
  loop(to.rows, padded(to.rows), 1,
       [&](Scalar row) { store(absent, at(list.pointer, pointer, row), 8); });
  transposeRows(
      [&](Scalar row) {
        return load(pointer, at(list.pointer, pointer, row), 8);
      },
      element, to);
}

Buffer CpuEmitter::transpose(const Buffer &from) {
  Buffer to = allocateTransposed(from.rows, from.columns);
  // Rows beyond the last fill the padding; they are there, see allocate.
  transposeRows([&](Scalar row) { return at(from, row); }, b.getF32Type(), to);
  return to;
}

void CpuEmitter::transposeRows(llvm::function_ref<Value(Scalar)> rowAddress,
                               Type element, const Buffer &to) {
  loop(0, padded(to.rows), lanes, [&](Scalar row) {
    SmallVector<Value> rows;
    for (int64_t lane = 0; lane < lanes; ++lane)
      rows.push_back(rowAddress(row + lane));
    eachVector(to.columns, [&](Scalar column, int64_t count) {
      transposeBlock(rows, element, to, row, column, count);
    });
  });
}

/// Eklundh's transposition: in each round, lanes and rows whose indices differ
/// in one bit change places.
void CpuEmitter::transposeBlock(ArrayRef<Value> rows, Type element,
                                const Buffer &to, Scalar row, Scalar column,
                                int64_t count) {
  SmallVector<Value> block;
  for (Value address : rows)
    block.push_back(loadWidened(at(address, element, column), element, count));
  for (int64_t bit = 1; bit < lanes; bit *= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      low.push_back(lane & bit ? lanes + (lane ^ bit) : lane);
      high.push_back(lane & bit ? lanes + lane : lane | bit);
    }
    for (int64_t i = 0; i < lanes; ++i) {
      if (i & bit)
        continue;
      Value x = block[i], y = block[i | bit];
      block[i] = vector::ShuffleOp::create(b, x, y, low);
      block[i | bit] = vector::ShuffleOp::create(b, x, y, high);
    }
  }
  for (int64_t i = 0; i < count; ++i)
    store(block[i], at(to, column + i, row));
}

void CpuEmitter::storeTile(tile::StoreOp op, const Buffer &from, Value rows) {
  Type element = op.getTile().getType().getElementType();
  Value base = op->getOperand(1);
  loop(i64(0), rows, 1, [&](Scalar row) {
    auto [offset, there] = place(op.getRows(), row);
    auto present = scf::IfOp::create(b, there, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(present.thenBlock());
    Value to = at(base, element, offset);
    if (from.isColumn()) {
      Value one = vector::BroadcastOp::create(
          b, vectorType(), load(b.getF32Type(), at(from, row)));
      return storeRounded(one, to, element, 1);
    }
    eachVector(from.columns, [&](Scalar column, int64_t count) {
      storeRounded(load(vectorType(), at(from, row, column)),
                   at(to, element, column), element, count);
    });
  });
}

Value CpuEmitter::arrive(tile::ArriveOp op) {
  Value counter = at(op->getOperand(0), b.getI32Type(), op.getIndex());
  Value highest = Scalar{&b, op.getCount()} - 1;
  // The last one finds the highest number and leaves 0.
  Value before =
      LLVM::AtomicRMWOp::create(b, LLVM::AtomicBinOp::uinc_wrap, counter,
                                highest, LLVM::AtomicOrdering::seq_cst);
  return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, before, highest);
}
