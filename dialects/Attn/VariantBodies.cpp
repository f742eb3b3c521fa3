// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Inlining of variant bodies. Bodies are one block of pure operations without
// regions, so a clone in order is all that it takes.

#include "dialects/Attn/VariantBodies.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace saccade::attn;

SmallVector<Value>
saccade::attn::inlineBody(OpBuilder &builder, BodyOpInterface body,
                          ValueRange data, PositionFn position,
                          ValueRange parameters, ReadFn read) {
  IRMapping mapping;
  Block &block = body.getBody().front();
  unsigned numData = body.getNumDataArguments();
  assert(data.size() == numData && "one value for each data argument");
  mapping.map(block.getArguments().take_front(numData), data);
  for (auto [argument, attribute] :
       llvm::zip_equal(block.getArguments().drop_front(numData),
                       body.getPositions().getAsRange<PositionAttr>()))
    mapping.map(argument, position(attribute.getValue()));
  mapping.map(body->getParentOfType<VariantOp>().getParameters(), parameters);

  for (Operation &op : block.without_terminator()) {
    auto readOp = dyn_cast<ReadOp>(op);
    if (!readOp || !read) {
      builder.clone(op, mapping);
      continue;
    }
    SmallVector<Value> indices = llvm::map_to_vector(
        readOp.getIndices(), [&](Value v) { return mapping.lookup(v); });
    mapping.map(readOp.getResult(), read(readOp, indices, builder));
  }
  return llvm::map_to_vector(block.getTerminator()->getOperands(),
                             [&](Value v) { return mapping.lookup(v); });
}

unsigned saccade::attn::getParameterIndex(Value parameter) {
  return cast<BlockArgument>(parameter).getArgNumber();
}

VariantOp saccade::attn::lookupVariant(Operation *user,
                                       FlatSymbolRefAttr name) {
  return SymbolTable::lookupNearestSymbolFrom<VariantOp>(user, name);
}
