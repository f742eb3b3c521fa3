// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Builders of tile operations with regions, so that emitters read as formulas.

#include "lib/Conversion/AttendEmitter.h"

using namespace mlir;
using namespace saccade;

/// Adds the entry block to a region and moves the builder into it for `body`.
template <typename Body>
static void emitRegion(ImplicitLocOpBuilder &b, Region &region,
                       TypeRange arguments, Body body) {
  OpBuilder::InsertionGuard guard(b);
  SmallVector<Location> locations(arguments.size(), b.getLoc());
  Block *block = b.createBlock(&region, region.end(), arguments, locations);
  tile::YieldOp::create(b, body(block->getArguments()));
}

Value saccade::emitMap(ImplicitLocOpBuilder &b, tile::TileType type,
                       ValueRange inputs,
                       llvm::function_ref<Value(ImplicitLocOpBuilder &,
                                                ValueRange, Scalar, Scalar)>
                           body) {
  auto map = tile::MapOp::create(b, type, inputs);
  SmallVector<Type> arguments;
  for (Value input : inputs)
    arguments.push_back(cast<tile::TileType>(input.getType()).getElementType());
  arguments.append(2, b.getI32Type());
  emitRegion(b, map.getBody(), arguments, [&](ValueRange all) {
    size_t n = inputs.size();
    return SmallVector<Value>{
        body(b, all.take_front(n), {&b, all[n]}, {&b, all[n + 1]})};
  });
  return map;
}

Value saccade::emitScaled(ImplicitLocOpBuilder &b, Value tile, Value factor) {
  return emitMap(
      b, cast<tile::TileType>(tile.getType()), tile,
      [&](ImplicitLocOpBuilder &b, ValueRange x, Scalar, Scalar) -> Value {
        return arith::MulFOp::create(b, x[0], factor);
      });
}

Value saccade::emitMapRows(
    ImplicitLocOpBuilder &b, Value tile, Type element,
    llvm::function_ref<Value(ImplicitLocOpBuilder &, Value, Scalar)> body) {
  auto type = cast<tile::TileType>(tile.getType());
  auto map = tile::MapRowsOp::create(b, type.withElementType(element), tile);
  auto row = VectorType::get({type.getColumns()}, b.getF32Type());
  emitRegion(b, map.getBody(), {row, b.getI32Type()}, [&](ValueRange all) {
    return SmallVector<Value>{body(b, all[0], {&b, all[1]})};
  });
  return map;
}

void saccade::emitRows(ImplicitLocOpBuilder &b, Region &region,
                       llvm::function_ref<std::pair<Scalar, Scalar>(
                           ImplicitLocOpBuilder &, Scalar)>
                           body) {
  emitRegion(b, region, {b.getI32Type()}, [&](ValueRange all) {
    auto [offset, present] = body(b, {&b, all[0]});
    return SmallVector<Value>{offset, present};
  });
}
