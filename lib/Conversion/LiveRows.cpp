// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Groups tiles by rows with a union-find, then counts a group's live rows by
// running the row regions of its stores ahead of its first operation.

#include "lib/Conversion/LiveRows.h"
#include "lib/Conversion/Scalars.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace saccade;

static bool isTile(Value value) { return isa<tile::TileType>(value.getType()); }

LiveRows::LiveRows(Block &body) {
  for (Operation &op : body)
    op.walk([&](Operation *inner) { relate(inner); });
  for (Operation &op : body)
    op.walk([&](Operation *inner) { collect(inner); });
  for (auto &[leader, group] : groups)
    if (!group.allRows && !group.stores.empty())
      emitCount(group);
}

void LiveRows::join(Value a, Value b) {
  if (isTile(a) && isTile(b))
    classes.unionSets(a.getAsOpaquePointer(), b.getAsOpaquePointer());
}

LiveRows::Group &LiveRows::groupOf(Value tile) {
  void *key = tile.getAsOpaquePointer();
  classes.insert(key);
  return groups[classes.getLeaderValue(key)];
}

void LiveRows::relate(Operation *op) {
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    for (auto [init, argument, yielded, result] :
         llvm::zip_equal(loop.getInitArgs(), loop.getRegionIterArgs(),
                         loop.getYieldedValues(), loop.getResults())) {
      join(init, argument);
      join(init, yielded);
      join(init, result);
    }
  } else if (auto branch = dyn_cast<scf::IfOp>(op)) {
    for (auto [index, result] : llvm::enumerate(branch.getResults())) {
      join(result, branch.thenYield().getOperand(index));
      join(result, branch.elseYield().getOperand(index));
    }
  } else if (auto dot = dyn_cast<tile::DotOp>(op)) {
    join(dot.getResult(), dot.getLhs());
    if (dot.getAccumulator())
      join(dot.getResult(), dot.getAccumulator());
  } else if (isa<tile::MapOp, tile::MapRowsOp, tile::ReduceOp, tile::ConvertOp>(
                 op)) {
    for (Value operand : op->getOperands())
      join(op->getResult(0), operand);
  }
}

/// Notes who reads and writes a group, once the groups are known.
void LiveRows::collect(Operation *op) {
  auto note = [&](Value tile) {
    Group &group = groupOf(tile);
    // A constant tile may stand above the loop over items.
    if (!isa<tile::FillOp>(op) && !llvm::is_contained(group.ops, op))
      group.ops.push_back(op);
  };
  for (Value value : op->getOperands())
    if (isTile(value))
      note(value);
  for (Value value : op->getResults())
    if (isTile(value))
      note(value);
  if (auto store = dyn_cast<tile::StoreOp>(op))
    groupOf(store.getTile()).stores.push_back(store);
  else if (auto dot = dyn_cast<tile::DotOp>(op))
    groupOf(dot.getRhs()).allRows = true;
  else if (!isa<scf::ForOp, scf::IfOp, scf::YieldOp, tile::MapOp,
                tile::MapRowsOp, tile::ReduceOp, tile::ConvertOp, tile::FillOp,
                tile::LoadOp>(op))
    for (Value value : op->getOperands())
      if (isTile(value))
        groupOf(value).allRows = true;
}

void LiveRows::emitCount(Group &group) {
  // The innermost block that holds all of the group, and its first operation.
  Block *block = group.stores.front()->getBlock();
  Operation *first = nullptr;
  for (Operation *op : group.ops) {
    while (!block->findAncestorOpInBlock(*op))
      block = block->getParentOp()->getBlock();
  }
  for (Operation *op : group.ops) {
    Operation *ancestor = block->findAncestorOpInBlock(*op);
    if (!first || ancestor->isBeforeInBlock(first))
      first = ancestor;
  }

  // What the row regions read must be known before that.
  SetVector<Value> captured;
  for (tile::StoreOp store : group.stores)
    getUsedValuesDefinedAbove(store.getRows(), captured);
  SmallVector<Value> late;
  for (Value value : captured) {
    Operation *definition = value.getDefiningOp();
    if (definition && definition->getBlock() == block &&
        !definition->isBeforeInBlock(first))
      late.push_back(value);
    else if (value.getParentBlock() != block &&
             block->findAncestorOpInBlock(
                 *value.getParentBlock()->getParentOp()))
      return; // known only in an inner block
  }
  IRRewriter rewriter(first->getContext());
  if (!late.empty() && failed(moveValueDefinitions(rewriter, late, first)))
    return;

  ImplicitLocOpBuilder b(first->getLoc(), first);
  auto rows = group.stores.front().getTile().getType().getRows();
  Value count = i64(b, 0);
  for (tile::StoreOp store : group.stores) {
    auto loop =
        scf::ForOp::create(b, i64(b, 0), i64(b, rows), i64(b, 1), count);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Scalar row{&b, loop.getInductionVar()};
    Block &region = store.getRows().front();
    IRMapping mapping;
    mapping.map(region.getArgument(0), row.narrow().value);
    for (Operation &op : region.without_terminator())
      b.clone(op, mapping);
    Value there =
        mapping.lookupOrDefault(region.getTerminator()->getOperand(1));
    Value next =
        arith::SelectOp::create(b, there, row + 1, loop.getRegionIterArg(0));
    scf::YieldOp::create(b, next);
    count = loop.getResult(0);
  }
  group.block = block;
  group.count = count;
}

Value LiveRows::get(Value tile, Operation *at) const {
  auto member = classes.findLeader(tile.getAsOpaquePointer());
  if (member == classes.member_end())
    return {};
  auto group = groups.find(*member);
  if (group == groups.end() || !group->second.count)
    return {};
  // A constant tile may stand before the count.
  Operation *place = group->second.block->findAncestorOpInBlock(*at);
  if (!place || !group->second.count.getDefiningOp()->isBeforeInBlock(place))
    return {};
  return group->second.count;
}
