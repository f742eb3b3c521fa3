// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of tiles: mma.sync m16n8k16 over the atoms of a warp, with operands
// that ldmatrix reads from shared memory or that already lie in registers.

#include "lib/Conversion/MatrixReader.h"

#include <array>
#include <map>

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
SmallVector<Value> startingSums(ImplicitLocOpBuilder &b, DotOp dot,
                                DotOp::Adaptor adaptor,
                                const FragmentLayout &layout) {
  SmallVector<Value> sums;
  Value zero = f32(b, 0);
  for (int64_t reg = 0; reg < layout.registers(); ++reg)
    sums.push_back(dot.getAccumulator()
                       ? element(b, adaptor.getAccumulator(), reg)
                       : zero);
  return sums;
}

/// sums += a * b for one atom.
void multiply(ImplicitLocOpBuilder &b, Type type, ArrayRef<Value> left,
              ArrayRef<Value> right, MutableArrayRef<Value> sums) {
  // NVVM takes bf16 pairs as words and f16 pairs as vectors.
  Type word = type.isBF16() ? Type(b.getI32Type()) : VectorType::get(2, type);
  NVVM::MMATypes name =
      type.isBF16() ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  auto words = [&](ArrayRef<Value> values) {
    return llvm::map_to_vector(
        values, [&](Value value) { return bitcast(b, word, value); });
  };
  Type single = b.getF32Type();
  auto quad = LLVM::LLVMStructType::getLiteral(
      b.getContext(), {single, single, single, single});
  Value product = NVVM::MmaOp::create(
      b, quad, words(left), words(right), ValueRange(ArrayRef<Value>(sums)),
      {kAtomRows, kAtomColumns, kAtomDepth}, std::nullopt, std::nullopt,
      std::array{name, name},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  for (int64_t i = 0; i < 4; ++i)
    sums[i] = LLVM::ExtractValueOp::create(b, product, i);
}

struct LowerDot : TilePattern<DotOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(DotOp dot, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (FragmentLayout::isTransposed(dot.getType().getLayout()))
      return rewriter.notifyMatchFailure(dot, "has its sides exchanged");
    ImplicitLocOpBuilder b(dot.getLoc(), rewriter);
    TileType lhs = dot.getLhs().getType(), rhs = dot.getRhs().getType();
    if (!isa_and_present<SharedAttr>(rhs.getLayout()))
      return rewriter.notifyMatchFailure(dot,
                                         "right side is not in shared memory");
    bool transposed = dot.getTransposed();
    FragmentLayout result(dot.getType());
    int64_t rowAtoms = result.getRowAtoms();
    int64_t columnAtoms = result.getColumnAtoms();
    SmallVector<Value> sums = startingSums(b, dot, adaptor, result);

    MatrixReader right(b, rhs, adaptor.getRhs(),
                       transposed ? MatrixUse::RightTransposed
                                  : MatrixUse::Right);
    LeftSide left(b, lhs, adaptor.getLhs(), result, facts.warps);
    Scalar zero = i32(b, 0);
    for (int64_t depth = 0; depth < lhs.getColumns(); depth += kAtomDepth) {
      SmallVector<Quad> a;
      for (int64_t atom = 0; atom < rowAtoms; ++atom)
        a.push_back(left.read(atom, depth));
      // One ldmatrix brings the right operands of two neighbouring atoms.
      for (int64_t column = 0; column < columnAtoms; column += 2) {
        int64_t at = column * kAtomColumns;
        Quad words = transposed ? right.read(zero + at, depth)
                                : right.read(zero + depth, at);
        int64_t pair = std::min<int64_t>(2, columnAtoms - column);
        for (int64_t atom = 0; atom < rowAtoms; ++atom)
          for (int64_t i = 0; i < pair; ++i)
            multiply(b, rhs.getElementType(), a[atom],
                     ArrayRef<Value>(words).slice(2 * i, 2),
                     MutableArrayRef<Value>(sums).slice(
                         result.registerOf(2 * atom, 2 * (column + i)), 4));
      }
    }
    rewriter.replaceOp(dot, vectorOf(b, sums));
    return success();
  }

private:
  /// The left side in registers or in shared memory, an atom at a time.
  class LeftSide {
  public:
    LeftSide(ImplicitLocOpBuilder &b, TileType type, Value value,
             FragmentLayout rows, int64_t warps)
        : b(b), type(type), value(value), rows(rows) {
      if (isa<SharedAttr>(type.getLayout())) {
        reader.emplace(b, type, value, MatrixUse::Left);
        warpRow.emplace(FragmentLayout::rowOfWarp(Thread(b).warp));
      }
    }

    Quad read(int64_t atom, int64_t depth) {
      if (reader)
        return reader->read(*warpRow + rows.rowOfAtom(atom), depth);
      FragmentLayout operand(type);
      Quad words;
      int64_t first = operand.registerOf(2 * atom, depth / kAtomColumns * 2);
      for (int64_t i = 0; i < 8; i += 2)
        words.push_back(fragmentPair(b, type, value, first + i));
      return words;
    }

  private:
    ImplicitLocOpBuilder &b;
    TileType type;
    Value value;
    FragmentLayout rows;
    std::optional<MatrixReader> reader;
    std::optional<Scalar> warpRow;
  };
};

/// A transposed product, whose atoms have the tile's columns as rows: its left
/// operand is the tile's right side, read from shared memory, and its right
/// operand, in registers, the left side. Eight rows then fill an atom.
struct LowerTransposedDot : TilePattern<DotOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(DotOp dot, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    TileType lhs = dot.getLhs().getType(), rhs = dot.getRhs().getType();
    if (!FragmentLayout::isTransposed(dot.getType().getLayout()))
      return rewriter.notifyMatchFailure(dot, "has no sides exchanged");
    FragmentLayout result(dot.getType());
    if (result.getWarps() != 1)
      return dot.emitOpError("expects a warp to compute a whole tile, but got ")
             << dot.getType();
    bool widens = isEightBits(rhs.getElementType());
    bool transposed = dot.getTransposed();
    bool inRegisters = isa_and_present<OperandAttr>(lhs.getLayout()) &&
                       FragmentLayout::isTransposed(lhs.getLayout());
    if (inRegisters && FragmentLayout::isInterleaved(lhs.getLayout()) !=
                           (widens && transposed))
      return dot.emitOpError("expects columns of the left side to be "
                             "interleaved for 8-bit keys alone, but got ")
             << lhs << " and " << rhs;
    if (FragmentLayout::isInterleaved(dot.getType().getLayout()) !=
        (widens && !transposed))
      return dot.emitOpError("expects columns of the result to be interleaved "
                             "for 8-bit values alone, but got ")
             << dot.getType();
    if (!inRegisters && !PanelReader::takes(lhs))
      return dot.emitOpError(
                 "expects the left side as a transposed operand, or "
                 "in panels of 128 bytes a row, but got ")
             << lhs;
    if (!PanelReader::takes(rhs))
      return dot.emitOpError("expects the right side in panels of 128 bytes a "
                             "row, but got ")
             << rhs;
    ImplicitLocOpBuilder b(dot.getLoc(), rewriter);
    SmallVector<Value> sums = startingSums(b, dot, adaptor, result);
    RightSide right(b, lhs, adaptor.getLhs(), widens && transposed);
    LeftSide left(b, rhs, adaptor.getRhs(), transposed);
    for (int64_t depth = 0; depth < lhs.getColumns(); depth += kAtomDepth)
      for (int64_t slot = 0; slot < result.columnSlots(); slot += 2) {
        int64_t column = result.columnOfSlot(slot);
        Quad words =
            transposed ? left.read(column, depth) : left.read(depth, column);
        for (int64_t atom = 0; atom < result.getRowAtoms(); ++atom)
          multiply(b, lhs.getElementType(), words, right.read(atom, depth),
                   MutableArrayRef<Value>(sums).slice(
                       result.registerOf(2 * atom, slot), 4));
      }
    rewriter.replaceOp(dot, vectorOf(b, sums));
    return success();
  }

private:
  static bool isEightBits(Type type) {
    return type.getIntOrFloatBitWidth() == 8;
  }

  /// The tile's right side in shared memory, an atom at a time.
  class LeftSide {
  public:
    LeftSide(ImplicitLocOpBuilder &b, TileType type, Value value,
             bool transposed)
        : b(b), type(type), use(useFor(type, transposed)),
          reader(b, type, value, use) {}

    Quad read(int64_t row, int64_t column) {
      if (!isEightBits(type.getElementType()))
        return reader.read(row, column);
      // One ldmatrix brings two atoms side by side, if there are two.
      int64_t step = column / kAtomDepth % 2;
      int64_t first = column - step * kAtomDepth;
      Quad &quad = found[{row, first}];
      if (quad.empty())
        quad = reader.read(row, first,
                           first + kAtomDepth < type.getColumns() ? 4 : 2);
      return widened(quad[2 * step], quad[2 * step + 1]);
    }

  private:
    ImplicitLocOpBuilder &b;
    TileType type;
    MatrixUse use;
    PanelReader reader;
    std::map<std::pair<int64_t, int64_t>, Quad> found; // by row and column

    static MatrixUse useFor(TileType type, bool transposed) {
      if (isEightBits(type.getElementType()))
        return transposed ? MatrixUse::LeftBytes
                          : MatrixUse::LeftBytesTransposed;
      return transposed ? MatrixUse::Left : MatrixUse::LeftTransposed;
    }

    /// The registers of an atom in f16, which holds 8-bit floats exactly.
    Quad widened(Value first, Value second) {
      std::array words{first, second};
      if (isTransposing(use))
        for (Value &word : words)
          word = NVVM::PermuteOp::create(b, b.getI32Type(), word, i32(b, 0),
                                         i32(b, 0x3120),
                                         NVVM::PermuteMode::DEFAULT);
      Quad registers;
      for (int64_t i = 0; i < 4; ++i) {
        Half half = halfOfLeft(use, i);
        Value shifted =
            half.half ? LLVM::LShrOp::create(b, words[half.word], i32(b, 16))
                      : words[half.word];
        Value bytes =
            bitcast(b, VectorType::get(2, b.getI8Type()),
                    LLVM::TruncOp::create(b, b.getI16Type(), shifted));
        registers.push_back(NVVM::ConvertF8x2ToF16x2Op::create(
            b, VectorType::get(2, b.getF16Type()), bytes, b.getBoolAttr(false),
            TypeAttr::get(type.getElementType())));
      }
      return registers;
    }
  };

  /// The tile's left side in registers or in shared memory, an atom at a time.
  class RightSide {
  public:
    RightSide(ImplicitLocOpBuilder &b, TileType type, Value value,
              bool isInterleaved)
        : b(b), type(type), value(value), isInterleaved(isInterleaved) {
      if (isa<SharedAttr>(type.getLayout()))
        reader.emplace(b, type, value,
                       isInterleaved ? MatrixUse::RightInterleaved
                                     : MatrixUse::RightDeep);
    }

    SmallVector<Value, 2> read(int64_t atom, int64_t depth) {
      if (!reader) {
        int64_t first =
            FragmentLayout(type).registerOf(atom, depth / kAtomColumns * 2);
        return {fragmentPair(b, type, value, first),
                fragmentPair(b, type, value, first + 2)};
      }
      if (isInterleaved) {
        Quad &pair = found[{atom, depth}];
        if (pair.empty())
          pair = reader->readByLane(atom * kAtomColumns, depth);
        return {pair[0], pair[1]};
      }
      // One ldmatrix brings two steps of depth, if there are two.
      int64_t step = depth / kAtomDepth % 2;
      int64_t first = depth - step * kAtomDepth;
      Quad &quad = found[{atom, first}];
      if (quad.empty())
        quad = reader->read(atom * kAtomColumns, first,
                            first + kAtomDepth < type.getColumns() ? 4 : 2);
      return {quad[2 * step], quad[2 * step + 1]};
    }

  private:
    ImplicitLocOpBuilder &b;
    TileType type;
    Value value;
    bool isInterleaved;
    std::optional<PanelReader> reader;
    std::map<std::pair<int64_t, int64_t>, Quad> found; // by atom and depth
  };
};
} // namespace

void saccade::populateTileProductPatterns(const TypeConverter &converter,
                                          RewritePatternSet &patterns,
                                          const EntryFacts &facts) {
  patterns.add<LowerDot, LowerTransposedDot>(converter, patterns.getContext(),
                                             facts);
}
