// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tiles that change their home: from accumulators to operands, and between
// registers and shared memory.

#include "lib/Conversion/MatrixReader.h"
#include "lib/Conversion/TileToNvvmRoles.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
/// Warps with roles do not wait for each other: each reads what it wrote.
/// Four 8x8 matrices of a warp's 16 rows go at a time (PTX ISA, "stmatrix").
Value storeMatrices(ImplicitLocOpBuilder &b, TileType from,
                    const SharedTile &shared, Value input) {
  FragmentLayout fragment(from);
  Thread thread = Thread::local(b);
  Place<Scalar> lane = ldmatrixRow(MatrixUse::Left, thread.lane);
  Scalar firstRow = lane.row + FragmentLayout::rowOfWarp(thread.warp);
  Value zero = i32(b, 0);
  NVVM::SyncWarpOp::create(b, i32(b, -1));
  for (int64_t row = 0; row < fragment.getRowAtoms(); ++row)
    for (int64_t chunk = 0; chunk < shared.layout.filledChunks(); chunk += 2) {
      SmallVector<Value> words;
      for (int64_t column : {2 * chunk, 2 * chunk + 2})
        for (int64_t slot : {2 * row, 2 * row + 1})
          words.push_back(column < fragment.columnSlots()
                              ? fragmentPair(b, from, input,
                                             fragment.registerOf(slot, column))
                              : zero);
      NVVM::StMatrixOp::create(
          b,
          shared.chunk(b, firstRow + fragment.rowOfAtom(row),
                       lane.column + chunk),
          words, NVVM::MMALayout::row,
          NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8),
          NVVM::LdStMatrixEltType::B16);
    }
  NVVM::SyncWarpOp::create(b, i32(b, -1));
  return shared.base;
}

struct LowerConvert : TilePattern<ConvertOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(ConvertOp convert, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(convert.getLoc(), rewriter);
    TileType from = convert.getInput().getType(), to = convert.getType();
    Value input = adaptor.getInput();
    if (isa<PartsOfAttr>(from.getLayout()) && isa<RowsOfAttr>(to.getLayout())) {
      rewriter.replaceOp(convert, addParts(b, FragmentLayout(from), input));
      return success();
    }
    if (from.isColumn() || to.isColumn())
      return rewriter.notifyMatchFailure(convert,
                                         "column vectors stay in place");
    if (FragmentLayout::isTransposed(from.getLayout()) ||
        FragmentLayout::isTransposed(to.getLayout()))
      return toRightOperand(b, convert, input, rewriter);
    if (isa<AccumulatorAttr>(from.getLayout()) &&
        isa<OperandAttr>(to.getLayout()))
      rewriter.replaceOp(convert, pad(b, from, to, input));
    else if (isa<AccumulatorAttr>(from.getLayout()) &&
             isa<SharedAttr>(to.getLayout()))
      rewriter.replaceOp(convert,
                         facts.hasRoles && isPacked(from)
                             ? storeMatrices(b, from, SharedTile(b, to), input)
                             : toShared(b, from, to, input));
    else if (isa<SharedAttr>(from.getLayout()) &&
             isa<AccumulatorAttr>(to.getLayout()))
      rewriter.replaceOp(convert,
                         fromShared(b, SharedTile(b, from, input), to));
    else
      return rewriter.notifyMatchFailure(convert, "knows no way between these");
    return success();
  }

private:
  Value addParts(ImplicitLocOpBuilder &b, FragmentLayout layout,
                 Value parts) const {
    SmallVector<Value> rows;
    for (int64_t slot = 0; slot < layout.rowSlots(); ++slot)
      rows.push_back(
          overRow(b, layout, element(b, parts, slot), [&](Value x, Value y) {
            return arith::AddFOp::create(b, x, y).getResult();
          }));
    return vectorOf(b, rows);
  }

  /// Right operands come from shared memory, or from accumulators whose
  /// matrices of 16-bit elements are transposed in registers.
  LogicalResult toRightOperand(ImplicitLocOpBuilder &b, ConvertOp convert,
                               Value input,
                               ConversionPatternRewriter &rewriter) const {
    TileType from = convert.getInput().getType(), to = convert.getType();
    if (!isa<OperandAttr>(to.getLayout()) || !isPacked(to))
      return rewriter.notifyMatchFailure(convert, "makes no 16-bit operand");
    FragmentLayout layout(to);
    if (isa<AccumulatorAttr>(from.getLayout()) &&
        !FragmentLayout::isInterleaved(from.getLayout()) &&
        !FragmentLayout::isInterleaved(to.getLayout()) &&
        FragmentLayout(from).registers() == layout.registers())
      rewriter.replaceOp(convert, transpose(b, from, layout, input));
    else if (PanelReader::takes(from) && layout.getWarps() == 1)
      rewriter.replaceOp(convert, readOperand(b, from, to, input));
    else
      return rewriter.notifyMatchFailure(convert, "knows no way between these");
    return success();
  }

  Value transpose(ImplicitLocOpBuilder &b, TileType from,
                  const FragmentLayout &to, Value input) const {
    FragmentLayout layout(from);
    SmallVector<Value> words(to.registers() / 2);
    for (int64_t atom = 0; atom < to.rowSlots(); ++atom)
      for (int64_t slot = 0; slot < layout.columnSlots(); ++slot) {
        Value pair =
            fragmentPair(b, from, input, layout.registerOf(2 * atom, slot));
        words[to.registerOf(atom, 2 * slot) / 2] =
            assembly(b, b.getI32Type(),
                     "movmatrix.sync.aligned.m8n8.trans.b16 $0, $1;", "=r,r",
                     pair)
                .getRes();
      }
    return vectorOf(b, words);
  }

  /// The layout pads columns as those who fill shared memory do.
  Value readOperand(ImplicitLocOpBuilder &b, TileType from, TileType to,
                    Value input) const {
    int64_t columns = llvm::alignTo(from.getColumns(), kAtomDepth);
    SmallVector<Value> words;
    if (FragmentLayout::isInterleaved(to.getLayout())) {
      PanelReader reader(b, from, input, MatrixUse::RightInterleaved);
      for (int64_t row = 0; row < from.getRows(); row += kAtomColumns)
        for (int64_t column = 0; column < columns; column += kAtomDepth)
          llvm::append_range(words, reader.readByLane(row, column));
      return vectorOf(b, words);
    }
    PanelReader reader(b, from, input, MatrixUse::RightDeep);
    for (int64_t row = 0; row < from.getRows(); row += kAtomColumns)
      for (int64_t column = 0; column < columns; column += 2 * kAtomDepth)
        llvm::append_range(
            words,
            reader.read(row, column, column + kAtomDepth < columns ? 4 : 2));
    return vectorOf(b, words);
  }

  /// Registers of both layouts agree; the operand has zeros beyond the columns.
  Value pad(ImplicitLocOpBuilder &b, TileType from, TileType to,
            Value input) const {
    FragmentLayout fromLayout(from), toLayout(to);
    if (fromLayout.registers() == toLayout.registers())
      return input;
    Value zero =
        arith::ConstantOp::create(b, b.getZeroAttr(to.getElementType()));
    SmallVector<Value> elements;
    for (int64_t reg = 0; reg < toLayout.registers(); ++reg) {
      int64_t row = toLayout.rowSlotOf(reg),
              column = toLayout.columnSlotOf(reg);
      elements.push_back(
          column < fromLayout.columnSlots()
              ? fragmentElement(b, from, input,
                                fromLayout.registerOf(row, column))
              : zero);
    }
    return fragmentOf(b, to, elements);
  }

  /// The address of the pair that a thread holds at (row slot, column slot).
  Value pairPointer(ImplicitLocOpBuilder &b, const Thread &thread,
                    const FragmentLayout &fragment, const SharedTile &shared,
                    int64_t slot, int64_t column) const {
    Place<Scalar> place = fragment.ofThread(thread.lane, thread.warp);
    return shared.at(b, place.row + fragment.rowOfSlot(slot),
                     place.column + fragment.columnOfSlot(column));
  }

  Value toShared(ImplicitLocOpBuilder &b, TileType from, TileType to,
                 Value input) const {
    FragmentLayout fragment(from);
    SharedTile shared(b, to);
    Thread thread(b);
    int64_t bytes = to.getElementType().getIntOrFloatBitWidth() / 8;
    Value zero = arith::ConstantOp::create(
        b, b.getZeroAttr(VectorType::get(2, to.getElementType())));
    // Zeros fill the padding that products read.
    int64_t columns = shared.layout.filledChunks() *
                      shared.layout.elementsPerChunk() / kAtomColumns * 2;
    for (int64_t slot = 0; slot < fragment.rowSlots(); ++slot)
      for (int64_t column = 0; column < columns; column += 2) {
        Value two = zero;
        if (column < fragment.columnSlots())
          two = fragmentPair(b, from, input, fragment.registerOf(slot, column));
        LLVM::StoreOp::create(
            b, two, pairPointer(b, thread, fragment, shared, slot, column),
            2 * bytes);
      }
    return shared.base;
  }

  Value fromShared(ImplicitLocOpBuilder &b, const SharedTile &shared,
                   TileType to) const {
    FragmentLayout fragment(to);
    Thread thread(b);
    int64_t bytes = to.getElementType().getIntOrFloatBitWidth() / 8;
    Type pair = VectorType::get(2, to.getElementType());
    SmallVector<Value> elements(fragment.registers());
    for (int64_t slot = 0; slot < fragment.rowSlots(); ++slot)
      for (int64_t column = 0; column < fragment.columnSlots(); column += 2) {
        Value two = LLVM::LoadOp::create(
            b, pair, pairPointer(b, thread, fragment, shared, slot, column),
            2 * bytes);
        for (int64_t i : {0, 1})
          elements[fragment.registerOf(slot, column) + i] = element(b, two, i);
      }
    return fragmentOf(b, to, elements);
  }
};

struct LowerOverwrite : TilePattern<OverwriteOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(OverwriteOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    TileType from = op.getTile().getType();
    if (!isa_and_present<AccumulatorAttr>(from.getLayout()) || !isPacked(from))
      return op.emitOpError("expects an accumulator of 16-bit elements, but "
                            "got ")
             << from;
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    SharedTile place(b, op.getType(), adaptor.getPlace());
    rewriter.replaceOp(op, storeMatrices(b, from, place, adaptor.getTile()));
    return success();
  }
};
} // namespace

void saccade::populateTileConvertPatterns(const TypeConverter &converter,
                                          RewritePatternSet &patterns,
                                          const EntryFacts &facts) {
  patterns.add<LowerConvert, LowerOverwrite>(converter, patterns.getContext(),
                                             facts);
}
