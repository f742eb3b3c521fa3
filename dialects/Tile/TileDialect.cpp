// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Registers the tile dialect, and holds its types and attributes: how a tile
// type is written, and what a schedule may say.

#include "dialects/Tile/FragmentLayout.h"
#include "dialects/Tile/TileVerify.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace saccade::tile;

#include "dialects/Tile/TileDialect.cpp.inc"
#include "dialects/Tile/TileEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Tile/TileAttrs.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Tile/TileTypes.cpp.inc"

void TileDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Tile/TileAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Tile/TileTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Tile/TileOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

LogicalResult ScheduleAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   int64_t rows, int64_t keys, int64_t warps,
                                   Type weights, PipelineAttr pipeline,
                                   bool splits) {
  if (rows < 1 || rows > 1024)
    return emitError() << "expects 1 to 1024 rows a work item, but got "
                       << rows;
  if (keys < 1 || keys > 1024)
    return emitError() << "expects 1 to 1024 keys a tile, but got " << keys;
  if (warps < 1 || warps > 32)
    return emitError() << "expects 1 to 32 warps, but got " << warps;
  if (!weights.isF32() && !weights.isF16() && !weights.isBF16())
    return emitError() << "expects weights of f32, f16 or bf16, but got "
                       << weights;
  if (!pipeline)
    return success();
  if (weights.isF32())
    return emitError() << "expects weights of f16 or bf16 with a pipeline, but "
                          "got f32";
  if (pipeline.getDeal() == DealKind::keys) {
    if (rows % 8 || rows > 64 || warps % 4 || warps > 12)
      return emitError() << "expects a multiple of 8 up to 64 rows and 4, 8 or "
                            "12 warps to deal keys to, but got "
                         << rows << " rows and " << warps << " warps";
    if (keys % 16 || keys > 64)
      return emitError() << "expects keys to be a multiple of 16 up to 64 to "
                            "deal them to warps, but got "
                         << keys;
    if (pipeline.getStages() % warps)
      return emitError() << "expects stages to be a multiple of the " << warps
                         << " warps that keys are dealt to, but got "
                         << pipeline.getStages();
  } else if (warps % 4 || rows != 16 * warps || warps > 12)
    return emitError() << "expects 64 rows for each 4 of up to 12 warps with a "
                          "pipeline, but got "
                       << rows << " rows and " << warps << " warps";
  if (keys % 16 || keys > 256)
    return emitError() << "expects keys to be a multiple of 16 up to 256 with "
                          "a pipeline, but got "
                       << keys;
  int64_t registers = 128 * pipeline.getLoadRegisters() +
                      32 * warps * pipeline.getComputeRegisters();
  if (registers > tile::kRegisters)
    return emitError() << "expects at most " << tile::kRegisters
                       << " registers, but 128 threads that load with "
                       << pipeline.getLoadRegisters() << " and " << 32 * warps
                       << " that compute with "
                       << pipeline.getComputeRegisters() << " take "
                       << registers;
  return success();
}

LogicalResult
saccade::tile::verifyRegisters(function_ref<InFlightDiagnostic()> emitError,
                               int64_t load, int64_t compute) {
  for (int64_t count : {load, compute})
    if (count < 24 || count > 240 || count % 8)
      return emitError() << "expects register counts to be multiples of 8 from "
                            "24 to 240, but got "
                         << count;
  return success();
}

static LogicalResult verifyStages(function_ref<InFlightDiagnostic()> emitError,
                                  int64_t stages) {
  if (stages < 1 || stages > 64)
    return emitError() << "expects 1 to 64 stages, but got " << stages;
  return success();
}

LogicalResult PipelineAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   int64_t stages, CopyKind copy,
                                   int64_t loadRegisters,
                                   int64_t computeRegisters, int64_t growth,
                                   int64_t queryStages, DealKind) {
  for (int64_t count : {stages, queryStages})
    if (failed(verifyStages(emitError, count)))
      return failure();
  // Weights reach 2^growth, and sums of them have to fit in f16.
  if (growth < 0 || growth > 8)
    return emitError() << "expects growth from 0 to 8, but got " << growth;
  return verifyRegisters(emitError, loadRegisters, computeRegisters);
}

LogicalResult BoxAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                              int64_t word, int64_t heads, int64_t tokens) {
  // The limits of a tensor map's box (CUDA driver API, cuTensorMapEncodeTiled).
  for (int64_t size : {heads, tokens})
    if (size < 1 || size > 256)
      return emitError() << "expects boxes of 1 to 256 heads and tokens, but "
                            "got "
                         << heads << " and " << tokens;
  if (word < 0)
    return emitError() << "expects a word of 0 or more, but got " << word;
  return success();
}

LogicalResult SharedAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t pitch, int64_t swizzle,
                                 int64_t offset) {
  if (offset < 0 || offset % 16)
    return emitError()
           << "expects offset to be a multiple of 16 bytes, but got " << offset;
  if (pitch < 1)
    return emitError() << "expects a positive pitch, but got " << pitch;
  if (swizzle < 1 || (swizzle & (swizzle - 1)))
    return emitError() << "expects swizzle to be a power of two, but got "
                       << swizzle;
  return success();
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

TileType TileType::get(MLIRContext *context, int64_t rows, int64_t columns,
                       Type elementType) {
  return get(context, rows, columns, elementType, Attribute());
}

LogicalResult TileType::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t rows, int64_t columns, Type elementType,
                               Attribute layout) {
  if (rows < 1 || columns < 1)
    return emitError() << "expects a tile of positive shape, but got " << rows
                       << "x" << columns;
  if (!isa<Float32Type, Float16Type, BFloat16Type, Float8E4M3FNType,
           Float8E5M2Type>(elementType))
    return emitError() << "expects elements of f32, f16, bf16, f8E4M3FN or "
                          "f8E5M2, but got "
                       << elementType;
  if (layout && !isa<SharedAttr, AccumulatorAttr, OperandAttr, RowsOfAttr,
                     PartsOfAttr, BufferAttr>(layout))
    return emitError() << "expects a tile layout, but got " << layout;
  return success();
}

/// Parses what stands between the brackets of a tile; a comma that ends it is
/// left to the caller where no attribute follows.
static TileType parseTile(AsmParser &parser, bool &atComma) {
  SmallVector<int64_t, 2> shape;
  Type elementType;
  Attribute layout;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType))
    return {};
  atComma = succeeded(parser.parseOptionalComma());
  if (atComma) {
    OptionalParseResult parsed = parser.parseOptionalAttribute(layout);
    if (parsed.has_value()) {
      if (failed(*parsed))
        return {};
      atComma = succeeded(parser.parseOptionalComma());
    }
  }
  if (shape.size() != 2) {
    parser.emitError(location) << "expects rows and columns, but got "
                               << shape.size() << " dimensions";
    return {};
  }
  return TileType::getChecked([&] { return parser.emitError(location); },
                              parser.getContext(), shape[0], shape[1],
                              elementType, layout);
}

static void printTile(AsmPrinter &printer, TileType type) {
  printer << type.getRows() << "x" << type.getColumns() << "x"
          << type.getElementType();
  if (type.getLayout())
    printer << ", " << type.getLayout();
}

/// Parses a tile and the end of the type, where nothing else may follow.
static TileType parseWholeTile(AsmParser &parser) {
  bool atComma;
  if (parser.parseLess())
    return {};
  TileType type = parseTile(parser, atComma);
  if (!type)
    return {};
  if (atComma) {
    parser.emitError(parser.getCurrentLocation(), "expects a tile layout");
    return {};
  }
  return parser.parseGreater() ? TileType() : type;
}

Type TileType::parse(AsmParser &parser) { return parseWholeTile(parser); }

void TileType::print(AsmPrinter &printer) const {
  printer << "<";
  printTile(printer, *this);
  printer << ">";
}

//===----------------------------------------------------------------------===//
// Pipes and products in flight
//===----------------------------------------------------------------------===//

LogicalResult PipeType::verify(function_ref<InFlightDiagnostic()> emitError,
                               TileType tile, int64_t stages) {
  if (failed(verifyStages(emitError, stages)))
    return failure();
  if (tile.getLayout() && !isa<SharedAttr>(tile.getLayout()))
    return emitError() << "expects tiles in shared memory, but got " << tile;
  return success();
}

Type PipeType::parse(AsmParser &parser) {
  bool atComma;
  int64_t stages;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseLess())
    return {};
  TileType tile = parseTile(parser, atComma);
  if (!tile || (!atComma && parser.parseComma()) ||
      parser.parseKeyword("stages") || parser.parseEqual() ||
      parser.parseInteger(stages) || parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(location); },
                    parser.getContext(), tile, stages);
}

void PipeType::print(AsmPrinter &printer) const {
  printer << "<";
  printTile(printer, getTile());
  printer << ", stages = " << getStages() << ">";
}

Type InflightType::parse(AsmParser &parser) {
  TileType tile = parseWholeTile(parser);
  return tile ? get(parser.getContext(), tile) : InflightType();
}

void InflightType::print(AsmPrinter &printer) const {
  printer << "<";
  printTile(printer, getTile());
  printer << ">";
}
