// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text form and verification of variants, their bodies, and reads of tables.
// A body's signature names its data first, then the positions it asks for.

#include "dialects/Attn/ArgumentNames.h"
#include "dialects/Attn/Attn.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace saccade::attn;

bool saccade::attn::isParameterType(Type type) {
  return type.isF32() || type.isInteger(32) ||
         isa<PerHeadType, PerRequestType, PerTokenType, BitsType, TableType>(
             type);
}

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

//===----------------------------------------------------------------------===//
// VariantOp
//===----------------------------------------------------------------------===//

SymbolTable::Visibility VariantOp::getVisibility() {
  return SymbolTable::Visibility::Private;
}

void VariantOp::getAsmBlockArgumentNames(Region &region,
                                         OpAsmSetValueNameFn setName) {
  for (BlockArgument argument : region.getArguments()) {
    StringRef name = getKeptName(argument);
    setName(argument, name.empty() ? "p" : name);
  }
}

ParseResult VariantOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> parameters;
  if (parser.parseSymbolName(name, SymbolTable::getSymbolAttrName(),
                             result.attributes) ||
      parser.parseArgumentList(parameters, OpAsmParser::Delimiter::Paren,
                               /*allowType=*/true))
    return failure();
  keepNames(parser, parameters);
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
  SMLoc loc = parser.getCurrentLocation();
  NamedAttrList others;
  if (parser.parseOptionalAttrDictWithKeyword(others))
    return failure();
  if (others.get(getNormalizerAttrName(result.name)))
    return parser.emitError(loc, "expects the normalizer in front of the "
                                 "attributes, as in: normalizer = sigmoid");
  result.addAttributes(others);
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
  printer << ')';
  if (getNormalizer() != Normalizer::softmax)
    printer << " normalizer = " << stringifyNormalizer(getNormalizer());
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {getSymNameAttrName(), getNormalizerAttrName()});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult VariantOp::verify() {
  for (BlockArgument parameter : getParameters()) // 1
    if (!isParameterType(parameter.getType()))
      return emitOpError("expects parameters to be f32, i32 or tables, but #")
             << parameter.getArgNumber() << " is " << parameter.getType();

  DenseMap<OperationName, Operation *> seen;
  for (Operation &op : getBody().front()) {
    if (!isa<BodyOpInterface>(op)) { // 4
      InFlightDiagnostic diag = op.emitError()
                                << "expects only bodies in a variant, but got "
                                << op.getName();
      diag.attachNote(getLoc()) << "variant is here";
      return diag;
    }
    auto [it, isNew] = seen.try_emplace(op.getName(), &op);
    if (!isNew) { // 2
      InFlightDiagnostic diag = op.emitOpError("expects to be the only one of "
                                               "its kind in the variant");
      diag.attachNote(it->second->getLoc()) << "the other one is here";
      return diag;
    }
  }
  auto sink = getBodyOf<SinkOp>();
  if (sink && getNormalizer() != Normalizer::softmax) // 3
    return sink.emitOpError("expects the normalizer softmax, but got ")
           << stringifyNormalizer(getNormalizer());
  return success();
}

//===----------------------------------------------------------------------===//
// ReadOp
//===----------------------------------------------------------------------===//

LogicalResult ReadOp::inferReturnTypes(MLIRContext *context,
                                       std::optional<Location> location,
                                       ValueRange operands, DictionaryAttr,
                                       OpaqueProperties, RegionRange,
                                       SmallVectorImpl<Type> &types) {
  if (operands.empty())
    return emitOptionalError(location, "expects a table to read");
  return TypeSwitch<Type, LogicalResult>(operands.front().getType())
      .Case<PerHeadType, PerRequestType, PerTokenType>([&](auto table) {
        types.push_back(table.getElementType());
        return success();
      })
      .Case([&](BitsType) {
        types.push_back(IntegerType::get(context, 1));
        return success();
      })
      .Case([&](TableType table) {
        types.push_back(table.getReadType());
        return success();
      })
      .Default([&](Type type) {
        return emitOptionalError(location, "expects a table to read, but got ",
                                 type);
      });
}

/// Whether a value is the given position of the body around it.
static bool isPosition(Value value, Position position) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto body =
      argument ? dyn_cast<BodyOpInterface>(argument.getOwner()->getParentOp())
               : BodyOpInterface();
  if (!body || argument.getArgNumber() < body.getNumDataArguments())
    return false;
  Attribute named =
      body.getPositions()[argument.getArgNumber() - body.getNumDataArguments()];
  return cast<PositionAttr>(named).getValue() == position;
}

LogicalResult ReadOp::verify() {
  auto table = dyn_cast<TableType>(getTable().getType());
  size_t expected = table                                     ? table.getRank()
                    : isa<BitsType>(getTable().getType())     ? 3
                    : isa<PerTokenType>(getTable().getType()) ? 2
                                                              : 1;
  if (getIndices().size() != expected) // 1
    return emitOpError("expects ")
           << expected << " indices into " << getTable().getType()
           << ", but got " << getIndices().size();
  if (!isa<PerHeadType, TableType>(getTable().getType()) && // 2
      !isPosition(getIndices().front(), Position::request))
    return emitOpError("expects the body's request as the first index into ")
           << getTable().getType();
  return success();
}

// Here, because the generated code reads and prints signatures.
#include "dialects/Attn/AttnBodyInterface.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Attn/AttnOps.cpp.inc"
