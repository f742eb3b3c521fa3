// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which (register, lane, warp) holds which (row, column) of a tile, and which
// byte of shared memory an element is. Nobody else computes coordinates.
//
// The idea: a coordinate is a sum of what the register, the lane and the warp
// each contribute, so the three are described apart. The matrix instructions
// fix one atom, 16 rows tall (PTX ISA, "Matrix Fragments for mma.m16n8k16"): a
// lane holds rows lane / 4 and lane / 4 + 8, and in each 8 columns the pair
// that begins at column lane % 4 * 2. Registers of an atom count
//
//     registers 0 1   row lane / 4,      columns pair, pair + 1
//     registers 2 3   row lane / 4 + 8,  the same columns
//
// then the next 8 columns, then the next 16 rows that the warp owns: atom rows
// are dealt to warps in turn. The left operand m16k16 is two such atoms side by
// side, so an accumulator rounded to 16 bits *is* an operand, register by
// register, with columns padded to a multiple of 16. A column vector keeps one
// element for each row that a lane holds, repeated in the four lanes of a quad.
//
// In a transposed tile, the rows of atoms are its columns: all of the above
// with the two exchanged, so that eight rows fill an atom and warps own 16
// columns each; where there are more warps than the layout has, they begin
// again. Its column vector keeps two elements for each eight rows, repeated in
// the eight lanes of equal lane % 4. Only the operand lies otherwise, since it
// is a right one, n8k16: a lane holds row lane / 4, and of each 16 columns four
// registers,
//
//     registers 0 1   columns pair, pair + 1
//     registers 2 3   columns pair + 8, pair + 9
//
// which are the two 8x8 matrices of an accumulator's atom, transposed by
// movmatrix.
//
// Left operands of 8-bit elements come by ldmatrix in units of 16 bits, two
// neighbours, which then are widened where they are. Keys: lane % 4 has bytes
// 4 (lane % 4) + 0 1 2 3 of a row's 16, and they take the places of registers
// 0 1 2 3 of a right operand; the order of a sum is free, so an interleaved
// operand has the same four columns there. Values, read with .trans: lane / 4
// has a key's values 2 (lane / 4) and the next, which take the places of rows
// lane / 4 and lane / 4 + 8 of an atom; so an interleaved accumulator has these
// columns there. tile.combine puts them in order.
//
// Formulas over lanes and rows are templates: int64_t evaluates them in tests,
// a value wrapper emits them as IR, and both are the same text.

#ifndef SACCADE_DIALECTS_TILE_FRAGMENTLAYOUT_H
#define SACCADE_DIALECTS_TILE_FRAGMENTLAYOUT_H

#include "dialects/Tile/Tile.h"

namespace saccade::tile {

/// A row and a column within a tile.
template <typename Int> struct Place {
  Int row, column;
};

inline constexpr int64_t kWarpSize = 32;
inline constexpr int64_t kGroupWarps = 4;    // of a warpgroup, for wgmma
inline constexpr int64_t kGroupRows = 64;    // m of wgmma
inline constexpr int64_t kRegisters = 65536; // of a multiprocessor
inline constexpr int64_t kAtomRows = 16;     // m of mma.m16n8k16
inline constexpr int64_t kAtomColumns = 8;   // n
inline constexpr int64_t kAtomDepth = 16;    // k
inline constexpr int64_t kChunkBytes = 16;   // cp.async, a row of ldmatrix

/// A tile in registers: `#tile.accumulator`, `#tile.operand`, `#tile.rows_of`
/// or `#tile.parts_of`.
class FragmentLayout {
public:
  /// The layout of a type that lives in registers, and whose rows are a
  /// multiple of 16 for each warp, or of 8 if it is transposed.
  explicit FragmentLayout(TileType type);

  /// Whether the layout lives in registers, and whether it is transposed.
  static bool isFragment(mlir::Attribute layout) {
    return mlir::isa_and_present<AccumulatorAttr, OperandAttr, RowsOfAttr,
                                 PartsOfAttr>(layout);
  }
  static bool isTransposed(mlir::Attribute layout);
  static bool isInterleaved(mlir::Attribute layout);

  int64_t registers() const { return rowSlots() * columnSlots(); }
  /// Rows, and columns of each of them, that one lane holds.
  int64_t rowSlots() const {
    return form == Form::Right ? rowAtoms : 2 * rowAtoms;
  }
  int64_t columnSlots() const {
    if (!columnAtoms)
      return 1;
    return form == Form::Transposed ? columnAtoms : 2 * columnAtoms;
  }
  /// Atoms of 16 rows, or of eight if transposed.
  int64_t getRowAtoms() const { return rowAtoms; }
  /// Groups of eight columns that a warp holds; what comes in sixteens counts
  /// its padding. 0 for a column.
  int64_t getColumnAtoms() const { return columnAtoms; }
  /// Warps that hold different elements; others hold what these do.
  int64_t getWarps() const { return warps; }
  /// Elements of a row that lie side by side in registers.
  int64_t columnRun() const {
    return columnAtoms && form != Form::Transposed ? 2 : 1;
  }

  /// The register that holds a row slot's column slot, and back.
  int64_t registerOf(int64_t rowSlot, int64_t columnSlot) const;
  int64_t rowSlotOf(int64_t reg) const;
  int64_t columnSlotOf(int64_t reg) const;

  /// The parts of a coordinate that register, lane and warp contribute.
  Place<int64_t> ofRegister(int64_t reg) const {
    return {rowOfSlot(rowSlotOf(reg)), columnOfSlot(columnSlotOf(reg))};
  }
  int64_t rowOfSlot(int64_t rowSlot) const {
    switch (form) {
    case Form::Upright:
      return majorOfSlot(rowSlot);
    case Form::Transposed:
      return minorOfSlot(rowSlot);
    case Form::Right:
      return rowSlot * kAtomColumns;
    }
  }
  int64_t columnOfSlot(int64_t columnSlot) const {
    switch (form) {
    case Form::Upright:
      return minorOfSlot(columnSlot);
    case Form::Transposed:
      return majorOfSlot(columnSlot);
    case Form::Right:
      if (interleaved)
        return columnSlot / 4 * warps * kAtomRows + columnSlot % 4;
      return majorOfSlot(columnSlot / 2) + columnSlot % 2;
    }
  }
  template <typename Int> Place<Int> ofLane(Int lane) const {
    if (form == Form::Transposed)
      return {lane % 4 * 2, interleaved ? lane / 4 * 2 : lane / 4};
    return {lane / 4, lane % 4 * (interleaved ? 4 : 2)};
  }
  /// Lane and warp together. Of a column vector, the column says which of the
  /// lanes that hold a row it is.
  template <typename Int> Place<Int> ofThread(Int lane, Int warp) const {
    Place<Int> place = ofLane(lane);
    if (form == Form::Upright)
      place.row = place.row + rowOfWarp(warp);
    else if (warps > 1)
      place.column = place.column + warp % warps * kAtomRows;
    return place;
  }
  template <typename Int> Int columnOfThread(Int lane, Int warp) const {
    return (form == Form::Upright ? ofLane(lane) : ofThread(lane, warp)).column;
  }
  /// Of a tile that is not transposed.
  template <typename Int> static Int rowOfWarp(Int warp) {
    return warp * kAtomRows;
  }
  /// The first row of an atom that a warp owns, apart from the warp's part.
  int64_t rowOfAtom(int64_t rowAtom) const { return rowOfSlot(2 * rowAtom); }
  /// Lanes that share a row differ in these bits.
  llvm::ArrayRef<int64_t> sharingLanes() const;

  /// All together.
  Place<int64_t> where(int64_t reg, int64_t lane, int64_t warp) const;

private:
  enum class Form { Upright, Transposed, Right };

  /// Along the 16 rows of atoms, and along their eight columns.
  int64_t majorOfSlot(int64_t slot) const {
    return slot / 2 * warps * kAtomRows + slot % 2 * (interleaved ? 1 : 8);
  }
  static int64_t minorOfSlot(int64_t slot) {
    return slot / 2 * kAtomColumns + slot % 2;
  }
  int64_t minorAtoms() const {
    return form == Form::Transposed ? rowAtoms : columnAtoms;
  }

  Form form = Form::Upright;
  bool interleaved = false;
  int64_t warps, rowAtoms, columnAtoms;
};

/// A tile in shared memory: `#tile.shared`.
class SharedLayout {
public:
  explicit SharedLayout(TileType type);

  /// The layout without bank conflicts for a tile: columns padded to k16,
  /// chunks swizzled where eight of them make a row or its multiple, else an
  /// odd number of chunks a row, so that eight rows meet eight different bank
  /// groups.
  static SharedAttr choose(TileType type);
  /// The layout that wgmma and tensor maps take: panels of 128-byte rows.
  static SharedAttr choosePanels(TileType type);

  int64_t panels() const {
    return (columns * elementBytes + pitchBytes - 1) / pitchBytes;
  }
  /// Bytes from a panel to the next, and columns of a panel.
  int64_t panelBytes() const { return rows * pitchBytes; }
  int64_t panelColumns() const { return pitchBytes / elementBytes; }
  /// Bytes from a row of a panel to the next.
  int64_t pitch() const { return pitchBytes; }
  int64_t bytes() const { return panels() * panelBytes(); }
  int64_t getOffset() const { return offset; }
  int64_t elementsPerChunk() const { return kChunkBytes / elementBytes; }
  /// Chunks of a row that hold elements, and with the padding that products
  /// read.
  int64_t dataChunks() const { return columns / elementsPerChunk(); }
  int64_t filledChunks() const;

  /// The byte of a chunk, counted from the start of the CTA's shared memory.
  template <typename Int> Int byteOfChunk(Int row, Int chunk) const {
    if (panels() == 1)
      return byteInPanel(row, chunk) + offset;
    int64_t perPanel = pitchBytes / kChunkBytes;
    return byteInPanel(row, chunk % perPanel) +
           chunk / perPanel * panelBytes() + offset;
  }
  /// The byte of an element.
  template <typename Int> Int byteOf(Int row, Int column) const {
    return byteOfChunk(row, column / elementsPerChunk()) +
           column % elementsPerChunk() * elementBytes;
  }

  /// The byte of a chunk, counted from the start of its panel.
  template <typename Int> Int byteInPanel(Int row, Int chunk) const {
    if (swizzle > 1)
      chunk = chunk ^ (row % swizzle);
    return row * pitchBytes + chunk * kChunkBytes;
  }

private:
  int64_t rows, columns, elementBytes, pitchBytes, swizzle, offset;
};

/// The memory through which `tile.combine` passes what each warp has: tiles
/// eight rows at a time, in the order of fragments, 16 bytes a lane.
class ExchangeLayout {
public:
  /// For a transposed type of f32 of which each of `warps` has its own.
  ExchangeLayout(TileType type, int64_t warps);

  /// Accumulator atoms, 16 columns and eight rows each; 0 for a column.
  int64_t atoms() const { return atomsOfWarp; }
  int64_t bytes() const { return warps * bytesOfWarp; }

  /// The bytes of an atom of a warp that a lane holds.
  template <typename Int> Int byteOfAtom(Int warp, Int atom, Int lane) const {
    return warp * bytesOfWarp + atom * (kWarpSize * 16) + lane * 16;
  }
  /// The same if atoms were written interleaved: of the columns that rows
  /// lane / 4 (half 0) and lane / 4 + 8 (half 1) of an atom would be otherwise.
  template <typename Int>
  Int byteOfHalf(Int warp, Int atom, Int lane, int64_t half) const {
    Int writer = (lane / 8 + half * 4) * 4 + lane % 4;
    return byteOfAtom(warp, atom, writer) + lane / 4 % 2 * 8;
  }
  /// The byte of a column's row.
  template <typename Int> Int byteOfRow(Int warp, Int row) const {
    return warp * bytesOfWarp + row * 4;
  }

private:
  int64_t warps, atomsOfWarp, bytesOfWarp;
};

/// On `tile.combine`: where its memory begins in the CTA's shared memory.
inline constexpr llvm::StringLiteral kExchangeAttr = "tile.exchange";

/// What four 8x8 matrices of one ldmatrix.x4 make.
enum class MatrixUse {
  /// Left operand m16k16 from rows x depth: 16 rows, 16 columns.
  Left,
  /// The same from depth x rows, read with .trans.
  LeftTransposed,
  /// Right operands of two n8 atoms from columns x depth (keys as rows of the
  /// product's columns): 16 rows, 16 columns.
  RightTransposed,
  /// Right operands of two n8 atoms from depth x columns, read with .trans.
  Right,
  /// Right operands of one n8 atom at two depths, from columns x depth: eight
  /// rows, 32 columns.
  RightDeep,
  /// The interleaved right operand of one n8 atom, from columns x depth, which
  /// lanes read by themselves, 8 bytes each: eight rows, 16 columns.
  RightInterleaved,
  /// Two left operands of 8-bit elements from rows x depth, still to be
  /// widened: 16 rows, 32 columns.
  LeftBytes,
  /// The same from depth x rows, read with .trans.
  LeftBytesTransposed
};
inline bool isTransposing(MatrixUse use) {
  return use == MatrixUse::Right || use == MatrixUse::LeftTransposed ||
         use == MatrixUse::LeftBytesTransposed;
}

/// Row and chunk, within these elements, whose address a lane passes to
/// ldmatrix.x4 (PTX ISA, "ldmatrix": lanes 8 i .. 8 i + 7 address the rows of
/// matrix i). The four results are then
///   Left[Transposed]   a0a1 a2a3 a4a5 a6a7
///   Right[Transposed]  b0b1 b2b3 of columns 0-7, b0b1 b2b3 of columns 8-15
///   RightDeep          b0b1 b2b3 of depth 0-15, b0b1 b2b3 of depth 16-31
///   LeftBytes          two words that make a0 .. a7 of columns 0-15, two of
///                      columns 16-31 (of rows, if transposed)
template <typename Int> Place<Int> ldmatrixRow(MatrixUse use, Int lane) {
  switch (use) {
  case MatrixUse::RightTransposed:
  case MatrixUse::LeftTransposed:
    return {lane / 16 * 8 + lane % 8, lane / 8 % 2};
  case MatrixUse::RightDeep:
    return {lane % 8, lane / 8};
  case MatrixUse::RightInterleaved:
    return {lane / 4, lane % 4 / 2};
  case MatrixUse::Left:
  case MatrixUse::Right:
  case MatrixUse::LeftBytes:
  case MatrixUse::LeftBytesTransposed:
    return {lane % 16, lane / 16};
  }
}

/// The byte within its chunk where a lane reads that does so by itself.
template <typename Int> Int byteInChunk(Int lane) { return lane % 2 * 8; }

/// Bytes of a left operand's registers, of the two words of LeftBytes: register
/// i of a0a1 a2a3 a4a5 a6a7 is widened from the lower (0) or upper (1) half of
/// a word, whose bytes 1 and 2 are exchanged before if transposed.
struct Half {
  int64_t word, half;
};
constexpr Half halfOfLeft(MatrixUse use, int64_t i) {
  if (use == MatrixUse::LeftBytes)
    return {i % 2, i / 2};
  return {i / 2, i % 2};
}

} // namespace saccade::tile

#endif // SACCADE_DIALECTS_TILE_FRAGMENTLAYOUT_H
