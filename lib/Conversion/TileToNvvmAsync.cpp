// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products in flight: wgmma of a warpgroup, whose operands the matrix units
// read from panels in shared memory, the left one also from registers.

#include "lib/Conversion/TileToNvvmRoles.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
/// One piece of assembly: what it writes, what it reads, and how its text names
/// them. Outputs are added first, then their tied inputs, then the others.
class Assembly {
public:
  explicit Assembly(ImplicitLocOpBuilder &b) : b(b) {}

  /// Registers that are written: named $0 on.
  void write(Type type, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      constrain(type.isF32() ? "=f" : "=r");
      results.push_back(type);
    }
  }
  /// Makes the outputs from `first` on begin with values.
  void tie(int64_t first, ValueRange values) {
    for (auto [i, value] : llvm::enumerate(values))
      read(value, std::to_string(first + i));
  }
  /// A value that is read; returns its name.
  std::string read(Value value, StringRef constraint = "r") {
    constrain(constraint);
    operands.push_back(value);
    return "$" + std::to_string(results.size() + operands.size() - 1);
  }

  SmallVector<Value> create(StringRef text) {
    Type type =
        results.size() == 1
            ? results.front()
            : Type(LLVM::LLVMStructType::getLiteral(b.getContext(), results));
    Value all = assembly(b, type, text, constraints, operands).getRes();
    if (results.size() == 1)
      return {all};
    SmallVector<Value> values;
    for (size_t i = 0; i < results.size(); ++i)
      values.push_back(LLVM::ExtractValueOp::create(b, all, i));
    return values;
  }

private:
  ImplicitLocOpBuilder &b;
  SmallVector<Type> results;
  SmallVector<Value> operands;
  std::string constraints;

  void constrain(StringRef constraint) {
    if (!constraints.empty())
      constraints += ",";
    constraints += constraint;
  }
};

/// The registers of a fragment, as assembly takes them.
SmallVector<Value> toRegisters(ImplicitLocOpBuilder &b, Value fragment) {
  SmallVector<Value> registers;
  for (int64_t i :
       llvm::seq(cast<VectorType>(fragment.getType()).getDimSize(0)))
    registers.push_back(element(b, fragment, i));
  return registers;
}

/// Panels in shared memory as a descriptor names them (PTX ISA, "Matrix
/// Descriptor Format"): in the low word the address and the leading offset, in
/// units of 16 bytes; in the high word the offset between groups of eight rows,
/// which is 1024 bytes, and the 128-byte swizzle.
class Panels {
public:
  static constexpr int64_t kHighWord = 1024 / 16 | 1 << 30;

  Panels(TileType type, bool alongColumns)
      : layout(type), alongColumns(alongColumns) {}

  /// The low word for the tile's part that begins at a byte.
  Scalar lowWord(ImplicitLocOpBuilder &b, Scalar byte) const {
    // Where depth runs along rows, the next panel holds the next 64 columns of
    // the product; where it runs along columns, no instruction reads two.
    int64_t leading = alongColumns ? 1 : layout.panelBytes() / 16;
    return sharedAddress(b, byte) / 16 + (leading << 16);
  }
  /// What to add to it for depth `k` and more.
  int64_t step(int64_t k) const {
    if (!alongColumns)
      return k * layout.pitch() / 16;
    return (k / layout.panelColumns() * layout.panelBytes() +
            k % layout.panelColumns() * 2) /
           16;
  }

private:
  SharedLayout layout;
  bool alongColumns;
};

struct LowerIssueDot : TilePattern<IssueDotOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(IssueDotOp dot, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    TileType lhs = dot.getLhs().getType(), rhs = dot.getRhs().getType();
    TileType type = dot.getType().getTile();
    if (failed(check(dot)))
      return failure();
    ImplicitLocOpBuilder b(dot.getLoc(), rewriter);
    int64_t columns = type.getColumns(), registers = columns / 2;
    bool transposed = dot.getTransposed();

    Assembly code(b);
    code.write(b.getF32Type(), registers);
    if (dot.getAccumulator())
      code.tie(0, toRegisters(b, adaptor.getAccumulator()));
    SmallVector<std::string> left;
    std::string leftWord;
    if (isa<SharedAttr>(lhs.getLayout())) {
      Scalar slab =
          Scalar{&b, facts.group} * (kGroupRows * SharedLayout(lhs).pitch());
      leftWord =
          code.read(Panels(lhs, true).lowWord(b, slab + adaptor.getLhs()));
    } else {
      for (Value word : toRegisters(b, adaptor.getLhs()))
        left.push_back(code.read(word));
    }
    std::string rightWord = code.read(
        Panels(rhs, transposed).lowWord(b, Scalar{&b, adaptor.getRhs()}));

    std::string text;
    llvm::raw_string_ostream os(text);
    os << "{\n.reg .pred zero, more;\n.reg .b32 low;\n.reg .b64 left, right;\n"
          "setp.ne.b32 zero, 0, 0;\nsetp.ne.b32 more, 1, 0;\n"
          "wgmma.fence.sync.aligned;\n";
    auto describe = [&](StringRef name, StringRef word, int64_t step) {
      os << "add.u32 low, " << word << ", " << step << ";\nmov.b64 " << name
         << ", {low, " << Panels::kHighWord << "};\n";
    };
    StringRef element = lhs.getElementType().isBF16() ? "bf16" : "f16";
    for (int64_t k = 0; k < lhs.getColumns(); k += kAtomDepth) {
      if (left.empty())
        describe("left", leftWord, Panels(lhs, true).step(k));
      describe("right", rightWord, Panels(rhs, transposed).step(k));
      os << "wgmma.mma_async.sync.aligned.m64n" << columns << "k16.f32."
         << element << "." << element << " {";
      for (int64_t reg = 0; reg < registers; ++reg)
        os << (reg ? "," : "") << "$" << reg;
      os << "}, ";
      if (left.empty())
        os << "left";
      else
        os << "{"
           << llvm::join(ArrayRef<std::string>(left).slice(k / 4, 4), ",")
           << "}";
      os << ", right, " << (k || dot.getAccumulator() ? "more" : "zero")
         << ", 1, 1" << (left.empty() ? ", 0" : "")
         << (transposed ? ", 0" : ", 1") << ";\n";
    }
    os << "wgmma.commit_group.sync.aligned;\n}";
    rewriter.replaceOp(dot, vectorOf(b, code.create(text)));
    return success();
  }

private:
  /// What the instruction takes, and the layouts that bring it there.
  LogicalResult check(IssueDotOp dot) const {
    TileType lhs = dot.getLhs().getType(), rhs = dot.getRhs().getType();
    TileType type = dot.getType().getTile();
    if (!facts.hasRoles)
      return dot.emitOpError("expects warps that have roles");
    if (!isa_and_present<AccumulatorAttr>(type.getLayout()))
      return dot.emitOpError("expects to bring an accumulator, but got ")
             << type;
    if (type.getRows() != kGroupRows * facts.groups())
      return dot.emitOpError("expects 64 rows for each of ")
             << facts.groups() << " groups of four warps, but got "
             << type.getRows();
    if (type.getColumns() % 8 || type.getColumns() > 256)
      return dot.emitOpError("expects a product of columns in eights up to "
                             "256, but got ")
             << type.getColumns();
    Type element = lhs.getElementType();
    if (element != rhs.getElementType() ||
        !(element.isBF16() || element.isF16()))
      return dot.emitOpError("expects both sides in bf16 or both in f16, but "
                             "got ")
             << element << " and " << rhs.getElementType();
    if (!dot.getTransposed() && rhs.getRows() % kAtomDepth)
      return dot.emitOpError("expects a depth in sixteens, but got ")
             << rhs.getRows();
    if (!isPanels(rhs))
      return dot.emitOpError("expects the right side in panels of 128 bytes a "
                             "row, but got ")
             << rhs;
    if (!isa_and_present<OperandAttr>(lhs.getLayout()) && !isPanels(lhs))
      return dot.emitOpError("expects the left side in registers or in panels "
                             "of 128 bytes a row, but got ")
             << lhs;
    return success();
  }

  static bool isPanels(TileType type) {
    auto shared = dyn_cast_if_present<SharedAttr>(type.getLayout());
    return shared && shared.getSwizzle() == 8 &&
           SharedLayout(type).pitch() == 128;
  }
};

struct LowerAwait : TilePattern<AwaitOp> {
  using TilePattern::TilePattern;

  /// Everything that may be read afterwards goes through the wait, so that
  /// nothing that reads it is moved before.
  LogicalResult
  matchAndRewrite(AwaitOp await, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(await.getLoc(), rewriter);
    SmallVector<Value> vectors{adaptor.getProduct()};
    llvm::append_range(vectors, adaptor.getKeep());
    SmallVector<SmallVector<Value>> registers;
    Assembly code(b);
    for (Value vector : vectors) {
      if (!isa<VectorType>(vector.getType()))
        return await.emitOpError(
            "expects to keep tiles that live in registers");
      registers.push_back(toRegisters(b, vector));
      code.write(registers.back().front().getType(), registers.back().size());
    }
    int64_t first = 0;
    for (ArrayRef<Value> values : registers) {
      code.tie(first, values);
      first += values.size();
    }
    SmallVector<Value> results =
        code.create("wgmma.wait_group.sync.aligned " +
                    std::to_string(await.getPending()) + ";");
    SmallVector<Value> replacements;
    ArrayRef<Value> left = results;
    for (ArrayRef<Value> values : registers) {
      replacements.push_back(vectorOf(b, left.take_front(values.size())));
      left = left.drop_front(values.size());
    }
    rewriter.replaceOp(await, replacements);
    return success();
  }
};
} // namespace

void saccade::populateAsyncProductPatterns(const TypeConverter &converter,
                                           RewritePatternSet &patterns,
                                           const EntryFacts &facts) {
  patterns.add<LowerIssueDot, LowerAwait>(converter, patterns.getContext(),
                                          facts);
}
