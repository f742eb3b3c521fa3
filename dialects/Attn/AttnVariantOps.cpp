// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text form and verification of variants, their bodies, and reads of tables.
// A body's signature names its data first, then the positions it asks for.

#include "dialects/Attn/Attn.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace saccade::attn;

//===----------------------------------------------------------------------===//
// Signatures: `(%s, query %q, key %k) { ... }`
//===----------------------------------------------------------------------===//

static ParseResult parseSignature(OpAsmParser &parser, ArrayAttr &positions,
                                  Region &body) {
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<Attribute> asked;
  Builder &builder = parser.getBuilder();
  auto parseOne = [&]() -> ParseResult {
    OpAsmParser::Argument &argument = arguments.emplace_back();
    SMLoc loc = parser.getCurrentLocation();
    StringRef name;
    if (succeeded(parser.parseOptionalKeyword(&name))) {
      std::optional<Position> position = symbolizePosition(name);
      if (!position)
        return parser.emitError(loc, "expects a position, but got ") << name;
      asked.push_back(PositionAttr::get(builder.getContext(), *position));
      argument.type = builder.getI32Type();
      return parser.parseArgument(argument);
    }
    if (!asked.empty())
      return parser.emitError(loc, "expects data before positions");
    if (parser.parseArgument(argument))
      return failure();
    argument.type = builder.getF32Type();
    return succeeded(parser.parseOptionalColon())
               ? parser.parseType(argument.type)
               : success();
  };
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, parseOne))
    return failure();
  positions = builder.getArrayAttr(asked);
  return parser.parseRegion(body, arguments);
}

static void printSignature(OpAsmPrinter &printer, Operation *op,
                           ArrayAttr positions, Region &body) {
  auto arguments = body.getArguments();
  unsigned numData = cast<BodyOpInterface>(op).getNumDataArguments();
  printer << '(';
  llvm::interleaveComma(llvm::enumerate(arguments), printer, [&](auto it) {
    auto [index, argument] = it;
    if (index >= numData)
      printer << stringifyPosition(
                     cast<PositionAttr>(positions[index - numData]).getValue())
              << ' ';
    printer << argument;
    if (index < numData && !argument.getType().isF32())
      printer << ": " << argument.getType();
  });
  printer << ") ";
  printer.printRegion(body, /*printEntryBlockArgs=*/false);
}

static void nameArguments(BodyOpInterface body, Region &region,
                          OpAsmSetValueNameFn setName) {
  if (&region != &body.getBody() ||
      region.getNumArguments() < body.getPositions().size())
    return;
  unsigned numData = body.getNumDataArguments();
  for (BlockArgument argument : region.getArguments().take_front(numData))
    setName(argument, isa<VectorType>(argument.getType()) ? "x" : "s");
  for (auto [argument, position] :
       llvm::zip_equal(region.getArguments().drop_front(numData),
                       body.getPositions().getAsRange<PositionAttr>()))
    setName(argument, stringifyPosition(position.getValue()));
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

#define ATTN_BODY(OP)                                                          \
  void OP::getAsmBlockArgumentNames(Region &region,                            \
                                    OpAsmSetValueNameFn setName) {             \
    nameArguments(*this, region, setName);                                     \
  }                                                                            \
  LogicalResult OP::verify() { return success(); }
ATTN_BODY(LogitsOp)
ATTN_BODY(MaskOp)
ATTN_BODY(SinkOp)
ATTN_BODY(QueryOp)
ATTN_BODY(KeyOp)
ATTN_BODY(ValueOp)
ATTN_BODY(OutputOp)
ATTN_BODY(BoundsOp)
#undef ATTN_BODY

LogicalResult YieldOp::verify() { return success(); }

//===----------------------------------------------------------------------===//
// VariantOp
//===----------------------------------------------------------------------===//

SymbolTable::Visibility VariantOp::getVisibility() {
  return SymbolTable::Visibility::Private;
}

void VariantOp::getAsmBlockArgumentNames(Region &region,
                                         OpAsmSetValueNameFn setName) {
  for (BlockArgument argument : region.getArguments())
    setName(argument, "p");
}

ParseResult VariantOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> parameters;
  if (parser.parseSymbolName(name, SymbolTable::getSymbolAttrName(),
                             result.attributes) ||
      parser.parseArgumentList(parameters, OpAsmParser::Delimiter::Paren,
                               /*allowType=*/true))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("normalizer"))) {
    if (parser.parseEqual())
      return failure();
    SMLoc loc = parser.getCurrentLocation();
    StringRef text;
    if (parser.parseKeyword(&text))
      return failure();
    std::optional<Normalizer> normalizer = symbolizeNormalizer(text);
    if (!normalizer)
      return parser.emitError(loc, "expects normalizer to be softmax, sigmoid "
                                   "or none, but got ")
             << text;
    result.addAttribute(getNormalizerAttrName(result.name),
                        NormalizerAttr::get(parser.getContext(), *normalizer));
  }
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  Region *body = result.addRegion();
  if (parser.parseRegion(*body, parameters))
    return failure();
  if (body->empty())
    body->emplaceBlock();
  return success();
}

void VariantOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  printer << '(';
  llvm::interleaveComma(getParameters(), printer, [&](BlockArgument argument) {
    printer.printRegionArgument(argument);
  });
  printer << ") ";
  if (getNormalizer() != Normalizer::softmax)
    printer << "normalizer = " << stringifyNormalizer(getNormalizer()) << ' ';
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {getSymNameAttrName(), getNormalizerAttrName()});
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult VariantOp::verify() { return success(); }

//===----------------------------------------------------------------------===//
// ReadOp
//===----------------------------------------------------------------------===//

LogicalResult ReadOp::inferReturnTypes(
    MLIRContext *context, std::optional<Location>, ValueRange operands,
    DictionaryAttr, OpaqueProperties, RegionRange, SmallVectorImpl<Type> &types) {
  if (operands.empty())
    return failure();
  return TypeSwitch<Type, LogicalResult>(operands.front().getType())
      .Case<PerHeadType, PerRequestType, PerTokenType>([&](auto table) {
        types.push_back(table.getElementType());
        return success();
      })
      .Case([&](BitsType) {
        types.push_back(IntegerType::get(context, 1));
        return success();
      })
      .Default(failure());
}

LogicalResult ReadOp::verify() { return success(); }

// Here, because the generated code reads and prints signatures.
#include "dialects/Attn/AttnBodyInterface.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Attn/AttnOps.cpp.inc"
