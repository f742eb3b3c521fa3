// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of tiles: mma.sync m16n8k16 over the atoms of a warp, with operands
// that ldmatrix reads from shared memory or that already lie in registers.

#include "lib/Conversion/TileToNvvm.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
/// Four registers of ldmatrix.x4, or of a left operand.
using Quad = SmallVector<Value, 4>;

/// Reads 16 x 16 elements of a tile in shared memory as matrix operands. What
/// the lane contributes to the addresses is computed once.
class MatrixReader {
public:
  MatrixReader(ImplicitLocOpBuilder &b, TileType type, Value base,
               MatrixUse use)
      : b(b), shared(b, type, base), use(use),
        lane(ldmatrixRow(use, Thread(b).lane)) {}

  /// The elements from (row, column) on; `row` may depend on the warp.
  Quad read(Scalar row, int64_t column) {
    Scalar chunk = lane.column + column / shared.layout.elementsPerChunk();
    Value pointer = shared.chunk(b, row + lane.row, chunk);
    Type word = b.getI32Type();
    auto quad = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                                 {word, word, word, word});
    auto layout =
        use == MatrixUse::Right ? NVVM::MMALayout::col : NVVM::MMALayout::row;
    Value read = NVVM::LdMatrixOp::create(
        b, quad, pointer, b.getI32IntegerAttr(4),
        NVVM::MMALayoutAttr::get(b.getContext(), layout),
        NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8),
        NVVM::LdStMatrixEltTypeAttr::get(b.getContext(),
                                         NVVM::LdStMatrixEltType::B16));
    Quad words;
    for (int64_t i = 0; i < 4; ++i)
      words.push_back(LLVM::ExtractValueOp::create(b, read, i));
    return words;
  }

private:
  ImplicitLocOpBuilder &b;
  SharedTile shared;
  MatrixUse use;
  Place<Scalar> lane;
};

struct LowerDot : TilePattern<DotOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(DotOp dot, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
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

  SmallVector<Value> startingSums(ImplicitLocOpBuilder &b, DotOp dot,
                                  OpAdaptor adaptor,
                                  const FragmentLayout &layout) const {
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
                ArrayRef<Value> right, MutableArrayRef<Value> sums) const {
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
};
} // namespace

void saccade::populateTileProductPatterns(const TypeConverter &converter,
                                          RewritePatternSet &patterns,
                                          const EntryFacts &facts) {
  patterns.add<LowerDot>(converter, patterns.getContext(), facts);
}
