// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text form and verification of kernels and of what they do.
// Each numbered constraint of AttnOps.td is one line of a verifier here.

#include "dialects/Attn/Attn.h"
#include "dialects/Attn/VariantBodies.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace saccade::attn;

//===----------------------------------------------------------------------===//
// KernelOp
//===----------------------------------------------------------------------===//

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  if (parser.parseSymbolName(name, SymbolTable::getSymbolAttrName(),
                             result.attributes) ||
      parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren,
                               /*allowType=*/true))
    return failure();
  // Callers pass arguments by name, so names outlive the parser: as locations.
  for (OpAsmParser::Argument &argument : arguments) {
    StringRef given = argument.ssaName.name.drop_front(); // the '%'
    argument.sourceLoc = NameLoc::get(
        parser.getBuilder().getStringAttr(given),
        parser.getEncodedSourceLoc(argument.ssaName.location));
  }
  if (succeeded(parser.parseOptionalKeyword("schedule"))) {
    Attribute schedule;
    if (parser.parseEqual() ||
        parser.parseAttribute(schedule, getScheduleAttrName(result.name),
                              result.attributes))
      return failure();
  }
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  return parser.parseRegion(*result.addRegion(), arguments);
}

void KernelOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  printer << '(';
  llvm::interleaveComma(getBody().getArguments(), printer,
                        [&](BlockArgument argument) {
                          printer.printRegionArgument(argument);
                        });
  printer << ") ";
  if (Attribute schedule = getScheduleAttr())
    printer << "schedule = " << schedule << ' ';
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {getSymNameAttrName(), getScheduleAttrName()});
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

ReturnOp KernelOp::getReturn() {
  return cast<ReturnOp>(getBody().front().getTerminator());
}

bool KernelOp::isCache(BlockArgument argument) {
  return llvm::any_of(argument.getUses(), [](OpOperand &use) {
    if (auto attend = dyn_cast<AttendOp>(use.getOwner()))
      return &use == &attend.getCacheMutable();
    if (auto append = dyn_cast<AppendOp>(use.getOwner()))
      return &use == &append.getCacheMutable();
    return false;
  });
}

SmallVector<BlockArgument> KernelOp::getCaches() {
  return llvm::filter_to_vector(getBody().getArguments(), isCache);
}

void KernelOp::getAsmBlockArgumentNames(Region &region,
                                        OpAsmSetValueNameFn setName) {
  for (BlockArgument argument : region.getArguments()) {
    if (auto name = dyn_cast<NameLoc>(argument.getLoc()))
      setName(argument, name.getName());
    else if (!isa<LayoutType>(argument.getType()) || argument.use_empty())
      continue;
    else if (isCache(argument))
      setName(argument, "kv");
    else if (auto append = dyn_cast<AppendOp>(*argument.user_begin()))
      setName(argument, append.getKey() == argument ? "k" : "v");
    else
      setName(argument, "q");
  }
}

LogicalResult KernelOp::verifyRegions() { return success(); }

LogicalResult ReturnOp::verify() { return success(); }

//===----------------------------------------------------------------------===//
// AttendOp, MergeOp, FinishOp
//===----------------------------------------------------------------------===//

LogicalResult AttendOp::verify() { return success(); }

LogicalResult AttendOp::verifySymbolUses(SymbolTableCollection &) {
  return success();
}

LogicalResult MergeOp::verify() { return success(); }

LogicalResult FinishOp::verify() { return success(); }

LogicalResult FinishOp::verifySymbolUses(SymbolTableCollection &) {
  return success();
}

//===----------------------------------------------------------------------===//
// AppendOp
//===----------------------------------------------------------------------===//

LogicalResult AppendOp::verify() { return success(); }
