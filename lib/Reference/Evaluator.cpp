// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Evaluates kernels as the dialect's text says: for each row the logits of all
// keys, then the state, merged and finished. Only keys and values after
// their row functions are shared between query rows; nothing is tiled.

#include "lib/Reference/Evaluator.h"
#include "lib/Reference/Interpreter.h"

#include "dialects/Attn/VariantBodies.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <map>
#include <numeric>

using namespace mlir;
namespace saccade::reference {

static constexpr double kNothing = -std::numeric_limits<double>::infinity();

//===----------------------------------------------------------------------===//
// State algebra
//===----------------------------------------------------------------------===//

namespace {
/// (m, l, O) of one row; with sigmoid and none only O is used.
struct State {
  double max = kNothing, sum = 0;
  Lanes output;

  /// Scales the state to another maximum, at least as large.
  void rebase(double newMax) {
    double factor = max == kNothing ? 0 : std::exp(max - newMax);
    max = newMax;
    sum *= factor;
    for (double &x : output)
      x *= factor;
  }
};
} // namespace

static State merge(State a, State b) {
  double max = std::max(a.max, b.max);
  a.rebase(max);
  b.rebase(max);
  a.sum += b.sum;
  for (auto [x, y] : llvm::zip_equal(a.output, b.output))
    x += y;
  return a;
}

//===----------------------------------------------------------------------===//
// The evaluation of one kernel
//===----------------------------------------------------------------------===//

namespace {
class Evaluation {
public:
  Evaluation(attn::KernelOp kernel, const ReferenceInputs &inputs)
      : kernel(kernel), inputs(inputs) {}

  llvm::Error prepare();
  std::vector<std::vector<double>> run(ArrayRef<Row> rows);
  int64_t heads();

private:
  /// Keys and values of one request and KV head, after their row functions.
  struct Sequence {
    int32_t request = -1, head = -1;
    std::vector<Lanes> keys, values;
    std::vector<int32_t> positions, slots;
  };
  /// An attend or a finish with the bodies of its variant.
  struct Call {
    Body query, key, value, logits, mask, sink, output;
    int cache = -1;      // argument
    bool append = false; // the cache is the result of an append
    double scale = 0;
    Value keyScale, valueScale; // operands, or null
    attn::Normalizer normalizer = attn::Normalizer::softmax;
    Sequence sequence; // the last one asked for
  };

  llvm::Error prepareCall(Operation *op, FlatSymbolRefAttr variant,
                          ValueRange parameters);
  void prepareAppend(attn::AppendOp op);
  template <typename OpTy> llvm::Error checkScales(OpTy op) const;

  const Argument &argumentOf(Value value) const {
    return inputs.arguments[cast<BlockArgument>(value).getArgNumber()];
  }
  int64_t slotOf(int cache, int32_t request, int32_t token) const;
  Lanes readRow(int cache, int32_t request, int32_t token, int32_t head,
                int64_t slot, bool value, bool appended) const;
  double scaleOf(Value scale, int32_t head) const;
  const Sequence &sequenceOf(Call &call, int32_t request, int32_t head);
  bool listed(int cache, const Row &row, int32_t token) const;
  Positions positionsOf(const Row &row) const;
  Lanes tokenRow(Value tokens, const Row &row) const;
  State attend(attn::AttendOp op, const Row &row);
  State resume(attn::ResumeOp op, const Row &row);
  Lanes finish(attn::FinishOp op, State state, const Row &row, double &lse);

  attn::KernelOp kernel;
  const ReferenceInputs &inputs;
  Batch batch;
  DenseMap<Operation *, Call> calls;
  /// Appended rows, by cache argument and slot: (request, new token).
  std::map<std::pair<int, int64_t>, std::pair<int32_t, int32_t>> written;
  DenseMap<int, attn::AppendOp> appends;
};
} // namespace

static attn::LayoutType layoutOf(attn::KernelOp kernel, int argument) {
  return cast<attn::LayoutType>(
      kernel.getBody().front().getArgument(argument).getType());
}

//===----------------------------------------------------------------------===//
// Preparation: lengths, bodies, appended rows
//===----------------------------------------------------------------------===//

llvm::Error Evaluation::prepareCall(Operation *op, FlatSymbolRefAttr name,
                                    ValueRange parameters) {
  attn::VariantOp variant = attn::lookupVariant(op, name);
  SmallVector<const Argument *> values = llvm::map_to_vector(
      parameters, [&](Value value) { return &argumentOf(value); });
  Call &call = calls[op];
  call.normalizer = variant.getNormalizer();
  auto bodyOf = [&](auto kind) -> attn::BodyOpInterface {
    if (auto bodyOp = variant.getBodyOf<decltype(kind)>())
      return cast<attn::BodyOpInterface>(bodyOp.getOperation());
    return {};
  };
  std::pair<Body *, attn::BodyOpInterface> bodies[] = {
      {&call.query, bodyOf(attn::QueryOp())},
      {&call.key, bodyOf(attn::KeyOp())},
      {&call.value, bodyOf(attn::ValueOp())},
      {&call.logits, bodyOf(attn::LogitsOp())},
      {&call.mask, bodyOf(attn::MaskOp())},
      {&call.sink, bodyOf(attn::SinkOp())},
      {&call.output, bodyOf(attn::OutputOp())}};
  for (auto [body, bodyOp] : bodies) {
    llvm::Expected<Body> ready = Body::prepare(bodyOp, values, batch);
    if (!ready)
      return ready.takeError();
    *body = std::move(*ready);
  }
  return llvm::Error::success();
}

/// Token i of q_len goes to position kv_len - q_len + i; writes outside of the
/// cache are dropped.
void Evaluation::prepareAppend(attn::AppendOp op) {
  int index = cast<BlockArgument>(op.getCache()).getArgNumber();
  appends[index] = op;
  const Cache &cache = std::get<Cache>(inputs.arguments[index]);
  int64_t page = cast<attn::PagedType>(op.getCache().getType()).getPage();
  for (int32_t r = 0; r < inputs.requests; ++r)
    for (int32_t i = 0; i < inputs.queryLengths[r]; ++i) {
      int32_t token = cache.lengths[r] - inputs.queryLengths[r] + i;
      if (token < 0)
        continue;
      int64_t id = cache.indices[cache.base[r] + token / page];
      if (id >= 0 && id < cache.keys.batches)
        written[{index, id * page + token % page}] = {r, i};
    }
}

/// Tables of scales are as long as the cache has heads.
template <typename OpTy> llvm::Error Evaluation::checkScales(OpTy op) const {
  int64_t heads = op.getCache().getType().getHeads();
  for (Value scale : op.getScales())
    if (isa<attn::PerHeadType>(scale.getType()))
      if (int64_t size = std::get<Table>(argumentOf(scale)).size; size < heads)
        return llvm::createStringError("expects scales of " + Twine(heads) +
                                       " heads, but got " + Twine(size));
  return llvm::Error::success();
}

llvm::Error Evaluation::prepare() {
  llvm::Expected<Batch> measured = Batch::measure(kernel, inputs);
  if (!measured)
    return measured.takeError();
  batch = std::move(*measured);
  for (Operation &op : kernel.getBody().front()) {
    llvm::Error failed = llvm::Error::success();
    if (auto append = dyn_cast<attn::AppendOp>(op)) {
      prepareAppend(append);
      failed = llvm::joinErrors(std::move(failed), checkScales(append));
    } else if (auto attend = dyn_cast<attn::AttendOp>(op)) {
      failed =
          prepareCall(&op, attend.getVariantAttr(), attend.getParameters());
      Call &call = calls[&op];
      auto append = attend.getCache().getDefiningOp<attn::AppendOp>();
      Value cache = append ? append.getCache() : attend.getCache();
      call.append = !!append;
      call.cache = cast<BlockArgument>(cache).getArgNumber();
      call.scale =
          attend.getScale()
              ? scaleOf(attend.getScale(), /*head=*/0)
              : 1 / std::sqrt(attend.getQuery().getType().getHeadDim());
      failed = llvm::joinErrors(std::move(failed), checkScales(attend));
      call.keyScale = attend.getKeyScale();
      call.valueScale = attend.getValueScale();
    } else if (auto finish = dyn_cast<attn::FinishOp>(op)) {
      failed =
          prepareCall(&op, finish.getVariantAttr(), finish.getParameters());
    } else if (auto map = dyn_cast<attn::MapRowsOp>(op)) {
      failed = prepareCall(&op, map.getVariantAttr(), map.getParameters());
    }
    if (failed)
      return failed;
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Keys and values
//===----------------------------------------------------------------------===//

/// The physical row of a token of a request: page ids out of range are clamped.
int64_t Evaluation::slotOf(int index, int32_t request, int32_t token) const {
  const Cache &cache = std::get<Cache>(inputs.arguments[index]);
  if (auto paged = dyn_cast<attn::PagedType>(layoutOf(kernel, index))) {
    int64_t page = paged.getPage();
    int64_t id = cache.indices[cache.base[request] + token / page];
    id = std::max<int64_t>(0, std::min(id, cache.keys.batches - 1));
    return id * page + token % page;
  }
  return isa<attn::DenseType>(layoutOf(kernel, index))
             ? token
             : cache.base[request] + token;
}

static Lanes copyRow(const Rows &rows, int64_t batch, int64_t token,
                     int64_t head, int64_t size) {
  Lanes row(size);
  for (int64_t i = 0; i < size; ++i)
    row[i] = rows.at(batch, token, head, i);
  return row;
}

Lanes Evaluation::readRow(int index, int32_t request, int32_t token,
                          int32_t head, int64_t slot, bool value,
                          bool appended) const {
  attn::LayoutType type = layoutOf(kernel, index);
  int64_t size = value ? type.getValueDim() : type.getHeadDim();
  if (auto it = written.find({index, slot}); appended && it != written.end()) {
    auto [from, i] = it->second;
    attn::AppendOp append = appends.lookup(index);
    Value tokens = value ? append.getValue() : append.getKey();
    const Rows &rows = std::get<Rows>(argumentOf(tokens));
    Lanes row = isa<attn::DenseType>(tokens.getType())
                    ? copyRow(rows, from, i, head, size)
                    : copyRow(rows, 0, inputs.queryBegin[from] + i, head, size);
    const Cache &cache = std::get<Cache>(inputs.arguments[index]);
    Element stored = value ? cache.values.element : cache.keys.element;
    if (stored == rows.element)
      return row;
    // The quotient is an f32 before it is rounded to the cache's elements.
    float scale =
        scaleOf(value ? append.getValueScale() : append.getKeyScale(), head);
    for (double &x : row)
      x = roundToBytes(static_cast<float>(x) / scale, stored);
    return row;
  }
  const Cache &cache = std::get<Cache>(inputs.arguments[index]);
  const Rows &rows = value ? cache.values : cache.keys;
  if (auto paged = dyn_cast<attn::PagedType>(type))
    return copyRow(rows, slot / paged.getPage(), slot % paged.getPage(), head,
                   size);
  if (isa<attn::DenseType>(type))
    return copyRow(rows, request, token, head, size);
  return copyRow(rows, 0, slot, head, size);
}

/// A scale of a KV head: one number, or the head's in a table; 1 if none is
/// given.
double Evaluation::scaleOf(Value scale, int32_t head) const {
  if (!scale)
    return 1;
  APFloat constant(0.0f);
  if (matchPattern(scale, m_ConstantFloat(&constant)))
    return constant.convertToFloat();
  const Argument &given = argumentOf(scale);
  if (const auto *number = std::get_if<double>(&given))
    return *number;
  const auto &table = std::get<Table>(given);
  return load(table.data, table.element, head);
}

const Evaluation::Sequence &Evaluation::sequenceOf(Call &call, int32_t request,
                                                   int32_t head) {
  Sequence &sequence = call.sequence;
  if (sequence.request == request && sequence.head == head)
    return sequence;
  sequence = {request, head, {}, {}, {}, {}};
  Positions places = positionsOf({request, 0, head});
  auto place = [&](attn::Position p) -> int32_t & { return places[size_t(p)]; };
  const Cache &cache = std::get<Cache>(inputs.arguments[call.cache]);
  for (int32_t token = 0; token < cache.lengths[request]; ++token) {
    int64_t slot = slotOf(call.cache, request, token);
    place(attn::Position::key) = batch.starts[call.cache][request] + token;
    place(attn::Position::slot) = slot;
    auto read = [&](bool value) {
      Lanes row =
          readRow(call.cache, request, token, head, slot, value, call.append);
      double scale = scaleOf(value ? call.valueScale : call.keyScale, head);
      for (double &x : row)
        x *= scale;
      return row;
    };
    sequence.keys.push_back(call.key(read(false), places));
    sequence.values.push_back(call.value(read(true), places));
    sequence.positions.push_back(place(attn::Position::key));
    sequence.slots.push_back(slot);
  }
  return sequence;
}

/// Whether the row block of a query lists the key block of a token; other
/// layouts than block-sparse list everything.
bool Evaluation::listed(int index, const Row &row, int32_t token) const {
  auto sparse = dyn_cast<attn::BlockSparseType>(layoutOf(kernel, index));
  if (!sparse)
    return true;
  const Cache &cache = std::get<Cache>(inputs.arguments[index]);
  int64_t block =
      cache.blockBegin[row.request] + row.token / sparse.getBlockRows();
  auto begin = cache.indices.begin();
  auto end = begin + cache.blockRows[block + 1];
  return std::find(begin + cache.blockRows[block], end,
                   token / sparse.getBlockColumns()) != end;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

Positions Evaluation::positionsOf(const Row &row) const {
  Positions places = {};
  auto place = [&](attn::Position p) -> int32_t & { return places[size_t(p)]; };
  int32_t queryLength = inputs.queryLengths[row.request];
  int32_t length = batch.sequenceLengths[row.request];
  place(attn::Position::query) = length - queryLength + row.token;
  place(attn::Position::head) = row.head;
  place(attn::Position::request) = row.request;
  place(attn::Position::q_len) = queryLength;
  place(attn::Position::kv_len) = length;
  return places;
}

static double dot(const Lanes &a, const Lanes &b) {
  double sum = 0;
  for (auto [x, y] : llvm::zip_equal(a, b))
    sum += x * y;
  return sum;
}

/// A row of queries, or of what else is an argument row by row.
Lanes Evaluation::tokenRow(Value tokens, const Row &row) const {
  auto type = cast<attn::LayoutType>(tokens.getType());
  bool dense = isa<attn::DenseType>(type);
  return copyRow(std::get<Rows>(argumentOf(tokens)), dense ? row.request : 0,
                 dense ? row.token : inputs.queryBegin[row.request] + row.token,
                 row.head, type.getHeadDim());
}

State Evaluation::resume(attn::ResumeOp op, const Row &row) {
  bool dense = isa<attn::DenseType>(op.getOutput().getType());
  double lse =
      std::get<Rows>(argumentOf(op.getLse()))
          .at(dense ? row.request : 0,
              dense ? row.token : inputs.queryBegin[row.request] + row.token,
              row.head, 0);
  State state{lse, 1, tokenRow(op.getOutput(), row)};
  if (lse == kNothing)
    state = {lse, 0, Lanes(state.output.size(), 0.0)};
  return state;
}

State Evaluation::attend(attn::AttendOp op, const Row &row) {
  Call &call = calls[op];
  attn::LayoutType type = op.getQuery().getType();
  attn::LayoutType cacheType = layoutOf(kernel, call.cache);
  Positions places = positionsOf(row);

  Lanes query = call.query(tokenRow(op.getQuery(), row), places);

  int64_t group = type.getHeads() / cacheType.getHeads();
  const Sequence &sequence = sequenceOf(call, row.request, row.head / group);
  std::vector<double> logits(sequence.keys.size(), kNothing);
  std::vector<bool> visible(sequence.keys.size());
  State state;
  state.output.assign(cacheType.getValueDim(), 0.0);
  static const Lanes noData;
  for (size_t j = 0; j < logits.size(); ++j) {
    places[size_t(attn::Position::key)] = sequence.positions[j];
    places[size_t(attn::Position::slot)] = sequence.slots[j];
    visible[j] = listed(call.cache, row, j) &&
                 (!call.mask || call.mask(noData, places)[0] != 0);
    if (!visible[j])
      continue;
    logits[j] = call.logits(call.scale * dot(query, sequence.keys[j]), places);
    state.max = std::max(state.max, logits[j]);
  }
  for (size_t j = 0; j < logits.size(); ++j) {
    if (!visible[j])
      continue;
    double weight = 0;
    switch (call.normalizer) {
    case attn::Normalizer::softmax:
      weight = logits[j] == kNothing ? 0 : std::exp(logits[j] - state.max);
      break;
    case attn::Normalizer::sigmoid:
      weight = 1 / (1 + std::exp(-logits[j]));
      break;
    case attn::Normalizer::none:
      weight = logits[j];
      break;
    }
    state.sum += weight;
    for (auto [x, v] : llvm::zip_equal(state.output, sequence.values[j]))
      x += weight * v;
  }
  if (call.normalizer != attn::Normalizer::softmax)
    state.max = 0; // merging adds
  return state;
}

Lanes Evaluation::finish(attn::FinishOp op, State state, const Row &row,
                         double &lse) {
  Call &call = calls[op];
  Positions places = positionsOf(row);
  static const Lanes noData;
  if (call.normalizer == attn::Normalizer::softmax) {
    if (call.sink) {
      double sink = call.sink(noData, places)[0];
      State alone{sink, sink == kNothing ? 0.0 : 1.0,
                  Lanes(state.output.size(), 0.0)};
      state = merge(std::move(state), std::move(alone));
    }
    lse = state.sum > 0 ? state.max + std::log(state.sum) : kNothing;
    for (double &x : state.output)
      x = state.sum > 0 ? x / state.sum : 0;
  }
  return call.output(state.output, places);
}

int64_t Evaluation::heads() {
  for (Operation &op : kernel.getBody().front())
    if (Value rows = attn::KernelOp::getRows(&op))
      return cast<attn::LayoutType>(rows.getType()).getHeads();
  return 0;
}

std::vector<std::vector<double>> Evaluation::run(ArrayRef<Row> rows) {
  Block &block = kernel.getBody().front();
  OperandRange results = kernel.getReturn().getResults();
  std::vector<std::vector<double>> out(results.size());
  // Rows of one head follow each other, so one sequence at a time is held.
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](size_t a, size_t b) {
    return std::tuple(rows[a].request, rows[a].head, a) <
           std::tuple(rows[b].request, rows[b].head, b);
  });
  for (size_t at : order) {
    const Row &row = rows[at];
    DenseMap<Value, State> states;
    DenseMap<Value, Lanes> finished;
    for (Operation &op : block)
      llvm::TypeSwitch<Operation *>(&op)
          .Case([&](attn::AttendOp attendOp) {
            states[attendOp.getState()] = attend(attendOp, row);
          })
          .Case([&](attn::ResumeOp resumeOp) {
            states[resumeOp.getState()] = resume(resumeOp, row);
          })
          .Case([&](attn::MapRowsOp map) {
            finished[map.getOutput()] = calls[map].query(
                tokenRow(map.getTokens(), row), positionsOf(row));
          })
          .Case([&](attn::MergeOp mergeOp) {
            states[mergeOp.getResult()] =
                merge(states[mergeOp.getLhs()], states[mergeOp.getRhs()]);
          })
          .Case([&](attn::FinishOp finishOp) {
            double lse = kNothing;
            finished[finishOp.getOutput()] =
                finish(finishOp, states[finishOp.getState()], row, lse);
            if (finishOp.getLse())
              finished[finishOp.getLse()] = {lse};
          });
    for (auto [values, result] : llvm::zip_equal(out, results)) {
      const Lanes &lanes = finished[result];
      values.resize(rows.size() * lanes.size());
      llvm::copy(lanes, values.begin() + at * lanes.size());
    }
  }
  return out;
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

llvm::Expected<std::vector<std::vector<double>>>
evaluate(attn::KernelOp kernel, const ReferenceInputs &inputs,
         ArrayRef<Row> rows) {
  Evaluation evaluation(kernel, inputs);
  if (llvm::Error failed = evaluation.prepare())
    return failed;
  for (const Row &row : rows)
    if (row.request < 0 || row.request >= inputs.requests || row.token < 0 ||
        row.token >= inputs.queryLengths[row.request] || row.head < 0 ||
        row.head >= evaluation.heads())
      return llvm::createStringError("expects rows of the batch");
  return evaluation.run(rows);
}

} // namespace saccade::reference
