// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the steps that the intervals of keys need, each once. What depends on
// values of the call (scalars, tables) or differs between the rows of an item
// (heads) is "unknown".

#include "lib/BoundsProgram.h"

#include "saccade/Blob.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <map>

using namespace mlir;
using namespace saccade;
namespace json = llvm::json;

namespace {

class Writer {
public:
  Writer(attn::BoundsOp bounds, ValueRange parameters)
      : bounds(bounds), parameters(parameters) {}

  /// The place of a value's step, which is written if it is not there.
  int64_t place(Value value) {
    auto it = places.find(value);
    if (it == places.end())
      it = places.try_emplace(value, write(value)).first;
    return it->second;
  }

  /// Whether a value depends on what only a call knows.
  bool isUnknown(Value value);

  json::Array code;

private:
  int64_t append(json::Value step) {
    code.push_back(std::move(step));
    return static_cast<int64_t>(code.size()) - 1;
  }
  /// A step without operands: of each, one is enough.
  int64_t leaf(const std::string &name) {
    auto [it, isNew] = named.try_emplace(name, 0);
    if (isNew)
      it->second = append(name);
    return it->second;
  }
  int64_t constant(int64_t value) {
    auto [it, isNew] = constants.try_emplace(value, 0);
    if (isNew)
      it->second = append(value);
    return it->second;
  }
  template <typename... Values>
  int64_t operation(StringRef name, Values... values) {
    json::Array step{name};
    (step.push_back(place(values)), ...);
    return append(std::move(step));
  }

  int64_t write(Value value);
  int64_t writeArgument(BlockArgument argument);
  std::optional<int64_t> parameterOf(BlockArgument argument);
  std::optional<attn::Position> positionOf(BlockArgument argument);
  int64_t writeComparison(arith::CmpIOp op);

  attn::BoundsOp bounds;
  ValueRange parameters;
  llvm::DenseMap<Value, int64_t> places;
  std::map<std::string, int64_t> named;
  std::map<int64_t, int64_t> constants;
};

/// The value of a parameter of the variant, if the kernel passes a constant.
std::optional<int64_t> Writer::parameterOf(BlockArgument argument) {
  APInt known;
  unsigned index = argument.getArgNumber();
  if (argument.getOwner() != &bounds.getBody().front() &&
      index < parameters.size() &&
      matchPattern(parameters[index], m_ConstantInt(&known)))
    return known.getSExtValue();
  return std::nullopt;
}

/// The position that an argument of the bounds is, if an item has one such.
std::optional<attn::Position> Writer::positionOf(BlockArgument argument) {
  if (argument.getOwner() != &bounds.getBody().front())
    return std::nullopt;
  auto position =
      cast<attn::PositionAttr>(bounds.getPositions()[argument.getArgNumber()])
          .getValue();
  if (position == attn::Position::head)
    return std::nullopt;
  return position;
}

bool Writer::isUnknown(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return !parameterOf(argument) && !positionOf(argument);
  Operation *op = value.getDefiningOp();
  return !isa<arith::ArithDialect>(op->getDialect()) ||
         llvm::any_of(op->getOperands(),
                      [&](Value operand) { return isUnknown(operand); });
}

int64_t Writer::writeArgument(BlockArgument argument) {
  if (std::optional<int64_t> value = parameterOf(argument))
    return constant(*value);
  if (std::optional<attn::Position> position = positionOf(argument))
    return leaf(attn::stringifyPosition(*position).str());
  return leaf("unknown");
}

int64_t Writer::writeComparison(arith::CmpIOp op) {
  Value a = op.getLhs(), b = op.getRhs();
  switch (op.getPredicate()) {
  case arith::CmpIPredicate::eq:
    return operation("eq", a, b);
  case arith::CmpIPredicate::ne:
    return operation("ne", a, b);
  case arith::CmpIPredicate::slt:
    return operation("lt", a, b);
  case arith::CmpIPredicate::sle:
    return operation("le", a, b);
  case arith::CmpIPredicate::sgt:
    return operation("lt", b, a);
  case arith::CmpIPredicate::sge:
    return operation("le", b, a);
  default:
    return leaf("unknown");
  }
}

int64_t Writer::write(Value value) {
  APInt known;
  if (matchPattern(value, m_ConstantInt(&known)))
    return value.getType().isInteger(1) ? constant(known.getBoolValue())
                                        : constant(known.getSExtValue());
  if (auto argument = dyn_cast<BlockArgument>(value))
    return writeArgument(argument);
  auto binary = [&](StringRef name) {
    Operation *op = value.getDefiningOp();
    return operation(name, op->getOperand(0), op->getOperand(1));
  };
  bool isBool = value.getType().isInteger(1);
  return llvm::TypeSwitch<Operation *, int64_t>(value.getDefiningOp())
      .Case([&](arith::AddIOp) { return binary("add"); })
      .Case([&](arith::SubIOp) { return binary("sub"); })
      .Case([&](arith::MulIOp) { return binary("mul"); })
      .Case([&](arith::MinSIOp) { return binary("min"); })
      .Case([&](arith::MaxSIOp) { return binary("max"); })
      .Case([&](arith::FloorDivSIOp) { return binary("floordiv"); })
      .Case([&](arith::CmpIOp op) { return writeComparison(op); })
      .Case([&](arith::AndIOp) {
        return isBool ? binary("and") : leaf("unknown");
      })
      .Case(
          [&](arith::OrIOp) { return isBool ? binary("or") : leaf("unknown"); })
      .Case([&](arith::XOrIOp) {
        return isBool ? binary("ne") : leaf("unknown");
      })
      .Case([&](arith::SelectOp op) {
        return operation("select", op.getCondition(), op.getTrueValue(),
                         op.getFalseValue());
      })
      // Numbers keep their value: they are saturated before they are cut.
      .Case([&](arith::ExtSIOp op) {
        return op.getIn().getType().isInteger(1) ? leaf("unknown")
                                                 : place(op.getIn());
      })
      .Case([&](arith::TruncIOp op) { return place(op.getIn()); })
      .Default([&](Operation *) { return leaf("unknown"); });
}

} // namespace

/// The end of an interval. Where it is empty unless a condition holds that is
/// not known, its end if it is not empty: less than either of the two.
static Value endIfAny(Writer &writer, Value lo, Value hi) {
  auto select = hi.getDefiningOp<arith::SelectOp>();
  if (!select || !writer.isUnknown(select.getCondition()))
    return hi;
  Value emptyEnd = select.getFalseValue();
  auto most = lo.getDefiningOp<arith::MaxSIOp>();
  bool isEmpty =
      emptyEnd == lo ||
      (most && (emptyEnd == most.getLhs() || emptyEnd == most.getRhs()));
  return isEmpty ? select.getTrueValue() : hi;
}

std::optional<json::Object> saccade::describeBounds(attn::BoundsOp bounds,
                                                    ValueRange parameters) {
  Writer writer(bounds, parameters);
  json::Array keys;
  ValueRange results = bounds.getBody().front().getTerminator()->getOperands();
  for (size_t i = 0; i + 4 <= results.size(); i += 4) {
    // An interval that only fills a place beside a full part.
    APInt lo, hi;
    if (matchPattern(results[i], m_ConstantInt(&lo)) &&
        matchPattern(results[i + 1], m_ConstantInt(&hi)) && lo.sge(hi))
      continue;
    int64_t first = writer.place(results[i]);
    Value end = endIfAny(writer, results[i], results[i + 1]);
    keys.push_back(json::Array{first, writer.place(end)});
  }
  if (writer.code.size() > SACCADE_BOUNDS_STEPS)
    return std::nullopt;
  return json::Object{{"code", std::move(writer.code)},
                      {"keys", std::move(keys)}};
}
