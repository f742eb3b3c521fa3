// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The addresses of the next trip's rows are this trip's with the induction
// variable moved on: the scalar operations between are cloned.

#include "lib/Conversion/LoadAhead.h"

#include "lib/Transforms/ScalarSlice.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace saccade;

LoadAhead::LoadAhead(Block &body) {
  for (Operation &top : body)
    top.walk([&](scf::ForOp loop) {
      Operation *last = nullptr;
      for (auto dot : loop.getBody()->getOps<tile::DotOp>())
        last = dot;
      if (!last)
        return;
      Operation *product = last; // of the trip before
      for (Operation &op : *loop.getBody()) {
        if (isa<tile::DotOp>(op))
          product = &op;
        else if (auto load = dyn_cast<tile::LoadOp>(op))
          loads[product].push_back(load);
      }
    });
}

SmallVector<RowsAhead> LoadAhead::at(tile::DotOp dot,
                                     ImplicitLocOpBuilder &b) const {
  SmallVector<RowsAhead> result;
  auto loop = dyn_cast<scf::ForOp>(dot->getParentOp());
  auto found = loads.find(dot);
  if (!loop || found == loads.end())
    return result;
  for (tile::LoadOp load : found->second) {
    ScalarSlice slice;
    if (failed(collectScalars(load, loop, slice)))
      continue;
    RowsAhead ahead{load, {}};
    Value trip = loop.getInductionVar();
    if (load->isBeforeInBlock(dot)) {
      // After the last trip, its own rows once more: every table is read where
      // the loop reads it.
      Value next = arith::AddIOp::create(b, trip, loop.getStep());
      Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, next,
                                           loop.getUpperBound());
      trip = arith::SelectOp::create(b, inside, next, trip);
    }
    cloneForTrip(b, slice, loop, trip, ahead.outer);
    result.push_back(std::move(ahead));
  }
  return result;
}
