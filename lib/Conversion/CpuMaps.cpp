// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Maps, row functions, reductions and fills as loops over buffers. The body of
// a map is cloned in two halves: what depends on the row alone stays scalar
// before the loop over columns, the rest becomes vectors inside of it.

#include "lib/Conversion/CpuEmitter.h"

using namespace mlir;
using namespace saccade;

namespace {
/// Clones a map's body for one vector of elements. Lanes run along the columns
/// of a row, or along the rows of a column vector.
class LaneCloner {
public:
  LaneCloner(CpuEmitter &emitter, Block &body)
      : emitter(emitter), b(emitter.b), body(body) {}

  void bindUniform(Value argument, Value scalar) { values[argument] = scalar; }
  void bindVarying(Value argument) { varying.insert(argument); }
  void bindLanes(Value argument, Value vector) { values[argument] = vector; }

  /// Finds what varies from lane to lane; fails on what cannot be a vector.
  LogicalResult classify();
  void cloneUniform();
  void cloneVarying();
  /// The yielded element as a vector of f32.
  Value result();

private:
  /// Narrower floats are held as f32 of the same value.
  static Type held(Type type) {
    if (isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 32)
      return Float32Type::get(type.getContext());
    return type;
  }
  bool isSmall(Value value) const {
    return held(value.getType()) != value.getType();
  }
  Value get(Value value, bool asVector);
  Value clone(Operation *op, ValueRange operands, bool asVector);
  Value lookUp(Operation *op, Value base, Value offsets);

  CpuEmitter &emitter;
  ImplicitLocOpBuilder &b;
  Block &body;
  DenseMap<Value, Value> values;
  DenseSet<Value> varying;
};
} // namespace

LogicalResult LaneCloner::classify() {
  for (Operation &op : body.without_terminator()) {
    bool varies = llvm::any_of(op.getOperands(),
                               [&](Value v) { return varying.contains(v); });
    if (op.getNumRegions() || op.getNumResults() != 1)
      return op.emitOpError("expects scalar operations only in a map");
    if (!varies)
      continue;
    if (!isa<tile::LookupOp>(op) && !OpTrait::hasElementwiseMappableTraits(&op))
      return op.emitOpError("expects operations that map to vectors");
    varying.insert(op.getResult(0));
  }
  return success();
}

Value LaneCloner::get(Value value, bool asVector) {
  Value mapped = values.lookup(value);
  if (!mapped) { // from outside of the body
    mapped = value;
    if (isSmall(value))
      mapped = arith::ExtFOp::create(b, held(value.getType()), value);
  }
  if (!asVector || isa<VectorType>(mapped.getType()))
    return mapped;
  return emitter.splat(mapped, emitter.vectorOf(mapped.getType()));
}

/// All lanes read: their elements are in the table even where the tile ends
/// within the vector, because places are clamped to the tile.
Value LaneCloner::lookUp(Operation *op, Value base, Value offsets) {
  Type element = op->getResult(0).getType();
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value addresses = LLVM::GEPOp::create(b, emitter.vectorOf(pointer), element,
                                        base, ValueRange{offsets});
  auto mask = arith::ConstantOp::create(
      b, DenseElementsAttr::get(emitter.vectorOf(b.getI1Type()), true));
  return LLVM::masked_gather::create(
      b, TypeRange{emitter.vectorOf(element)}, addresses, mask, ValueRange{},
      std::max(1u, element.getIntOrFloatBitWidth() / 8));
}

Value LaneCloner::clone(Operation *op, ValueRange operands, bool asVector) {
  Type type = op->getResult(0).getType();
  Type target = held(type);
  if (asVector)
    target = emitter.vectorOf(target);
  if (isa<tile::LookupOp>(op) && asVector)
    return lookUp(op, operands[0], operands[1]);
  if (isa<arith::BitcastOp>(op) && held(type) != type) {
    Type narrow = asVector ? emitter.vectorOf(type) : type;
    Value bits = arith::BitcastOp::create(b, narrow, operands[0]);
    return arith::ExtFOp::create(b, target, bits);
  }
  if (isa<arith::ExtFOp>(op) && isSmall(op->getOperand(0)) && type.isF32())
    return operands[0];
  if (isa<arith::TruncFOp>(op) && held(type) != type)
    return emitter.rounded(operands[0], type);
  if (auto constant = dyn_cast<arith::ConstantOp>(op);
      constant && held(type) != type)
    return f32(b, cast<FloatAttr>(constant.getValue()).getValueAsDouble());

  Operation *copy = Operation::create(
      op->getLoc(), op->getName(), TypeRange{target}, operands,
      op->getDiscardableAttrDictionary(), op->getPropertiesStorage(),
      BlockRange(), /*numRegions=*/0);
  b.insert(copy);
  // Sums of products may be fused: one rounding instead of two.
  if (isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(copy))
    copy->setAttr("fastmath",
                  arith::FastMathFlagsAttr::get(
                      b.getContext(), arith::FastMathFlags::contract));
  Value result = copy->getResult(0);
  return held(type) == type ? result : emitter.rounded(result, type);
}

void LaneCloner::cloneUniform() {
  for (Operation &op : body.without_terminator()) {
    if (varying.contains(op.getResult(0)))
      continue;
    SmallVector<Value> operands;
    for (Value operand : op.getOperands())
      operands.push_back(get(operand, /*asVector=*/false));
    values[op.getResult(0)] = clone(&op, operands, /*asVector=*/false);
  }
}

void LaneCloner::cloneVarying() {
  for (Operation &op : body.without_terminator()) {
    if (!varying.contains(op.getResult(0)))
      continue;
    SmallVector<Value> operands;
    for (auto [index, operand] : llvm::enumerate(op.getOperands())) {
      // A uniform condition selects whole vectors; a table has one address.
      bool scalar = !varying.contains(operand) && index == 0 &&
                    isa<arith::SelectOp, tile::LookupOp>(op);
      operands.push_back(get(operand, !scalar));
    }
    values[op.getResult(0)] = clone(&op, operands, /*asVector=*/true);
  }
}

Value LaneCloner::result() {
  return get(body.getTerminator()->getOperand(0), /*asVector=*/true);
}

/// base, base + 1, ... as i32 lanes, held below `limit` where a vector reaches
/// beyond the tile.
static Value laneIndices(CpuEmitter &e, Scalar base, int64_t limit) {
  auto type = e.vectorOf(e.b.getI32Type());
  auto steps = llvm::to_vector(llvm::seq<int32_t>(e.lanes));
  Value step = arith::ConstantOp::create(
      e.b, DenseElementsAttr::get(type, ArrayRef<int32_t>(steps)));
  Value lanes =
      arith::AddIOp::create(e.b, e.splat(base.narrow().value, type), step);
  if (limit % e.lanes == 0)
    return lanes;
  Value last = e.splat(i32(e.b, limit - 1).value, type);
  return arith::MinSIOp::create(e.b, lanes, last);
}

LogicalResult CpuEmitter::map(tile::MapOp op, ArrayRef<Buffer> inputs,
                              const Buffer &to, Value rows) {
  Block &body = op.getBody().front();
  LaneCloner cloner(*this, body);
  Value rowIndex = body.getArgument(inputs.size());
  Value columnIndex = body.getArgument(inputs.size() + 1);
  auto arguments = body.getArguments().take_front(inputs.size());

  if (to.isColumn()) { // lanes are rows
    for (Value argument : arguments)
      cloner.bindVarying(argument);
    cloner.bindVarying(rowIndex);
    cloner.bindUniform(columnIndex, i32(b, 0));
    if (failed(cloner.classify()))
      return failure();
    cloner.cloneUniform();
    loop(i64(0), rows, lanes, [&](Scalar row) {
      if (!rowIndex.use_empty())
        cloner.bindLanes(rowIndex, laneIndices(*this, row, to.rows));
      for (auto [argument, input] : llvm::zip_equal(arguments, inputs))
        cloner.bindLanes(argument, load(vectorType(), at(input, row)));
      cloner.cloneVarying();
      store(cloner.result(), at(to, row));
    });
    return success();
  }

  for (auto [argument, input] : llvm::zip_equal(arguments, inputs))
    if (!input.isColumn())
      cloner.bindVarying(argument);
  cloner.bindVarying(columnIndex);
  if (failed(cloner.classify()))
    return failure();
  loop(i64(0), rows, 1, [&](Scalar row) {
    cloner.bindUniform(rowIndex, row.narrow());
    for (auto [argument, input] : llvm::zip_equal(arguments, inputs))
      if (input.isColumn())
        cloner.bindUniform(argument, load(b.getF32Type(), at(input, row)));
    cloner.cloneUniform();
    loop(0, to.pitch, lanes, [&](Scalar column) {
      if (!columnIndex.use_empty())
        cloner.bindLanes(columnIndex, laneIndices(*this, column, to.columns));
      for (auto [argument, input] : llvm::zip_equal(arguments, inputs))
        if (!input.isColumn())
          cloner.bindLanes(argument,
                           load(vectorType(), at(input, row, column)));
      cloner.cloneVarying();
      store(cloner.result(), at(to, row, column));
    });
  });
  return success();
}

void CpuEmitter::mapRows(tile::MapRowsOp op, const Buffer &from,
                         const Buffer &to, Value rows) {
  Block &body = op.getBody().front();
  loop(i64(0), rows, 1, [&](Scalar row) {
    IRMapping mapping;
    mapping.map(body.getArgument(0),
                load(body.getArgument(0).getType(), at(from, row)));
    mapping.map(body.getArgument(1), row.narrow().value);
    for (Operation &inner : body.without_terminator())
      b.clone(inner, mapping);
    Value result = mapping.lookupOrDefault(body.getTerminator()->getOperand(0));
    store(rounded(result, op.getType().getElementType()), at(to, row));
  });
}

//===----------------------------------------------------------------------===//
// Fills, copies, reductions
//===----------------------------------------------------------------------===//

/// Visits a buffer vector by vector.
static void
eachVectorOf(CpuEmitter &e, const Buffer &buffer, Value rows,
             llvm::function_ref<void(Scalar row, Scalar column)> body) {
  if (buffer.isColumn())
    return e.loop(e.i64(0), rows, e.lanes,
                  [&](Scalar row) { body(row, e.i64(0)); });
  e.loop(e.i64(0), rows, 1, [&](Scalar row) {
    e.loop(0, buffer.pitch, e.lanes, [&](Scalar column) { body(row, column); });
  });
}

void CpuEmitter::fill(const Buffer &to, Value value, Value rows) {
  if (!value.getType().isF32())
    value = arith::ExtFOp::create(b, b.getF32Type(), value);
  Value vector = splat(value, vectorType());
  eachVectorOf(*this, to, rows, [&](Scalar row, Scalar column) {
    store(vector, at(to, row, column));
  });
}

void CpuEmitter::copy(const Buffer &from, const Buffer &to, Value rows) {
  eachVectorOf(*this, to, rows, [&](Scalar row, Scalar column) {
    store(load(vectorType(), at(from, row, column)), at(to, row, column));
  });
}

/// The greater of two; one instruction on x86, unlike IEEE's maximum.
static Value combine(CpuEmitter &e, tile::ReduceKind kind, Value x, Value y) {
  if (kind == tile::ReduceKind::add)
    return arith::AddFOp::create(e.b, x, y);
  Value greater = arith::CmpFOp::create(e.b, arith::CmpFPredicate::OGT, x, y);
  return arith::SelectOp::create(e.b, greater, x, y);
}

void CpuEmitter::reduce(tile::ReduceKind kind, const Buffer &from,
                        const Buffer &to, Value rows) {
  if (from.isColumn())
    return copy(from, to, rows);
  bool isMax = kind == tile::ReduceKind::max;
  float neutral = isMax ? -std::numeric_limits<float>::infinity() : 0.0f;
  loop(i64(0), rows, 1, [&](Scalar row) {
    Value sum;
    for (int64_t column = 0; column < from.pitch; column += lanes) {
      Value vector = load(vectorType(), at(from, row, i64(column)));
      if (column + lanes > from.columns) {
        SmallVector<bool> inside;
        for (int64_t lane = 0; lane < lanes; ++lane)
          inside.push_back(column + lane < from.columns);
        Value mask = arith::ConstantOp::create(
            b, DenseElementsAttr::get(vectorOf(b.getI1Type()), inside));
        vector = arith::SelectOp::create(b, mask, vector, splat(neutral));
      }
      sum = sum ? combine(*this, kind, sum, vector) : vector;
    }
    for (int64_t width = lanes / 2; width; width /= 2) {
      auto low = llvm::to_vector(llvm::seq<int64_t>(0, width));
      auto high = llvm::to_vector(llvm::seq<int64_t>(width, 2 * width));
      sum = combine(*this, kind, vector::ShuffleOp::create(b, sum, sum, low),
                    vector::ShuffleOp::create(b, sum, sum, high));
    }
    store(vector::ExtractOp::create(b, sum, int64_t{0}), at(to, row));
  });
}
