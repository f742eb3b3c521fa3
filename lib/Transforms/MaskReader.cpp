// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the body of a mask as a formula. Integers are affine, piecewise where a
// select or a maximum says so; what is neither becomes a fresh variable of
// which only the range is known, which keeps every conclusion sound.

#include "lib/Transforms/MaskFormula.h"

#include "mlir/Analysis/Presburger/Simplex.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace saccade;

namespace {

/// A formula that needs more conjunctions than this is widened.
constexpr size_t kMaxConjunctions = 64;
constexpr size_t kMaxPieces = 16;
/// Factors beyond this are opaque: all sums then stay within int64.
constexpr int64_t kMaxFactor = int64_t(1) << 20;

/// Where `when` holds, an integer is `value`.
struct Piece {
  Conjunction when;
  Affine value;
};
using Pieces = SmallVector<Piece, 0>;

Pieces always(Affine value) { return Pieces(1, Piece{{}, std::move(value)}); }
Disjunction only(Affine expr, bool isEquality = false) {
  return Disjunction(1, Conjunction(1, {std::move(expr), isEquality}));
}

class MaskReader {
public:
  explicit MaskReader(attn::MaskOp mask) : mask(mask) {}
  MaskFormula read();

private:
  bool isFeasible(const Conjunction &conjunction) const;
  Disjunction intersect(const Disjunction &a, const Disjunction &b);
  Disjunction unite(const Disjunction &a, const Disjunction &b);
  Formula conjoin(const Formula &a, const Formula &b);
  Formula disjoin(const Formula &a, const Formula &b);
  static Formula negate(const Formula &a) { return {a.fails, a.holds}; }
  /// Prunes what cannot be, and widens what is too long.
  Disjunction tidy(Disjunction disjunction);

  Formula isNonNegative(const Affine &expr);
  Formula isZero(const Affine &expr);
  Formula compare(arith::CmpIPredicate predicate, const Affine &a,
                  const Affine &b);
  Formula compare(arith::CmpIPredicate predicate, const Pieces &a,
                  const Pieces &b);

  unsigned addVariable(const MaskVariable &variable);
  Affine addOpaque(Operation *op, const Twine &reason, int64_t min,
                   int64_t max);
  unsigned getUniform(std::optional<attn::Position> position, Value parameter);
  Affine getPosition(attn::Position position);

  const Pieces &getInteger(Value value);
  void setOpaque(Operation *op, const Twine &reason);
  /// Sets an integer result piece by piece; opaque if it may wrap around.
  void setInteger(Operation *op, Pieces pieces, bool mayWrap);
  void setPieces(
      Operation *op, Value left, Value right,
      llvm::function_ref<std::optional<Affine>(const Affine &, const Affine &)>
          combine);
  void setSelect(Operation *op, const Formula &condition, const Pieces &onTrue,
                 const Pieces &onFalse);
  void visit(Operation *op);
  void visitRead(attn::ReadOp read);

  attn::MaskOp mask;
  MaskFormula result;
  /// For each opaque variable the reason's place in `result.undecided`.
  SmallVector<std::pair<unsigned, unsigned>> opaque;
  DenseMap<Value, Pieces> integers;
  DenseMap<Value, Formula> booleans;
};

//===----------------------------------------------------------------------===//
// Formulas
//===----------------------------------------------------------------------===//

bool MaskReader::isFeasible(const Conjunction &conjunction) const {
  return conjunction.empty() ||
         !presburger::Simplex(
              getPolyhedron(result.variables.size(), conjunction,
                            getTileConstraints(result.variables)))
              .isEmpty();
}

Disjunction MaskReader::tidy(Disjunction disjunction) {
  for (Conjunction &conjunction : disjunction)
    llvm::erase_if(conjunction, [](const Constraint &constraint) {
      const Affine &expr = constraint.expr;
      return expr.isConstant() &&
             (constraint.isEquality ? expr.constant == 0 : expr.constant >= 0);
    });
  llvm::erase_if(disjunction,
                 [&](const Conjunction &c) { return !isFeasible(c); });
  if (llvm::any_of(disjunction, [](auto &c) { return c.empty(); }))
    return Disjunction(1);
  if (disjunction.size() <= kMaxConjunctions)
    return disjunction;
  result.undecided.emplace_back(mask, "the predicate has too many cases");
  return Disjunction(1);
}

Disjunction MaskReader::intersect(const Disjunction &a, const Disjunction &b) {
  if (a.size() * b.size() > 4 * kMaxConjunctions) {
    result.undecided.emplace_back(mask, "the predicate has too many cases");
    return a.size() < b.size() ? a : b;
  }
  if (a.size() == 1 && a[0].empty())
    return b;
  Disjunction product;
  for (const Conjunction &left : a)
    for (const Conjunction &right : b) {
      Conjunction &both = product.emplace_back(left);
      both.append(right.begin(), right.end());
    }
  return tidy(std::move(product));
}

Disjunction MaskReader::unite(const Disjunction &a, const Disjunction &b) {
  Disjunction sum = a;
  sum.append(b.begin(), b.end());
  return tidy(std::move(sum));
}

Formula MaskReader::conjoin(const Formula &a, const Formula &b) {
  return {intersect(a.holds, b.holds), unite(a.fails, b.fails)};
}

Formula MaskReader::disjoin(const Formula &a, const Formula &b) {
  return negate(conjoin(negate(a), negate(b)));
}

Formula MaskReader::isNonNegative(const Affine &expr) {
  Affine below = expr * -1 - Affine::getConstant(1);
  return {tidy(only(expr)), tidy(only(below))};
}

Formula MaskReader::isZero(const Affine &expr) {
  Affine above = expr - Affine::getConstant(1);
  Affine below = expr * -1 - Affine::getConstant(1);
  return {tidy(only(expr, /*isEquality=*/true)),
          unite(only(above), only(below))};
}

Formula MaskReader::compare(arith::CmpIPredicate predicate, const Affine &a,
                            const Affine &b) {
  using arith::CmpIPredicate;
  switch (predicate) {
  case CmpIPredicate::eq:
    return isZero(a - b);
  case CmpIPredicate::ne:
    return negate(isZero(a - b));
  case CmpIPredicate::sge:
    return isNonNegative(a - b);
  case CmpIPredicate::slt:
    return negate(isNonNegative(a - b));
  case CmpIPredicate::sle:
    return isNonNegative(b - a);
  case CmpIPredicate::sgt:
    return negate(isNonNegative(b - a));
  case CmpIPredicate::ule:
    return compare(CmpIPredicate::uge, b, a);
  case CmpIPredicate::ugt:
    return negate(compare(CmpIPredicate::uge, b, a));
  case CmpIPredicate::ult:
    return negate(compare(CmpIPredicate::uge, a, b));
  case CmpIPredicate::uge: {
    // As signed where the signs agree; else the negative one is the larger.
    Formula leftSign = isNonNegative(a), rightSign = isNonNegative(b);
    Formula agree = disjoin(conjoin(leftSign, rightSign),
                            conjoin(negate(leftSign), negate(rightSign)));
    return disjoin(conjoin(agree, isNonNegative(a - b)),
                   conjoin(negate(leftSign), rightSign));
  }
  }
  llvm_unreachable("all predicates are handled");
}

Formula MaskReader::compare(arith::CmpIPredicate predicate, const Pieces &a,
                            const Pieces &b) {
  Formula sum;
  for (const Piece &left : a)
    for (const Piece &right : b) {
      Conjunction when = left.when;
      when.append(right.when);
      Formula piece = compare(predicate, left.value, right.value);
      sum.holds =
          unite(sum.holds, intersect(Disjunction(1, when), piece.holds));
      sum.fails =
          unite(sum.fails, intersect(Disjunction(1, when), piece.fails));
    }
  return sum;
}

//===----------------------------------------------------------------------===//
// Variables
//===----------------------------------------------------------------------===//

unsigned MaskReader::addVariable(const MaskVariable &variable) {
  result.variables.push_back(variable);
  return result.variables.size() - 1;
}

Affine MaskReader::addOpaque(Operation *op, const Twine &reason, int64_t min,
                             int64_t max) {
  MaskVariable variable;
  variable.min = min;
  variable.max = max;
  unsigned index = addVariable(variable);
  opaque.emplace_back(index, result.undecided.size());
  result.undecided.emplace_back(op, reason.str());
  return Affine::getVariable(index);
}

unsigned MaskReader::getUniform(std::optional<attn::Position> position,
                                Value parameter) {
  for (auto [index, variable] : llvm::enumerate(result.variables))
    if (variable.uniform && variable.position == position &&
        variable.parameter == parameter)
      return index;
  MaskVariable variable;
  variable.uniform = true;
  variable.position = position;
  variable.parameter = parameter;
  variable.max = kPositionLimit - 1;
  variable.min = position == attn::Position::request ? 0 : -variable.max;
  return addVariable(variable);
}

Affine MaskReader::getPosition(attn::Position position) {
  switch (position) {
  case attn::Position::query:
    return Affine::getVariable(kQuery);
  case attn::Position::key:
    return Affine::getVariable(kKey);
  case attn::Position::q_len:
    return Affine::getVariable(kQLen);
  case attn::Position::kv_len:
    return Affine::getVariable(kKvLen);
  case attn::Position::request:
    return Affine::getVariable(getUniform(position, Value()));
  case attn::Position::head:
    return addOpaque(mask, "a tile holds several heads", 0, kPositionLimit - 1);
  default:
    return addOpaque(mask, "slots of keys are in no order", 0,
                     std::numeric_limits<int32_t>::max());
  }
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

const Pieces &MaskReader::getInteger(Value value) {
  auto [it, isNew] = integers.try_emplace(value);
  if (isNew) // A parameter of the variant.
    it->second = always(Affine::getVariable(getUniform(std::nullopt, value)));
  return it->second;
}

void MaskReader::setOpaque(Operation *op, const Twine &reason) {
  for (Value value : op->getResults()) {
    if (value.getType().isInteger(1)) {
      booleans[value] =
          isNonNegative(addOpaque(op, reason, 0, 1) - Affine::getConstant(1));
    } else if (value.getType().isInteger(32)) {
      integers[value] =
          always(addOpaque(op, reason, std::numeric_limits<int32_t>::min(),
                           std::numeric_limits<int32_t>::max()));
    }
  }
}

void MaskReader::setInteger(Operation *op, Pieces pieces, bool mayWrap) {
  llvm::erase_if(pieces,
                 [&](const Piece &piece) { return !isFeasible(piece.when); });
  if (pieces.size() > kMaxPieces)
    return setOpaque(op, "the value has too many cases");
  constexpr int64_t min = std::numeric_limits<int32_t>::min();
  constexpr int64_t max = std::numeric_limits<int32_t>::max();
  auto wraps = [&](const Piece &piece) {
    auto [low, high] = getRange(result.variables, piece.value);
    Conjunction below = piece.when, above = piece.when;
    below.push_back({Affine::getConstant(min - 1) - piece.value, false});
    above.push_back({piece.value - Affine::getConstant(max + 1), false});
    return (low < min && isFeasible(below)) ||
           (high > max && isFeasible(above));
  };
  if (mayWrap && llvm::any_of(pieces, wraps))
    return setOpaque(op,
                     "'" + op->getName().getStringRef() + "' may overflow i32");
  integers[op->getResult(0)] = std::move(pieces);
}

void MaskReader::setPieces(
    Operation *op, Value left, Value right,
    llvm::function_ref<std::optional<Affine>(const Affine &, const Affine &)>
        combine) {
  const Pieces a = getInteger(left), b = getInteger(right);
  Pieces pieces;
  for (const Piece &l : a)
    for (const Piece &r : b) {
      std::optional<Affine> value = combine(l.value, r.value);
      if (!value || llvm::any_of(value->coefficients, [](int64_t c) {
            return std::abs(c) > kMaxFactor;
          }))
        return setOpaque(op, "'" + op->getName().getStringRef() +
                                 "' is not affine here");
      Piece &piece = pieces.emplace_back(Piece{l.when, *value});
      piece.when.append(r.when);
    }
  setInteger(op, std::move(pieces), /*mayWrap=*/true);
}

void MaskReader::setSelect(Operation *op, const Formula &condition,
                           const Pieces &onTrue, const Pieces &onFalse) {
  Pieces pieces;
  auto add = [&](const Disjunction &when, const Pieces &values) {
    for (const Conjunction &conjunction : when)
      for (const Piece &value : values) {
        Piece &piece = pieces.emplace_back(value);
        piece.when.append(conjunction);
      }
  };
  add(condition.holds, onTrue);
  add(condition.fails, onFalse);
  setInteger(op, std::move(pieces), /*mayWrap=*/false);
}

void MaskReader::visitRead(attn::ReadOp read) {
  Value table = read.getTable();
  auto general = dyn_cast<attn::TableType>(table.getType());
  if ((isa<attn::PerRequestType>(table.getType()) ||
       (general && general.getRank() == 1)) &&
      read.getType().isInteger(32)) {
    const Pieces &index = getInteger(read.getIndices().front());
    unsigned request = getUniform(attn::Position::request, Value());
    if (index.size() == 1 &&
        (index[0].value - Affine::getVariable(request)).isConstant() &&
        index[0].value.constant == 0) {
      integers[read.getResult()] =
          always(Affine::getVariable(getUniform(std::nullopt, table)));
      return;
    }
  }
  setOpaque(read, "entries of a table are not known before it is read");
}

void MaskReader::visit(Operation *op) {
  auto isBoolean = [&] {
    return op->getNumResults() == 1 && op->getResult(0).getType().isInteger(1);
  };
  auto isInteger = [&] {
    return op->getNumResults() == 1 && op->getResult(0).getType().isInteger(32);
  };
  auto notAffine = [&](Operation *) {
    setOpaque(op, "'" + op->getName().getStringRef() + "' is not affine here");
  };
  auto select = [&](Value left, Value right, arith::CmpIPredicate predicate) {
    const Pieces a = getInteger(left), b = getInteger(right);
    setSelect(op, compare(predicate, a, b), a, b);
  };
  using arith::CmpIPredicate;
  TypeSwitch<Operation *>(op)
      .Case([&](arith::ConstantOp constant) {
        auto value = dyn_cast<IntegerAttr>(constant.getValue());
        if (value && isBoolean())
          booleans[constant] = isNonNegative(
              Affine::getConstant(value.getValue().isZero() ? -1 : 0));
        else if (value && isInteger())
          integers[constant] = always(Affine::getConstant(value.getInt()));
      })
      .Case([&](arith::AndIOp a) {
        if (!isBoolean())
          return notAffine(op);
        booleans[a] = conjoin(booleans[a.getLhs()], booleans[a.getRhs()]);
      })
      .Case([&](arith::OrIOp a) {
        if (!isBoolean())
          return notAffine(op);
        booleans[a] = disjoin(booleans[a.getLhs()], booleans[a.getRhs()]);
      })
      .Case([&](arith::XOrIOp a) {
        if (!isBoolean())
          return notAffine(op);
        Formula left = booleans[a.getLhs()], right = booleans[a.getRhs()];
        booleans[a] =
            disjoin(conjoin(left, negate(right)), conjoin(negate(left), right));
      })
      .Case([&](arith::SelectOp a) {
        if (isInteger()) {
          const Pieces onTrue = getInteger(a.getTrueValue());
          const Pieces onFalse = getInteger(a.getFalseValue());
          setSelect(op, booleans[a.getCondition()], onTrue, onFalse);
        } else if (isBoolean()) {
          Formula condition = booleans[a.getCondition()];
          booleans[a] =
              disjoin(conjoin(condition, booleans[a.getTrueValue()]),
                      conjoin(negate(condition), booleans[a.getFalseValue()]));
        }
      })
      .Case([&](arith::CmpIOp a) {
        if (a.getLhs().getType().isInteger(32)) {
          const Pieces left = getInteger(a.getLhs());
          const Pieces right = getInteger(a.getRhs());
          booleans[a] = compare(a.getPredicate(), left, right);
          return;
        }
        Formula left = booleans[a.getLhs()], right = booleans[a.getRhs()];
        Formula differ =
            disjoin(conjoin(left, negate(right)), conjoin(negate(left), right));
        if (a.getPredicate() == CmpIPredicate::ne)
          booleans[a] = differ;
        else if (a.getPredicate() == CmpIPredicate::eq)
          booleans[a] = negate(differ);
        else
          notAffine(op);
      })
      .Case([&](arith::AddIOp a) {
        if (!isInteger())
          return notAffine(op);
        setPieces(op, a.getLhs(), a.getRhs(),
                  [](const Affine &l, const Affine &r) { return l + r; });
      })
      .Case([&](arith::SubIOp a) {
        if (!isInteger())
          return notAffine(op);
        setPieces(op, a.getLhs(), a.getRhs(),
                  [](const Affine &l, const Affine &r) { return l - r; });
      })
      .Case([&](arith::MulIOp a) {
        if (!isInteger())
          return notAffine(op);
        auto multiply = [](const Affine &l,
                           const Affine &r) -> std::optional<Affine> {
          const Affine &factor = l.isConstant() ? l : r;
          if (!factor.isConstant() || std::abs(factor.constant) > kMaxFactor)
            return std::nullopt;
          return (l.isConstant() ? r : l) * factor.constant;
        };
        setPieces(op, a.getLhs(), a.getRhs(), multiply);
      })
      .Case([&](arith::ShLIOp a) {
        if (!isInteger())
          return notAffine(op);
        auto shift = [](const Affine &l,
                        const Affine &r) -> std::optional<Affine> {
          if (!r.isConstant() || r.constant < 0 || r.constant > 20)
            return std::nullopt;
          return l * (int64_t(1) << r.constant);
        };
        setPieces(op, a.getLhs(), a.getRhs(), shift);
      })
      .Case([&](arith::MaxSIOp a) {
        select(a.getLhs(), a.getRhs(), CmpIPredicate::sge);
      })
      .Case([&](arith::MinSIOp a) {
        select(a.getLhs(), a.getRhs(), CmpIPredicate::sle);
      })
      .Case([&](arith::MaxUIOp a) {
        select(a.getLhs(), a.getRhs(), CmpIPredicate::uge);
      })
      .Case([&](arith::MinUIOp a) {
        select(a.getLhs(), a.getRhs(), CmpIPredicate::ule);
      })
      .Case([&](math::AbsIOp a) {
        const Pieces value = getInteger(a.getOperand());
        Pieces negated = value;
        for (Piece &piece : negated)
          piece.value = piece.value * -1;
        Pieces zero = always(Affine::getConstant(0));
        setSelect(op, compare(CmpIPredicate::sge, value, zero), value, negated);
        // The smallest i32 has no magnitude.
        if (integers.contains(a))
          setInteger(op, Pieces(integers[a]), /*mayWrap=*/true);
      })
      .Case<arith::ExtUIOp, arith::ExtSIOp>([&](auto a) {
        if (!isInteger() || !a.getIn().getType().isInteger(1))
          return notAffine(op);
        int64_t one = isa<arith::ExtUIOp>(op) ? 1 : -1;
        setSelect(op, booleans[a.getIn()], always(Affine::getConstant(one)),
                  always(Affine::getConstant(0)));
      })
      .Case([&](attn::ReadOp a) { visitRead(a); })
      .Default(notAffine);
}

MaskFormula MaskReader::read() {
  constexpr int64_t limit = kPositionLimit - 1;
  auto add = [&](bool uniform, int64_t min, int64_t max,
                 std::optional<attn::Position> position = {}) {
    addVariable({uniform, min, max, position, Value()});
  };
  // Queries may precede all keys: q_len may exceed kv_len.
  add(false, 0, limit);
  add(false, -limit, limit);
  add(true, -limit, limit, attn::Position::query_first);
  add(true, -limit, limit, attn::Position::query_last);
  add(true, 1, limit, attn::Position::q_len);
  add(true, 1, limit, attn::Position::kv_len);

  Block &block = mask.getBody().front();
  for (auto [argument, position] :
       llvm::zip_equal(block.getArguments(),
                       mask.getPositions().getAsRange<attn::PositionAttr>())) {
    Affine value = getPosition(position.getValue());
    integers[argument] = always(std::move(value));
  }
  for (Operation &op : block.without_terminator())
    visit(&op);
  result.keep = booleans[block.getTerminator()->getOperand(0)];

  // Only what the formula still names is worth a remark.
  auto isNamed = [&](unsigned variable) {
    auto names = [&](const Conjunction &conjunction) {
      return llvm::any_of(conjunction, [&](const Constraint &constraint) {
        return constraint.expr[variable] != 0;
      });
    };
    return llvm::any_of(result.keep.holds, names) ||
           llvm::any_of(result.keep.fails, names);
  };
  for (auto [variable, reason] : llvm::reverse(opaque))
    if (!isNamed(variable))
      result.undecided.erase(result.undecided.begin() + reason);
  return std::move(result);
}

} // namespace

MaskFormula saccade::readMask(attn::MaskOp mask) {
  return MaskReader(mask).read();
}
