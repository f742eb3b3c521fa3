// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Projection of formulas onto keys through Presburger. Whatever is dropped here
// makes a set larger, never smaller: both uses of the result are sound that
// way.

#include "lib/Transforms/KeyIntervals.h"

#include "mlir/Analysis/Presburger/Simplex.h"

#include <numeric>

using namespace mlir;
using namespace saccade;
using presburger::Simplex;

/// Bounds are emitted as i32 or i64 sums, so numbers beyond these are dropped.
static constexpr int64_t kMaxFactor = int64_t(1) << 20;
static constexpr int64_t kMaxConstant = int64_t(1) << 40;

static int64_t countNames(const Affine &expr) {
  return llvm::count_if(expr.coefficients, [](int64_t c) { return c != 0; });
}

/// Divides out common factors; the constant of an inequality rounds down.
static void reduce(Constraint &constraint) {
  Affine &expr = constraint.expr;
  int64_t divisor = 0;
  for (int64_t coefficient : expr.coefficients)
    divisor = std::gcd(divisor, coefficient);
  if (divisor <= 1 || (constraint.isEquality && expr.constant % divisor != 0))
    return;
  for (int64_t &coefficient : expr.coefficients)
    coefficient /= divisor;
  expr.constant = llvm::divideFloorSigned(expr.constant, divisor);
}

/// The constraints on the key and on uniform variables that remain.
static Conjunction projectOut(ArrayRef<MaskVariable> variables,
                              ArrayRef<Constraint> tile,
                              ArrayRef<Constraint> conjunction) {
  auto isVarying = [&](unsigned variable) {
    return variable != kKey && !variables[variable].uniform;
  };
  SmallVector<Constraint> relevant;
  llvm::copy_if(tile, std::back_inserter(relevant),
                [&](const Constraint &constraint) {
                  const auto &factors = constraint.expr.coefficients;
                  for (unsigned i = 0, e = factors.size(); i != e; ++i)
                    if (factors[i] != 0 && isVarying(i))
                      return true;
                  return false;
                });
  presburger::IntegerPolyhedron polyhedron =
      getPolyhedron(variables.size(), conjunction, relevant);
  SmallVector<unsigned> kept;
  for (unsigned i = variables.size(); i-- > 0;) {
    if (!isVarying(i)) {
      kept.insert(kept.begin(), i);
      continue;
    }
    polyhedron.projectOut(i);
    polyhedron.removeTrivialRedundancy();
  }

  Conjunction result;
  auto add = [&](ArrayRef<llvm::DynamicAPInt> row, bool isEquality) {
    auto fits = [](const llvm::DynamicAPInt &value, int64_t limit) {
      return -limit <= value && value <= limit;
    };
    if (!fits(row.back(), kMaxConstant) ||
        !llvm::all_of(row.drop_back(),
                      [&](auto &value) { return fits(value, kMaxFactor); }))
      return;
    Constraint constraint;
    constraint.isEquality = isEquality;
    constraint.expr.coefficients.assign(variables.size(), 0);
    for (auto [variable, value] : llvm::zip_equal(kept, row.drop_back()))
      constraint.expr.coefficients[variable] = int64_t(value);
    constraint.expr.constant = int64_t(row.back());
    reduce(constraint);
    result.push_back(std::move(constraint));
  };
  for (unsigned i = 0, e = polyhedron.getNumEqualities(); i != e; ++i)
    add(polyhedron.getEquality(i), /*isEquality=*/true);
  for (unsigned i = 0, e = polyhedron.getNumInequalities(); i != e; ++i)
    add(polyhedron.getInequality(i), /*isEquality=*/false);
  return result;
}

/// Whether all points of the simplex meet the constraint.
static bool isImplied(Simplex &simplex, const Constraint &constraint,
                      unsigned numVariables) {
  auto row =
      presburger::getDynamicAPIntVec(getRow(constraint.expr, numVariables));
  return constraint.isEquality ? simplex.isRedundantEquality(row)
                               : simplex.isRedundantInequality(row);
}

/// Drops constraints that the tile and the others imply: first guards, which
/// the bounds of the key often imply, then the longest.
static void simplify(unsigned numVariables, ArrayRef<Constraint> tile,
                     Conjunction &conjunction) {
  auto getRank = [](const Constraint &constraint) {
    const Affine &expr = constraint.expr;
    return std::make_tuple(expr[kKey] != 0, -countNames(expr),
                           ArrayRef(expr.coefficients), expr.constant);
  };
  llvm::sort(conjunction, [&](const Constraint &a, const Constraint &b) {
    return getRank(a) < getRank(b);
  });
  for (unsigned i = 0; i < conjunction.size();) {
    Conjunction others = conjunction;
    others.erase(others.begin() + i);
    Simplex simplex(getPolyhedron(numVariables, others, tile));
    if (!simplex.isEmpty() && isImplied(simplex, conjunction[i], numVariables))
      conjunction.erase(conjunction.begin() + i);
    else
      ++i;
  }
}

static KeyInterval getInterval(ArrayRef<Constraint> conjunction) {
  KeyInterval result;
  for (const Constraint &constraint : conjunction) {
    int64_t factor = constraint.expr[kKey];
    if (factor == 0) {
      result.guards.push_back(constraint);
      continue;
    }
    Affine rest = constraint.expr;
    rest.coefficients[kKey] = 0;
    // As inequalities `factor * key + rest >= 0`, one or both directions.
    int64_t divisor = std::abs(factor);
    auto addLo = [&](const Affine &least) { // divisor * key >= least
      result.lo.push_back({least + Affine::getConstant(divisor - 1), divisor});
    };
    auto addHi = [&](const Affine &most) { // divisor * key <= most
      result.hi.push_back({most + Affine::getConstant(divisor), divisor});
    };
    if (factor > 0 || constraint.isEquality)
      addLo(factor > 0 ? rest * -1 : rest);
    if (factor < 0 || constraint.isEquality)
      addHi(factor > 0 ? rest * -1 : rest);
  }
  return result;
}

std::vector<KeyInterval>
saccade::projectOntoKeys(ArrayRef<MaskVariable> variables,
                         const Disjunction &disjunction) {
  unsigned numVariables = variables.size();
  Conjunction tile = getTileConstraints(variables);
  SmallVector<Conjunction> projected;
  for (const Conjunction &conjunction : disjunction) {
    Conjunction result = projectOut(variables, tile, conjunction);
    Simplex simplex(getPolyhedron(numVariables, result, tile));
    if (simplex.isEmpty())
      continue;
    // Drop it, or earlier ones, where one holds all keys of the other.
    auto isWithin = [&](Simplex &inner, const Conjunction &outer) {
      return llvm::all_of(outer, [&](const Constraint &constraint) {
        return isImplied(inner, constraint, numVariables);
      });
    };
    if (llvm::any_of(projected, [&](const Conjunction &other) {
          return isWithin(simplex, other);
        }))
      continue;
    llvm::erase_if(projected, [&](const Conjunction &other) {
      Simplex inner(getPolyhedron(numVariables, other, tile));
      return isWithin(inner, result);
    });
    projected.push_back(std::move(result));
  }

  std::vector<KeyInterval> intervals;
  for (Conjunction &conjunction : projected) {
    simplify(numVariables, tile, conjunction);
    intervals.push_back(getInterval(conjunction));
  }
  return intervals;
}
