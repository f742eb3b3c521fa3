// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns the operations of a body into steps over a frame of lanes. Types and
// positions are looked at here, once; a step only moves and computes lanes.

#include "lib/Reference/Interpreter.h"
#include "lib/Reference/ScalarOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <numeric>

using namespace mlir;
namespace saccade::reference {

static size_t lanesOf(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? vector.getNumElements() : 1;
}

//===----------------------------------------------------------------------===//
// Operations to steps
//===----------------------------------------------------------------------===//

class BodyBuilder {
public:
  BodyBuilder(Body &body, ArrayRef<const Argument *> parameters,
              const Batch &batch)
      : body(body), parameters(parameters), batch(batch) {}

  /// A new entry of the frame for a value.
  int define(Value value) {
    body.frame.emplace_back(lanesOf(value.getType()), 0.0);
    return slots[value] = body.frame.size() - 1;
  }

  /// The entry of a value; parameters of the variant are entered when first
  /// used.
  int use(Value value) {
    if (auto it = slots.find(value); it != slots.end())
      return it->second;
    unsigned index = cast<BlockArgument>(value).getArgNumber();
    int slot = define(value);
    body.frame[slot][0] = std::get<double>(*parameters[index]);
    return slot;
  }

  bool add(Operation &op) {
    return addScalar(op) || addVector(op) || addRead(op);
  }

private:
  bool addScalar(Operation &op);
  bool addVector(Operation &op);
  bool addRead(Operation &op);

  /// Lane i of the result is lane `from[i]` of the operands laid end to end.
  bool gather(Operation &op, const SmallVector<int64_t> &from, int result = 0) {
    SmallVector<int> in =
        llvm::map_to_vector(op.getOperands(), [&](Value v) { return use(v); });
    int out = define(op.getResult(result));
    body.steps.emplace_back([in, out, from](Body::Frame &frame) {
      Lanes all;
      for (int slot : in)
        all.insert(all.end(), frame[slot].begin(), frame[slot].end());
      for (auto [i, source] : llvm::enumerate(from))
        frame[out][i] = source < 0 ? 0.0 : all[source]; // < 0: poison
    });
    return true;
  }

  bool constant(Value result, Attribute attribute);

  Body &body;
  ArrayRef<const Argument *> parameters;
  const Batch &batch;
  DenseMap<Value, int> slots;
};

bool BodyBuilder::constant(Value result, Attribute attribute) {
  int out = define(result);
  Lanes &lanes = body.frame[out];
  auto integer = [](const APInt &value) {
    return value.getBitWidth() == 1 ? static_cast<double>(value.getZExtValue())
                                    : static_cast<double>(value.getSExtValue());
  };
  if (auto value = dyn_cast<FloatAttr>(attribute))
    lanes[0] = value.getValueAsDouble();
  else if (auto value = dyn_cast<IntegerAttr>(attribute))
    lanes[0] = integer(value.getValue());
  else if (auto values = dyn_cast<DenseFPElementsAttr>(attribute))
    for (auto [i, value] : llvm::enumerate(values.getValues<APFloat>()))
      lanes[i] = value.convertToDouble();
  else if (auto values = dyn_cast<DenseIntElementsAttr>(attribute))
    for (auto [i, value] : llvm::enumerate(values.getValues<APInt>()))
      lanes[i] = integer(value);
  else
    return false;
  return true;
}

bool BodyBuilder::addScalar(Operation &op) {
  if (auto constantOp = dyn_cast<arith::ConstantOp>(op))
    return constant(constantOp, constantOp.getValue());
  LaneFunction function = getLaneFunction(op);
  if (!function)
    return false;
  SmallVector<int> in = llvm::map_to_vector(
      op.getOperands(), [&](Value value) { return use(value); });
  int out = define(op.getResult(0));
  body.steps.emplace_back([=](Body::Frame &frame) {
    // The condition of a select may be one for all lanes.
    auto lane = [&](size_t operand, size_t i) {
      if (operand >= in.size())
        return 0.0;
      const Lanes &lanes = frame[in[operand]];
      return lanes[lanes.size() == 1 ? 0 : i];
    };
    for (auto [i, to] : llvm::enumerate(frame[out]))
      to = function(lane(0, i), lane(1, i), lane(2, i));
  });
  return true;
}

//===----------------------------------------------------------------------===//
// Vectors: one-dimensional, static positions
//===----------------------------------------------------------------------===//

static double reduce(vector::CombiningKind kind, double a, double b) {
  using Kind = vector::CombiningKind;
  auto ia = static_cast<int64_t>(a), ib = static_cast<int64_t>(b);
  switch (kind) {
  case Kind::ADD:
    return a + b;
  case Kind::MUL:
    return a * b;
  case Kind::MAXIMUMF:
    return maximum(a, b);
  case Kind::MINIMUMF:
    return minimum(a, b);
  case Kind::MAXNUMF:
    return std::fmax(a, b);
  case Kind::MINNUMF:
    return std::fmin(a, b);
  case Kind::MAXSI:
    return std::max(a, b);
  case Kind::MINSI:
    return std::min(a, b);
  case Kind::MAXUI:
    return static_cast<int32_t>(std::max<uint32_t>(ia, ib));
  case Kind::MINUI:
    return static_cast<int32_t>(std::min<uint32_t>(ia, ib));
  case Kind::AND:
    return ia & ib;
  case Kind::OR:
    return ia | ib;
  case Kind::XOR:
    return ia ^ ib;
  }
  llvm_unreachable("all kinds are listed");
}

bool BodyBuilder::addVector(Operation &op) {
  int64_t lanes = op.getNumResults() ? lanesOf(op.getResult(0).getType()) : 0;
  SmallVector<int64_t> from(lanes);
  return TypeSwitch<Operation *, bool>(&op)
      .Case([&](vector::BroadcastOp broadcast) {
        return lanesOf(broadcast.getSourceType()) == 1 && gather(op, from);
      })
      .Case([&](vector::ShuffleOp shuffle) {
        return gather(op, llvm::to_vector(shuffle.getMask()));
      })
      .Case<vector::FromElementsOp, vector::ShapeCastOp>([&](auto) {
        std::iota(from.begin(), from.end(), 0);
        return gather(op, from);
      })
      .Case([&](vector::ExtractStridedSliceOp slice) {
        if (slice.getSourceVectorType().getRank() != 1)
          return false;
        for (int64_t i = 0; i < lanes; ++i)
          from[i] = cast<IntegerAttr>(slice.getOffsets()[0]).getInt() +
                    i * cast<IntegerAttr>(slice.getStrides()[0]).getInt();
        return gather(op, from);
      })
      .Case([&](vector::InsertStridedSliceOp slice) {
        if (slice.getDestVectorType().getRank() != 1)
          return false;
        int64_t count = lanesOf(slice.getSourceVectorType());
        std::iota(from.begin(), from.end(), count); // the source comes first
        for (int64_t i = 0; i < count; ++i)
          from[cast<IntegerAttr>(slice.getOffsets()[0]).getInt() +
               i * cast<IntegerAttr>(slice.getStrides()[0]).getInt()] = i;
        return gather(op, from);
      })
      .Case([&](vector::ExtractOp extract) {
        if (extract.getSourceVectorType().getRank() != 1 ||
            extract.hasDynamicPosition())
          return false;
        return gather(op, {extract.getStaticPosition()[0]});
      })
      .Case([&](vector::InsertOp insert) {
        if (insert.getDestVectorType().getRank() != 1 ||
            insert.hasDynamicPosition())
          return false;
        std::iota(from.begin(), from.end(), 1);
        from[insert.getStaticPosition()[0]] = 0;
        return gather(op, from);
      })
      .Case([&](vector::InterleaveOp) {
        for (int64_t i = 0; i < lanes; ++i)
          from[i] = i % 2 * (lanes / 2) + i / 2;
        return gather(op, from);
      })
      .Case([&](vector::DeinterleaveOp) {
        SmallVector<int64_t> odd(lanes);
        for (int64_t i = 0; i < lanes; ++i) {
          from[i] = 2 * i;
          odd[i] = 2 * i + 1;
        }
        return gather(op, from, 0) && gather(op, odd, 1);
      })
      .Case([&](vector::ReductionOp reduction) {
        int in = use(reduction.getVector());
        int init = reduction.getAcc() ? use(reduction.getAcc()) : -1;
        int out = define(reduction.getResult());
        body.steps.emplace_back([=, kind = reduction.getKind()](auto &frame) {
          const Lanes &x = frame[in];
          double sum = init < 0 ? x[0] : reduce(kind, frame[init][0], x[0]);
          for (size_t i = 1; i < x.size(); ++i)
            sum = reduce(kind, sum, x[i]);
          frame[out][0] = sum;
        });
        return true;
      })
      .Default(false);
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

bool BodyBuilder::addRead(Operation &op) {
  auto read = dyn_cast<attn::ReadOp>(op);
  if (!read)
    return false;
  unsigned index = cast<BlockArgument>(read.getTable()).getArgNumber();
  Table table = std::get<Table>(*parameters[index]);
  SmallVector<int> in =
      llvm::map_to_vector(read.getIndices(), [&](Value v) { return use(v); });
  int out = define(read.getResult());
  auto push = [&](auto find) {
    body.steps.emplace_back([=](Body::Frame &frame) {
      auto at = [&](int i, int64_t extent) {
        auto index = static_cast<int64_t>(frame[in[i]][0]);
        return std::max<int64_t>(0, std::min(index, extent - 1));
      };
      frame[out][0] = find(at);
    });
    return true;
  };
  auto entry = [table](int64_t index) {
    return index < table.size ? load(table.data, table.element, index) : 0.0;
  };
  const Batch *batch = &this->batch;
  int64_t requests = batch->inputs->requests;
  Type type = read.getTable().getType();
  if (auto general = dyn_cast<attn::TableType>(type))
    return push(
        [table, isBool = general.getElementType().isInteger(1)](auto at) {
          int64_t offset = 0;
          for (size_t i = 0; i < table.extents.size(); ++i)
            offset += at(i, table.extents[i]) * table.strides[i];
          double value = load(table.data, table.element, offset);
          return isBool ? double(value != 0) : value;
        });
  if (isa<attn::PerHeadType>(type))
    return push([=](auto at) { return entry(at(0, table.size)); });
  if (isa<attn::PerRequestType>(type))
    return push([=](auto at) { return entry(at(0, requests)); });
  if (isa<attn::PerTokenType>(type))
    return push([=](auto at) {
      int64_t r = at(0, requests), length = batch->sequenceLengths[r];
      return length ? entry(batch->tokenBegin[r] + at(1, length)) : 0.0;
    });
  return push([=](auto at) {
    int64_t r = at(0, requests), rows = batch->inputs->queryLengths[r];
    int64_t length = batch->sequenceLengths[r];
    if (!rows || !length)
      return 0.0;
    int64_t bit = at(1, rows) * length + at(2, length);
    auto byte = static_cast<int>(entry(batch->bitsBegin[r] + bit / 8));
    return static_cast<double>(byte >> bit % 8 & 1);
  });
}

//===----------------------------------------------------------------------===//
// Body
//===----------------------------------------------------------------------===//

llvm::Expected<Body> Body::prepare(attn::BodyOpInterface op,
                                   ArrayRef<const Argument *> parameters,
                                   const Batch &batch) {
  Body body;
  if (!op)
    return body;
  Block &block = op.getBody().front();
  body.numData = op.getNumDataArguments();
  for (auto position : op.getPositions().getAsRange<attn::PositionAttr>())
    body.positions.push_back(position.getValue());

  BodyBuilder builder(body, parameters, batch);
  for (BlockArgument argument : block.getArguments())
    builder.define(argument); // entries 0, 1, ...: data, then positions
  for (Operation &operation : block.without_terminator())
    if (!builder.add(operation))
      return llvm::createStringError(
          "the reference evaluator has no meaning for '" +
          operation.getName().getStringRef() + "'");
  body.result = builder.use(block.getTerminator()->getOperand(0));
  return body;
}

const Lanes &Body::operator()(const Lanes &data, const Positions &places) {
  if (!*this)
    return data;
  if (numData)
    frame[0] = data;
  for (auto [i, position] : llvm::enumerate(positions))
    frame[numData + i][0] = places[static_cast<size_t>(position)];
  for (const Step &step : steps)
    step(frame);
  return frame[result];
}

} // namespace saccade::reference
