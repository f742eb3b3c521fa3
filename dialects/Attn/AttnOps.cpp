// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verification of what kernels do: attend, resume, merge, finish, append,
// map_rows. Each numbered constraint of AttnOps.td is one line of a verifier
// here.

#include "dialects/Attn/Attn.h"
#include "dialects/Attn/VariantBodies.h"

using namespace mlir;
using namespace saccade::attn;

//===----------------------------------------------------------------------===//
// What attend, finish and append share
//===----------------------------------------------------------------------===//

namespace {
/// What a state was merged from: its first attend, and its first source of
/// either kind; null if there is none.
struct Sources {
  AttendOp attend;
  Operation *first = nullptr;

  /// How its rows lie: as queries, or as an output.
  LayoutType getLayout() const {
    if (auto resume = dyn_cast<ResumeOp>(first))
      return resume.getOutput().getType();
    return cast<AttendOp>(first).getQuery().getType();
  }
};
} // namespace

/// Looks at operations before `user` only: these are verified, so states are
/// trees of them, and end.
static Sources findSources(Operation *user, Value state) {
  Sources sources;
  SmallVector<Value> left{state};
  while (!left.empty()) {
    Operation *op = left.pop_back_val().getDefiningOp();
    if (!op || op->getBlock() != user->getBlock() || !op->isBeforeInBlock(user))
      return {};
    if (auto merge = dyn_cast<MergeOp>(op)) {
      left.append({merge.getRhs(), merge.getLhs()});
      continue;
    }
    if (!isa<AttendOp, ResumeOp>(op))
      return {};
    if (!sources.first)
      sources.first = op;
    sources.attend = dyn_cast<AttendOp>(op);
    if (sources.attend)
      break; // later ones agree with it
  }
  return sources;
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

template <typename OpTy> static SmallVector<Value> scalesOf(OpTy op) {
  SmallVector<Value> scales;
  for (Value scale : {op.getKeyScale(), op.getValueScale()})
    if (scale)
      scales.push_back(scale);
  return scales;
}

SmallVector<Value> AttendOp::getScales() { return scalesOf(*this); }

int64_t AttendOp::getGroup() {
  return getQuery().getType().getHeads() / getCache().getType().getHeads();
}
SmallVector<Value> AppendOp::getScales() { return scalesOf(*this); }

/// Queries and outputs are what attention computes with.
static LogicalResult verifyWide(Operation *op, StringRef what, Type element) {
  if (!isEightBits(element))
    return success();
  return op->emitOpError("expects element type of ")
         << what << " to be f32, bf16 or f16, but got " << element;
}

static LogicalResult verifyScales(Operation *op, ValueRange scales) {
  for (Value scale : scales)
    if (auto table = dyn_cast<PerHeadType>(scale.getType());
        table && !table.getElementType().isF32())
      return op->emitOpError("expects tables of scales to hold f32, but got ")
             << table;
  return success();
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
  if (failed(verifyWide(*this, "the queries", query.getElementType()))) // 3
    return failure();
  if (query.getElementType() != cache.getElementType() &&
      !isEightBits(cache.getElementType())) // 3
    return emitOpError("expects element type of the cache to be ")
           << query.getElementType() << ", f8E4M3FN or f8E5M2, but got "
           << cache.getElementType();
  StateType state = getState().getType();
  if (failed(verifyEqual(*this, "heads of the state", query.getHeads(),
                         state.getHeads())) ||
      failed(verifyEqual(*this, "value dim of the state", cache.getValueDim(),
                         state.getValueDim())) ||      // 5
      failed(verifyOneDim(*this, "queries", query)) || // 6
      failed(verifyUsedOnce(*this, getState())) ||     // 9
      failed(verifyScales(*this, getScales())))        // 10
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

LogicalResult ResumeOp::verify() {
  StateType state = getState().getType();
  LayoutType output = getOutput().getType();
  if (!isArgument(getOutput()) || !isArgument(getLse())) // 1
    return emitOpError("expects output and LSE to be arguments of the kernel");
  if (failed(verifyEqual(*this, "heads of the output", state.getHeads(),
                         output.getHeads())) ||
      failed(verifyEqual(*this, "heads of the LSE", state.getHeads(),
                         getLse().getType().getHeads())) ||
      failed(verifyEqual(*this, "head dim of the output", state.getValueDim(),
                         output.getHeadDim()))) // 2
    return failure();
  if (state.getNormalizer() != Normalizer::softmax) // 3
    return emitOpError("expects a state of the normalizer softmax, but got ")
           << stringifyNormalizer(state.getNormalizer());
  return success(succeeded(verifyOneDim(*this, "the output", output)) && // 4
                 succeeded(verifyWide(*this, "the output",
                                      output.getElementType())) && // 5
                 succeeded(verifyUsedOnce(*this, getState())));    // 6
}

LogicalResult MergeOp::verify() {
  Sources left = findSources(*this, getLhs());
  Sources right = findSources(*this, getRhs());
  if (!left.first || !right.first)
    return emitOpError("expects states made by attn.attend or attn.resume");
  AttendOp lhs = left.attend, rhs = right.attend;
  if (lhs && rhs && lhs.getVariantAttr() != rhs.getVariantAttr()) // 2
    return emitOpError("expects both states to be of variant ")
           << lhs.getVariantAttr() << ", but got " << rhs.getVariantAttr();
  if (lhs && rhs && lhs.getQuery() != rhs.getQuery()) // 3
    return emitOpError("expects both states to be of the same queries");
  return verifyUsedOnce(*this, getResult()); // 4
}

LogicalResult FinishOp::verify() {
  StateType state = getState().getType();
  LayoutType output = getOutput().getType();
  Sources sources = findSources(*this, getState());
  if (!sources.first)
    return emitOpError("expects a state made by attn.attend or attn.resume");
  if (failed(verifyEqual(*this, "heads of the output", state.getHeads(),
                         output.getHeads())) ||
      failed(verifyEqual(*this, "head dim of the output", state.getValueDim(),
                         output.getHeadDim())) ||
      (getLse() &&
       failed(verifyEqual(*this, "heads of the LSE", state.getHeads(),
                          getLse().getType().getHeads())))) // 2
    return failure();
  bool ragged = isa<RaggedType>(sources.getLayout());
  if (ragged != isa<RaggedType>(output)) // 3
    return emitOpError("expects the output to be ")
           << (ragged ? "ragged" : "dense") << " as the "
           << (isa<AttendOp>(sources.first) ? "queries are" : "resumed one is")
           << ", but got " << output;
  if (getLse() && state.getNormalizer() != Normalizer::softmax) // 5
    return emitOpError(
               "expects an LSE of the normalizer softmax only, but got ")
           << stringifyNormalizer(state.getNormalizer());
  if (failed(verifyOneDim(*this, "the output", output)) ||              // 7
      failed(verifyWide(*this, "the output", output.getElementType()))) // 10
    return failure();
  AttendOp attend = sources.attend;
  if (attend && getVariantAttr() != attend.getVariantAttr()) // 8
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

/// New keys or values: rows of the cache's heads, element type (or a wider one)
/// and `dim`.
static LogicalResult verifyNewTokens(AppendOp op, StringRef what, Value tokens,
                                     int64_t dim, Value scale) {
  auto type = cast<LayoutType>(tokens.getType());
  LayoutType cache = op.getCache().getType();
  std::string text = what.str();
  if (failed(verifyEqual(op, "heads of the " + text, cache.getHeads(),
                         type.getHeads())) ||
      failed(
          verifyEqual(op, "head dim of the " + text, dim, type.getHeadDim())) ||
      failed(verifyOneDim(op, what, type)))
    return failure();
  Type element = type.getElementType(), stored = cache.getElementType();
  bool wider = isEightBits(stored) && !isEightBits(element);
  if (element != stored && !wider)
    return op.emitOpError("expects element type of the ")
           << what << " to be " << stored
           << (isEightBits(stored) ? ", f32, bf16 or f16" : "") << ", but got "
           << element;
  if (scale && !wider) // 6
    return op.emitOpError("expects a scale of ")
           << what << " that are wider than the cache's " << stored
           << ", but got " << element;
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
  if (failed(verifyNewTokens(*this, "keys", getKey(), cache.getHeadDim(),
                             getKeyScale())) ||
      failed(verifyNewTokens(*this, "values", getValue(), cache.getValueDim(),
                             getValueScale())) || // 2
      failed(verifyScales(*this, getScales())))   // 7
    return failure();
  if (isa<RaggedType>(getKey().getType()) !=
      isa<RaggedType>(getValue().getType())) // 5
    return emitOpError("expects keys and values both ragged or both dense, but "
                       "got ")
           << getKey().getType() << " and " << getValue().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// MapRowsOp
//===----------------------------------------------------------------------===//

LogicalResult MapRowsOp::verify() {
  LayoutType tokens = getTokens().getType(), output = getOutput().getType();
  if (!isArgument(getTokens())) // 2
    return emitOpError("expects tokens to be an argument of the kernel");
  if (failed(verifyEqual(*this, "heads of the output", tokens.getHeads(),
                         output.getHeads())) ||
      failed(verifyEqual(*this, "head dim of the output", tokens.getHeadDim(),
                         output.getHeadDim()))) // 3
    return failure();
  if (isa<RaggedType>(tokens) != isa<RaggedType>(output)) // 3
    return emitOpError("expects tokens and output both ragged or both dense, "
                       "but got ")
           << tokens << " and " << output;
  for (auto [what, type] :
       {std::pair("the tokens", tokens), std::pair("the output", output)}) // 4
    if (failed(verifyWide(*this, what, type.getElementType())) ||
        failed(verifyOneDim(*this, what, type)))
      return failure();
  if (use_empty()) // 5
    return emitOpError("expects its output to be returned");
  return success();
}

LogicalResult MapRowsOp::verifySymbolUses(SymbolTableCollection &tables) {
  FailureOr<VariantOp> variant = resolveVariant(
      *this, getVariantAttr(), getParameters().getTypes(), tables); // 1
  if (failed(variant))
    return failure();
  if (!variant->getBodyOf<QueryOp>()) // 1
    return noteVariant(emitOpError("expects ")
                           << getVariantAttr() << " to have an attn.query",
                       *variant);
  return verifyRows<QueryOp>(*this, *variant,
                             getTokens().getType().getHeadDim()); // 3
}
