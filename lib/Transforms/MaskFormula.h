// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a mask says, as a formula over affine constraints. A formula is kept
// twice, as where it may hold and where it may fail, so that whatever cannot be
// read widens both and no conclusion ever needs it to be understood.

#ifndef SACCADE_LIB_TRANSFORMS_MASKFORMULA_H
#define SACCADE_LIB_TRANSFORMS_MASKFORMULA_H

#include "dialects/Attn/Attn.h"

#include "mlir/Analysis/Presburger/IntegerRelation.h"

namespace saccade {

/// Positions and run-time integers are below this in magnitude (attn dialect).
inline constexpr int64_t kPositionLimit = int64_t(1) << 30;

/// A quantity of a mask. `uniform` ones are one value for all queries and keys
/// of a tile, so bounds may name them; the others are projected out.
struct MaskVariable {
  bool uniform = false;
  int64_t min = 0, max = 0;
  /// What it is, where it is uniform: a position, or a parameter of the variant
  /// (a table that is read by the request stands for its entry of this one).
  std::optional<attn::Position> position;
  mlir::Value parameter;
};

/// The variables that every mask has, in this order; others follow.
enum : unsigned { kKey, kQuery, kQueryFirst, kQueryLast, kQLen, kKvLen };

/// sum(coefficients[i] * variable i) + constant. Trailing zeros may be absent.
struct Affine {
  llvm::SmallVector<int64_t, 8> coefficients;
  int64_t constant = 0;

  static Affine getConstant(int64_t value);
  static Affine getVariable(unsigned variable);
  int64_t operator[](unsigned variable) const {
    return variable < coefficients.size() ? coefficients[variable] : 0;
  }
  bool isConstant() const;
  Affine operator+(const Affine &other) const;
  Affine operator*(int64_t factor) const;
  Affine operator-(const Affine &other) const { return *this + other * -1; }
};

/// `expr >= 0`, or `expr == 0`.
struct Constraint {
  Affine expr;
  bool isEquality = false;
};
using Conjunction = llvm::SmallVector<Constraint, 0>;
/// A union of conjunctions; empty means never, an empty conjunction always.
using Disjunction = llvm::SmallVector<Conjunction, 0>;

/// Supersets of where a predicate holds and of where it fails.
struct Formula {
  Disjunction holds, fails;
};

struct MaskFormula {
  llvm::SmallVector<MaskVariable> variables;
  Formula keep;
  /// What the formula does not capture, and why.
  llvm::SmallVector<std::pair<mlir::Operation *, std::string>> undecided;
};

/// Reads the body of a mask.
MaskFormula readMask(attn::MaskOp mask);

/// What holds of every query and key of a tile.
Conjunction getTileConstraints(llvm::ArrayRef<MaskVariable> variables);

/// A polyhedron whose dimensions are the variables.
mlir::presburger::IntegerPolyhedron
getPolyhedron(unsigned numVariables, llvm::ArrayRef<Constraint> constraints,
              llvm::ArrayRef<Constraint> more = {});

/// The expression as Presburger writes it: coefficients, then the constant.
llvm::SmallVector<int64_t> getRow(const Affine &expr, unsigned numVariables);

/// Smallest and largest value over the ranges of the variables.
std::pair<int64_t, int64_t> getRange(llvm::ArrayRef<MaskVariable> variables,
                                     const Affine &expr);

} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_MASKFORMULA_H
