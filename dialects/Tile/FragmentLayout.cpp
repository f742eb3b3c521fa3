// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The counts behind FragmentLayout.h: atoms, slots and pitches of a tile type.

#include "dialects/Tile/FragmentLayout.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace saccade::tile;

FragmentLayout::FragmentLayout(TileType type) : columnAtoms(0) {
  int64_t columns = type.getColumns();
  if (auto accumulator = dyn_cast<AccumulatorAttr>(type.getLayout())) {
    warps = accumulator.getWarps();
    columnAtoms = llvm::divideCeil(columns, kAtomColumns);
  } else if (auto operand = dyn_cast<OperandAttr>(type.getLayout())) {
    warps = operand.getWarps();
    columnAtoms = llvm::divideCeil(columns, kAtomDepth) * 2;
  } else if (auto parts = dyn_cast<PartsOfAttr>(type.getLayout())) {
    warps = parts.getWarps();
  } else {
    warps = cast<RowsOfAttr>(type.getLayout()).getWarps();
  }
  rowAtoms = type.getRows() / (kAtomRows * warps);
}

int64_t FragmentLayout::registerOf(int64_t rowSlot, int64_t columnSlot) const {
  if (!columnAtoms)
    return rowSlot;
  int64_t atom = rowSlot / 2 * columnAtoms + columnSlot / 2;
  return atom * 4 + rowSlot % 2 * 2 + columnSlot % 2;
}

int64_t FragmentLayout::rowSlotOf(int64_t reg) const {
  if (!columnAtoms)
    return reg;
  return reg / 4 / columnAtoms * 2 + reg / 2 % 2;
}

int64_t FragmentLayout::columnSlotOf(int64_t reg) const {
  if (!columnAtoms)
    return 0;
  return reg / 4 % columnAtoms * 2 + reg % 2;
}

Place<int64_t> FragmentLayout::where(int64_t reg, int64_t lane,
                                     int64_t warp) const {
  Place<int64_t> ofReg = ofRegister(reg), lanePart = ofLane(lane);
  return {ofReg.row + lanePart.row + rowOfWarp(warp),
          columnAtoms ? ofReg.column + lanePart.column : 0};
}

SharedLayout::SharedLayout(TileType type)
    : rows(type.getRows()), columns(type.getColumns()),
      elementBytes(type.getElementType().getIntOrFloatBitWidth() / 8) {
  auto shared = cast<SharedAttr>(type.getLayout());
  pitchBytes = shared.getPitch() * elementBytes;
  swizzle = shared.getSwizzle();
  offset = shared.getOffset();
}

int64_t SharedLayout::filledChunks() const {
  return llvm::alignTo(columns, kAtomDepth) / elementsPerChunk();
}

SharedAttr SharedLayout::choose(TileType type) {
  int64_t perChunk =
      kChunkBytes * 8 / type.getElementType().getIntOrFloatBitWidth();
  int64_t chunks = llvm::alignTo(type.getColumns(), kAtomDepth) / perChunk;
  bool swizzled = chunks % 8 == 0;
  return SharedAttr::get(type.getContext(),
                         (swizzled ? chunks : chunks | 1) * perChunk,
                         swizzled ? 8 : 1, /*offset=*/0);
}

SharedAttr SharedLayout::choosePanels(TileType type) {
  constexpr int64_t panelBits = 128 * 8;
  return SharedAttr::get(type.getContext(),
                         panelBits /
                             type.getElementType().getIntOrFloatBitWidth(),
                         /*swizzle=*/8, /*offset=*/0);
}
