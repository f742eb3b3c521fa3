// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Says where each tile of an entry lives: the choice that turns whole tiles
// into work of lanes and warps, made once, in types, before any code of a
// thread exists.

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Transforms/Passes.h"

#include "llvm/ADT/TypeSwitch.h"

namespace saccade {
#define GEN_PASS_DEF_ASSIGNLAYOUTSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade::tile;

namespace {
/// Gives results their layouts in program order, and converts operands that are
/// wanted in another one.
class LayoutAssigner {
public:
  explicit LayoutAssigner(EntryOp entry)
      : context(entry.getContext()), warps(entry.getSchedule().getWarps()),
        pipelined(entry.getSchedule().getPipeline()) {}

  LogicalResult assignBlock(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(block))
      if (failed(assign(&op)))
        return failure();
    return success();
  }

private:
  MLIRContext *context;
  int64_t warps;
  bool pipelined;

  static TileType tileOf(Value value) {
    return cast<TileType>(value.getType());
  }

  LogicalResult assign(Operation *op) {
    return TypeSwitch<Operation *, LogicalResult>(op)
        .Case([&](LoadOp load) { return assignLoad(load); })
        .Case([&](MapRowsOp map) {
          want(map.getInputMutable(), shared(map.getInput()));
          return give(map.getResult(), shared(map.getResult()));
        })
        .Case([&](MapOp map) {
          for (OpOperand &input : map.getInputsMutable())
            want(input, inRegisters(input.get()));
          return give(map.getResult(), inRegisters(map.getResult()));
        })
        .Case([&](FillOp fill) {
          return give(fill.getResult(), inRegisters(fill.getResult()));
        })
        .Case([&](ReduceOp reduce) {
          want(reduce.getInputMutable(), inRegisters(reduce.getInput()));
          return give(reduce.getResult(), inRegisters(reduce.getResult()));
        })
        .Case([&](DotOp dot) { return assignDot(dot); })
        .Case([&](ScaleRowsOp scale) {
          for (OpOperand &operand : scale->getOpOperands())
            want(operand, inRegisters(operand.get()));
          return give(scale.getResult(), inRegisters(scale.getResult()));
        })
        .Case([&](StoreOp store) { return success(); })
        .Case([&](scf::ForOp loop) { return assignLoop(loop); })
        .Case([&](scf::IfOp branch) { return assignBranch(branch); })
        .Default([&](Operation *other) { return assignOther(other); });
  }

  LogicalResult assignLoad(LoadOp load) {
    TileType type = load.getResult().getType();
    if (type.getElementType().isF32())
      return load.emitOpError("expects elements of bf16 or f16 on the GPU, but "
                              "got f32: its matrix instructions take no f32");
    if (type.isColumn())
      return load.emitOpError("expects rows of at least 8 elements on the GPU, "
                              "but got 1");
    if (!pipelined && type.getRows() % warps)
      return load.emitOpError("expects rows to be a multiple of ")
             << warps << " warps, but got " << type.getRows();
    return give(load.getResult(), shared(load.getResult()));
  }

  LogicalResult assignDot(DotOp dot) {
    TileType lhs = tileOf(dot.getLhs()), rhs = tileOf(dot.getRhs());
    if (lhs.getElementType() != rhs.getElementType() ||
        lhs.getElementType().isF32())
      return dot.emitOpError("expects both sides in bf16 or both in f16 on the "
                             "GPU, but got ")
             << lhs.getElementType() << " and " << rhs.getElementType();
    // Keys pair up in fragments, as columns of one product and depth of the
    // next.
    if (rhs.getRows() % kAtomDepth)
      return dot.emitOpError("expects keys to be a multiple of ")
             << kAtomDepth << ", but got " << rhs.getRows();
    if (!isa_and_present<SharedAttr>(lhs.getLayout()))
      want(dot.getLhsMutable(), OperandAttr::get(context, warps));
    want(dot.getRhsMutable(), shared(dot.getRhs()));
    for (OpOperand &accumulator : dot.getAccumulatorMutable())
      want(accumulator, inRegisters(accumulator.get()));
    return give(dot.getResult(), inRegisters(dot.getResult()));
  }

  /// A loop carries tiles in registers: a buffer would have to be copied.
  LogicalResult assignLoop(scf::ForOp loop) {
    for (auto [init, argument, result] :
         llvm::zip_equal(loop.getInitArgsMutable(), loop.getRegionIterArgs(),
                         loop.getResults())) {
      if (!isa<TileType>(init.get().getType()))
        continue;
      Attribute layout = inRegisters(init.get());
      want(init, layout);
      if (failed(give(argument, layout)) || failed(give(result, layout)))
        return failure();
    }
    if (failed(assignBlock(*loop.getBody())))
      return failure();
    wantYielded(loop.getBody()->getTerminator());
    return success();
  }

  LogicalResult assignBranch(scf::IfOp branch) {
    for (Region *region : branch.getRegions())
      if (!region->empty()) {
        if (failed(assignBlock(region->front())))
          return failure();
        wantYielded(region->front().getTerminator());
      }
    for (Value result : branch.getResults())
      if (isa<TileType>(result.getType()) &&
          failed(give(result, inRegisters(result))))
        return failure();
    return success();
  }

  LogicalResult assignOther(Operation *op) {
    auto isTile = [](Type type) { return isa<TileType>(type); };
    if (!op->hasTrait<OpTrait::IsTerminator>() &&
        (llvm::any_of(op->getOperandTypes(), isTile) ||
         llvm::any_of(op->getResultTypes(), isTile)))
      return op->emitOpError("has no layouts on the GPU");
    for (Region &region : op->getRegions())
      for (Block &block : region)
        if (failed(assignBlock(block)))
          return failure();
    return success();
  }

  /// Results and yielded values of a loop or branch live in registers.
  void wantYielded(Operation *yield) {
    for (OpOperand &operand : yield->getOpOperands())
      if (isa<TileType>(operand.get().getType()))
        want(operand, inRegisters(operand.get()));
  }

  Attribute inRegisters(Value value) const {
    if (tileOf(value).isColumn())
      return RowsOfAttr::get(context, warps);
    return AccumulatorAttr::get(context, warps);
  }
  Attribute shared(Value value) const {
    return pipelined ? SharedLayout::choosePanels(tileOf(value))
                     : SharedLayout::choose(tileOf(value));
  }

  LogicalResult give(Value value, Attribute layout) {
    TileType type = tileOf(value);
    if (FragmentLayout::isFragment(layout) &&
        type.getRows() % (kAtomRows * warps))
      return emitError(value.getLoc()) << "expects rows to be a multiple of "
                                       << kAtomRows << " for each of " << warps
                                       << " warps, but got " << type.getRows();
    if (!type.isColumn() && type.getColumns() % kAtomColumns)
      return emitError(value.getLoc())
             << "expects columns to be a multiple of " << kAtomColumns
             << ", but got " << type.getColumns();
    value.setType(type.withLayout(layout));
    return success();
  }

  static void want(OpOperand &operand, Attribute layout) {
    TileType type = tileOf(operand.get());
    if (type.getLayout() == layout)
      return;
    OpBuilder builder(operand.getOwner());
    operand.set(ConvertOp::create(builder, operand.getOwner()->getLoc(),
                                  type.withLayout(layout), operand.get()));
  }
};

struct AssignLayoutsPass
    : saccade::impl::AssignLayoutsPassBase<AssignLayoutsPass> {
  void runOnOperation() override {
    EntryOp entry = getOperation();
    if (failed(LayoutAssigner(entry).assignBlock(entry.getBody().front())))
      signalPassFailure();
  }
};
} // namespace
