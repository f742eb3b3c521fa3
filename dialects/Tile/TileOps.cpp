// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verifiers of the tile operations: one line a numbered constraint of the
// definitions. Rules that several operations share are one helper.

#include "dialects/Tile/TileVerify.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace saccade::tile;

#define GET_OP_CLASSES
#include "dialects/Tile/TileOps.cpp.inc"

/// The region's arguments have `arguments` types and it yields `results`.
static LogicalResult verifySignature(Operation *op, Region &region,
                                     TypeRange arguments, TypeRange results) {
  if (region.getArgumentTypes() != arguments)
    return op->emitOpError()
           << "expects a region with arguments (" << arguments << "), but got ("
           << region.getArgumentTypes() << ")";
  auto yield = dyn_cast<YieldOp>(region.front().getTerminator());
  if (!yield || yield.getOperandTypes() != results)
    return op->emitOpError()
           << "expects the region to yield (" << results << "), but got ("
           << region.front().getTerminator()->getOperandTypes() << ")";
  return success();
}

/// Row regions: a row in, an offset and a presence out.
static LogicalResult verifyRows(Operation *op, Region &region) {
  Builder b(op->getContext());
  return verifySignature(op, region, {b.getI32Type()},
                         {b.getI64Type(), b.getI1Type()});
}

LogicalResult saccade::tile::verifyGather(Operation *op, TileType tile,
                                          Region &rows, BoxAttr box,
                                          Region &boxes) {
  if (failed(verifyRows(op, rows)))
    return failure();
  if (bool(box) == boxes.empty())
    return op->emitOpError("expects a region of boxes if, and only if, it says "
                           "what a box is");
  if (!box)
    return success();
  if (box.rows() > tile.getRows())
    return op->emitOpError("expects boxes of at most ")
           << tile.getRows() << " rows, but got " << box.rows();
  Type i32 = IntegerType::get(op->getContext(), 32);
  return verifySignature(op, boxes, {i32}, {i32, i32, i32});
}

LogicalResult EntryOp::verify() {
  if (getBody().getNumArguments() != 1 ||
      !isa<WordsType>(getBody().getArgument(0).getType()))
    return emitOpError() << "expects a body with one argument of !tile.words, "
                            "but got ("
                         << getBody().getArgumentTypes() << ")";
  return success();
}

LogicalResult ForEachItemOp::verify() {
  SmallVector<Type> seven(7, IntegerType::get(getContext(), 32));
  if (getBody().getArgumentTypes() != TypeRange(seven))
    return emitOpError() << "expects a body with seven i32 arguments, but got ("
                         << getBody().getArgumentTypes() << ")";
  return success();
}

LogicalResult WordOp::verify() {
  if (static_cast<int64_t>(getIndex()) < 0)
    return emitOpError() << "expects an index of 0 or more, but got "
                         << static_cast<int64_t>(getIndex());
  return success();
}

LogicalResult LoadOp::verifyRegions() {
  return verifyGather(*this, getType(), getRows(), getBoxAttr(), getBoxes());
}

LogicalResult StoreOp::verifyRegions() { return verifyRows(*this, getRows()); }

LogicalResult FillOp::verify() {
  if (getValue().getType() != getType().getElementType())
    return emitOpError() << "expects a value of " << getType().getElementType()
                         << ", but got " << getValue().getType();
  return success();
}

LogicalResult MapOp::verify() {
  TileType result = getType();
  for (Value input : getInputs()) {
    auto type = cast<TileType>(input.getType());
    if (type.getRows() != result.getRows() ||
        (type.getColumns() != result.getColumns() && !type.isColumn()))
      return emitOpError() << "expects inputs of " << result.getRows() << "x"
                           << result.getColumns() << " or " << result.getRows()
                           << "x1, but got " << type.getRows() << "x"
                           << type.getColumns();
  }
  return success();
}

LogicalResult MapOp::verifyRegions() {
  Builder b(getContext());
  SmallVector<Type> arguments;
  for (Value input : getInputs())
    arguments.push_back(cast<TileType>(input.getType()).getElementType());
  arguments.append(2, b.getI32Type());
  return verifySignature(*this, getBody(), arguments,
                         {getType().getElementType()});
}

LogicalResult MapRowsOp::verify() {
  TileType input = getInput().getType(), result = getType();
  if (input.getRows() != result.getRows() ||
      input.getColumns() != result.getColumns())
    return emitOpError() << "expects input and result of one shape, but got "
                         << input.getRows() << "x" << input.getColumns()
                         << " and " << result.getRows() << "x"
                         << result.getColumns();
  return success();
}

LogicalResult MapRowsOp::verifyRegions() {
  Builder b(getContext());
  auto row = VectorType::get({getType().getColumns()}, b.getF32Type());
  return verifySignature(*this, getBody(), {row, b.getI32Type()}, {row});
}

LogicalResult MaskOp::verify() {
  if (getFill().getType() != getType().getElementType())
    return emitOpError() << "expects a fill value of "
                         << getType().getElementType() << ", but got "
                         << getFill().getType();
  return success();
}

LogicalResult MaskOp::verifyRegions() {
  Builder b(getContext());
  return verifySignature(*this, getBody(), {b.getI32Type(), b.getI32Type()},
                         {b.getI1Type()});
}

LogicalResult ReduceOp::verify() {
  TileType input = getInput().getType(), result = getType();
  if (!result.isColumn() || result.getRows() != input.getRows() ||
      result.getElementType() != input.getElementType())
    return emitOpError() << "expects a result of " << input.getRows() << "x1x"
                         << input.getElementType() << ", but got "
                         << result.getRows() << "x" << result.getColumns()
                         << "x" << result.getElementType();
  return success();
}

LogicalResult saccade::tile::verifyProduct(Operation *op, TileType lhs,
                                           TileType rhs, Value accumulator,
                                           bool transposed, TileType out) {
  int64_t depth = transposed ? rhs.getColumns() : rhs.getRows();
  int64_t columns = transposed ? rhs.getRows() : rhs.getColumns();
  if (lhs.getColumns() != depth || lhs.getRows() != out.getRows() ||
      columns != out.getColumns())
    return op->emitOpError()
           << "expects a product of " << lhs.getRows() << "x"
           << lhs.getColumns() << " and " << depth << "x" << columns
           << " to have that depth and shape, but got " << out.getRows() << "x"
           << out.getColumns();
  if (!out.getElementType().isF32())
    return op->emitOpError()
           << "expects a result of f32, but got " << out.getElementType();
  if (lhs.getElementType().getIntOrFloatBitWidth() < 16)
    return op->emitOpError()
           << "expects a left side of 16 or 32 bits an element, but got "
           << lhs.getElementType();
  if (accumulator && accumulator.getType() != out)
    return op->emitOpError() << "expects an accumulator of " << out
                             << ", but got " << accumulator.getType();
  return success();
}

LogicalResult DotOp::verify() {
  return verifyProduct(*this, getLhs().getType(), getRhs().getType(),
                       getAccumulator(), getTransposed(), getType());
}

LogicalResult ScaleRowsOp::verify() {
  TileType tile = getType(), factors = getFactors().getType();
  if (!factors.isColumn() || factors.getRows() != tile.getRows() ||
      factors.getElementType() != tile.getElementType())
    return emitOpError() << "expects factors of " << tile.getRows() << "x1x"
                         << tile.getElementType() << ", but got "
                         << factors.getRows() << "x" << factors.getColumns()
                         << "x" << factors.getElementType();
  return success();
}

static LogicalResult verifyLayoutOnly(Operation *op) {
  auto input = cast<TileType>(op->getOperand(0).getType());
  auto result = cast<TileType>(op->getResult(0).getType());
  if (input.withLayout({}) != result.withLayout({}))
    return op->emitOpError()
           << "expects input and result to differ in layout only, "
              "but got "
           << input << " and " << result;
  return success();
}

LogicalResult ConvertOp::verify() { return verifyLayoutOnly(*this); }
LogicalResult CombineOp::verify() { return verifyLayoutOnly(*this); }
