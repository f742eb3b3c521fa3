// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text form and verification of the attn types. All layouts share one text
// form, `<heads x headDim x element, option = value, ...>`, so it is read here
// once: options in any order, defaults never printed.

#include "dialects/Attn/Attn.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace saccade::attn;
using ErrorFn = function_ref<InFlightDiagnostic()>;

//===----------------------------------------------------------------------===//
// Layouts: text
//===----------------------------------------------------------------------===//

namespace {
/// What the angle brackets of a layout say.
struct LayoutText {
  int64_t heads = 0, headDim = 0, valueDim = 0;
  Type elementType;
  Order order = Order::NHD;
  int64_t page = 0, blockRows = 0, blockColumns = 0;
};
} // namespace

static ParseResult parseOption(AsmParser &parser, LayoutText &text,
                               ArrayRef<StringRef> known,
                               SmallVectorImpl<StringRef> &seen) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef key;
  if (parser.parseKeyword(&key))
    return failure();
  if (!llvm::is_contained(known, key))
    return parser.emitError(loc, "expects one of the options ")
           << llvm::join(known, ", ") << ", but got " << key;
  if (llvm::is_contained(seen, key))
    return parser.emitError(loc, "expects option ") << key << " once";
  seen.push_back(key);
  if (parser.parseEqual())
    return failure();
  if (key == "value")
    return parser.parseInteger(text.valueDim);
  if (key == "page")
    return parser.parseInteger(text.page);
  if (key == "block") {
    SmallVector<int64_t> block;
    loc = parser.getCurrentLocation();
    if (parser.parseDimensionList(block, /*allowDynamic=*/false,
                                  /*withTrailingX=*/false))
      return failure();
    if (block.size() != 2)
      return parser.emitError(loc, "expects block as rows x columns, but got ")
             << block.size() << " numbers";
    text.blockRows = block[0];
    text.blockColumns = block[1];
    return success();
  }
  loc = parser.getCurrentLocation();
  StringRef name;
  if (parser.parseKeyword(&name))
    return failure();
  std::optional<Order> order = symbolizeOrder(name);
  if (!order)
    return parser.emitError(loc, "expects order to be NHD or HND, but got ")
           << name;
  text.order = *order;
  return success();
}

static ParseResult parseLayout(AsmParser &parser, LayoutText &text,
                               ArrayRef<StringRef> known,
                               ArrayRef<StringRef> required = {}) {
  SmallVector<int64_t> shape;
  if (parser.parseLess())
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(shape, /*allowDynamic=*/false))
    return failure();
  if (shape.size() != 2)
    return parser.emitError(loc, "expects heads x head dim, but got ")
           << shape.size() << " numbers";
  if (parser.parseType(text.elementType))
    return failure();
  text.heads = shape[0];
  text.headDim = text.valueDim = shape[1];
  SmallVector<StringRef> seen;
  while (succeeded(parser.parseOptionalComma()))
    if (parseOption(parser, text, known, seen))
      return failure();
  for (StringRef key : required)
    if (!llvm::is_contained(seen, key))
      return parser.emitError(parser.getCurrentLocation(), "expects option ")
             << key;
  return parser.parseGreater();
}

/// Prints up to the options that only one layout has.
static AsmPrinter &printLayout(AsmPrinter &printer, LayoutType type) {
  printer << '<' << type.getHeads() << 'x' << type.getHeadDim() << 'x'
          << type.getElementType();
  if (type.getValueDim() != type.getHeadDim())
    printer << ", value = " << type.getValueDim();
  return printer;
}

static void printOrder(AsmPrinter &printer, LayoutType type) {
  if (type.getOrder() != Order::NHD)
    printer << ", order = " << stringifyOrder(type.getOrder());
  printer << '>';
}

Type RaggedType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  LayoutText t;
  if (parseLayout(parser, t, {"value", "order"}))
    return {};
  return parser.getChecked<RaggedType>(loc, parser.getContext(), t.heads,
                                       t.headDim, t.valueDim, t.elementType,
                                       t.order);
}

void RaggedType::print(AsmPrinter &printer) const {
  printOrder(printLayout(printer, *this), *this);
}

Type DenseType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  LayoutText t;
  if (parseLayout(parser, t, {"value", "order"}))
    return {};
  return parser.getChecked<DenseType>(loc, parser.getContext(), t.heads,
                                      t.headDim, t.valueDim, t.elementType,
                                      t.order);
}

void DenseType::print(AsmPrinter &printer) const {
  printOrder(printLayout(printer, *this), *this);
}

Type PagedType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  LayoutText t;
  if (parseLayout(parser, t, {"value", "page", "order"}, {"page"}))
    return {};
  return parser.getChecked<PagedType>(loc, parser.getContext(), t.heads,
                                      t.headDim, t.valueDim, t.elementType,
                                      t.order, t.page);
}

void PagedType::print(AsmPrinter &printer) const {
  printLayout(printer, *this) << ", page = " << getPage();
  printOrder(printer, *this);
}

Type BlockSparseType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  LayoutText t;
  if (parseLayout(parser, t, {"value", "block", "order"}, {"block"}))
    return {};
  return parser.getChecked<BlockSparseType>(
      loc, parser.getContext(), t.heads, t.headDim, t.valueDim, t.elementType,
      t.order, t.blockRows, t.blockColumns);
}

void BlockSparseType::print(AsmPrinter &printer) const {
  printLayout(printer, *this)
      << ", block = " << getBlockRows() << 'x' << getBlockColumns();
  printOrder(printer, *this);
}

//===----------------------------------------------------------------------===//
// Layouts: constraints
//===----------------------------------------------------------------------===//

static LogicalResult verifyRange(ErrorFn emitError, StringRef what,
                                 int64_t value, int64_t most) {
  if (value < 1)
    return emitError() << "expects " << what << " to be positive, but got "
                       << value;
  if (value > most)
    return emitError() << "expects " << what << " to be at most " << most
                       << ", but got " << value;
  return success();
}

static LogicalResult verifyDim(ErrorFn emitError, StringRef what, int64_t dim,
                               int64_t multiple = kHeadDimMultiple) {
  if (failed(verifyRange(emitError, what, dim, kMaxHeadDim)))
    return failure();
  if (dim % multiple != 0)
    return emitError() << "expects " << what << " to be a multiple of "
                       << multiple << ", but got " << dim;
  return success();
}

static LogicalResult verifyElement(ErrorFn emitError, Type type) {
  if (type.isF32() || type.isBF16() || type.isF16() || isEightBits(type))
    return success();
  return emitError() << "expects element type to be f32, bf16, f16, f8E4M3FN "
                        "or f8E5M2, but got "
                     << type;
}

static LogicalResult verifyTokens(ErrorFn emitError, int64_t heads, int64_t dim,
                                  int64_t value, Type element) {
  if (failed(verifyElement(emitError, element)))
    return failure();
  int64_t multiple =
      isEightBits(element) ? kRowBytesMultiple : kHeadDimMultiple;
  return success(succeeded(verifyRange(emitError, "heads", heads, kMaxHeads)) &&
                 succeeded(verifyDim(emitError, "head dim", dim, multiple)) &&
                 succeeded(verifyDim(emitError, "value dim", value, multiple)));
}

LogicalResult RaggedType::verify(ErrorFn emitError, int64_t heads, int64_t dim,
                                 int64_t value, Type element, Order) {
  return verifyTokens(emitError, heads, dim, value, element);
}

LogicalResult DenseType::verify(ErrorFn emitError, int64_t heads, int64_t dim,
                                int64_t value, Type element, Order) {
  return verifyTokens(emitError, heads, dim, value, element);
}

LogicalResult PagedType::verify(ErrorFn emitError, int64_t heads, int64_t dim,
                                int64_t value, Type element, Order,
                                int64_t page) {
  if (failed(verifyTokens(emitError, heads, dim, value, element)))
    return failure();
  return verifyRange(emitError, "page size", page, kMaxPage);
}

LogicalResult BlockSparseType::verify(ErrorFn emitError, int64_t heads,
                                      int64_t dim, int64_t value, Type element,
                                      Order, int64_t rows, int64_t columns) {
  if (failed(verifyTokens(emitError, heads, dim, value, element)) ||
      failed(verifyRange(emitError, "block rows", rows, kMaxBlock)))
    return failure();
  return verifyRange(emitError, "block columns", columns, kMaxBlock);
}

//===----------------------------------------------------------------------===//
// States and tables
//===----------------------------------------------------------------------===//

Type StateType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Normalizer normalizer = Normalizer::softmax;
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false,
                                /*withTrailingX=*/false))
    return {};
  if (shape.size() != 2) {
    parser.emitError(loc, "expects heads x value dim, but got ")
        << shape.size() << " numbers";
    return {};
  }
  if (succeeded(parser.parseOptionalComma())) {
    SMLoc nameLoc = parser.getCurrentLocation();
    StringRef name;
    if (parser.parseKeyword(&name))
      return {};
    std::optional<Normalizer> known = symbolizeNormalizer(name);
    if (!known) {
      parser.emitError(
          nameLoc,
          "expects normalizer to be softmax, sigmoid or none, but got ")
          << name;
      return {};
    }
    normalizer = *known;
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<StateType>(loc, parser.getContext(), shape[0],
                                      shape[1], normalizer);
}

void StateType::print(AsmPrinter &printer) const {
  printer << '<' << getHeads() << 'x' << getValueDim();
  if (getNormalizer() != Normalizer::softmax)
    printer << ", " << stringifyNormalizer(getNormalizer());
  printer << '>';
}

LogicalResult StateType::verify(ErrorFn emitError, int64_t heads, int64_t value,
                                Normalizer) {
  if (failed(verifyRange(emitError, "heads", heads, kMaxHeads)))
    return failure();
  return verifyDim(emitError, "value dim", value);
}

LogicalResult LseType::verify(ErrorFn emitError, int64_t heads) {
  return verifyRange(emitError, "heads", heads, kMaxHeads);
}

static LogicalResult verifyEntry(ErrorFn emitError, Type type) {
  if (type.isF32() || type.isInteger(32))
    return success();
  return emitError() << "expects table entries to be f32 or i32, but got "
                     << type;
}

LogicalResult PerHeadType::verify(ErrorFn emitError, Type element) {
  return verifyEntry(emitError, element);
}

LogicalResult PerRequestType::verify(ErrorFn emitError, Type element) {
  return verifyEntry(emitError, element);
}

LogicalResult PerTokenType::verify(ErrorFn emitError, Type element) {
  return verifyEntry(emitError, element);
}

Type TableType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type element;
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/true) ||
      parser.parseType(element) || parser.parseGreater())
    return {};
  for (int64_t extent : shape)
    if (!ShapedType::isDynamic(extent)) {
      parser.emitError(loc, "expects ? for the extents of a table, but got ")
          << extent;
      return {};
    }
  return parser.getChecked<TableType>(loc, parser.getContext(), shape.size(),
                                      element);
}

void TableType::print(AsmPrinter &printer) const {
  printer << '<';
  for (int64_t i = 0; i < getRank(); ++i)
    printer << "?x";
  printer << getElementType() << '>';
}

LogicalResult TableType::verify(ErrorFn emitError, int64_t rank, Type element) {
  if (rank < 1 || rank > kMaxTableRank)
    return emitError() << "expects a table to have 1 to " << kMaxTableRank
                       << " dimensions, but got " << rank;
  if (element.isF32() || element.isF16() || element.isBF16() ||
      element.isSignlessInteger(32) || element.isSignlessInteger(64) ||
      element.isSignlessInteger(8) || element.isSignlessInteger(1))
    return success();
  return emitError() << "expects entries of a table to be f32, f16, bf16, i32, "
                        "i64, i8 or i1, but got "
                     << element;
}

Type TableType::getReadType() {
  Builder builder(getContext());
  if (isa<FloatType>(getElementType()))
    return builder.getF32Type();
  return getElementType().isInteger(1) ? builder.getI1Type()
                                       : builder.getI32Type();
}

//===----------------------------------------------------------------------===//
// Generated
//===----------------------------------------------------------------------===//

#include "dialects/Attn/AttnTypeInterfaces.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Attn/AttnTypes.cpp.inc"

void AttnDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Attn/AttnTypes.cpp.inc"
      >();
}
