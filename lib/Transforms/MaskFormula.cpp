// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Affine expressions of masks, and their polyhedra. What is known of every tile
// (the order of its positions, the limits of run-time integers) is said here.

#include "lib/Transforms/MaskFormula.h"

using namespace mlir;
using namespace saccade;

Affine Affine::getConstant(int64_t value) {
  Affine result;
  result.constant = value;
  return result;
}

Affine Affine::getVariable(unsigned variable) {
  Affine result;
  result.coefficients.assign(variable + 1, 0);
  result.coefficients.back() = 1;
  return result;
}

bool Affine::isConstant() const {
  return llvm::all_of(coefficients, [](int64_t c) { return c == 0; });
}

Affine Affine::operator+(const Affine &other) const {
  Affine result = *this;
  result.constant += other.constant;
  if (other.coefficients.size() > coefficients.size())
    result.coefficients.resize(other.coefficients.size(), 0);
  for (auto [index, coefficient] : llvm::enumerate(other.coefficients))
    result.coefficients[index] += coefficient;
  return result;
}

Affine Affine::operator*(int64_t factor) const {
  Affine result = *this;
  result.constant *= factor;
  for (int64_t &coefficient : result.coefficients)
    coefficient *= factor;
  return result;
}

std::pair<int64_t, int64_t> saccade::getRange(ArrayRef<MaskVariable> variables,
                                              const Affine &expr) {
  int64_t min = expr.constant, max = expr.constant;
  for (auto [index, coefficient] : llvm::enumerate(expr.coefficients)) {
    int64_t a = coefficient * variables[index].min;
    int64_t b = coefficient * variables[index].max;
    min += std::min(a, b);
    max += std::max(a, b);
  }
  return {min, max};
}

Conjunction saccade::getTileConstraints(ArrayRef<MaskVariable> variables) {
  Conjunction result;
  auto addOrder = [&](const Affine &low, const Affine &high) {
    result.push_back({high - low, /*isEquality=*/false});
  };
  for (auto [index, variable] : llvm::enumerate(variables)) {
    addOrder(Affine::getConstant(variable.min), Affine::getVariable(index));
    addOrder(Affine::getVariable(index), Affine::getConstant(variable.max));
  }
  Affine kvEnd = Affine::getVariable(kKvLen) - Affine::getConstant(1);
  Affine origin = Affine::getVariable(kKvLen) - Affine::getVariable(kQLen);
  addOrder(Affine::getVariable(kKey), kvEnd);
  addOrder(Affine::getVariable(kQueryFirst), Affine::getVariable(kQuery));
  addOrder(Affine::getVariable(kQuery), Affine::getVariable(kQueryLast));
  addOrder(origin, Affine::getVariable(kQueryFirst));
  addOrder(Affine::getVariable(kQueryLast), kvEnd);
  return result;
}

presburger::IntegerPolyhedron
saccade::getPolyhedron(unsigned numVariables, ArrayRef<Constraint> constraints,
                       ArrayRef<Constraint> more) {
  presburger::IntegerPolyhedron result(
      presburger::PresburgerSpace::getSetSpace(numVariables));
  for (ArrayRef<Constraint> part : {constraints, more})
    for (const Constraint &constraint : part) {
      SmallVector<int64_t> row = getRow(constraint.expr, numVariables);
      if (constraint.isEquality)
        result.addEquality(row);
      else
        result.addInequality(row);
    }
  return result;
}

SmallVector<int64_t> saccade::getRow(const Affine &expr,
                                     unsigned numVariables) {
  SmallVector<int64_t> row(numVariables + 1, 0);
  llvm::copy(expr.coefficients, row.begin());
  row.back() = expr.constant;
  return row;
}
