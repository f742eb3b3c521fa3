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

void CpuEmitter::dot(const Buffer &lhs, const Buffer &rhs, const Buffer &to,
                     bool accumulate, Value rows) {
  RegisterBlock wide = wideBlock(lanes), narrow = narrowBlock(lanes);
  Scalar whole = scalar(rows) / wide.rows * wide.rows;
  dotBlocks(lhs, rhs, to, accumulate, i64(0), whole, wide);
  if (getConstantIntValue(whole.value) != getConstantIntValue(rows) ||
      !getConstantIntValue(rows))
    dotBlocks(lhs, rhs, to, accumulate, whole, rows, narrow);
}

/// Rows from `begin` to `end`, columns in panels: a panel of the right side
/// stays in the first-level cache while the rows pass by.
void CpuEmitter::dotBlocks(const Buffer &lhs, const Buffer &rhs,
                           const Buffer &to, bool accumulate, Value begin,
                           Value end, RegisterBlock block) {
  auto panels = [&](int64_t first, int64_t last, RegisterBlock block) {
    loop(first, last, block.vectors * lanes, [&](Scalar column) {
      loop(begin, end, block.rows, [&](Scalar row) {
        dotBlock(lhs, rhs, to, accumulate, row, column, block);
      });
    });
  };
  int64_t width = block.vectors * lanes;
  int64_t whole = to.pitch / width * width;
  panels(0, whole, block);
  if (whole < to.pitch)
    panels(whole, to.pitch, {block.rows, (to.pitch - whole) / lanes});
}

void CpuEmitter::dotBlock(const Buffer &lhs, const Buffer &rhs,
                          const Buffer &to, bool accumulate, Scalar row,
                          Scalar column, RegisterBlock block) {
  SmallVector<Value> from, target, sums;
  for (int64_t i = 0; i < block.rows; ++i) {
    from.push_back(at(lhs, row + i));
    for (int64_t j = 0; j < block.vectors; ++j) {
      target.push_back(at(to, row + i, column + j * lanes));
      sums.push_back(accumulate ? load(vectorType(), target.back(), 4 * lanes)
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
