// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Registers the tile dialect, and holds its types and attributes: how a tile
// type is written, and what a schedule may say.

#include "dialects/Tile/Tile.h"

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
                                   Type weights) {
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
  if (!elementType.isF32() && !elementType.isF16() && !elementType.isBF16())
    return emitError() << "expects elements of f32, f16 or bf16, but got "
                       << elementType;
  if (layout &&
      !isa<SharedAttr, AccumulatorAttr, OperandAttr, RowsOfAttr, BufferAttr>(
          layout))
    return emitError() << "expects a tile layout, but got " << layout;
  return success();
}

Type TileType::parse(AsmParser &parser) {
  SmallVector<int64_t, 2> shape;
  Type elementType;
  Attribute layout;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType))
    return {};
  if (succeeded(parser.parseOptionalComma()) && parser.parseAttribute(layout))
    return {};
  if (parser.parseGreater())
    return {};
  if (shape.size() != 2) {
    parser.emitError(location) << "expects rows and columns, but got "
                               << shape.size() << " dimensions";
    return {};
  }
  return getChecked([&] { return parser.emitError(location); },
                    parser.getContext(), shape[0], shape[1], elementType,
                    layout);
}

void TileType::print(AsmPrinter &printer) const {
  printer << "<" << getRows() << "x" << getColumns() << "x" << getElementType();
  if (getLayout())
    printer << ", " << getLayout();
  printer << ">";
}
