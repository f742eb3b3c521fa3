// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes `attn.bounds` from the intervals in which a mask may hold and may
// fail. Numbers are i32 where their range allows it, else i64 and saturated at
// the end.

#ifndef SACCADE_LIB_TRANSFORMS_BOUNDSWRITER_H
#define SACCADE_LIB_TRANSFORMS_BOUNDSWRITER_H

#include "lib/Transforms/KeyIntervals.h"

#include "mlir/IR/Builders.h"

namespace saccade {

class BoundsWriter {
public:
  static constexpr unsigned kMaxIntervals = 4;

  /// Writes after the mask.
  BoundsWriter(attn::MaskOp mask, llvm::ArrayRef<MaskVariable> variables);

  /// Yields the keys where the mask may hold, as ascending intervals, beside
  /// the gaps between those where it may fail, as full parts. Returns false if
  /// intervals had to be joined, or full parts dropped.
  bool write(llvm::ArrayRef<KeyInterval> mayHold,
             llvm::ArrayRef<KeyInterval> mayFail);

private:
  struct Range {
    mlir::Value lo, hi;
  };
  /// A union of intervals: `[0, start)`, ascending ones, `[end, kv_len)`.
  struct Union {
    mlir::Value start, end;
    llvm::SmallVector<Range> middles;
  };

  mlir::Value constant(int64_t value, unsigned width = 32);
  template <typename OpTy, typename... Args> mlir::Value create(Args... args) {
    return builder.createOrFold<OpTy>(loc, args...);
  }
  mlir::Value variable(unsigned index);
  mlir::Value sum(const Affine &expr, unsigned width);
  mlir::Value bound(const Bound &bound);
  /// The largest (smallest) of the bounds.
  mlir::Value largest(llvm::ArrayRef<Bound> bounds);
  mlir::Value smallest(llvm::ArrayRef<Bound> bounds);
  /// Whether all guards hold; null if there are none.
  mlir::Value guard(llvm::ArrayRef<Constraint> guards);
  mlir::Value selectIf(mlir::Value condition, mlir::Value value,
                       mlir::Value otherwise);
  /// The union with its middles in order; empty ones come last.
  Union unite(llvm::ArrayRef<KeyInterval> intervals);
  void sort(llvm::MutableArrayRef<Range> ranges);
  llvm::SmallVector<Range> getVisited(Union keys);
  llvm::SmallVector<Range> getGaps(const Union &keys);
  void keepLongest(llvm::SmallVectorImpl<Range> &ranges);

  llvm::ArrayRef<MaskVariable> variables;
  mlir::OpBuilder builder;
  mlir::Location loc;
  attn::BoundsOp bounds;
  llvm::SmallVector<mlir::Value> values;
  bool isExact = true;
};

} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_BOUNDSWRITER_H
