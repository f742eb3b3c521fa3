// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Liveness of tiles on structured control flow: two operations are compared in
// the innermost block around both; branches of one conditional exclude each
// other.

#include "lib/Conversion/BufferReuse.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Block.h"

using namespace mlir;

/// Whether control may reach `later` after `op`, loops around both aside.
static bool mayFollow(Operation *op, Operation *later) {
  for (Block *block = op->getBlock(); block;) {
    if (Operation *ancestor = block->findAncestorOpInBlock(*later)) {
      Operation *own = block->findAncestorOpInBlock(*op);
      // Equal: inside of `op`, or in another branch of a conditional.
      return ancestor == op || own->isBeforeInBlock(ancestor);
    }
    Operation *parent = block->getParentOp();
    block = parent ? parent->getBlock() : nullptr;
  }
  return true;
}

bool saccade::diesAt(Value tile, Operation *op) {
  Block *home = tile.getParentBlock();
  for (Operation *around = op; around->getBlock() != home;) {
    around = around->getParentOp();
    if (!around || !isa<scf::IfOp>(around))
      return false;
  }
  for (Operation *user : tile.getUsers())
    if (user != op && mayFollow(op, user))
      return false;
  return true;
}
