// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns the operations of a body into steps over a frame of lanes. Undefined
// integer cases get a value (x / 0 = 0), so no input stops an evaluation.

#include "lib/Reference/Interpreter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <cstring>
#include <numeric>

using namespace mlir;
namespace saccade::reference {

//===----------------------------------------------------------------------===//
// Integers in doubles: i1 is 0 or 1, wider ones carry their signed value
//===----------------------------------------------------------------------===//

static double wrap(int64_t value, unsigned width) {
  return width == 1 ? value & 1 : llvm::SignExtend64(value, width);
}
static int64_t asSigned(double value, unsigned width) {
  return width == 1 ? -static_cast<int64_t>(value)
                    : static_cast<int64_t>(value);
}
static int64_t asUnsigned(double value, unsigned width) {
  return static_cast<int64_t>(value) & llvm::maskTrailingOnes<uint64_t>(width);
}
static unsigned widthOf(Type type) {
  return getElementTypeOrSelf(type).getIntOrFloatBitWidth();
}
static size_t lanesOf(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? vector.getNumElements() : 1;
}

static double divide(int64_t a, int64_t b) { return b == 0 ? 0 : a / b; }
static double remainder(int64_t a, int64_t b) { return b == 0 ? 0 : a % b; }
static double floorDivide(int64_t a, int64_t b) {
  return b == 0 ? 0 : llvm::divideFloorSigned(a, b);
}
static double ceilDivide(int64_t a, int64_t b) {
  return b == 0 ? 0 : llvm::divideCeilSigned(a, b);
}

static bool compare(arith::CmpIPredicate predicate, double a, double b,
                    unsigned width) {
  int64_t sa = asSigned(a, width), sb = asSigned(b, width);
  int64_t ua = asUnsigned(a, width), ub = asUnsigned(b, width);
  switch (predicate) {
  case arith::CmpIPredicate::eq:  return sa == sb;
  case arith::CmpIPredicate::ne:  return sa != sb;
  case arith::CmpIPredicate::slt: return sa < sb;
  case arith::CmpIPredicate::sle: return sa <= sb;
  case arith::CmpIPredicate::sgt: return sa > sb;
  case arith::CmpIPredicate::sge: return sa >= sb;
  case arith::CmpIPredicate::ult: return ua < ub;
  case arith::CmpIPredicate::ule: return ua <= ub;
  case arith::CmpIPredicate::ugt: return ua > ub;
  case arith::CmpIPredicate::uge: return ua >= ub;
  }
  llvm_unreachable("all predicates are listed");
}

static bool compare(arith::CmpFPredicate predicate, double a, double b) {
  bool unordered = std::isnan(a) || std::isnan(b);
  switch (predicate) {
  case arith::CmpFPredicate::AlwaysFalse: return false;
  case arith::CmpFPredicate::OEQ: return a == b;
  case arith::CmpFPredicate::OGT: return a > b;
  case arith::CmpFPredicate::OGE: return a >= b;
  case arith::CmpFPredicate::OLT: return a < b;
  case arith::CmpFPredicate::OLE: return a <= b;
  case arith::CmpFPredicate::ONE: return !unordered && a != b;
  case arith::CmpFPredicate::ORD: return !unordered;
  case arith::CmpFPredicate::UEQ: return unordered || a == b;
  case arith::CmpFPredicate::UGT: return unordered || a > b;
  case arith::CmpFPredicate::UGE: return unordered || a >= b;
  case arith::CmpFPredicate::ULT: return unordered || a < b;
  case arith::CmpFPredicate::ULE: return unordered || a <= b;
  case arith::CmpFPredicate::UNE: return unordered || a != b;
  case arith::CmpFPredicate::UNO: return unordered;
  case arith::CmpFPredicate::AlwaysTrue: return true;
  }
  llvm_unreachable("all predicates are listed");
}

/// maximumf and minimumf keep NaN; maxnumf and minnumf drop it.
static double maximum(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::fmax(a, b);
}
static double minimum(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::fmin(a, b);
}

static double bitsToFloat(double bits) {
  auto word = static_cast<int32_t>(bits);
  float value;
  std::memcpy(&value, &word, sizeof(value));
  return value;
}
static double floatToBits(double value) {
  auto narrow = static_cast<float>(value);
  int32_t word;
  std::memcpy(&word, &narrow, sizeof(word));
  return word;
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

  /// The entry of a value; parameters of the variant are entered when first used.
  int use(Value value) {
    if (auto it = slots.find(value); it != slots.end())
      return it->second;
    unsigned index = cast<BlockArgument>(value).getArgNumber();
    int slot = define(value);
    body.frame[slot][0] = std::get<double>(*parameters[index]);
    return slot;
  }

  bool add(Operation &op) {
    return addInteger(op) || addFloat(op) || addVector(op) || addRead(op);
  }

private:
  bool addInteger(Operation &op);
  bool addFloat(Operation &op);
  bool addVector(Operation &op);
  bool addRead(Operation &op);

  /// Lane by lane: `function` of as many operands as the operation has.
  template <typename Function> bool map(Operation &op, Function function) {
    SmallVector<int> in = llvm::map_to_vector(op.getOperands(),
                                              [&](Value v) { return use(v); });
    int out = define(op.getResult(0));
    body.steps.push_back([=](Body::Frame &frame) {
      Lanes &to = frame[out];
      for (size_t i = 0, e = to.size(); i < e; ++i) {
        if constexpr (std::is_invocable_v<Function, double>)
          to[i] = function(frame[in[0]][i]);
        else if constexpr (std::is_invocable_v<Function, double, double>)
          to[i] = function(frame[in[0]][i], frame[in[1]][i]);
        else // The condition of a select may be one for all lanes.
          to[i] = function(frame[in[0]][frame[in[0]].size() == 1 ? 0 : i],
                           frame[in[1]][i], frame[in[2]][i]);
      }
    });
    return true;
  }

  /// Lane i of the result is lane `from[i]` of the operands laid end to end.
  bool gather(Operation &op, SmallVector<int64_t> from, int result = 0) {
    SmallVector<int> in = llvm::map_to_vector(op.getOperands(),
                                              [&](Value v) { return use(v); });
    int out = define(op.getResult(result));
    body.steps.push_back([in, out, from](Body::Frame &frame) {
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

bool BodyBuilder::addInteger(Operation &op) {
  if (op.getNumOperands() == 0 || op.getNumResults() != 1)
    return false;
  Type operand = op.getOperand(0).getType();
  if (!getElementTypeOrSelf(operand).isSignlessInteger())
    return false;
  unsigned w = widthOf(operand);
  using D = double;
#define SIGNED(OP, EXPRESSION)                                                 \
  .Case([&](arith::OP) {                                                       \
    return map(op, [w](D x, D y) {                                             \
      [[maybe_unused]] int64_t a = asSigned(x, w), b = asSigned(y, w);         \
      return wrap(EXPRESSION, w);                                              \
    });                                                                        \
  })
#define UNSIGNED(OP, EXPRESSION)                                               \
  .Case([&](arith::OP) {                                                       \
    return map(op, [w](D x, D y) {                                             \
      int64_t a = asUnsigned(x, w), b = asUnsigned(y, w);                      \
      return wrap(EXPRESSION, w);                                              \
    });                                                                        \
  })
  return TypeSwitch<Operation *, bool>(&op)
      SIGNED(AddIOp, a + b) SIGNED(SubIOp, a - b) SIGNED(MulIOp, a *b)
      SIGNED(DivSIOp, divide(a, b)) SIGNED(RemSIOp, remainder(a, b))
      SIGNED(FloorDivSIOp, floorDivide(a, b))
      SIGNED(CeilDivSIOp, ceilDivide(a, b))
      SIGNED(MaxSIOp, std::max(a, b)) SIGNED(MinSIOp, std::min(a, b))
      SIGNED(AndIOp, a &b) SIGNED(OrIOp, a | b) SIGNED(XOrIOp, a ^ b)
      UNSIGNED(DivUIOp, divide(a, b)) UNSIGNED(RemUIOp, remainder(a, b))
      UNSIGNED(CeilDivUIOp, ceilDivide(a, b))
      UNSIGNED(MaxUIOp, std::max(a, b)) UNSIGNED(MinUIOp, std::min(a, b))
      UNSIGNED(ShLIOp, b >= w ? 0 : a << b)
      UNSIGNED(ShRUIOp, b >= w ? 0 : a >> b)
      .Case([&](arith::ShRSIOp) {
        return map(op, [w](D x, D y) {
          int64_t by = asUnsigned(y, w);
          return wrap(asSigned(x, w) >> std::min<int64_t>(by, w), w);
        });
      })
      .Case([&](arith::CmpIOp compareOp) {
        arith::CmpIPredicate predicate = compareOp.getPredicate();
        return map(op, [=](D x, D y) -> D {
          return compare(predicate, x, y, w);
        });
      })
      .Case([&](arith::SelectOp) {
        return map(op, [](D c, D x, D y) { return c != 0 ? x : y; });
      })
      .Case([&](math::AbsIOp) {
        return map(op, [w](D x) { return wrap(std::abs(asSigned(x, w)), w); });
      })
      .Case<arith::ExtUIOp>([&](auto) {
        return map(op, [w](D x) -> D { return asUnsigned(x, w); });
      })
      .Case<arith::ExtSIOp, arith::SIToFPOp>([&](auto) {
        return map(op, [w](D x) -> D { return asSigned(x, w); });
      })
      .Case<arith::UIToFPOp>([&](auto) {
        return map(op, [w](D x) -> D { return asUnsigned(x, w); });
      })
      .Case([&](arith::TruncIOp) {
        unsigned narrow = widthOf(op.getResult(0).getType());
        return map(op, [=](D x) { return wrap(asSigned(x, w), narrow); });
      })
      .Case([&](arith::BitcastOp) {
        bool toFloat = isa<FloatType>(
            getElementTypeOrSelf(op.getResult(0).getType()));
        return map(op, [=](D x) { return toFloat ? bitsToFloat(x) : x; });
      })
      .Default(false);
#undef SIGNED
#undef UNSIGNED
}

bool BodyBuilder::addFloat(Operation &op) {
  if (auto constantOp = dyn_cast<arith::ConstantOp>(op))
    return constant(constantOp, constantOp.getValue());
  if (op.getNumOperands() == 0 || op.getNumResults() != 1 ||
      !isa<FloatType>(getElementTypeOrSelf(op.getOperand(0).getType())))
    return false;
  using D = double;
#define FUNCTION(OP, ARGUMENTS, EXPRESSION)                                    \
  .Case([&](OP) {                                                              \
    return map(op, [] ARGUMENTS { return EXPRESSION; });                       \
  })
  return TypeSwitch<Operation *, bool>(&op)
      FUNCTION(arith::AddFOp, (D x, D y), x + y)
      FUNCTION(arith::SubFOp, (D x, D y), x - y)
      FUNCTION(arith::MulFOp, (D x, D y), x *y)
      FUNCTION(arith::DivFOp, (D x, D y), x / y)
      FUNCTION(arith::RemFOp, (D x, D y), std::fmod(x, y))
      FUNCTION(arith::NegFOp, (D x), -x)
      FUNCTION(arith::MaximumFOp, (D x, D y), maximum(x, y))
      FUNCTION(arith::MinimumFOp, (D x, D y), minimum(x, y))
      FUNCTION(arith::MaxNumFOp, (D x, D y), std::fmax(x, y))
      FUNCTION(arith::MinNumFOp, (D x, D y), std::fmin(x, y))
      FUNCTION(math::AbsFOp, (D x), std::fabs(x))
      FUNCTION(math::CeilOp, (D x), std::ceil(x))
      FUNCTION(math::FloorOp, (D x), std::floor(x))
      FUNCTION(math::FmaOp, (D x, D y, D z), std::fma(x, y, z))
      FUNCTION(vector::FMAOp, (D x, D y, D z), std::fma(x, y, z))
      FUNCTION(math::ExpOp, (D x), std::exp(x))
      FUNCTION(math::Exp2Op, (D x), std::exp2(x))
      FUNCTION(math::LogOp, (D x), std::log(x))
      FUNCTION(math::Log2Op, (D x), std::log2(x))
      FUNCTION(math::SqrtOp, (D x), std::sqrt(x))
      FUNCTION(math::RsqrtOp, (D x), 1 / std::sqrt(x))
      FUNCTION(math::TanhOp, (D x), std::tanh(x))
      FUNCTION(math::SinOp, (D x), std::sin(x))
      FUNCTION(math::CosOp, (D x), std::cos(x))
      FUNCTION(math::PowFOp, (D x, D y), std::pow(x, y))
      FUNCTION(arith::FPToSIOp, (D x),
               std::isnan(x) ? 0 : std::trunc(std::clamp(x, -0x1p31, 0x1p31 - 1)))
      FUNCTION(arith::FPToUIOp, (D x),
               std::isnan(x) ? 0 : wrap(std::clamp(x, 0.0, 0x1p32 - 1), 32))
      .Case([&](arith::CmpFOp compareOp) {
        arith::CmpFPredicate predicate = compareOp.getPredicate();
        return map(op, [=](D x, D y) -> D { return compare(predicate, x, y); });
      })
      .Case([&](arith::BitcastOp) {
        bool toInteger =
            getElementTypeOrSelf(op.getResult(0).getType()).isInteger();
        return map(op, [=](D x) { return toInteger ? floatToBits(x) : x; });
      })
      .Default(false);
#undef FUNCTION
}

//===----------------------------------------------------------------------===//
// Vectors: one-dimensional, static positions
//===----------------------------------------------------------------------===//

static double reduce(vector::CombiningKind kind, double a, double b) {
  using Kind = vector::CombiningKind;
  auto ia = static_cast<int64_t>(a), ib = static_cast<int64_t>(b);
  switch (kind) {
  case Kind::ADD: return a + b;
  case Kind::MUL: return a * b;
  case Kind::MAXIMUMF: return maximum(a, b);
  case Kind::MINIMUMF: return minimum(a, b);
  case Kind::MAXNUMF: return std::fmax(a, b);
  case Kind::MINNUMF: return std::fmin(a, b);
  case Kind::MAXSI: return std::max(a, b);
  case Kind::MINSI: return std::min(a, b);
  case Kind::MAXUI: return std::max<uint32_t>(ia, ib);
  case Kind::MINUI: return std::min<uint32_t>(ia, ib);
  case Kind::AND: return ia & ib;
  case Kind::OR: return ia | ib;
  case Kind::XOR: return ia ^ ib;
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
        body.steps.push_back([=, kind = reduction.getKind()](auto &frame) {
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
  SmallVector<int> in = llvm::map_to_vector(read.getIndices(),
                                            [&](Value v) { return use(v); });
  int out = define(read.getResult());
  auto push = [&](auto find) {
    body.steps.push_back([=](Body::Frame &frame) {
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
