// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What scalar operations mean, one lane at a time, in doubles. Integers of up
// to 32 bits are exact: i1 is 0 or 1, wider ones carry their signed value.

#ifndef SACCADE_LIB_REFERENCE_SCALAROPS_H
#define SACCADE_LIB_REFERENCE_SCALAROPS_H

#include "mlir/IR/Operation.h"

#include <functional>

namespace saccade::reference {

/// The result of one lane from up to three operands (0 where there are fewer).
using LaneFunction = std::function<double(double, double, double)>;

/// The meaning of an operation, null if it is not a scalar one. Undefined
/// integer cases get a value (x / 0 = 0), so no input stops an evaluation.
LaneFunction getLaneFunction(mlir::Operation &op);

/// The larger or smaller of two; NaN if either is (`maximumf`, `minimumf`).
double maximum(double a, double b);
double minimum(double a, double b);

} // namespace saccade::reference

#endif // SACCADE_LIB_REFERENCE_SCALAROPS_H
