// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Buffers, addresses and loops: what every lowering of a tile operation to the
// CPU is made of. Memory operations are of the LLVM dialect: its addresses are
// one instruction each, where a memref's descriptor is ten to be folded away.

#include "lib/Conversion/CpuEmitter.h"

#include <cmath>

using namespace mlir;
using namespace saccade;

CpuEmitter::CpuEmitter(Block &entry, int64_t lanes)
    : b(entry.getParentOp()->getLoc(), entry.getParentOp()->getContext()),
      lanes(lanes), entry(entry), mark(&entry.front()) {}

Scalar CpuEmitter::i64(int64_t value) {
  return {&b, arith::ConstantIntOp::create(b, b.getI64Type(), value)};
}

Value CpuEmitter::splat(Value value, Type type) {
  return vector::BroadcastOp::create(b, type, value);
}

Value CpuEmitter::splat(float value) {
  auto type = vectorType();
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, b.getF32FloatAttr(value).getValue()));
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// What an element is in memory: what LLVM has no type or no instructions for
/// is moved as bits.
static Type storedType(Type element) {
  auto type = dyn_cast<FloatType>(element);
  bool bits = type && (type.getWidth() == 8 || type.isBF16());
  return bits ? IntegerType::get(type.getContext(), type.getWidth()) : element;
}

Value CpuEmitter::at(Value base, Type element, Value index) {
  return LLVM::GEPOp::create(b, LLVM::LLVMPointerType::get(b.getContext()),
                             storedType(element), base, ValueRange{index});
}

Value CpuEmitter::at(const Buffer &buffer, Value row, Value column) {
  return at(buffer.pointer, b.getF32Type(),
            scalar(row) * buffer.pitch + column);
}

Value CpuEmitter::at(const Buffer &buffer, Value row) {
  return at(buffer.pointer, b.getF32Type(), scalar(row) * buffer.pitch);
}

Value CpuEmitter::load(Type type, Value address, unsigned alignment) {
  return LLVM::LoadOp::create(b, type, address, alignment);
}

void CpuEmitter::store(Value value, Value address, unsigned alignment) {
  LLVM::StoreOp::create(b, value, address, alignment);
}

Buffer CpuEmitter::allocate(int64_t rows, int64_t columns) {
  Buffer buffer{{}, rows, columns, columns == 1 ? 1 : padded(columns)};
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&entry);
  // Register blocks of up to 16 rows may read and write past the last one.
  int64_t count = llvm::alignTo(rows, 16) * buffer.pitch;
  buffer.pointer = LLVM::AllocaOp::create(
      b, LLVM::LLVMPointerType::get(b.getContext()), b.getF32Type(), i64(count),
      /*alignment=*/64);
  return buffer;
}

Buffer CpuEmitter::allocateTransposed(int64_t rows, int64_t columns) {
  Buffer storage = allocate(columns, std::max<int64_t>(rows, 2));
  return {storage.pointer, rows, columns, storage.pitch, /*transposed=*/true};
}

Value CpuEmitter::zeroRow(int64_t bytes) {
  if (bytes <= zeroBytes)
    return zeros;
  Buffer row = allocate(1, std::max<int64_t>(llvm::divideCeil(bytes, 4), 2));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(mark);
  fill(row, arith::ConstantOp::create(b, b.getF32FloatAttr(0)), i64(1));
  zeros = row.pointer;
  zeroBytes = bytes;
  return zeros;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

void CpuEmitter::loop(Value begin, Value end, int64_t step, Body body) {
  auto loop = scf::ForOp::create(b, begin, end, i64(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(scalar(loop.getInductionVar()));
}

void CpuEmitter::loop(int64_t begin, int64_t end, int64_t step, Body body) {
  if (begin + step >= end) { // one trip
    if (begin < end)
      body(i64(begin));
    return;
  }
  loop(i64(begin), i64(end), step, body);
}

void CpuEmitter::eachVector(int64_t columns,
                            llvm::function_ref<void(Scalar, int64_t)> body) {
  int64_t whole = columns / lanes * lanes;
  loop(0, whole, lanes, [&](Scalar column) { body(column, lanes); });
  if (whole < columns)
    body(i64(whole), columns - whole);
}

std::pair<Value, Value> CpuEmitter::place(Region &region, Scalar row,
                                          IRMapping mapping) {
  Block &block = region.front();
  mapping.map(block.getArgument(0), row.narrow().value);
  for (Operation &op : block.without_terminator())
    b.clone(op, mapping);
  Operation *yield = block.getTerminator();
  return {mapping.lookupOrDefault(yield->getOperand(0)),
          mapping.lookupOrDefault(yield->getOperand(1))};
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

static Type withElement(Type type, Type element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.clone(element);
  return element;
}

static Value constantLike(ImplicitLocOpBuilder &b, Type type, int64_t value) {
  TypedAttr attribute = b.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attribute = DenseElementsAttr::get(vector, Attribute(attribute));
  return arith::ConstantOp::create(b, attribute);
}

static Value floatLike(ImplicitLocOpBuilder &b, Type type, float value) {
  TypedAttr attribute = b.getF32FloatAttr(value);
  if (auto vector = dyn_cast<VectorType>(type))
    attribute = DenseElementsAttr::get(vector, Attribute(attribute));
  return arith::ConstantOp::create(b, attribute);
}

/// Elements of 8 bits through f16, for whose subnormals and NaNs the CPU has an
/// instruction. The bits of f8E5M2 are the upper ones of an f16. Those of
/// f8E4M3FN are, with the exponent in place, the f16 of 2^-8 times the number;
/// all ones are its NaN.
Value CpuEmitter::widenBytes(Value value, Type element) {
  Type i16 = withElement(value.getType(), b.getI16Type());
  auto constant = [&](int64_t c) { return constantLike(b, i16, c); };
  Value wide = arith::ExtUIOp::create(b, i16, value);
  Value bits = arith::ShLIOp::create(b, wide, constant(8));
  bool isE5M2 = isa<Float8E5M2Type>(element);
  if (!isE5M2) {
    bits = arith::ShRSIOp::create(b, bits, constant(1));
    bits = arith::AndIOp::create(b, bits, constant(-0x4001)); // one sign
    Value magnitude = arith::AndIOp::create(b, wide, constant(0x7f));
    Value nan = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, magnitude,
                                      constant(0x7f));
    bits = arith::SelectOp::create(b, nan, constant(0x7e00), bits);
  }
  Value half = arith::BitcastOp::create(
      b, withElement(value.getType(), b.getF16Type()), bits);
  Type f32 = withElement(value.getType(), b.getF32Type());
  Value result = arith::ExtFOp::create(b, f32, half);
  return isE5M2 ? result
                : arith::MulFOp::create(b, result, floatLike(b, f32, 256.0f));
}

/// Rounds as arith.truncf does: beyond the largest there is infinity, or NaN
/// where the type has none.
Value CpuEmitter::narrowToBytes(Value value, FloatType element) {
  const llvm::fltSemantics &semantics = element.getFloatSemantics();
  int64_t fraction = element.getFPMantissaWidth() - 1;
  int64_t least = llvm::APFloat::semanticsMinExponent(semantics);
  Type i32 = withElement(value.getType(), b.getI32Type());
  auto constant = [&](int64_t c) { return constantLike(b, i32, c); };
  auto bitsOf = [&](Value x) { return arith::BitcastOp::create(b, i32, x); };
  Value bits = bitsOf(value);
  Value magnitude = arith::AndIOp::create(b, bits, constant(0x7fffffff));
  // Normal: half an ulp, less one bit where the result would be even; then the
  // exponent's other bias.
  int64_t dropped = 23 - fraction;
  Value high = arith::ShRUIOp::create(b, magnitude, constant(dropped));
  Value odd = arith::AndIOp::create(b, high, constant(1));
  Value half =
      arith::AddIOp::create(b, odd, constant((1 << (dropped - 1)) - 1));
  Value normal = arith::ShRUIOp::create(
      b, arith::AddIOp::create(b, magnitude, half), constant(dropped));
  normal =
      arith::SubIOp::create(b, normal, constant((least + 126) << fraction));
  // Subnormal: a sum whose ulp is theirs rounds them.
  Value unit =
      floatLike(b, value.getType(), std::ldexp(1.0f, least - fraction + 23));
  Value positive = arith::BitcastOp::create(b, value.getType(), magnitude);
  Value sum = bitsOf(arith::AddFOp::create(b, positive, unit));
  Value subnormal = arith::SubIOp::create(b, sum, bitsOf(unit));
  Value small = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, magnitude,
                                      constant((least + 127) << 23));
  Value result = arith::SelectOp::create(b, small, subnormal, normal);

  bool hasInfinity = isa<Float8E5M2Type>(element);
  result =
      arith::MinUIOp::create(b, result, constant(hasInfinity ? 0x7c : 0x7f));
  Value nan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, value, value);
  result = arith::SelectOp::create(b, nan, constant(0x7f), result);
  Value sign = arith::AndIOp::create(
      b, arith::ShRUIOp::create(b, bits, constant(24)), constant(0x80));
  result = arith::OrIOp::create(b, result, sign);
  return arith::TruncIOp::create(b, withElement(value.getType(), b.getI8Type()),
                                 result);
}

/// bf16 by integers: LLVM calls a function where the CPU has no instruction.
Value CpuEmitter::widen(Value value, Type element) {
  Type f32 = withElement(value.getType(), b.getF32Type());
  if (element.isF32())
    return value;
  if (element.isF16())
    return arith::ExtFOp::create(b, f32, value);
  if (element.getIntOrFloatBitWidth() == 8)
    return widenBytes(value, element);
  Type i32 = withElement(value.getType(), b.getI32Type());
  Value bits = arith::ExtUIOp::create(b, i32, value);
  bits = arith::ShLIOp::create(b, bits, constantLike(b, i32, 16));
  return arith::BitcastOp::create(b, f32, bits);
}

Value CpuEmitter::narrow(Value value, Type element) {
  if (element.isF32())
    return value;
  if (element.isF16())
    return arith::TruncFOp::create(b, withElement(value.getType(), element),
                                   value);
  if (element.getIntOrFloatBitWidth() == 8)
    return narrowToBytes(value, cast<FloatType>(element));
  // Half an ulp, less one bit where the result would be even; NaN stays quiet.
  Type i32 = withElement(value.getType(), b.getI32Type());
  auto constant = [&](int64_t c) { return constantLike(b, i32, c); };
  Value bits = arith::BitcastOp::create(b, i32, value);
  Value high = arith::ShRUIOp::create(b, bits, constant(16));
  Value odd = arith::AndIOp::create(b, high, constant(1));
  Value half = arith::AddIOp::create(b, odd, constant(0x7fff));
  Value sum = arith::AddIOp::create(b, bits, half);
  Value result = arith::ShRUIOp::create(b, sum, constant(16));
  Value nan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, value, value);
  Value quiet = arith::OrIOp::create(b, high, constant(0x40));
  result = arith::SelectOp::create(b, nan, quiet, result);
  return arith::TruncIOp::create(
      b, withElement(value.getType(), b.getI16Type()), result);
}

Value CpuEmitter::rounded(Value value, Type element) {
  return widen(narrow(value, element), element);
}

Value CpuEmitter::loadWidened(Value address, Type element, int64_t count) {
  Type stored = storedType(element);
  unsigned alignment = element.getIntOrFloatBitWidth() / 8;
  auto type = VectorType::get({count}, stored);
  Value vector = widen(load(type, address, alignment), element);
  if (count == lanes)
    return vector;
  SmallVector<int64_t> mask;
  for (int64_t lane = 0; lane < lanes; ++lane)
    mask.push_back(std::min(lane, count)); // lane `count` is a zero
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(vector.getType()));
  return vector::ShuffleOp::create(b, vector, zero, mask);
}

void CpuEmitter::storeRounded(Value vector, Value address, Type element,
                              int64_t count) {
  if (count != lanes) {
    auto mask = llvm::to_vector(llvm::seq<int64_t>(count));
    vector = vector::ShuffleOp::create(b, vector, vector, mask);
  }
  store(narrow(vector, element), address, element.getIntOrFloatBitWidth() / 8);
}
