// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of tiles. The inner loop holds a block of the result in registers
// and walks along k: two loads of the right side and a broadcast a row feed as
// many fused multiply-adds as there are accumulators (after Goto and van de
// Geijn, "Anatomy of high-performance matrix multiplication").

#include "lib/Conversion/CpuEmitter.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace saccade;

/// Blocks by vector width: 32 registers hold 16 accumulators with room to load
/// ahead, 16 registers hold 8. The narrow one has few rows, for what is left
/// and for decoding, where a query has hardly more rows than its group of
/// heads.
static RegisterBlock wideBlock(int64_t lanes) {
  return lanes == 16 ? RegisterBlock{8, 2} : RegisterBlock{4, 2};
}
static RegisterBlock narrowBlock(int64_t lanes) {
  return lanes == 16 ? RegisterBlock{4, 4} : RegisterBlock{4, 2};
}

static int64_t maxRows(ArrayRef<RowsAhead> ahead) {
  int64_t rows = 0;
  for (const RowsAhead &some : ahead) {
    tile::LoadOp load = some.load;
    rows = std::max(rows, load.getType().getRows());
  }
  return rows;
}

void CpuEmitter::dot(const Buffer &lhs, const Buffer &rhs, const Buffer &to,
                     bool accumulate, Value rows, ArrayRef<RowsAhead> ahead) {
  RegisterBlock wide = wideBlock(lanes), narrow = narrowBlock(lanes);
  Scalar whole = scalar(rows) / wide.rows * wide.rows;
  Product product{lhs, rhs, to, accumulate, ahead, {}, {}};
  if (!ahead.empty()) { // a few rows' work hides nothing: wide blocks only
    Scalar blocks =
        whole / wide.rows *
        static_cast<int64_t>(llvm::divideCeil(to.pitch, wide.vectors * lanes));
    Scalar all = i64(maxRows(ahead));
    product.atOnce = (all / blocks.max(1)) + 1;
    product.next = allocate(1, 2).pointer;
    store(i64(0), product.next, 8);
  }
  dotBlocks(product, i64(0), whole, wide);
  if (getConstantIntValue(whole.value) != getConstantIntValue(rows) ||
      !getConstantIntValue(rows))
    dotBlocks({lhs, rhs, to, accumulate, {}, {}, {}}, whole, rows, narrow);
}

/// Rows from `begin` to `end`, columns in panels: a panel of the right side
/// stays in the first-level cache while the rows pass by.
void CpuEmitter::dotBlocks(const Product &product, Value begin, Value end,
                           RegisterBlock block) {
  auto panels = [&](int64_t first, int64_t last, RegisterBlock block) {
    loop(first, last, block.vectors * lanes, [&](Scalar column) {
      loop(begin, end, block.rows, [&](Scalar row) {
        fetchSome(product);
        dotBlock(product, row, column, block);
      });
    });
  };
  int64_t width = block.vectors * lanes, pitch = product.to.pitch;
  int64_t whole = pitch / width * width;
  panels(0, whole, block);
  if (whole < pitch)
    panels(whole, pitch, {block.rows, (pitch - whole) / lanes});
}

void CpuEmitter::fetchSome(const Product &product) {
  if (product.ahead.empty())
    return;
  Scalar begin = scalar(load(b.getI64Type(), product.next, 8));
  Scalar end = (begin + product.atOnce).min(maxRows(product.ahead));
  store(end, product.next, 8);
  loop(begin, end, 1, [&](Scalar row) {
    for (const RowsAhead &ahead : product.ahead) {
      tile::LoadOp from = ahead.load;
      tile::TileType type = from.getType();
      Type element = type.getElementType();
      auto [offset, there] = place(from.getRows(), row, ahead.outer);
      Value base = ahead.outer.lookupOrDefault(from->getOperand(0));
      Value address = at(base, element, offset);
      int64_t bytes = type.getColumns() * element.getIntOrFloatBitWidth() / 8;
      // Into the second-level cache; wild addresses do no harm.
      loop(0, bytes, 64, [&](Scalar line) {
        LLVM::Prefetch::create(b, at(address, b.getI8Type(), line),
                               /*rw=*/0, /*hint=*/2, /*cache=*/1);
      });
    }
  });
}

void CpuEmitter::dotBlock(const Product &product, Scalar row, Scalar column,
                          RegisterBlock block) {
  const Buffer &rhs = product.rhs, &to = product.to;
  SmallVector<Value> from, target, sums;
  for (int64_t i = 0; i < block.rows; ++i) {
    from.push_back(at(product.lhs, row + i));
    for (int64_t j = 0; j < block.vectors; ++j) {
      target.push_back(at(to, row + i, column + j * lanes));
      sums.push_back(product.accumulate
                         ? load(vectorType(), target.back(), 4 * lanes)
                         : splat(0.0f));
    }
  }
  int64_t depth = rhs.transposed ? rhs.columns : rhs.rows;
  auto loop = scf::ForOp::create(b, i64(0), i64(depth), i64(1), sums);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Scalar k = scalar(loop.getInductionVar());
    SmallVector<Value> right;
    for (int64_t j = 0; j < block.vectors; ++j)
      right.push_back(
          load(vectorType(), at(rhs, k, column + j * lanes), 4 * lanes));
    SmallVector<Value> next;
    for (int64_t i = 0; i < block.rows; ++i) {
      Value left = splat(load(b.getF32Type(), at(from[i], b.getF32Type(), k)),
                         vectorType());
      for (int64_t j = 0; j < block.vectors; ++j)
        next.push_back(vector::FMAOp::create(
            b, left, right[j],
            loop.getRegionIterArgs()[i * block.vectors + j]));
    }
    scf::YieldOp::create(b, next);
  }
  for (auto [address, sum] : llvm::zip_equal(target, loop.getResults()))
    store(sum, address, 4 * lanes);
}
