// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A warp that multiplies, played lane by lane: types of transposed tiles, the
// PTX ISA's tables of fragments, shared memory with ldmatrix, and mma.

#ifndef SACCADE_TEST_UNIT_TILE_PLAYEDWARP_H
#define SACCADE_TEST_UNIT_TILE_PLAYEDWARP_H

#include "dialects/Tile/FragmentLayout.h"

#include "test/unit/Test.h"

#include <array>
#include <functional>
#include <map>
#include <vector>

namespace saccade::tile {

using namespace mlir;

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
  TileType bytes(int64_t rows, int64_t columns) {
    TileType type = TileType::get(&context, rows, columns,
                                  Float8E4M3FNType::get(&context), {});
    return type.withLayout(SharedLayout::choosePanels(type));
  }
  Attribute interleavedAccumulator() {
    return AccumulatorAttr::get(&context, 1, /*transposed=*/true,
                                /*interleaved=*/true);
  }
  Attribute interleavedOperand() {
    return OperandAttr::get(&context, 1, /*transposed=*/true,
                            /*interleaved=*/true);
  }
  Attribute rowsOf() {
    return RowsOfAttr::get(&context, 1, /*transposed=*/true);
  }
};

using Places = std::map<std::pair<int64_t, int64_t>, int>;

/// How often each place is held by the warps of the layout.
inline Places placesOf(const FragmentLayout &layout) {
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
inline int64_t isaRowA(int64_t lane, int64_t i) {
  return (0 <= i && i < 2) || (4 <= i && i < 6) ? lane >> 2 : (lane >> 2) + 8;
}
inline int64_t isaColA(int64_t lane, int64_t i) {
  return i < 4 ? lane % 4 * 2 + (i & 1) : lane % 4 * 2 + (i & 1) + 8;
}
inline int64_t isaRowB(int64_t lane, int64_t i) {
  return i < 2 ? lane % 4 * 2 + (i & 1) : lane % 4 * 2 + (i & 1) + 8;
}
inline int64_t isaColB(int64_t lane, int64_t) { return lane >> 2; }
inline int64_t isaRowC(int64_t lane, int64_t i) {
  return i < 2 ? lane >> 2 : (lane >> 2) + 8;
}
inline int64_t isaColC(int64_t lane, int64_t i) {
  return lane % 4 * 2 + (i & 1);
}

inline constexpr int64_t kRows[] = {8, 16, 24, 32};

//===----------------------------------------------------------------------===//
// Products, played lane by lane
//===----------------------------------------------------------------------===//

/// Elements of a warp's registers: [lane][register].
using Registers = std::array<std::vector<double>, 32>;

inline Registers registersOf(int64_t count) {
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

  /// The byte that a lane addresses for (row, column), from its address at
  /// (0, 0) as PanelReader computes it.
  int64_t addressOf(int64_t atZero, int64_t row, int64_t column) {
    int64_t chunk = column % layout.panelColumns() / layout.elementsPerChunk();
    return (atZero ^ (chunk * 16)) + row * layout.pitch() +
           column / layout.panelColumns() * layout.panelBytes();
  }

  /// ldmatrix of bytes: words of four elements. A unit of 16 bits is two of
  /// them, and only units are transposed.
  std::vector<std::array<double, 4>> loadBytes(MatrixUse use, int64_t lane,
                                               int64_t row, int64_t column,
                                               int64_t count) {
    std::vector<std::array<double, 4>> words;
    for (int64_t i = 0; i < count; ++i) {
      std::array<double, 4> word;
      for (int64_t unit : {0, 1}) {
        int64_t major = lane / 4, minor = lane % 4 * 2 + unit;
        if (isTransposing(use))
          std::swap(major, minor);
        Place<int64_t> first = ldmatrixRow(use, 8 * i + major);
        int64_t at =
            addressOf(layout.byteInPanel(first.row, first.column), row, column);
        for (int64_t e : {0, 1})
          word[2 * unit + e] = bytes.at(at + 2 * minor + e);
      }
      words.push_back(word);
    }
    return words;
  }

  /// What a lane reads by itself: four 16-bit elements.
  std::array<double, 4> loadByLane(int64_t lane, int64_t row, int64_t column) {
    Place<int64_t> first = ldmatrixRow(MatrixUse::RightInterleaved, lane);
    int64_t at = addressOf(layout.byteInPanel(first.row, first.column) +
                               byteInChunk(lane),
                           row, column);
    std::array<double, 4> four;
    for (int64_t e = 0; e < 4; ++e)
      four[e] = bytes.at(at + 2 * e);
    return four;
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
        int64_t at =
            addressOf(layout.byteInPanel(first.row, first.column), row, column);
        word[e] = bytes.at(at + 2 * minor);
      }
      words.push_back(word);
    }
    return words;
  }
};

/// One mma.m16n8k16: sums += a * b, from registers of all lanes.
inline void multiply(const std::array<std::array<double, 8>, 32> &a,
                     const std::array<std::array<double, 4>, 32> &b,
                     Registers &sums, int64_t first) {
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

/// movmatrix.trans on each 8x8 matrix of an accumulator.
inline Registers transpose(const FragmentLayout &from, const Registers &input,
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

} // namespace saccade::tile

#endif // SACCADE_TEST_UNIT_TILE_PLAYEDWARP_H
