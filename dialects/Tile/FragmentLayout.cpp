// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The counts behind FragmentLayout.h: atoms, slots and pitches of a tile type.

#include "dialects/Tile/FragmentLayout.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace saccade::tile;

bool FragmentLayout::isTransposed(Attribute layout) {
  return llvm::TypeSwitch<Attribute, bool>(layout)
      .Case<AccumulatorAttr, OperandAttr, RowsOfAttr, PartsOfAttr>(
          [](auto fragment) { return fragment.getTransposed(); })
      .Default(false);
}

bool FragmentLayout::isInterleaved(Attribute layout) {
  return llvm::TypeSwitch<Attribute, bool>(layout)
      .Case<AccumulatorAttr, OperandAttr>([](auto fragment) {
        return fragment.getTransposed() && fragment.getInterleaved();
      })
      .Default(false);
}

FragmentLayout::FragmentLayout(TileType type)
    : interleaved(isInterleaved(type.getLayout())), columnAtoms(0) {
  int64_t columns = type.getColumns();
  int64_t sixteens = llvm::divideCeil(columns, kAtomDepth);
  bool transposed = isTransposed(type.getLayout());
  if (transposed)
    form = Form::Transposed;
  if (auto accumulator = dyn_cast<AccumulatorAttr>(type.getLayout())) {
    warps = accumulator.getWarps();
    columnAtoms = transposed ? llvm::divideCeil(sixteens, warps) * 2
                             : llvm::divideCeil(columns, kAtomColumns);
  } else if (auto operand = dyn_cast<OperandAttr>(type.getLayout())) {
    warps = operand.getWarps();
    columnAtoms =
        (transposed ? llvm::divideCeil(sixteens, warps) : sixteens) * 2;
    if (transposed)
      form = Form::Right;
  } else if (auto parts = dyn_cast<PartsOfAttr>(type.getLayout())) {
    warps = parts.getWarps();
  } else {
    warps = cast<RowsOfAttr>(type.getLayout()).getWarps();
  }
  rowAtoms = type.getRows() / (transposed ? kAtomColumns : kAtomRows * warps);
}

int64_t FragmentLayout::registerOf(int64_t rowSlot, int64_t columnSlot) const {
  if (!columnAtoms)
    return rowSlot;
  if (form == Form::Right)
    return rowSlot * columnSlots() + columnSlot;
  auto [major, minor] = form == Form::Upright ? std::pair(rowSlot, columnSlot)
                                              : std::pair(columnSlot, rowSlot);
  int64_t atom = major / 2 * minorAtoms() + minor / 2;
  return atom * 4 + major % 2 * 2 + minor % 2;
}

int64_t FragmentLayout::rowSlotOf(int64_t reg) const {
  if (!columnAtoms)
    return reg;
  switch (form) {
  case Form::Upright:
    return reg / 4 / columnAtoms * 2 + reg / 2 % 2;
  case Form::Transposed:
    return reg / 4 % rowAtoms * 2 + reg % 2;
  case Form::Right:
    return reg / columnSlots();
  }
}

int64_t FragmentLayout::columnSlotOf(int64_t reg) const {
  if (!columnAtoms)
    return 0;
  switch (form) {
  case Form::Upright:
    return reg / 4 % columnAtoms * 2 + reg % 2;
  case Form::Transposed:
    return reg / 4 / rowAtoms * 2 + reg / 2 % 2;
  case Form::Right:
    return reg % columnSlots();
  }
}

ArrayRef<int64_t> FragmentLayout::sharingLanes() const {
  static constexpr int64_t quad[] = {1, 2}, rest[] = {4, 8, 16};
  return form == Form::Transposed ? ArrayRef(rest) : ArrayRef(quad);
}

Place<int64_t> FragmentLayout::where(int64_t reg, int64_t lane,
                                     int64_t warp) const {
  Place<int64_t> ofReg = ofRegister(reg), thread = ofThread(lane, warp);
  return {ofReg.row + thread.row,
          columnAtoms ? ofReg.column + thread.column : 0};
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

ExchangeLayout::ExchangeLayout(TileType type, int64_t warps)
    : warps(warps), atomsOfWarp(0), bytesOfWarp(type.getRows() * 4) {
  if (type.isColumn())
    return;
  atomsOfWarp = llvm::divideCeil(type.getColumns(), kAtomRows);
  bytesOfWarp = atomsOfWarp * kAtomRows * kAtomColumns * 4;
}
