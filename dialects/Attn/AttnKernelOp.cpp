// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text form of kernels, and the rules that look at a kernel as a whole. These
// run when its operations are verified one by one, so they may read all of
// them.

#include "dialects/Attn/ArgumentNames.h"
#include "dialects/Attn/Attn.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"

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
  // Callers pass arguments by name, so names outlive the parser.
  keepNames(parser, arguments);
  if (succeeded(parser.parseOptionalKeyword("schedule"))) {
    Attribute schedule;
    if (parser.parseEqual() ||
        parser.parseAttribute(schedule, getScheduleAttrName(result.name),
                              result.attributes))
      return failure();
  }
  SMLoc loc = parser.getCurrentLocation();
  NamedAttrList others;
  if (parser.parseOptionalAttrDictWithKeyword(others))
    return failure();
  if (others.get(getScheduleAttrName(result.name)))
    return parser.emitError(loc, "expects the schedule in front of the "
                                 "attributes, as in: schedule = #...");
  result.addAttributes(others);
  return parser.parseRegion(*result.addRegion(), arguments);
}

void KernelOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  printer << '(';
  llvm::interleaveComma(
      getBody().getArguments(), printer,
      [&](BlockArgument argument) { printer.printRegionArgument(argument); });
  printer << ')';
  if (Attribute schedule = getScheduleAttr())
    printer << " schedule = " << schedule;
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {getSymNameAttrName(), getScheduleAttrName()});
  printer << ' ';
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

/// Heads that one use of a table over heads asks for; 0: it asks for none.
static int64_t getTableHeads(OpOperand &use) {
  auto isScale = [&](auto op) {
    return (op.getKeyScale() && &use == &op.getKeyScaleMutable()[0]) ||
           (op.getValueScale() && &use == &op.getValueScaleMutable()[0]);
  };
  Operation *user = use.getOwner();
  if (auto append = dyn_cast<AppendOp>(user))
    return append.getCache().getType().getHeads();
  if (auto attend = dyn_cast<AttendOp>(user))
    return isScale(attend) ? attend.getCache().getType().getHeads()
                           : attend.getQuery().getType().getHeads();
  if (auto map = dyn_cast<MapRowsOp>(user))
    return map.getTokens().getType().getHeads();
  auto finish = dyn_cast<FinishOp>(user);
  return finish ? finish.getState().getType().getHeads() : 0;
}

int64_t KernelOp::getTableHeads(BlockArgument table) {
  return table.use_empty() ? 0 : ::getTableHeads(*table.use_begin());
}

void KernelOp::getAsmBlockArgumentNames(Region &region,
                                        OpAsmSetValueNameFn setName) {
  for (BlockArgument argument : region.getArguments())
    if (StringRef name = getKeptName(argument); !name.empty())
      setName(argument, name);
}

/// PTX and the linkers take these names as they are.
static bool isIdentifier(StringRef name) {
  return !name.empty() && name.size() <= 256 && !llvm::isDigit(name.front()) &&
         llvm::all_of(name,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

/// Each layout argument is either one tensor or a cache, and not idle.
static LogicalResult verifyRole(KernelOp kernel, BlockArgument argument) {
  if (!isa<LayoutType, LseType>(argument.getType()))
    return success();
  auto fail = [&](StringRef what) {
    return kernel.emitOpError("expects argument #")
           << argument.getArgNumber() << what;
  };
  if (argument.use_empty())
    return fail(
        " to be used as queries, a cache, new keys or values, an output "
        "that is resumed or its LSE, or mapped tokens");
  bool isCache = KernelOp::isCache(argument);
  for (OpOperand &use : argument.getUses()) {
    auto attend = dyn_cast<AttendOp>(use.getOwner());
    auto append = dyn_cast<AppendOp>(use.getOwner());
    bool asCache = (attend && &use == &attend.getCacheMutable()) ||
                   (append && &use == &append.getCacheMutable());
    if (asCache != isCache)
      return fail(" to be either a cache or one tensor, but it is both");
  }
  return success();
}

/// A table over heads has one length.
static LogicalResult verifyTable(KernelOp kernel, BlockArgument table) {
  if (!isa<PerHeadType>(table.getType()))
    return success();
  int64_t heads = KernelOp::getTableHeads(table);
  for (OpOperand &use : table.getUses())
    if (getTableHeads(use) != heads)
      return kernel.emitOpError("expects argument #")
             << table.getArgNumber() << " to be a table over one number of "
             << "heads, but it is over " << heads << " and over "
             << getTableHeads(use);
  return success();
}

/// What an append asks of the kernel around it.
static LogicalResult verifyAppended(KernelOp kernel, AppendOp append) {
  BlockArgument last = kernel.getCaches().back();
  if (last != append.getCache()) // append 3
    return append.emitOpError("expects its cache to be the last of the "
                              "kernel's, but argument #")
           << last.getArgNumber() << " is a later one";
  if (!append.getCache().hasOneUse()) // append 4
    return append.emitOpError("expects its cache to have no other use; attend "
                              "over the result instead");
  return success();
}

Value KernelOp::getRows(Operation *op) {
  if (auto attend = dyn_cast<AttendOp>(op))
    return attend.getQuery();
  if (auto resume = dyn_cast<ResumeOp>(op))
    return resume.getOutput();
  auto map = dyn_cast<MapRowsOp>(op);
  return map ? map.getTokens() : Value();
}

/// The rows that a kernel computes are cut into items once.
static LogicalResult verifyRows(KernelOp kernel) {
  LayoutType first;
  for (Operation &op : kernel.getBody().front()) {
    Value rows = KernelOp::getRows(&op);
    if (!rows)
      continue;
    auto type = cast<LayoutType>(rows.getType());
    if (!first)
      first = type;
    if (type.getHeads() != first.getHeads() ||
        isa<RaggedType>(type) != isa<RaggedType>(first)) // 10
      return op.emitOpError("expects ")
             << first.getHeads() << " heads, "
             << (isa<RaggedType>(first) ? "ragged" : "dense")
             << ", as the kernel's rows before, but got " << type;
    if (isa<MapRowsOp>(op) &&
        !kernel.getBody().getOps<AttendOp>().empty()) // 11
      return op.emitOpError("expects a kernel that does not attend");
  }
  return success();
}

LogicalResult KernelOp::verifyRegions() {
  Block &block = getBody().front();
  if (!isIdentifier(getSymName())) // 5
    return emitOpError("expects its name to be an identifier of at most 256 "
                       "letters, digits and _, but got '")
           << getSymName() << "'";
  if (block.getNumArguments() > kMaxArguments) // 6
    return emitOpError("expects at most ")
           << kMaxArguments << " arguments, but got "
           << block.getNumArguments();
  for (BlockArgument argument : block.getArguments()) {
    if (!isa<LayoutType, LseType>(argument.getType()) &&
        !isParameterType(argument.getType())) // 1
      return emitOpError("expects arguments to be layouts, LSEs, f32, i32 or "
                         "tables, but #")
             << argument.getArgNumber() << " is " << argument.getType();
    if (failed(verifyRole(*this, argument)) || // 7
        failed(verifyTable(*this, argument)))  // 9
      return failure();
  }
  if (!isa<ReturnOp>(block.getTerminator())) // 2
    return block.getTerminator()->emitOpError(
        "cannot end a kernel, expects attn.return");

  Type queries;
  for (Operation &op : block) {
    if (op.getDialect() != (*this)->getDialect()) { // 8
      auto constant = dyn_cast<arith::ConstantOp>(op);
      if (!constant || !isa<IntegerAttr, FloatAttr>(constant.getValue()) ||
          !isParameterType(constant.getType()))
        return op.emitError()
               << "expects only attn operations and constants of f32 or i32 in "
                  "a kernel, but got "
               << op.getName();
    }
    auto append = dyn_cast<AppendOp>(op);
    if (append && failed(verifyAppended(*this, append)))
      return failure();
    auto attend = dyn_cast<AttendOp>(op);
    if (!attend)
      continue;
    if (queries && queries != attend.getQuery().getType()) // 3
      return attend.emitOpError("expects all queries of the kernel to be ")
             << queries << ", but got " << attend.getQuery().getType();
    queries = attend.getQuery().getType();
  }
  if (failed(verifyRows(*this)))
    return failure();
  if (getReturn()->getNumOperands() == 0 &&
      block.getOps<AppendOp>().empty()) // 4
    return emitOpError("expects to return something or to append");
  return success();
}

LogicalResult ReturnOp::verify() {
  if (getNumOperands() > kMaxResults) // 2
    return emitOpError("expects at most ")
           << kMaxResults << " results, but got " << getNumOperands();
  SmallPtrSet<Value, 4> seen;
  for (OpOperand &operand : (*this)->getOpOperands()) {
    Operation *maker = operand.get().getDefiningOp();
    if (!isa_and_present<FinishOp, MapRowsOp>(maker)) // 1
      return emitOpError(
                 "expects results made by attn.finish or attn.map_rows, but #")
             << operand.getOperandNumber() << " is not";
    if (!seen.insert(operand.get()).second) // 3
      return emitOpError("expects to return each result once, but #")
             << operand.getOperandNumber() << " repeats another";
  }
  return success();
}
