// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What roles, pipes and products in flight promise each other, checked before
// anything waits for ever on a GPU.

#include "dialects/Tile/FragmentLayout.h"
#include "dialects/Tile/TileVerify.h"

using namespace mlir;
using namespace saccade::tile;

/// The region of the roles around an operation that it stands in, or null.
static Region *roleOf(Operation *op) {
  auto roles = op->getParentOfType<RolesOp>();
  if (!roles)
    return nullptr;
  return roles.getLoad().isAncestor(op->getParentRegion())
             ? &roles.getLoad()
             : &roles.getCompute();
}

/// Outside of roles an operation is not executed yet, so it may stand there.
static LogicalResult verifyRole(Operation *op, bool loads) {
  Region *role = roleOf(op);
  if (!role || loads == (role->getRegionNumber() == 0))
    return success();
  return op->emitOpError("expects to stand in the role '")
         << (loads ? "load" : "compute") << "'";
}

LogicalResult RolesOp::verify() {
  if (failed(verifyRegisters([&] { return emitOpError(); }, getLoadRegisters(),
                             getComputeRegisters())))
    return failure();
  if (!isa_and_present<EntryOp>((*this)->getParentOp()))
    return emitOpError("expects to stand in the body of a tile.entry");
  return success();
}

LogicalResult TakeTurnOp::verify() { return verifyRole(*this, false); }
LogicalResult PassTurnOp::verify() { return verifyRole(*this, false); }
LogicalResult GroupOp::verify() {
  auto entry = (*this)->getParentOfType<EntryOp>();
  if (entry && entry.getSchedule().dealsKeys())
    return success();
  return verifyRole(*this, false);
}
LogicalResult ReleaseOp::verify() { return verifyRole(*this, false); }

LogicalResult PipeOp::verify() {
  if (roleOf(*this))
    return emitOpError("expects to stand outside of roles, which share it");
  return success();
}

LogicalResult PutOp::verify() {
  if (auto pipe = getPipe().getDefiningOp<PipeOp>();
      pipe && pipe.getCopy() == CopyKind::tma && !getBox())
    return emitOpError("expects boxes, as its pipe copies by tensor maps");
  return verifyRole(*this, true);
}

LogicalResult PutOp::verifyRegions() {
  return verifyGather(*this, getPipe().getType().getTile(), getRows(),
                      getBoxAttr(), getBoxes());
}

LogicalResult GetOp::verify() {
  if (getPipe().getType().getTile() != getType())
    return emitOpError() << "expects a result of "
                         << getPipe().getType().getTile() << ", but got "
                         << getType();
  return verifyRole(*this, false);
}

LogicalResult OverwriteOp::verify() {
  TileType place = getPlace().getType(), result = getResult().getType();
  if (result.withLayout({}) != getTile().getType().withLayout({}))
    return emitOpError() << "expects input and result to differ in layout "
                            "only, but got "
                         << getTile().getType() << " and " << result;
  if (place.getLayout() != result.getLayout() ||
      place.getRows() != result.getRows())
    return emitOpError() << "expects a result of " << place.getRows()
                         << " rows that lives where the old tile does, but got "
                         << place << " and " << result;
  auto bitsOf = [](TileType type) {
    return type.getElementType().getIntOrFloatBitWidth();
  };
  bool isShared = isa_and_present<SharedAttr>(place.getLayout());
  if (bitsOf(place) != bitsOf(result) ||
      (isShared && SharedLayout(result).bytes() > SharedLayout(place).bytes()))
    return emitOpError() << "expects a tile that fits where " << place
                         << " is, but got " << result;
  return success();
}

LogicalResult IssueDotOp::verify() {
  if (failed(verifyProduct(*this, getLhs().getType(), getRhs().getType(),
                           getAccumulator(), getTransposed(),
                           getType().getTile())))
    return failure();
  if (!getResult().hasOneUse())
    return emitOpError("expects one wait for its result, but got ")
           << std::distance(getResult().use_begin(), getResult().use_end());
  return success();
}

LogicalResult AwaitOp::verify() {
  if (getProduct().getType().getTile() != getResult().getType())
    return emitOpError() << "expects a result of "
                         << getProduct().getType().getTile() << ", but got "
                         << getResult().getType();
  if (getKeep().getTypes() != getKept().getTypes())
    return emitOpError("expects to give on the tiles that it keeps, but gets (")
           << getKeep().getTypes() << ") and gives (" << getKept().getTypes()
           << ")";
  Operation *issue = getProduct().getDefiningOp();
  if (!issue || issue->getBlock() != (*this)->getBlock())
    return success();
  int64_t later = 0;
  for (Operation *op = issue->getNextNode(); op && op != *this;
       op = op->getNextNode())
    later += isa<IssueDotOp>(op);
  if (later != int64_t(getPending()))
    return emitOpError("expects to leave ")
           << later << " products pending, which were issued after its own, "
           << "but got " << getPending();
  return success();
}
