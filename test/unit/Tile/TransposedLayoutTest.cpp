// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Transposed fragments: against the tables of the PTX ISA, element by element,
// and through both products of an attention, whose instructions are played here
// lane by lane.

#include "dialects/Tile/FragmentLayout.h"

#include "test/unit/Test.h"

#include <array>
#include <map>
#include <set>
#include <vector>

using namespace mlir;
using namespace saccade::tile;

namespace {
struct Tiles {
  MLIRContext context;
  Tiles() { context.loadDialect<TileDialect>(); }

  TileType tile(int64_t rows, int64_t columns, Attribute layout) {
    return TileType::get(&context, rows, columns, Float32Type::get(&context),
                         layout);
  }
  TileType half(int64_t rows, int64_t columns, Attribute layout) {
    return TileType::get(&context, rows, columns, BFloat16Type::get(&context),
                         layout);
  }
  Attribute accumulator(int64_t w) {
    return AccumulatorAttr::get(&context, w, /*transposed=*/true);
  }
  Attribute operand(int64_t w) {
    return OperandAttr::get(&context, w, /*transposed=*/true);
  }
  Attribute rowsOf() {
    return RowsOfAttr::get(&context, 1, /*transposed=*/true);
  }
};

using Places = std::map<std::pair<int64_t, int64_t>, int>;

/// How often each place is held by the warps of the layout.
Places placesOf(const FragmentLayout &layout) {
  Places seen;
  for (int64_t warp = 0; warp < layout.getWarps(); ++warp)
    for (int64_t lane = 0; lane < 32; ++lane)
      for (int64_t reg = 0; reg < layout.registers(); ++reg) {
        Place<int64_t> place = layout.where(reg, lane, warp);
        ++seen[{place.row, place.column}];
        CHECK(layout.registerOf(layout.rowSlotOf(reg),
                                layout.columnSlotOf(reg)) == reg);
      }
  return seen;
}

// "Matrix Fragments for mma.m16n8k16 with floating point type": rows and
// columns of A, B and C by lane and element.
int64_t isaRowA(int64_t lane, int64_t i) {
  return (0 <= i && i < 2) || (4 <= i && i < 6) ? lane >> 2 : (lane >> 2) + 8;
}
int64_t isaColA(int64_t lane, int64_t i) {
  return i < 4 ? lane % 4 * 2 + (i & 1) : lane % 4 * 2 + (i & 1) + 8;
}
int64_t isaRowB(int64_t lane, int64_t i) {
  return i < 2 ? lane % 4 * 2 + (i & 1) : lane % 4 * 2 + (i & 1) + 8;
}
int64_t isaColB(int64_t lane, int64_t) { return lane >> 2; }
int64_t isaRowC(int64_t lane, int64_t i) {
  return i < 2 ? lane >> 2 : (lane >> 2) + 8;
}
int64_t isaColC(int64_t lane, int64_t i) { return lane % 4 * 2 + (i & 1); }

constexpr int64_t kRows[] = {8, 16, 24, 32};
} // namespace

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
/// Elements of a warp's registers: [lane][register].
using Registers = std::array<std::vector<double>, 32>;

Registers registersOf(int64_t count) {
  Registers all;
  for (auto &lane : all)
    lane.assign(count, 0.0);
  return all;
}

/// A tile in shared memory, in chunks as its layout says.
struct Memory {
  std::map<int64_t, double> bytes;
  SharedLayout layout;

  Memory(TileType type, std::function<double(int64_t, int64_t)> at)
      : layout(type) {
    int64_t padded =
        layout.filledChunks() * layout.elementsPerChunk(); // with zeros
    for (int64_t row = 0; row < type.getRows(); ++row)
      for (int64_t column = 0; column < padded; ++column)
        bytes[layout.byteOf(row, column)] =
            column < type.getColumns() ? at(row, column) : 0.0;
  }

  /// ldmatrix of `count` matrices from the addresses that lanes pass: by
  /// exclusive or from the address at (0, 0), as PanelReader computes them.
  std::vector<std::array<double, 2>> load(MatrixUse use, int64_t lane,
                                          int64_t row, int64_t column,
                                          int64_t count) {
    std::vector<std::array<double, 2>> words;
    for (int64_t i = 0; i < count; ++i) {
      std::array<double, 2> word;
      for (int64_t e : {0, 1}) {
        int64_t major = lane / 4, minor = lane % 4 * 2 + e;
        if (isTransposing(use))
          std::swap(major, minor);
        Place<int64_t> first = ldmatrixRow(use, 8 * i + major);
        int64_t panel = column / layout.panelColumns();
        int64_t at = layout.byteInPanel(first.row, first.column);
        at ^= column % layout.panelColumns() / layout.elementsPerChunk() * 16;
        at += panel * layout.panelBytes() + row * layout.pitch();
        word[e] = bytes.at(at + 2 * minor);
      }
      words.push_back(word);
    }
    return words;
  }
};

/// One mma.m16n8k16: sums += a * b, from registers of all lanes.
void multiply(const std::array<std::array<double, 8>, 32> &a,
              const std::array<std::array<double, 4>, 32> &b, Registers &sums,
              int64_t first) {
  double left[16][16], right[16][8];
  for (int64_t lane = 0; lane < 32; ++lane) {
    for (int64_t i = 0; i < 8; ++i)
      left[isaRowA(lane, i)][isaColA(lane, i)] = a[lane][i];
    for (int64_t i = 0; i < 4; ++i)
      right[isaRowB(lane, i)][isaColB(lane, i)] = b[lane][i];
  }
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t k = 0; k < 16; ++k)
        sums[lane][first + i] +=
            left[isaRowC(lane, i)][k] * right[k][isaColC(lane, i)];
}

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

/// movmatrix.trans on each 8x8 matrix of an accumulator.
Registers transpose(const FragmentLayout &from, const Registers &input,
                    const FragmentLayout &to) {
  Registers all = registersOf(to.registers());
  for (int64_t atom = 0; atom < to.rowSlots(); ++atom)
    for (int64_t slot = 0; slot < from.columnSlots(); ++slot) {
      double matrix[8][8];
      int64_t first = from.registerOf(2 * atom, slot);
      for (int64_t lane = 0; lane < 32; ++lane)
        for (int64_t e : {0, 1})
          matrix[lane / 4][lane % 4 * 2 + e] = input[lane][first + e];
      for (int64_t lane = 0; lane < 32; ++lane)
        for (int64_t e : {0, 1})
          all[lane][to.registerOf(atom, 2 * slot) + e] =
              matrix[lane % 4 * 2 + e][lane / 4];
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
