// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What may stand in the body of a variant: the one list that verifier,
// lowerings and reference evaluator share. An operation is on it when every
// target computes it with a tested error, without libdevice and without a trap.

#ifndef SACCADE_DIALECTS_ATTN_ADMITTEDOPS_H
#define SACCADE_DIALECTS_ATTN_ADMITTEDOPS_H

#include "dialects/Attn/Attn.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace saccade::attn {

/// Scalar operations; in row functions they also act on vectors. Closed under
/// canonicalization: what folds make of admitted operations is admitted.
inline bool isAdmittedScalarOp(mlir::Operation *op) {
  using namespace mlir;
  return isa<
      // Integers. Division by zero gives some value, never a trap.
      arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::DivSIOp,
      arith::RemSIOp, arith::DivUIOp, arith::RemUIOp, arith::FloorDivSIOp,
      arith::CeilDivSIOp, arith::AndIOp, arith::OrIOp, arith::XOrIOp,
      arith::ShLIOp, arith::ShRSIOp, arith::ShRUIOp, arith::MaxSIOp,
      arith::MinSIOp, arith::MaxUIOp, arith::MinUIOp, arith::CmpIOp,
      // Floats.
      arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, arith::NegFOp,
      arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp,
      arith::CmpFOp,
      // Both.
      arith::ConstantOp, arith::SelectOp, arith::SIToFPOp, arith::UIToFPOp,
      arith::FPToSIOp, arith::FPToUIOp, arith::ExtUIOp, arith::ExtSIOp,
      arith::TruncIOp, arith::BitcastOp,
      // Functions that -saccade-expand-math knows.
      math::AbsFOp, math::AbsIOp, math::CeilOp, math::FloorOp, math::FmaOp,
      math::ExpOp, math::Exp2Op, math::LogOp, math::Log2Op, math::SqrtOp,
      math::RsqrtOp, math::TanhOp, math::SinOp, math::CosOp, math::PowFOp,
      ReadOp>(op);
}

/// Operations that only row functions have. Interleave and from_elements are
/// what vector's own canonicalization makes of shuffles and inserts.
inline bool isAdmittedRowOp(mlir::Operation *op) {
  using namespace mlir;
  return isa<vector::BroadcastOp, vector::ShuffleOp, vector::ReductionOp,
             vector::ExtractOp, vector::InsertOp, vector::ExtractStridedSliceOp,
             vector::InsertStridedSliceOp, vector::InterleaveOp,
             vector::FromElementsOp>(op);
}

} // namespace saccade::attn

#endif // SACCADE_DIALECTS_ATTN_ADMITTEDOPS_H
