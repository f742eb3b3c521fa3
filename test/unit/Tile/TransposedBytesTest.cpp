// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products with 8-bit keys and values, whose elements lie interleaved in
// registers, played lane by lane: layouts, what is read and widened, and how
// combined columns are put in order.

#include "test/unit/Tile/PlayedWarp.h"

using namespace mlir;
using namespace saccade::tile;

namespace {
/// A left operand from the two words that hold its bytes, as the lowering
/// widens it.
std::array<double, 8> widened(MatrixUse use, std::array<double, 4> first,
                              std::array<double, 4> second) {
  std::array words{first, second};
  if (isTransposing(use)) // prmt 0x3120
    for (auto &word : words)
      word = {word[0], word[2], word[1], word[3]};
  std::array<double, 8> a;
  for (int64_t i = 0; i < 4; ++i) {
    Half half = halfOfLeft(use, i);
    for (int64_t e : {0, 1})
      a[2 * i + e] = words[half.word][2 * half.half + e];
  }
  return a;
}

/// A transposed product as the lowering of `tile.dot` orders it, with elements
/// of 8 bits.
void dotBytes(const FragmentLayout &operand, const Registers &right,
              Memory &left, bool transposed, TileType type,
              const FragmentLayout &result, Registers &sums) {
  MatrixUse use =
      transposed ? MatrixUse::LeftBytes : MatrixUse::LeftBytesTransposed;
  int64_t depth = transposed ? type.getColumns() : type.getRows();
  for (int64_t k = 0; k < depth; k += 16)
    for (int64_t slot = 0; slot < result.columnSlots(); slot += 2)
      for (int64_t atom = 0; atom < result.getRowAtoms(); ++atom) {
        std::array<std::array<double, 8>, 32> a;
        std::array<std::array<double, 4>, 32> b;
        int64_t m = slot / 2 * 16;
        int64_t row = transposed ? m : k, column = transposed ? k : m;
        int64_t step = column / 16 % 2, first = column - step * 16;
        int64_t from = operand.registerOf(atom, k / 8 * 2);
        for (int64_t lane = 0; lane < 32; ++lane) {
          auto words = left.loadBytes(use, lane, row, first,
                                      first + 16 < type.getColumns() ? 4 : 2);
          a[lane] = widened(use, words[2 * step], words[2 * step + 1]);
          for (int64_t i = 0; i < 4; ++i)
            b[lane][i] = right[lane][from + i];
        }
        multiply(a, b, sums, result.registerOf(2 * atom, slot));
      }
}
} // namespace

TEST_CASE("interleaved fragments hold each element once") {
  Tiles t;
  for (int64_t rows : kRows)
    for (int64_t columns : {16, 80, 128, 256})
      for (Attribute layout :
           {t.interleavedAccumulator(), t.interleavedOperand()}) {
        Places seen = placesOf(FragmentLayout(t.half(rows, columns, layout)));
        CHECK(int64_t(seen.size()) == rows * columns);
        for (auto [place, times] : seen) {
          CHECK(times == 1);
          CHECK(place.first < rows);
          CHECK(place.second < columns);
        }
      }
}

TEST_CASE("an exchange puts interleaved columns in order") {
  Tiles t;
  FragmentLayout from(t.tile(8, 80, t.interleavedAccumulator()));
  FragmentLayout to(t.tile(8, 80, t.accumulator(5)));
  ExchangeLayout memory(t.tile(8, 80, t.interleavedAccumulator()), 8);
  std::map<int64_t, Place<int64_t>> bytes;
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t atom = 0; atom < memory.atoms(); ++atom)
      for (int64_t i = 0; i < 4; ++i)
        bytes[memory.byteOfAtom<int64_t>(3, atom, lane) + 4 * i] =
            from.where(from.registerOf(0, 2 * atom) + i, lane, 3);
  for (int64_t warp = 0; warp < 5; ++warp)
    for (int64_t lane = 0; lane < 32; ++lane)
      for (int64_t half : {0, 1})
        for (int64_t i : {0, 1}) {
          int64_t byte = memory.byteOfHalf<int64_t>(3, warp, lane, half);
          CHECK(byte % 8 == 0);
          Place<int64_t> wanted = to.where(2 * half + i, lane, warp);
          CHECK(bytes.at(byte + 4 * i).row == wanted.row);
          CHECK(bytes.at(byte + 4 * i).column == wanted.column);
        }
}

TEST_CASE("transposed products with 8-bit keys and values are those of "
          "matrices") {
  Tiles t;
  struct Shape {
    int64_t rows, keys, headDim, valueDim;
  };
  for (Shape s : {Shape{8, 32, 128, 128}, Shape{16, 64, 64, 64},
                  Shape{24, 16, 80, 112}, Shape{32, 32, 96, 16},
                  Shape{8, 16, 256, 256}, Shape{8, 16, 192, 128}}) {
    auto query = [](int64_t row, int64_t d) {
      return double((row * 7 + d * 3) % 11) - 5;
    };
    auto key = [](int64_t n, int64_t d) {
      return double((n * 5 + d * 2) % 13) - 6;
    };
    auto value = [](int64_t n, int64_t d) {
      return double((n * 3 + d * 7) % 9) - 4;
    };
    TileType queryType = t.half(s.rows, s.headDim, {});
    Memory queries(queryType.withLayout(SharedLayout::choosePanels(queryType)),
                   query);
    TileType keyType = t.bytes(s.keys, s.headDim);
    TileType valueType = t.bytes(s.keys, s.valueDim);
    Memory keys(keyType, key), values(valueType, value);

    // A lane reads four columns; its registers are those of the layout.
    FragmentLayout operand(t.half(s.rows, s.headDim, t.interleavedOperand()));
    Registers q = registersOf(0);
    for (int64_t lane = 0; lane < 32; ++lane) {
      for (int64_t row = 0; row < s.rows; row += 8)
        for (int64_t column = 0; column < s.headDim; column += 16) {
          auto four = queries.loadByLane(lane, row, column);
          q[lane].insert(q[lane].end(), four.begin(), four.end());
        }
      REQUIRE(int64_t(q[lane].size()) == operand.registers());
      for (int64_t reg = 0; reg < operand.registers(); ++reg) {
        Place<int64_t> at = operand.where(reg, lane, 0);
        CHECK(q[lane][reg] == query(at.row, at.column));
      }
    }

    FragmentLayout logits(t.tile(s.rows, s.keys, t.accumulator(1)));
    Registers products = registersOf(logits.registers());
    dotBytes(operand, q, keys, /*transposed=*/true, keyType, logits, products);
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
    FragmentLayout output(
        t.tile(s.rows, s.valueDim, t.interleavedAccumulator()));
    Registers sums = registersOf(output.registers());
    dotBytes(weights, p, values, /*transposed=*/false, valueType, output, sums);
    for (int64_t lane = 0; lane < 32; ++lane)
      for (int64_t reg = 0; reg < output.registers(); ++reg) {
        Place<int64_t> at = output.where(reg, lane, 0);
        double sum = 0;
        for (int64_t n = 0; n < s.keys; ++n)
          sum += expected[at.row][n] * value(n, at.column);
        CHECK(sums[lane][reg] == sum);
      }
  }
}
