// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FragmentLayout against the tables of the PTX ISA, written out here a second
// time and in the ISA's own words, and against the lanes of ldmatrix.

#include "dialects/Tile/FragmentLayout.h"

#include "test/unit/Test.h"

#include <map>
#include <set>

using namespace mlir;
using namespace saccade::tile;

namespace {
struct Tiles {
  MLIRContext context;
  Tiles() { context.loadDialect<TileDialect>(); }

  TileType tile(int64_t rows, int64_t columns, Attribute layout,
                bool wide = false) {
    Type element = wide ? Type(Float32Type::get(&context))
                        : Type(BFloat16Type::get(&context));
    return TileType::get(&context, rows, columns, element, layout);
  }
  Attribute accumulator(int64_t w) { return AccumulatorAttr::get(&context, w); }
  Attribute operand(int64_t w) { return OperandAttr::get(&context, w); }
  Attribute rowsOf(int64_t w) { return RowsOfAttr::get(&context, w); }
};

// "Matrix Fragments for mma.m16n8k16 with floating point type".
int64_t isaRowA(int64_t lane, int64_t i) {
  int64_t groupID = lane >> 2;
  return (0 <= i && i < 2) || (4 <= i && i < 6) ? groupID : groupID + 8;
}
int64_t isaColA(int64_t lane, int64_t i) {
  int64_t threadID = lane % 4;
  return i < 4 ? threadID * 2 + (i & 1) : threadID * 2 + (i & 1) + 8;
}
int64_t isaRowB(int64_t lane, int64_t i) {
  int64_t threadID = lane % 4;
  return i < 2 ? threadID * 2 + (i & 1) : threadID * 2 + (i & 1) + 8;
}
int64_t isaColB(int64_t lane, int64_t) { return lane >> 2; }
int64_t isaRowC(int64_t lane, int64_t i) {
  return i < 2 ? lane >> 2 : (lane >> 2) + 8;
}
int64_t isaColC(int64_t lane, int64_t i) { return lane % 4 * 2 + (i & 1); }
} // namespace

TEST_CASE("an accumulator atom is the C fragment of m16n8k16") {
  Tiles t;
  FragmentLayout layout(t.tile(16, 8, t.accumulator(1), /*wide=*/true));
  CHECK(layout.registers() == 4);
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t i = 0; i < 4; ++i) {
      CHECK(layout.where(i, lane, 0).row == isaRowC(lane, i));
      CHECK(layout.where(i, lane, 0).column == isaColC(lane, i));
    }
}

TEST_CASE("an operand atom is the A fragment of m16n8k16") {
  Tiles t;
  FragmentLayout layout(t.tile(16, 16, t.operand(1)));
  CHECK(layout.registers() == 8);
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t i = 0; i < 8; ++i) {
      CHECK(layout.where(i, lane, 0).row == isaRowA(lane, i));
      CHECK(layout.where(i, lane, 0).column == isaColA(lane, i));
    }
}

TEST_CASE("a fragment holds each element of a tile once") {
  Tiles t;
  for (int64_t warps : {1, 2, 4})
    for (int64_t atoms : {1, 3})
      for (int64_t columns : {8, 16, 40, 128}) {
        int64_t rows = 16 * warps * atoms;
        FragmentLayout layout(t.tile(rows, columns, t.accumulator(warps)));
        std::set<std::pair<int64_t, int64_t>> seen;
        for (int64_t warp = 0; warp < warps; ++warp)
          for (int64_t lane = 0; lane < 32; ++lane)
            for (int64_t reg = 0; reg < layout.registers(); ++reg) {
              Place<int64_t> place = layout.where(reg, lane, warp);
              CHECK(place.row < rows);
              CHECK(place.column < columns);
              CHECK(seen.insert({place.row, place.column}).second);
              CHECK(layout.registerOf(layout.rowSlotOf(reg),
                                      layout.columnSlotOf(reg)) == reg);
            }
        CHECK(int64_t(seen.size()) == rows * columns);
      }
}

TEST_CASE("an accumulator and an operand agree register by register") {
  Tiles t;
  FragmentLayout from(t.tile(64, 40, t.accumulator(2)));
  FragmentLayout to(t.tile(64, 40, t.operand(2)));
  CHECK(to.getColumnAtoms() == 6); // 40 columns padded to 48
  for (int64_t slot = 0; slot < from.rowSlots(); ++slot)
    for (int64_t column = 0; column < from.columnSlots(); ++column)
      for (int64_t lane = 0; lane < 32; ++lane) {
        auto a = from.where(from.registerOf(slot, column), lane, 1);
        auto b = to.where(to.registerOf(slot, column), lane, 1);
        CHECK(a.row == b.row);
        CHECK(a.column == b.column);
      }
}

TEST_CASE("a column vector lies beside the rows of its accumulator") {
  Tiles t;
  FragmentLayout rows(t.tile(128, 1, t.rowsOf(4), /*wide=*/true));
  FragmentLayout tile(t.tile(128, 64, t.accumulator(4), /*wide=*/true));
  CHECK(rows.registers() == 4);
  for (int64_t reg = 0; reg < tile.registers(); ++reg)
    for (int64_t lane = 0; lane < 32; ++lane)
      for (int64_t warp = 0; warp < 4; ++warp)
        CHECK(tile.where(reg, lane, warp).row ==
              rows.where(tile.rowSlotOf(reg), lane, warp).row);
}

TEST_CASE("ldmatrix brings the fragments of the ISA") {
  // What lane `lane` receives in result `i`, element `e`: without .trans, row
  // lane / 4 and column lane % 4 * 2 + e of matrix i; with it, the transpose.
  auto received = [](MatrixUse use, int64_t lane, int64_t i, int64_t e) {
    bool trans = use == MatrixUse::Right;
    int64_t major = lane / 4, minor = lane % 4 * 2 + e;
    int64_t row = trans ? minor : major, column = trans ? major : minor;
    Place<int64_t> address = ldmatrixRow(use, 8 * i + row);
    return Place<int64_t>{address.row, address.column * 8 + column};
  };
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t e = 0; e < 2; ++e) {
        auto left = received(MatrixUse::Left, lane, i, e);
        CHECK(left.row == isaRowA(lane, 2 * i + e));
        CHECK(left.column == isaColA(lane, 2 * i + e));
        // Right operands: results 0, 1 are columns 0-7, results 2, 3 columns
        // 8-15.
        int64_t b = i % 2 * 2 + e, atom = i / 2 * 8;
        auto right = received(MatrixUse::Right, lane, i, e);
        CHECK(right.row == isaRowB(lane, b));
        CHECK(right.column == isaColB(lane, b) + atom);
        auto turned = received(MatrixUse::RightTransposed, lane, i, e);
        CHECK(turned.column == isaRowB(lane, b));
        CHECK(turned.row == isaColB(lane, b) + atom);
      }
}

TEST_CASE(
    "shared memory holds each element once and ldmatrix meets no conflict") {
  Tiles t;
  for (bool wide : {false, true})
    for (int64_t columns : {8, 16, 40, 64, 72, 80, 96, 128, 192, 256, 576}) {
      TileType type = t.tile(32, columns, {}, wide);
      SharedLayout layout(type.withLayout(SharedLayout::choose(type)));
      int64_t bytes = wide ? 4 : 2;
      std::set<int64_t> seen;
      for (int64_t row = 0; row < 32; ++row)
        for (int64_t column = 0;
             column < layout.filledChunks() * layout.elementsPerChunk();
             ++column) {
          int64_t byte = layout.byteOf(row, column);
          CHECK(byte % bytes == 0);
          CHECK(byte + bytes <= layout.bytes());
          CHECK(seen.insert(byte).second);
        }
      for (int64_t chunk = 0; chunk < layout.filledChunks(); ++chunk)
        for (int64_t row = 0; row < 32; row += 8) {
          std::set<int64_t> banks;
          for (int64_t i = 0; i < 8; ++i)
            banks.insert(layout.byteOfChunk(row + i, chunk) / 16 % 8);
          CHECK(banks.size() == 8);
        }
    }
}

TEST_CASE("panels are what wgmma and tensor maps take") {
  // PTX ISA, "Asynchronous Warpgroup Level Matrix Shared Memory Layout": K- and
  // MN-major tiles of 128-byte rows, whose 16-byte chunks trade places by the
  // row modulo 8; panels of 64 elements of 16 bits lie one after another.
  Tiles t;
  constexpr int64_t offset = 3 * 1024;
  for (int64_t rows : {64, 80, 192})
    for (int64_t columns : {64, 72, 96, 128, 192, 256}) {
      TileType type = t.tile(rows, columns, {});
      SharedAttr chosen = SharedLayout::choosePanels(type);
      CHECK(chosen.getPitch() == 64);
      CHECK(chosen.getSwizzle() == 8);
      SharedLayout layout(
          type.withLayout(SharedAttr::get(&t.context, 64, 8, offset)));
      int64_t panels = columns % 64 ? columns / 64 + 1 : columns / 64;
      CHECK(layout.panels() == panels);
      CHECK(layout.panelColumns() == 64);
      CHECK(layout.panelBytes() == rows * 128);
      CHECK(layout.bytes() == panels * rows * 128);
      std::set<int64_t> seen;
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t chunk = 0; chunk < panels * 8; ++chunk) {
          int64_t byte = offset + chunk / 8 * rows * 128 + row * 128 +
                         ((chunk % 8) ^ (row % 8)) * 16;
          CHECK(layout.byteOfChunk(row, chunk) == byte);
          CHECK(seen.insert(byte).second);
          for (int64_t i = 0; i < 8; ++i)
            CHECK(layout.byteOf(row, chunk * 8 + i) == byte + 2 * i);
        }
      // Every chunk of the tile's bytes, once.
      CHECK(int64_t(seen.size()) * 16 == layout.bytes());
      CHECK(*seen.begin() == offset);
      CHECK(*seen.rbegin() == offset + layout.bytes() - 16);
    }
}
