// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verification of variant bodies. What a kind of body takes, may ask for and
// yields is one row of a table, so the eight kinds share one verifier.

#include "dialects/Attn/AdmittedOps.h"
#include "dialects/Attn/Attn.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace saccade::attn;

namespace {
enum class Data { none, logit, row };
enum class Yield { likeData, truth, logit, intervals };

/// What one kind of body is.
struct BodyKind {
  Data data;
  Yield yield;
  uint32_t positions; // bit i: position i may be asked for
};
} // namespace

template <typename... Ps> static constexpr uint32_t setOf(Ps... positions) {
  return ((1u << static_cast<unsigned>(positions)) | ...);
}

constexpr uint32_t kOfRequest =
    setOf(Position::head, Position::request, Position::q_len, Position::kv_len);
constexpr uint32_t kOfQuery = kOfRequest | setOf(Position::query);
constexpr uint32_t kOfKey = kOfRequest | setOf(Position::key, Position::slot);
constexpr uint32_t kOfTile =
    kOfRequest | setOf(Position::query_first, Position::query_last);

static BodyKind getKind(Operation *op) {
  if (isa<LogitsOp>(op))
    return {Data::logit, Yield::logit, kOfQuery | kOfKey};
  if (isa<MaskOp>(op))
    return {Data::none, Yield::truth, kOfQuery | kOfKey};
  if (isa<SinkOp>(op))
    return {Data::none, Yield::logit, kOfQuery};
  if (isa<QueryOp, OutputOp>(op))
    return {Data::row, Yield::likeData, kOfQuery};
  if (isa<KeyOp, ValueOp>(op))
    return {Data::row, Yield::likeData, kOfKey};
  assert(isa<BoundsOp>(op) && "a new kind of body needs a row here");
  return {Data::none, Yield::intervals, kOfTile};
}

//===----------------------------------------------------------------------===//
// Signatures
//===----------------------------------------------------------------------===//

static LogicalResult verifyPositions(BodyOpInterface body, BodyKind kind) {
  uint32_t asked = 0;
  for (auto attribute : body.getPositions().getAsRange<PositionAttr>()) {
    Position position = attribute.getValue();
    if (!(kind.positions & setOf(position))) {
      SmallVector<StringRef> names;
      for (unsigned i = 0; i <= getMaxEnumValForPosition(); ++i)
        if (kind.positions & (1u << i))
          names.push_back(stringifyPosition(static_cast<Position>(i)));
      return body.emitOpError("expects positions among ")
             << llvm::join(names, ", ") << ", but got "
             << stringifyPosition(position);
    }
    if (asked & setOf(position))
      return body.emitOpError("expects to ask for ")
             << stringifyPosition(position) << " once";
    asked |= setOf(position);
  }
  return success();
}

static LogicalResult verifyData(BodyOpInterface body, BodyKind kind) {
  unsigned expected = kind.data == Data::none ? 0 : 1;
  unsigned numData = body.getNumDataArguments();
  if (numData != expected)
    return body.emitOpError("expects ")
           << expected << " data arguments before the positions, but got "
           << numData;
  for (BlockArgument position :
       body.getBody().getArguments().drop_front(numData))
    if (!position.getType().isInteger(32))
      return body.emitOpError("expects positions to be i32, but got ")
             << position.getType();
  if (kind.data == Data::none)
    return success();
  Type type = body.getBody().getArgument(0).getType();
  if (kind.data == Data::logit)
    return type.isF32() ? success()
                        : body.emitOpError("expects the logit to be f32, but "
                                           "got ")
                              << type;
  if (getRowLength(type) && cast<VectorType>(type).getElementType().isF32())
    return success();
  return body.emitOpError("expects a row, a vector of 1 to ")
         << kMaxHeadDim << " f32, but got " << type;
}

static LogicalResult verifySignature(BodyOpInterface body) {
  BodyKind kind = getKind(body);
  if (body.getBody().getNumArguments() < body.getPositions().size())
    return body.emitOpError("expects an argument for each of ")
           << body.getPositions().size() << " positions, but got "
           << body.getBody().getNumArguments();
  if (failed(verifyPositions(body, kind)))
    return failure();
  return verifyData(body, kind);
}

//===----------------------------------------------------------------------===//
// What stands inside
//===----------------------------------------------------------------------===//

static bool isScalar(Type type) {
  return type.isF32() || type.isInteger(32) || type.isInteger(1);
}

static LogicalResult verifyValue(Operation *op, Type type, bool isRow) {
  if (isScalar(type))
    return success();
  auto vector = dyn_cast<VectorType>(type);
  if (!isRow || !vector || !isScalar(vector.getElementType()))
    return op->emitOpError("expects values to be i1, i32 or f32")
           << (isRow ? ", or vectors of them" : "") << ", but got " << type;
  if (!getRowLength(type))
    return op->emitOpError("expects vectors of one dimension and 1 to ")
           << kMaxHeadDim << " elements, but got " << type;
  return success();
}

static LogicalResult verifyInside(BodyOpInterface body) {
  bool isRow = getKind(body).data == Data::row;
  bool isBounds = getKind(body).yield == Yield::intervals;
  for (Operation &op : body.getBody().front().without_terminator()) {
    if (!isAdmittedScalarOp(&op) && !(isRow && isAdmittedRowOp(&op))) {
      InFlightDiagnostic diag =
          op.emitError() << "expects an operation admitted in "
                         << body->getName() << ", but got " << op.getName();
      diag.attachNote(body.getLoc()) << "body is here";
      return diag;
    }
    for (Type type : op.getResultTypes())
      if (!(isBounds && type.isInteger(64)) &&
          failed(verifyValue(&op, type, isRow)))
        return failure();
    auto constant = dyn_cast<arith::ConstantOp>(op);
    if (constant &&
        !isa<IntegerAttr, FloatAttr, DenseElementsAttr>(constant.getValue()))
      return constant.emitOpError(
                 "expects a number or dense elements, but got ")
             << constant.getValue();
  }
  return success();
}

/// What the body yields, in words; empty if it yields what it should.
static std::string describeMismatch(BodyOpInterface body, TypeRange types) {
  Builder builder(body.getContext());
  Type expected;
  switch (getKind(body).yield) {
  case Yield::intervals:
    if (types.size() % 4 == 0 && types.size() >= 4 && types.size() <= 16 &&
        llvm::all_of(types, [](Type type) { return type.isInteger(32); }))
      return "";
    return "4, 8, 12 or 16 values of i32";
  case Yield::truth:
    expected = builder.getI1Type();
    break;
  case Yield::logit:
    expected = builder.getF32Type();
    break;
  case Yield::likeData:
    expected = body.getBody().getArgument(0).getType();
    break;
  }
  if (types.size() == 1 && types.front() == expected)
    return "";
  return llvm::formatv("one value of {0}", expected);
}

LogicalResult YieldOp::verify() {
  auto body = cast<BodyOpInterface>((*this)->getParentOp());
  std::string expected = describeMismatch(body, getOperandTypes());
  if (expected.empty())
    return success();
  InFlightDiagnostic diag = emitOpError("expects ") << expected << ", but got ("
                                                    << getOperandTypes() << ")";
  diag.attachNote(body.getLoc()) << "body is here";
  return diag;
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

#define ATTN_BODY(OP)                                                          \
  void OP::getAsmBlockArgumentNames(Region &region,                            \
                                    OpAsmSetValueNameFn setName) {             \
    nameArguments(*this, region, setName);                                     \
  }                                                                            \
  LogicalResult OP::verify() { return verifySignature(*this); }                \
  LogicalResult OP::verifyRegions() { return verifyInside(*this); }
ATTN_BODY(LogitsOp)
ATTN_BODY(MaskOp)
ATTN_BODY(SinkOp)
ATTN_BODY(QueryOp)
ATTN_BODY(KeyOp)
ATTN_BODY(ValueOp)
ATTN_BODY(OutputOp)
ATTN_BODY(BoundsOp)
#undef ATTN_BODY
