// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text form and verification of kernels and of what they do.
// Each numbered constraint of AttnOps.td is one line of a verifier here.

#include "dialects/Attn/Attn.h"
#include "dialects/Attn/VariantBodies.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
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
  llvm::interleaveComma(
      getBody().getArguments(), printer,
      [&](BlockArgument argument) { printer.printRegionArgument(argument); });
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

/// PTX and the linkers take these names as they are.
static bool isIdentifier(StringRef name) {
  return !name.empty() && name.size() <= 256 && !llvm::isDigit(name.front()) &&
         llvm::all_of(name,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

/// Each layout argument is either one tensor or a cache, and not idle.
static LogicalResult verifyRole(KernelOp kernel, BlockArgument argument) {
  if (!isa<LayoutType>(argument.getType()))
    return success();
  auto fail = [&](StringRef what) {
    return kernel.emitOpError("expects argument #")
           << argument.getArgNumber() << what;
  };
  if (argument.use_empty())
    return fail(" to be used as queries, a cache, or new keys or values");
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
    if (!isa<LayoutType>(argument.getType()) &&
        !isParameterType(argument.getType())) // 1
      return emitOpError("expects arguments to be layouts, f32, i32 or tables, "
                         "but #")
             << argument.getArgNumber() << " is " << argument.getType();
    if (failed(verifyRole(*this, argument))) // 7
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
    if (!operand.get().getDefiningOp<FinishOp>()) // 1
      return emitOpError("expects results made by attn.finish, but #")
             << operand.getOperandNumber() << " is not";
    if (!seen.insert(operand.get()).second) // 3
      return emitOpError("expects to return each result once, but #")
             << operand.getOperandNumber() << " repeats another";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// What attend, finish and append share
//===----------------------------------------------------------------------===//

/// The first of the attends that `user`'s state was merged from, null if there
/// is none. Looks at earlier operations only: these are verified, and a chain
/// of them ends.
static AttendOp getFirstAttend(Operation *user, Value state) {
  while (Operation *op = state.getDefiningOp()) {
    if (op->getBlock() != user->getBlock() || !op->isBeforeInBlock(user))
      return {};
    auto merge = dyn_cast<MergeOp>(op);
    if (!merge)
      return dyn_cast<AttendOp>(op);
    user = op;
    state = merge.getLhs();
  }
  return {};
}

static bool isArgument(Value value) { return isa<BlockArgument>(value); }

static InFlightDiagnostic noteVariant(InFlightDiagnostic diag,
                                      VariantOp variant) {
  diag.attachNote(variant.getLoc()) << "variant is here";
  return diag;
}

/// Resolves the variant and checks the parameters that `op` gives it.
static FailureOr<VariantOp> resolveVariant(Operation *op,
                                           FlatSymbolRefAttr name,
                                           TypeRange parameters,
                                           SymbolTableCollection &tables) {
  auto variant = tables.lookupNearestSymbolFrom<VariantOp>(op, name);
  if (!variant)
    return op->emitOpError("expects ") << name << " to be a variant";
  TypeRange expected = variant.getParameterTypes();
  if (expected.size() != parameters.size())
    return noteVariant(op->emitOpError("expects ")
                           << expected.size() << " parameters of " << name
                           << ", but got " << parameters.size(),
                       variant);
  for (auto [i, want, got] : llvm::enumerate(expected, parameters))
    if (want != got)
      return noteVariant(op->emitOpError("expects parameter #")
                             << i << " of " << name << " to be " << want
                             << ", but got " << got,
                         variant);
  return variant;
}

template <typename BodyOp>
static LogicalResult verifyRows(Operation *op, VariantOp variant, int64_t dim) {
  auto body = variant.getBodyOf<BodyOp>();
  if (!body)
    return success();
  std::optional<int64_t> length =
      getRowLength(body.getBody().getArgument(0).getType());
  if (length == dim)
    return success();
  InFlightDiagnostic diag = op->emitOpError("expects ")
                            << body->getName() << " to take rows of " << dim
                            << " elements, but got "
                            << body.getBody().getArgument(0).getType();
  diag.attachNote(body.getLoc()) << "body is here";
  return diag;
}

static LogicalResult verifyNormalizer(Operation *op, VariantOp variant,
                                      StateType state) {
  if (variant.getNormalizer() == state.getNormalizer())
    return success();
  return noteVariant(op->emitOpError("expects the state's normalizer to be ")
                         << stringifyNormalizer(variant.getNormalizer())
                         << ", but got "
                         << stringifyNormalizer(state.getNormalizer()),
                     variant);
}

/// Expects `what` (heads, head dim, ...) of two things to be one number.
static LogicalResult verifyEqual(Operation *op, StringRef what,
                                 int64_t expected, int64_t got) {
  if (expected == got)
    return success();
  return op->emitOpError("expects ")
         << what << " to be " << expected << ", but got " << got;
}

/// Queries, outputs, new keys and values are one tensor: one head dim.
static LogicalResult verifyOneDim(Operation *op, StringRef what,
                                  LayoutType type) {
  if (type.getHeadDim() == type.getValueDim())
    return success();
  return op->emitOpError("expects ")
         << what << " to have no value dim of its own, but got "
         << type.getValueDim();
}

static LogicalResult verifyUsedOnce(Operation *op, Value state) {
  if (state.hasOneUse())
    return success();
  return op->emitOpError("expects its state to be used once, but it has ")
         << std::distance(state.use_begin(), state.use_end()) << " uses";
}

//===----------------------------------------------------------------------===//
// AttendOp, MergeOp, FinishOp
//===----------------------------------------------------------------------===//

LogicalResult AttendOp::verify() {
  LayoutType query = getQuery().getType(), cache = getCache().getType();
  if (query.getHeads() % cache.getHeads() != 0) // 1
    return emitOpError("expects query heads to be a multiple of the cache's ")
           << cache.getHeads() << ", but got " << query.getHeads();
  if (failed(verifyEqual(*this, "head dim of the cache", query.getHeadDim(),
                         cache.getHeadDim()))) // 2
    return failure();
  if (query.getElementType() != cache.getElementType()) // 3
    return emitOpError("expects element type of the cache to be ")
           << query.getElementType() << ", but got " << cache.getElementType();
  StateType state = getState().getType();
  if (failed(verifyEqual(*this, "heads of the state", query.getHeads(),
                         state.getHeads())) ||
      failed(verifyEqual(*this, "value dim of the state", cache.getValueDim(),
                         state.getValueDim())) ||      // 5
      failed(verifyOneDim(*this, "queries", query)) || // 6
      failed(verifyUsedOnce(*this, getState())))       // 9
    return failure();
  if (!isArgument(getQuery())) // 8
    return emitOpError("expects queries to be an argument of the kernel");
  if (!isArgument(getCache()) && !getCache().getDefiningOp<AppendOp>()) // 8
    return emitOpError("expects the cache to be an argument of the kernel or "
                       "the result of attn.append");
  return success();
}

LogicalResult AttendOp::verifySymbolUses(SymbolTableCollection &tables) {
  FailureOr<VariantOp> variant = resolveVariant(
      *this, getVariantAttr(), getParameters().getTypes(), tables); // 4
  if (failed(variant) ||
      failed(verifyNormalizer(*this, *variant, getState().getType()))) // 5
    return failure();
  int64_t dim = getQuery().getType().getHeadDim();
  return success(succeeded(verifyRows<QueryOp>(*this, *variant, dim)) && // 7
                 succeeded(verifyRows<KeyOp>(*this, *variant, dim)) &&
                 succeeded(verifyRows<ValueOp>(
                     *this, *variant, getCache().getType().getValueDim())));
}

LogicalResult MergeOp::verify() {
  AttendOp lhs = getFirstAttend(*this, getLhs());
  AttendOp rhs = getFirstAttend(*this, getRhs());
  if (!lhs || !rhs)
    return emitOpError("expects states made by attn.attend");
  if (lhs.getVariantAttr() != rhs.getVariantAttr()) // 2
    return emitOpError("expects both states to be of variant ")
           << lhs.getVariantAttr() << ", but got " << rhs.getVariantAttr();
  if (lhs.getQuery() != rhs.getQuery()) // 3
    return emitOpError("expects both states to be of the same queries");
  return verifyUsedOnce(*this, getResult()); // 4
}

LogicalResult FinishOp::verify() {
  StateType state = getState().getType();
  LayoutType output = getOutput().getType();
  AttendOp attend = getFirstAttend(*this, getState());
  if (!attend)
    return emitOpError("expects a state made by attn.attend");
  if (failed(verifyEqual(*this, "heads of the output", state.getHeads(),
                         output.getHeads())) ||
      failed(verifyEqual(*this, "head dim of the output", state.getValueDim(),
                         output.getHeadDim())) ||
      (getLse() &&
       failed(verifyEqual(*this, "heads of the LSE", state.getHeads(),
                          getLse().getType().getHeads())))) // 2
    return failure();
  LayoutType query = attend.getQuery().getType();
  if (isa<RaggedType>(query) != isa<RaggedType>(output)) // 3
    return emitOpError("expects the output to be ")
           << (isa<RaggedType>(query) ? "ragged" : "dense")
           << " as the queries are, but got " << output;
  if (getLse() && state.getNormalizer() != Normalizer::softmax) // 5
    return emitOpError(
               "expects an LSE of the normalizer softmax only, but got ")
           << stringifyNormalizer(state.getNormalizer());
  if (failed(verifyOneDim(*this, "the output", output))) // 7
    return failure();
  if (getVariantAttr() != attend.getVariantAttr()) // 8
    return emitOpError("expects variant ")
           << attend.getVariantAttr() << " of the state, but got "
           << getVariantAttr();
  if (use_empty()) // 9
    return emitOpError("expects one of its results to be returned");
  return success();
}

LogicalResult FinishOp::verifySymbolUses(SymbolTableCollection &tables) {
  FailureOr<VariantOp> variant = resolveVariant(
      *this, getVariantAttr(), getParameters().getTypes(), tables); // 1
  if (failed(variant) ||
      failed(verifyNormalizer(*this, *variant, getState().getType()))) // 4
    return failure();
  return verifyRows<OutputOp>(*this, *variant,
                              getState().getType().getValueDim()); // 6
}

//===----------------------------------------------------------------------===//
// AppendOp
//===----------------------------------------------------------------------===//

/// New keys or values: rows of the cache's heads, element type and `dim`.
static LogicalResult verifyNewTokens(AppendOp op, StringRef what, Value tokens,
                                     int64_t dim) {
  auto type = cast<LayoutType>(tokens.getType());
  LayoutType cache = op.getCache().getType();
  std::string text = what.str();
  if (failed(verifyEqual(op, "heads of the " + text, cache.getHeads(),
                         type.getHeads())) ||
      failed(
          verifyEqual(op, "head dim of the " + text, dim, type.getHeadDim())) ||
      failed(verifyOneDim(op, what, type)))
    return failure();
  if (type.getElementType() != cache.getElementType())
    return op.emitOpError("expects element type of the ")
           << what << " to be " << cache.getElementType() << ", but got "
           << type.getElementType();
  if (!isArgument(tokens))
    return op.emitOpError("expects ")
           << what << " to be an argument of the kernel";
  return success();
}

LogicalResult AppendOp::verify() {
  LayoutType cache = getCache().getType();
  if (!isArgument(getCache()) || !isa<PagedType>(cache)) // 1
    return emitOpError("expects the cache to be paged and an argument of the "
                       "kernel");
  if (failed(verifyNewTokens(*this, "keys", getKey(), cache.getHeadDim())) ||
      failed(verifyNewTokens(*this, "values", getValue(),
                             cache.getValueDim()))) // 2
    return failure();
  if (isa<RaggedType>(getKey().getType()) !=
      isa<RaggedType>(getValue().getType())) // 5
    return emitOpError("expects keys and values both ragged or both dense, but "
                       "got ")
           << getKey().getType() << " and " << getValue().getType();
  return success();
}
