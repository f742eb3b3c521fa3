// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operations come after their operands, so a slice can be cloned in its order.

#include "lib/Transforms/ScalarSlice.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace saccade;

LogicalResult saccade::collectScalars(ValueRange values, scf::ForOp loop,
                                      ScalarSlice &slice) {
  for (Value value : values) {
    if (value == loop.getInductionVar())
      continue;
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (argument.getOwner() == loop.getBody())
        return failure(); // carried from trip to trip
      continue;
    }
    Operation *op = value.getDefiningOp();
    if (op->getBlock() != loop.getBody() || slice.contains(op))
      continue;
    if (!isPure(op) || failed(collectScalars(op, loop, slice)))
      return failure();
    slice.insert(op);
  }
  return success();
}

LogicalResult saccade::collectScalars(Operation *op, scf::ForOp loop,
                                      ScalarSlice &slice) {
  SetVector<Value> read(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), read);
  return collectScalars(read.getArrayRef(), loop, slice);
}

void saccade::cloneForTrip(OpBuilder &b, const ScalarSlice &slice,
                           scf::ForOp loop, Value iv, IRMapping &mapping) {
  mapping.map(loop.getInductionVar(), iv);
  for (Operation *op : slice)
    b.clone(*op, mapping);
}
