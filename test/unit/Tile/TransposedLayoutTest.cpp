// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Transposed fragments: against the tables of the PTX ISA, element by element,
// and through both products of an attention, whose instructions are played here
// lane by lane.

#include "test/unit/Tile/PlayedWarp.h"

#include <set>

using namespace mlir;
using namespace saccade::tile;

TEST_CASE("a transposed accumulator holds C fragments of columns by rows") {
  Tiles t;
  for (int64_t rows : kRows)
    for (int64_t columns : {16, 32, 48, 64, 128, 256}) {
      FragmentLayout layout(t.tile(rows, columns, t.accumulator(1)));
      CHECK(layout.registers() == rows * columns / 32);
      for (int64_t lane = 0; lane < 32; ++lane)
        for (int64_t m = 0; m < columns; m += 16)
          for (int64_t n = 0; n < rows; n += 8)
            for (int64_t i = 0; i < 4; ++i) {
              // An atom's four elements are neighbours, in the ISA's order.
              int64_t reg = layout.registerOf(n / 4, m / 8) + i;
              CHECK(layout.where(reg, lane, 0).column == m + isaRowC(lane, i));
              CHECK(layout.where(reg, lane, 0).row == n + isaColC(lane, i));
            }
    }
}

TEST_CASE("a transposed operand holds B fragments of depth by rows") {
  Tiles t;
  for (int64_t rows : kRows)
    for (int64_t columns : {16, 32, 48, 64, 128, 256}) {
      FragmentLayout layout(t.half(rows, columns, t.operand(1)));
      CHECK(layout.registers() == rows * columns / 32);
      for (int64_t lane = 0; lane < 32; ++lane)
        for (int64_t k = 0; k < columns; k += 16)
          for (int64_t n = 0; n < rows; n += 8)
            for (int64_t i = 0; i < 4; ++i) {
              int64_t reg = layout.registerOf(n / 8, k / 4) + i;
              CHECK(layout.where(reg, lane, 0).column == k + isaRowB(lane, i));
              CHECK(layout.where(reg, lane, 0).row == n + isaColB(lane, i));
            }
    }
}

TEST_CASE("transposed fragments hold each element once, and their padding") {
  Tiles t;
  for (int64_t rows : kRows)
    for (int64_t columns : {8, 16, 24, 72, 80, 96, 128, 256})
      for (int64_t warps : {1, 2, 4, 8, 12}) {
        int64_t blocks = (columns + 15) / 16;
        if (blocks % warps)
          continue;
        for (Attribute layout : {t.accumulator(warps), t.operand(warps)}) {
          FragmentLayout fragment(t.half(rows, columns, layout));
          Places seen = placesOf(fragment);
          CHECK(int64_t(seen.size()) == rows * blocks * 16);
          for (auto [place, times] : seen) {
            CHECK(times == 1);
            CHECK(place.first < rows);
            CHECK(place.second < blocks * 16);
          }
          // Further warps hold the same again.
          for (int64_t lane : {0, 13, 31})
            for (int64_t reg = 0; reg < fragment.registers(); ++reg)
              for (int64_t warp = warps; warp < 12; ++warp) {
                auto here = fragment.where(reg, lane, warp);
                auto there = fragment.where(reg, lane, warp % warps);
                CHECK(here.row == there.row);
                CHECK(here.column == there.column);
              }
        }
      }
}

TEST_CASE("warps own blocks of 16 transposed columns in turn") {
  Tiles t;
  FragmentLayout layout(t.tile(8, 128, t.accumulator(4)));
  CHECK(layout.getColumnAtoms() == 4);
  for (int64_t warp = 0; warp < 8; ++warp)
    for (int64_t reg = 0; reg < layout.registers(); ++reg)
      CHECK(layout.where(reg, 9, warp).column / 16 % 4 == warp % 4);
}

TEST_CASE("a transposed column vector lies beside the rows of its tile") {
  Tiles t;
  for (int64_t rows : kRows) {
    FragmentLayout column(t.tile(rows, 1, t.rowsOf()));
    FragmentLayout tile(t.tile(rows, 64, t.accumulator(4)));
    CHECK(column.registers() == rows / 4);
    for (int64_t lane = 0; lane < 32; ++lane) {
      for (int64_t reg = 0; reg < tile.registers(); ++reg)
        CHECK(tile.where(reg, lane, 3).row ==
              column.where(tile.rowSlotOf(reg), lane, 0).row);
      // Which lanes share rows, and which of them is the first.
      int64_t first = lane;
      for (int64_t mask : column.sharingLanes()) {
        for (int64_t reg = 0; reg < column.registers(); ++reg)
          CHECK(column.where(reg, lane ^ mask, 0).row ==
                column.where(reg, lane, 0).row);
        first &= ~mask;
      }
      CHECK((column.ofThread<int64_t>(lane, 5).column == 0) == (lane == first));
    }
    for (auto [place, times] : placesOf(column))
      CHECK(times == 8);
  }
}

TEST_CASE("an exchange gives each lane of each warp bytes of its own") {
  Tiles t;
  for (int64_t columns : {8, 64, 72, 128, 256})
    for (int64_t warps : {4, 8, 12}) {
      ExchangeLayout memory(t.tile(24, columns, t.accumulator(1)), warps);
      CHECK(memory.atoms() == (columns + 15) / 16);
      std::set<int64_t> seen;
      for (int64_t warp = 0; warp < warps; ++warp)
        for (int64_t atom = 0; atom < memory.atoms(); ++atom)
          for (int64_t lane = 0; lane < 32; ++lane) {
            int64_t byte = memory.byteOfAtom(warp, atom, lane);
            CHECK(byte % 16 == 0);
            CHECK(byte + 16 <= memory.bytes());
            CHECK(seen.insert(byte).second);
          }
      ExchangeLayout rows(t.tile(24, 1, t.rowsOf()), warps);
      CHECK(rows.bytes() == warps * 24 * 4);
      CHECK(rows.byteOfRow<int64_t>(warps - 1, 23) == rows.bytes() - 4);
    }
}

//===----------------------------------------------------------------------===//
// Products, played lane by lane
//===----------------------------------------------------------------------===//

namespace {
/// A transposed product as the lowering of `tile.dot` orders it.
void dot(const FragmentLayout &operand, const Registers &right, Memory &left,
         bool transposed, int64_t depth, const FragmentLayout &result,
         Registers &sums) {
  MatrixUse use = transposed ? MatrixUse::Left : MatrixUse::LeftTransposed;
  for (int64_t k = 0; k < depth; k += 16)
    for (int64_t slot = 0; slot < result.columnSlots(); slot += 2)
      for (int64_t atom = 0; atom < result.getRowAtoms(); ++atom) {
        std::array<std::array<double, 8>, 32> a;
        std::array<std::array<double, 4>, 32> b;
        int64_t column = result.columnOfSlot(slot);
        int64_t first = operand.registerOf(atom, k / 8 * 2);
        for (int64_t lane = 0; lane < 32; ++lane) {
          auto words = transposed ? left.load(use, lane, column, k, 4)
                                  : left.load(use, lane, k, column, 4);
          for (int64_t i = 0; i < 8; ++i)
            a[lane][i] = words[i / 2][i % 2];
          for (int64_t i = 0; i < 4; ++i)
            b[lane][i] = right[lane][first + i];
        }
        multiply(a, b, sums, result.registerOf(2 * atom, slot));
      }
}

/// Queries from shared memory to a right operand.
Registers readOperand(Memory &queries, const FragmentLayout &to, int64_t rows,
                      int64_t columns) {
  Registers all = registersOf(to.registers());
  for (int64_t lane = 0; lane < 32; ++lane) {
    std::vector<double> elements;
    for (int64_t row = 0; row < rows; row += 8)
      for (int64_t column = 0; column < columns; column += 32)
        for (auto word : queries.load(MatrixUse::RightDeep, lane, row, column,
                                      column + 16 < columns ? 4 : 2))
          elements.insert(elements.end(), word.begin(), word.end());
    all[lane] = elements;
  }
  return all;
}

} // namespace

TEST_CASE("transposed products of a warp are those of matrices") {
  Tiles t;
  struct Shape {
    int64_t rows, keys, headDim, valueDim;
  };
  for (Shape s :
       {Shape{8, 16, 128, 128}, Shape{16, 16, 64, 64}, Shape{24, 32, 72, 40},
        Shape{32, 16, 96, 8}, Shape{8, 64, 576, 512}, Shape{8, 16, 16, 256}}) {
    auto query = [](int64_t row, int64_t d) {
      return double((row * 7 + d * 3) % 11) - 5;
    };
    auto key = [](int64_t n, int64_t d) {
      return double((n * 5 + d * 2) % 13) - 6;
    };
    auto value = [](int64_t n, int64_t d) {
      return double((n * 3 + d * 7) % 9) - 4;
    };
    auto panels = [&](int64_t rows, int64_t columns) {
      TileType type = t.half(rows, columns, {});
      return type.withLayout(SharedLayout::choosePanels(type));
    };
    Memory queries(panels(s.rows, s.headDim), query);
    Memory keys(panels(s.keys, s.headDim), key);
    Memory values(panels(s.keys, s.valueDim), value);

    FragmentLayout queryLayout(t.half(s.rows, s.headDim, t.operand(1)));
    Registers q =
        readOperand(queries, queryLayout, s.rows, (s.headDim + 15) / 16 * 16);
    for (int64_t lane = 0; lane < 32; ++lane) {
      REQUIRE(int64_t(q[lane].size()) == queryLayout.registers());
      for (int64_t reg = 0; reg < queryLayout.registers(); ++reg) {
        Place<int64_t> at = queryLayout.where(reg, lane, 0);
        CHECK(q[lane][reg] ==
              (at.column < s.headDim ? query(at.row, at.column) : 0.0));
      }
    }

    FragmentLayout logits(t.tile(s.rows, s.keys, t.accumulator(1)));
    Registers products = registersOf(logits.registers());
    dot(queryLayout, q, keys, /*transposed=*/true, s.headDim, logits, products);
    std::vector<std::vector<double>> expected(s.rows,
                                              std::vector<double>(s.keys));
    for (int64_t row = 0; row < s.rows; ++row)
      for (int64_t n = 0; n < s.keys; ++n)
        for (int64_t d = 0; d < s.headDim; ++d)
          expected[row][n] += query(row, d) * key(n, d);
    for (int64_t lane = 0; lane < 32; ++lane)
      for (int64_t reg = 0; reg < logits.registers(); ++reg) {
        Place<int64_t> at = logits.where(reg, lane, 0);
        CHECK(products[lane][reg] == expected[at.row][at.column]);
      }

    FragmentLayout weights(t.half(s.rows, s.keys, t.operand(1)));
    Registers p = transpose(logits, products, weights);
    FragmentLayout output(t.tile(s.rows, s.valueDim, t.accumulator(1)));
    Registers sums = registersOf(output.registers());
    dot(weights, p, values, /*transposed=*/false, s.keys, output, sums);
    for (int64_t lane = 0; lane < 32; ++lane)
      for (int64_t reg = 0; reg < output.registers(); ++reg) {
        Place<int64_t> at = output.where(reg, lane, 0);
        double sum = 0;
        if (at.column < s.valueDim)
          for (int64_t n = 0; n < s.keys; ++n)
            sum += expected[at.row][n] * value(n, at.column);
        CHECK(sums[lane][reg] == sum);
      }
  }
}
