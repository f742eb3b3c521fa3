// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The reference evaluator behind the C API (Engine.h): reads the same batches
// and arguments as plans and runs do, with a reading of its own, so that the
// runtime's is tested by it.

#include "lib/Reference/Evaluator.h"
#include "lib/Spec.h"
#include "saccade/Engine.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::reference;

struct SaccadeReference {
  Spec spec;
};

static SaccadeStatus fail(SaccadeStatus status, const Twine &message) {
  saccade_set_error(message.str().c_str());
  return status;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

namespace {
/// Reads batches and arguments; the first thing that is wrong is kept as text.
class Reader {
public:
  Reader(const SaccadeBatch &batch, ReferenceInputs &inputs)
      : batch(batch), inputs(inputs) {}

  void readQueries();
  void readArgument(BlockArgument type, const SaccadeArgument &given);

  std::string wrong;

private:
  template <typename T = int> T error(const Twine &text) {
    if (wrong.empty())
      wrong = text.str();
    return T();
  }

  Element elementOf(const DLTensor &tensor);
  Rows readRows(const DLTensor &tensor, attn::LayoutType type, bool values,
                bool isCache, int half = -1);
  Rows readLse(const DLTensor &tensor, attn::ResumeOp resume);
  Table readTable(const DLTensor &tensor, Type type);
  Table readStrided(const DLTensor &tensor, attn::TableType type);
  std::vector<int32_t> readList(const DLTensor *tensor);
  Cache readCache(attn::LayoutType type, const SaccadeArgument &given);
  void readLengths(attn::LayoutType type, const SaccadeCacheBatch &given,
                   Cache &cache);

  const SaccadeBatch &batch;
  ReferenceInputs &inputs;
  int nextCache = 0;
};
} // namespace

/// The codes of these in DLPack since 1.1; older headers lack them.
static constexpr int kE4M3 = 10, kE5M2 = 12, kBool = 6;

Element Reader::elementOf(const DLTensor &tensor) {
  DLDataType type = tensor.dtype;
  auto is = [&](int code, int bits) {
    return type.code == code && type.bits == bits && type.lanes == 1;
  };
  if (tensor.device.device_type != kDLCPU)
    return error<Element>("expects tensors in host memory");
  if (is(kDLFloat, 32))
    return Element::f32;
  if (is(kDLFloat, 16))
    return Element::f16;
  if (is(kDLBfloat, 16))
    return Element::bf16;
  if (is(kE4M3, 8))
    return Element::f8e4m3;
  if (is(kE5M2, 8))
    return Element::f8e5m2;
  if (is(kDLInt, 32))
    return Element::i32;
  if (is(kDLInt, 64))
    return Element::i64;
  if (is(kDLInt, 8))
    return Element::i8;
  if (is(kDLUInt, 8) || is(kBool, 8))
    return Element::u8;
  return error<Element>(
      "expects elements to be f32, f16, bf16, f8e4m3, f8e5m2, "
      "i64, i32, i8, u8 or bool");
}

static Element elementOf(Type type) {
  return llvm::TypeSwitch<Type, Element>(type)
      .Case([](Float32Type) { return Element::f32; })
      .Case([](Float16Type) { return Element::f16; })
      .Case([](BFloat16Type) { return Element::bf16; })
      .Case([](IntegerType integer) {
        return integer.getWidth() == 64   ? Element::i64
               : integer.getWidth() == 32 ? Element::i32
               : integer.getWidth() == 8  ? Element::i8
                                          : Element::u8;
      })
      .Case([](Float8E4M3FNType) { return Element::f8e4m3; })
      .Case([](Float8E5M2Type) { return Element::f8e5m2; });
}

static int64_t strideOf(const DLTensor &tensor, int axis) {
  if (tensor.strides)
    return tensor.strides[axis];
  int64_t stride = 1;
  for (int i = axis + 1; i < tensor.ndim; ++i)
    stride *= tensor.shape[i];
  return stride;
}

static const char *dataOf(const DLTensor &tensor) {
  return static_cast<const char *>(tensor.data) + tensor.byte_offset;
}

/// `half`: 0 or 1 where keys and values share a tensor [pages, 2, ...].
Rows Reader::readRows(const DLTensor &tensor, attn::LayoutType type,
                      bool values, bool isCache, int half) {
  Rows rows;
  rows.element = ::elementOf(type.getElementType());
  Element given = elementOf(tensor);
  // Elements of 8 bits may be handed over as bytes.
  bool bytes = given == Element::u8 && attn::isEightBits(type.getElementType());
  if (given != rows.element && !bytes)
    return error<Rows>(
        "expects the tensor's elements to be those of its layout");

  SmallVector<int> axes; // of the layout: [batch,] token, head, dim
  for (int axis = 0; axis < tensor.ndim; ++axis)
    if (half < 0 || axis != 1)
      axes.push_back(axis);
  bool batched = isa<attn::DenseType, attn::PagedType>(type);
  if (axes.size() != (batched ? 4u : 3u))
    return error<Rows>("expects the tensor to have the rank of its layout");
  if (type.getOrder() == attn::Order::HND)
    std::swap(axes[batched], axes[batched + 1]);

  auto extent = [&](int i) { return tensor.shape[axes[i]]; };
  int64_t dim = values && isCache ? type.getValueDim() : type.getHeadDim();
  if (extent(batched + 1) != type.getHeads() || extent(batched + 2) != dim)
    return error<Rows>(
        "expects the tensor to have the heads and head dim of its "
        "layout");
  if (auto paged = dyn_cast<attn::PagedType>(type);
      paged && extent(1) != paged.getPage())
    return error<Rows>("expects the tensor to have pages of its layout's size");
  if (strideOf(tensor, axes.back()) != 1)
    return error<Rows>("expects the tensor's last stride to be 1");

  rows.tokens = extent(batched);
  rows.tokenStride = strideOf(tensor, axes[batched]);
  rows.headStride = strideOf(tensor, axes[batched + 1]);
  if (batched) {
    rows.batches = extent(0);
    rows.batchStride = strideOf(tensor, axes[0]);
  }
  int64_t size = type.getElementType().getIntOrFloatBitWidth() / 8;
  rows.data = dataOf(tensor) + (half > 0 ? strideOf(tensor, 1) * size : 0);
  return rows;
}

/// [tokens, heads], or [batch, tokens, heads] beside a dense output.
Rows Reader::readLse(const DLTensor &tensor, attn::ResumeOp resume) {
  Rows rows;
  bool dense = isa<attn::DenseType>(resume.getOutput().getType());
  int64_t heads = resume.getLse().getType().getHeads();
  if (elementOf(tensor) != Element::f32 || tensor.ndim != 2 + dense ||
      tensor.shape[1 + dense] != heads)
    return error<Rows>("expects an LSE to be f32 of " + Twine(heads) +
                       " heads, in " + Twine(2 + dense) + " dimensions");
  rows.tokens = tensor.shape[dense];
  rows.tokenStride = strideOf(tensor, dense);
  rows.headStride = strideOf(tensor, 1 + dense);
  if (dense) {
    rows.batches = tensor.shape[0];
    rows.batchStride = strideOf(tensor, 0);
  }
  rows.data = dataOf(tensor);
  return rows;
}

Table Reader::readStrided(const DLTensor &tensor, attn::TableType type) {
  Table table{dataOf(tensor), ::elementOf(type.getElementType()), 1, {}, {}};
  if (tensor.ndim != type.getRank())
    return error<Table>("expects a table to have " + Twine(type.getRank()) +
                        " dimensions, but got " + Twine(tensor.ndim));
  if (elementOf(tensor) != table.element)
    return error<Table>("expects a table's elements to be those of its type");
  for (int axis = 0; axis < tensor.ndim; ++axis) {
    table.extents.push_back(tensor.shape[axis]);
    table.strides.push_back(strideOf(tensor, axis));
    table.size *= tensor.shape[axis];
  }
  if (table.size == 0)
    return error<Table>("expects a table to have extents of 1 or more");
  return table;
}

Table Reader::readTable(const DLTensor &tensor, Type type) {
  if (auto general = dyn_cast<attn::TableType>(type))
    return readStrided(tensor, general);
  if (tensor.ndim != 1 || (tensor.shape[0] > 1 && strideOf(tensor, 0) != 1))
    return error<Table>("expects tables to be one-dimensional and contiguous");
  Type element =
      llvm::TypeSwitch<Type, Type>(type)
          .Case<attn::PerHeadType, attn::PerRequestType, attn::PerTokenType>(
              [](auto table) { return table.getElementType(); })
          .Default(Type());
  Element expected = !element          ? Element::u8
                     : element.isF32() ? Element::f32
                                       : Element::i32;
  if (elementOf(tensor) != expected)
    return error<Table>("expects a table's elements to be those of its type");
  return {dataOf(tensor), expected, tensor.shape[0], {}, {}};
}

std::vector<int32_t> Reader::readList(const DLTensor *tensor) {
  using List = std::vector<int32_t>;
  if (!tensor)
    return error<List>("expects the cache to have a table");
  if (elementOf(*tensor) != Element::i32 || tensor->ndim < 1 ||
      tensor->ndim > 2)
    return error<List>("expects the table to be i32, in one or two dimensions");
  const auto *data = reinterpret_cast<const int32_t *>(dataOf(*tensor));
  int64_t rows = tensor->ndim == 2 ? tensor->shape[0] : 1;
  int64_t columns = tensor->shape[tensor->ndim - 1];
  List list;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      list.push_back(data[(tensor->ndim == 2 ? row * strideOf(*tensor, 0) : 0) +
                          column * strideOf(*tensor, tensor->ndim - 1)]);
  return list;
}

//===----------------------------------------------------------------------===//
// Batches
//===----------------------------------------------------------------------===//

void Reader::readQueries() {
  inputs.requests = batch.requests;
  int64_t packed = 0;
  if (batch.requests && !batch.q_len && !batch.q_indptr) {
    error("expects q_len or q_indptr");
    return;
  }
  for (int32_t r = 0; r < batch.requests; ++r) {
    int32_t length = batch.q_len ? batch.q_len[r]
                                 : batch.q_indptr[r + 1] - batch.q_indptr[r];
    inputs.queryLengths.push_back(length);
    inputs.queryBegin.push_back(batch.q_indptr ? batch.q_indptr[r] : packed);
    packed += length;
  }
}

void Reader::readLengths(attn::LayoutType type, const SaccadeCacheBatch &given,
                         Cache &cache) {
  auto paged = dyn_cast<attn::PagedType>(type);
  bool table2D = paged && given.indices && given.indices->ndim == 2;
  bool derived = paged ? given.last_page_len && given.indptr
                       : given.indptr && !isa<attn::DenseType>(type);
  if (batch.requests && !given.lengths && !derived) {
    error("expects the cache to have lengths");
    return;
  }
  if (batch.requests && paged && !table2D && !given.indptr) {
    error("expects the page table to have an indptr");
    return;
  }
  int64_t packed = 0, blocks = 0;
  for (int32_t r = 0; r < batch.requests; ++r) {
    int64_t entries = given.indptr ? given.indptr[r + 1] - given.indptr[r] : 0;
    int64_t length =
        given.lengths ? given.lengths[r]
        : !paged      ? entries
        : entries     ? (entries - 1) * paged.getPage() + given.last_page_len[r]
                      : 0;
    cache.lengths.push_back(length);
    cache.base.push_back(table2D        ? r * given.indices->shape[1]
                         : given.indptr ? given.indptr[r]
                                        : packed);
    packed += length;
    if (auto sparse = dyn_cast<attn::BlockSparseType>(type)) {
      cache.blockBegin.push_back(blocks);
      blocks += llvm::divideCeil(inputs.queryLengths[r], sparse.getBlockRows());
    }
  }
}

Cache Reader::readCache(attn::LayoutType type, const SaccadeArgument &given) {
  Cache cache;
  if (nextCache >= batch.num_caches)
    return error<Cache>("expects the batch to describe every cache");
  const SaccadeCacheBatch &lengths = batch.caches[nextCache++];
  if (given.values) {
    cache.keys = readRows(*given.tensor, type, false, true);
    cache.values = readRows(*given.values, type, true, true);
  } else if (isa<attn::PagedType>(type) && given.tensor->ndim == 5 &&
             given.tensor->shape[1] == 2) {
    cache.keys = readRows(*given.tensor, type, false, true, 0);
    cache.values = readRows(*given.tensor, type, true, true, 1);
  } else {
    return error<Cache>("expects the cache to have keys and values");
  }
  if (cache.keys.batches != cache.values.batches ||
      cache.keys.tokens != cache.values.tokens)
    return error<Cache>("expects as many values as keys");
  readLengths(type, lengths, cache);
  if (isa<attn::PagedType, attn::BlockSparseType>(type))
    cache.indices = readList(lengths.indices);
  if (isa<attn::BlockSparseType>(type))
    cache.blockRows = readList(lengths.block_rows);
  return cache;
}

void Reader::readArgument(BlockArgument argument,
                          const SaccadeArgument &given) {
  Type type = argument.getType();
  if (type.isF32() || type.isInteger()) {
    if (given.kind != SACCADE_ARG_SCALAR)
      error("expects argument " + Twine(argument.getArgNumber()) +
            " to be a scalar");
    double value = type.isF32() ? static_cast<float>(given.real)
                                : static_cast<double>(given.integer);
    inputs.arguments.emplace_back(value);
    return;
  }
  bool isCache = attn::KernelOp::isCache(argument);
  auto layout = dyn_cast<attn::LayoutType>(type);
  bool lse = isa<attn::LseType>(type);
  int32_t kind = isCache         ? SACCADE_ARG_CACHE
                 : layout || lse ? SACCADE_ARG_TENSOR
                                 : SACCADE_ARG_TABLE;
  if (given.kind != kind || !given.tensor) {
    error("expects argument " + Twine(argument.getArgNumber()) +
          " to be of its type's kind");
    return;
  }
  if (isCache)
    inputs.arguments.emplace_back(readCache(layout, given));
  else if (layout)
    inputs.arguments.emplace_back(
        readRows(*given.tensor, layout, false, false));
  else if (lse)
    inputs.arguments.emplace_back(
        readLse(*given.tensor, cast<attn::ResumeOp>(*argument.user_begin())));
  else
    inputs.arguments.emplace_back(readTable(*given.tensor, type));
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

SaccadeStatus saccade_reference_create(const char *spec, size_t bytes,
                                       const char *name,
                                       SaccadeReference **reference) {
  if (!spec || !reference)
    return fail(SACCADE_INVALID_ARGUMENT, "expects a spec and a place for the "
                                          "reference");
  auto made = std::make_unique<SaccadeReference>();
  std::string error;
  SaccadeStatus status = Spec::parse(StringRef(spec, bytes), "spec",
                                     name ? name : "", made->spec, error);
  if (status != SACCADE_OK)
    return fail(status, error);
  *reference = made.release();
  return SACCADE_OK;
}

void saccade_reference_destroy(SaccadeReference *reference) {
  delete reference;
}

SaccadeStatus saccade_reference_run(const SaccadeReference *reference,
                                    const SaccadeBatch *batch,
                                    const SaccadeArgument *arguments,
                                    int32_t count, const SaccadeRow *rows,
                                    int64_t numRows, double *const *results) {
  if (!reference || !batch || (count && !arguments) || (numRows && !rows) ||
      batch->requests < 0 || numRows < 0)
    return fail(SACCADE_INVALID_ARGUMENT,
                "expects a reference, a batch, arguments "
                "and rows");
  attn::KernelOp kernel = reference->spec.kernel();
  auto types = kernel.getBody().front().getArguments();
  if (count != static_cast<int32_t>(types.size()))
    return fail(SACCADE_INVALID_ARGUMENT, "expects " + Twine(types.size()) +
                                              " arguments, but got " +
                                              Twine(count));
  ReferenceInputs inputs;
  Reader reader(*batch, inputs);
  reader.readQueries();
  for (int32_t i = 0; i < count && reader.wrong.empty(); ++i)
    reader.readArgument(types[i], arguments[i]);
  if (!reader.wrong.empty())
    return fail(SACCADE_INVALID_ARGUMENT, reader.wrong);

  std::vector<Row> wanted;
  for (int64_t i = 0; i < numRows; ++i)
    wanted.push_back({rows[i].request, rows[i].token, rows[i].head});
  auto values = evaluate(kernel, inputs, wanted);
  if (!values)
    return fail(SACCADE_INVALID_ARGUMENT, llvm::toString(values.takeError()));
  for (auto [i, result] : llvm::enumerate(*values))
    llvm::copy(result, results[i]);
  return SACCADE_OK;
}
