// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An interpreter of variant bodies: arith, math and vector operations over
// doubles. Every value is a list of lanes (scalars have one); integers of up to
// 32 bits are exact in a double, so one representation serves all types.

#ifndef SACCADE_LIB_REFERENCE_INTERPRETER_H
#define SACCADE_LIB_REFERENCE_INTERPRETER_H

#include "lib/Reference/Evaluator.h"

#include <array>
#include <functional>

namespace saccade::reference {

using Lanes = std::vector<double>;

/// Values of all positions that a body may ask for, by attn::Position.
using Positions = std::array<int32_t, 9>;

/// What tables are read against: the batch, and the sums of its lengths.
struct Batch {
  /// Adds up the lengths and checks that requests and rows lie in the tensors.
  static llvm::Expected<Batch> measure(attn::KernelOp kernel,
                                       const ReferenceInputs &inputs);

  const ReferenceInputs *inputs = nullptr;
  std::vector<int32_t> sequenceLengths; ///< [requests] over all caches
  std::vector<int64_t> tokenBegin;      ///< [requests] row of per-token tables
  std::vector<int64_t> bitsBegin;       ///< [requests] byte of packed masks
  /// By cache argument: [requests] position of the cache's first token.
  llvm::DenseMap<int, std::vector<int32_t>> starts;
};

/// One body of a variant with its parameters bound, ready to run. A body that
/// is missing has no steps and gives back its data.
class Body {
public:
  Body() = default;

  /// Prepares a body (null: missing). `parameters` are the variant's, in order;
  /// they and `batch` must outlive the result.
  static llvm::Expected<Body>
  prepare(attn::BodyOpInterface op, llvm::ArrayRef<const Argument *> parameters,
          const Batch &batch);

  explicit operator bool() const { return result >= 0; }

  /// Runs the body; the result lives until the next run.
  const Lanes &operator()(const Lanes &data, const Positions &positions);
  double operator()(double data, const Positions &positions) {
    scalar.assign(1, data);
    return (*this)(scalar, positions).front();
  }

private:
  using Frame = std::vector<Lanes>;
  using Step = std::function<void(Frame &)>;
  friend class BodyBuilder;

  Frame frame;             // one entry a value
  std::vector<Step> steps; // one entry an operation, in order
  std::vector<attn::Position> positions;
  unsigned numData = 0;
  int result = -1;
  Lanes scalar;
};

} // namespace saccade::reference

#endif // SACCADE_LIB_REFERENCE_INTERPRETER_H
