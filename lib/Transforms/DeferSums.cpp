// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A sum of rows is linear, so the lanes that share a row may each scale and add
// their own part. That takes two shuffles a row out of every trip.

#include "lib/Transforms/Passes.h"

#include "mlir/IR/Matchers.h"

namespace saccade {
#define GEN_PASS_DEF_DEFERSUMSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
/// A column that a loop carries as `carried * factor + sum`.
struct RunningSum {
  scf::ForOp loop;
  unsigned index;
  FillOp init;
  MapOp map;
  ReduceOp sum;

  static std::optional<RunningSum> match(scf::ForOp loop, unsigned index);
};
} // namespace

/// Whether a map yields `a * b + c` of block arguments, with `a` and `c` the
/// numbers of those that stand for the carried column and for the sum.
static bool isScaledSum(MapOp map, unsigned carried, unsigned sum) {
  Block &body = map.getBody().front();
  auto add = body.getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!add || add.getRhs() != body.getArgument(sum))
    return false;
  auto scaled = add.getLhs().getDefiningOp<arith::MulFOp>();
  return scaled && scaled.getLhs() == body.getArgument(carried) &&
         isa<BlockArgument>(scaled.getRhs()) &&
         scaled.getRhs() != body.getArgument(sum) &&
         scaled.getRhs() != body.getArgument(carried);
}

std::optional<RunningSum> RunningSum::match(scf::ForOp loop, unsigned index) {
  BlockArgument carried = loop.getRegionIterArg(index);
  auto type = dyn_cast<TileType>(carried.getType());
  if (!type || !isa_and_present<RowsOfAttr>(type.getLayout()) ||
      !carried.hasOneUse())
    return std::nullopt;
  RunningSum found{
      loop, index, loop.getInitArgs()[index].getDefiningOp<FillOp>(),
      loop.getYieldedValues()[index].getDefiningOp<MapOp>(), ReduceOp()};
  if (!found.init || !matchPattern(found.init.getValue(), m_AnyZeroFloat()) ||
      !found.map || !found.map->hasOneUse() ||
      *carried.user_begin() != found.map)
    return std::nullopt;
  unsigned carriedNumber = 0;
  for (auto [number, input] : llvm::enumerate(found.map.getInputs())) {
    if (input == carried)
      carriedNumber = number;
    auto reduce = input.getDefiningOp<ReduceOp>();
    if (reduce && reduce.getKind() == ReduceKind::add && reduce->hasOneUse() &&
        isScaledSum(found.map, carriedNumber, number))
      found.sum = reduce;
  }
  return found.sum ? std::optional(found) : std::nullopt;
}

static void defer(RunningSum found) {
  scf::ForOp loop = found.loop;
  auto whole = cast<TileType>(loop.getResult(found.index).getType());
  auto rows = cast<RowsOfAttr>(whole.getLayout());
  TileType parts = whole.withLayout(PartsOfAttr::get(
      whole.getContext(), rows.getWarps(), rows.getTransposed()));
  OpBuilder b(loop);
  Value init = FillOp::create(b, loop.getLoc(), parts, found.init.getValue());
  loop.getInitArgsMutable()[found.index].assign(init);
  for (Value value :
       {Value(loop.getRegionIterArg(found.index)), Value(found.sum.getResult()),
        Value(found.map.getResult()), Value(loop.getResult(found.index))})
    value.setType(parts);
  b.setInsertionPointAfter(loop);
  Value joined =
      ConvertOp::create(b, loop.getLoc(), whole, loop.getResult(found.index));
  loop.getResult(found.index)
      .replaceAllUsesExcept(joined, joined.getDefiningOp());
}

namespace {
struct DeferSums : saccade::impl::DeferSumsPassBase<DeferSums> {
  void runOnOperation() override {
    SmallVector<RunningSum> sums;
    getOperation()->walk([&](scf::ForOp loop) {
      for (unsigned index = 0; index < loop.getNumResults(); ++index)
        if (auto found = RunningSum::match(loop, index))
          sums.push_back(*found);
    });
    for (const RunningSum &found : sums)
      defer(found);
  }
};
} // namespace
