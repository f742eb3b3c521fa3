// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From a formula to intervals of keys: queries, and whatever else varies within
// a tile, are projected out, and each conjunction leaves one interval in closed
// form.

#ifndef SACCADE_LIB_TRANSFORMS_KEYINTERVALS_H
#define SACCADE_LIB_TRANSFORMS_KEYINTERVALS_H

#include "lib/Transforms/MaskFormula.h"

namespace saccade {

/// floor(dividend / divisor), over uniform variables.
struct Bound {
  Affine dividend;
  int64_t divisor = 1;
};

/// The keys `max(lo) <= key < min(hi)`, and none unless all guards hold.
/// Without `lo` it starts with the first key; without `hi` it ends with the
/// last.
struct KeyInterval {
  llvm::SmallVector<Bound, 2> lo, hi;
  llvm::SmallVector<Constraint, 2> guards;
};

/// Intervals that together hold every key for which some query of the tile is
/// in the disjunction. Exact where the projected variables have factors of one.
std::vector<KeyInterval> projectOntoKeys(llvm::ArrayRef<MaskVariable> variables,
                                         const Disjunction &disjunction);

} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_KEYINTERVALS_H
