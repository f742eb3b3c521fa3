// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks the values of a call and writes their words. All layouts are one view,
// [batch, token, head, dim] in some order with some axes missing, so that each
// rule is written once.
#include "runtime/Binding.h"

#include "runtime/Tensor.h"

#include <algorithm>
#include <bit>
#include <limits>

using namespace saccade::rt;

namespace {

/// Which dimension of a tensor is which; -1: it has none.
struct Axes {
  int rank, batch, token, head, dim;
};

Axes axesOf(const Slot &slot) {
  bool batched = slot.layout == Layout::Dense || slot.layout == Layout::Paged;
  int first = batched ? 1 : 0;
  int token = slot.headsFirst ? first + 1 : first;
  int head = slot.headsFirst ? first : first + 1;
  bool lse = slot.kind == SlotKind::Lse;
  return {first + (lse ? 2 : 3), batched ? 0 : -1, token, head,
          lse ? -1 : first + 2};
}

/// What a tensor must be.
struct Wanted {
  Axes axes;
  DType dtype;
  int32_t heads, dim;
  int64_t batches, tokens; ///< at least
  bool exactTokens;        ///< tokens is the page size
  bool written;
};

struct View {
  const char *data;
  int64_t batches, tokens, heads;
  int64_t strideBatch, strideToken, strideHead;
};

/// An argument, or one of the two tensors of a cache.
class ArgumentSubject final : public MessageSubject {
public:
  ArgumentSubject() = default;
  ArgumentSubject(const Manifest &manifest, const Slot &slot)
      : manifest(&manifest), slot(&slot) {}
  void print(std::string &out) const override {
    out += join("@", manifest->kernel, ": expects '", slot->name, "' ", part);
  }

  const char *part = "";

private:
  const Manifest *manifest = nullptr;
  const Slot *slot = nullptr;
};

class Binder {
public:
  Binder(const Manifest &manifest, const Batch &batch, DLDevice device,
         std::vector<uint64_t> &words, std::vector<TensorExtent> &extents)
      : manifest(manifest), batch(batch), device(device), words(words),
        extents(extents) {}

  Status bind(const Slot &slot, const SaccadeArgument &value, bool result) {
    subject = {manifest, slot};
    SACCADE_TRY(checkKind(slot, value));
    switch (slot.kind) {
    case SlotKind::Tensor:
    case SlotKind::Lse:
      return bindTensor(slot, *value.tensor, result);
    case SlotKind::Cache:
      return bindCache(slot, value);
    case SlotKind::Scalar:
      return bindScalar(slot, value);
    case SlotKind::Table:
      return bindTable(slot, *value.tensor);
    case SlotKind::CacheResult:
      break;
    }
    return SACCADE_OK;
  }

private:
  template <typename... Parts> Status wrong(const Parts &...parts) const {
    return invalid(subject, parts...);
  }

  Status checkKind(const Slot &slot, const SaccadeArgument &value) const {
    constexpr std::string_view names[] = {"a tensor", "a cache", "a scalar",
                                          "a table"};
    int wanted = slot.kind == SlotKind::Cache    ? SACCADE_ARG_CACHE
                 : slot.kind == SlotKind::Scalar ? SACCADE_ARG_SCALAR
                 : slot.kind == SlotKind::Table  ? SACCADE_ARG_TABLE
                                                 : SACCADE_ARG_TENSOR;
    if (value.kind < 0 || value.kind > SACCADE_ARG_TABLE)
      return wrong("to be ", names[wanted], ", but got kind ", value.kind);
    if (value.kind != wanted)
      return wrong("to be ", names[wanted], ", but got ", names[value.kind]);
    if (wanted != SACCADE_ARG_SCALAR && !value.tensor)
      return wrong("to be ", names[wanted], ", but got a null pointer");
    return SACCADE_OK;
  }

  Status checkPlace(const DLTensor &tensor, int64_t alignment) const {
    if (!reaches(device, tensor.device))
      return wrong("to be on ", nameOf(device), ", but got ",
                   nameOf(tensor.device));
    if (uintptr_t address = reinterpret_cast<uintptr_t>(addressOf(tensor));
        elementsOf(tensor) > 0 && address % alignment != 0)
      return wrong("to be aligned to ", alignment,
                   " bytes, but its address is ", address % alignment,
                   " past that");
    return SACCADE_OK;
  }

  Status look(const DLTensor &tensor, const Wanted &wanted, View &view) const {
    SACCADE_TRY(checkTensor(tensor, subject));
    if (!isType(tensor.dtype, wanted.dtype))
      return wrong("to be ", nameOf(wanted.dtype), ", but got ",
                   nameOf(tensor.dtype));
    const Axes &axes = wanted.axes;
    if (tensor.ndim != axes.rank)
      return wrong("to have ", axes.rank, " dimensions, but got shape ",
                   shapeOf(tensor));
    auto size = [&](int axis) { return axis < 0 ? 1 : tensor.shape[axis]; };
    if (size(axes.head) != wanted.heads)
      return wrong("to have ", wanted.heads, " heads, but got ",
                   size(axes.head), " in shape ", shapeOf(tensor));
    if (axes.dim >= 0 && size(axes.dim) != wanted.dim)
      return wrong("to have head dim ", wanted.dim, ", but got ",
                   size(axes.dim), " in shape ", shapeOf(tensor));
    if (wanted.exactTokens && size(axes.token) != wanted.tokens)
      return wrong("to have page size ", wanted.tokens, ", but got ",
                   size(axes.token), " in shape ", shapeOf(tensor));
    if (size(axes.token) < wanted.tokens)
      return wrong("to have ", wanted.tokens,
                   " tokens or more as the batch says, but got ",
                   size(axes.token), " in shape ", shapeOf(tensor));
    if (axes.batch >= 0 && size(axes.batch) < wanted.batches)
      return wrong("to have ", wanted.batches,
                   " batch entries or more, but got ", size(axes.batch),
                   " in shape ", shapeOf(tensor));

    // Rows are loaded 16 bytes at a time on a GPU; LSE is stored by element.
    int64_t bytes = bytesOf(wanted.dtype);
    int64_t alignment =
        device.device_type == kDLCPU || axes.dim < 0 ? bytes : 16;
    SACCADE_TRY(checkPlace(tensor, alignment));
    if (axes.dim >= 0 && size(axes.dim) > 1 && strideOf(tensor, axes.dim) != 1)
      return wrong("to have unit last stride, but got ",
                   strideOf(tensor, axes.dim));
    bool empty = elementsOf(tensor) == 0;
    for (int axis : {axes.batch, axes.token, axes.head}) {
      if (empty || size(axis) <= 1)
        continue;
      int64_t stride = strideOf(tensor, axis);
      if (stride * bytes % alignment != 0)
        return wrong("to have strides that are multiples of ", alignment,
                     " bytes, but got ", stride, " elements of ", bytes,
                     " bytes");
      if (wanted.written && stride == 0)
        return wrong("to have no stride 0 as it is written");
    }
    auto stride = [&](int axis) {
      return size(axis) <= 1 ? 0 : strideOf(tensor, axis);
    };
    view = {addressOf(tensor), size(axes.batch),   size(axes.token),
            size(axes.head),   stride(axes.batch), stride(axes.token),
            stride(axes.head)};
    return SACCADE_OK;
  }

  void put(int32_t word, const View &view) {
    words[word + SACCADE_TENSOR_DATA] = reinterpret_cast<uintptr_t>(view.data);
    words[word + SACCADE_TENSOR_STRIDE_BATCH] = view.strideBatch;
    words[word + SACCADE_TENSOR_STRIDE_TOKEN] = view.strideToken;
    words[word + SACCADE_TENSOR_STRIDE_HEAD] = view.strideHead;
    extents.push_back({word, view.heads, view.tokens, view.batches});
  }

  Status bindTensor(const Slot &slot, const DLTensor &tensor, bool result) {
    bool dense = slot.layout == Layout::Dense;
    Wanted wanted{axesOf(slot),
                  slot.dtype,
                  slot.heads,
                  slot.dim,
                  static_cast<int64_t>(batch.requests.size()),
                  dense ? batch.longestQuery : batch.queryRows,
                  /*exactTokens=*/false,
                  /*written=*/result};
    View view;
    SACCADE_TRY(look(tensor, wanted, view));
    put(slot.word, view);
    return SACCADE_OK;
  }

  /// Whether an entry of the kernel writes the cache.
  bool isAppended(int32_t argument) const {
    return std::ranges::any_of(manifest.entries, [&](const Entry &entry) {
      return entry.kind == EntryKind::Append &&
             std::ranges::count(entry.caches, argument);
    });
  }

  Status bindCache(const Slot &slot, const SaccadeArgument &value) {
    size_t index =
        std::ranges::find(manifest.caches, &slot - manifest.arguments.data()) -
        manifest.caches.begin();
    const CachePart &part = batch.caches[index];
    bool paged = slot.layout == Layout::Paged;
    bool dense = slot.layout == Layout::Dense;
    Wanted wanted{axesOf(slot),
                  slot.dtype,
                  slot.heads,
                  slot.dim,
                  dense ? static_cast<int64_t>(batch.requests.size()) : 0,
                  paged   ? slot.page
                  : dense ? part.longest
                          : part.rows,
                  paged,
                  isAppended(manifest.caches[index])};
    DLTensor halves[2];
    int64_t shapes[2][4], strides[2][4];
    const DLTensor *keys = value.tensor, *values = value.values;
    if (!values) {
      SACCADE_TRY(splitCombined(slot, *keys, halves, shapes, strides));
      keys = &halves[0];
      values = &halves[1];
    }
    View k, v;
    subject.part = "(keys) ";
    SACCADE_TRY(look(*keys, wanted, k));
    subject.part = "(values) ";
    wanted.dim = slot.valueDim;
    SACCADE_TRY(look(*values, wanted, v));
    subject.part = "";
    put(slot.word + SACCADE_CACHE_K_DATA, k);
    put(slot.word + SACCADE_CACHE_V_DATA, v);
    if (!paged)
      return SACCADE_OK;
    if (k.batches != v.batches)
      return wrong("to have as many pages of keys as of values, but got ",
                   k.batches, " and ", v.batches);
    if (k.batches >= SACCADE_MAX_POSITION)
      return wrong("to have fewer than 2^30 pages, but got ", k.batches);
    if (part.largestId >= k.batches)
      return wrong("to have more than ", part.largestId,
                   " pages as the page table says, but got ", k.batches);
    words[slot.word + SACCADE_CACHE_LIMIT] = k.batches;
    return SACCADE_OK;
  }

  /// Takes [pages, 2, ...] apart into keys and values.
  Status splitCombined(const Slot &slot, const DLTensor &both,
                       DLTensor (&halves)[2], int64_t (&shapes)[2][4],
                       int64_t (&strides)[2][4]) const {
    SACCADE_TRY(checkTensor(both, subject));
    if (slot.layout != Layout::Paged)
      return wrong("to have values beside keys, but got a null pointer");
    if (both.ndim != 5 || both.shape[1] != 2)
      return wrong(
          "to have values, or shape [pages, 2, ...] for both, but got ",
          shapeOf(both));
    for (int half = 0; half < 2; ++half) {
      for (int axis = 0; axis < 4; ++axis) {
        int from = axis == 0 ? 0 : axis + 1;
        shapes[half][axis] = both.shape[from];
        strides[half][axis] = strideOf(both, from);
      }
      halves[half] = both;
      halves[half].ndim = 4;
      halves[half].shape = shapes[half];
      halves[half].strides = strides[half];
      // A negative offset wraps, as the addition to the address does.
      halves[half].byte_offset +=
          static_cast<uint64_t>(half * strideOf(both, 1) * bytesOf(slot.dtype));
    }
    return SACCADE_OK;
  }

  Status bindScalar(const Slot &slot, const SaccadeArgument &value) {
    if (slot.dtype == DType::F32) {
      words[slot.word] =
          std::bit_cast<uint32_t>(static_cast<float>(value.real));
      return SACCADE_OK;
    }
    if (value.integer <= -SACCADE_MAX_POSITION ||
        value.integer >= SACCADE_MAX_POSITION)
      return wrong("to be below 2^30 in magnitude, but got ", value.integer);
    words[slot.word] = static_cast<uint32_t>(value.integer);
    return SACCADE_OK;
  }

  Status bindTable(const Slot &slot, const DLTensor &tensor) {
    SACCADE_TRY(checkTensor(tensor, subject));
    if (!isType(tensor.dtype, slot.dtype))
      return wrong("to be ", nameOf(slot.dtype), ", but got ",
                   nameOf(tensor.dtype));
    if (slot.table == TableKind::Strided)
      return bindStrided(slot, tensor);
    if (tensor.ndim != 1)
      return wrong("to have 1 dimension, but got shape ", shapeOf(tensor));
    int64_t size = tensor.shape[0];
    if (size > 1 && strideOf(tensor, 0) != 1)
      return wrong("to have unit stride, but got ", strideOf(tensor, 0));
    SACCADE_TRY(checkPlace(tensor, bytesOf(slot.dtype)));
    int64_t least = 0;
    switch (slot.table) {
    case TableKind::PerHead:
      least = slot.heads            ? slot.heads
              : manifest.query >= 0 ? manifest.arguments[manifest.query].heads
                                    : 0;
      if (size != least)
        return wrong("to have ", least, " heads, but got ", size);
      break;
    case TableKind::PerRequest:
      least = static_cast<int64_t>(batch.requests.size());
      if (size < least)
        return wrong("to have ", least, " requests or more, but got ", size);
      break;
    case TableKind::PerToken:
      if (size < batch.keys)
        return wrong("to have ", batch.keys, " tokens or more, but got ", size);
      break;
    case TableKind::Bits:
      if (size < batch.bitsBytes)
        return wrong("to have ", batch.bitsBytes, " bytes or more, but got ",
                     size);
      break;
    case TableKind::Strided:
      break;
    }
    words[slot.word] = reinterpret_cast<uintptr_t>(addressOf(tensor));
    return SACCADE_OK;
  }

  /// Any extents and strides; reads are clamped to what is there.
  Status bindStrided(const Slot &slot, const DLTensor &tensor) {
    if (tensor.ndim != slot.rank)
      return wrong("to have ", slot.rank, " dimensions, but got shape ",
                   shapeOf(tensor));
    if (elementsOf(tensor) == 0)
      return wrong("to have extents of 1 or more, but got shape ",
                   shapeOf(tensor));
    SACCADE_TRY(checkPlace(tensor, bytesOf(slot.dtype)));
    words[slot.word] = reinterpret_cast<uintptr_t>(addressOf(tensor));
    int32_t word = slot.word + SACCADE_TABLE_WORDS;
    for (int i = 0; i < slot.rank; ++i) {
      words[word + SACCADE_TABLE_LAST] = std::min<int64_t>(
          tensor.shape[i] - 1, std::numeric_limits<int32_t>::max());
      words[word + SACCADE_TABLE_STRIDE] =
          tensor.shape[i] == 1 ? 0 : strideOf(tensor, i);
      word += SACCADE_TABLE_DIMENSION_WORDS;
    }
    return SACCADE_OK;
  }

  const Manifest &manifest;
  const Batch &batch;
  DLDevice device;
  std::vector<uint64_t> &words;
  std::vector<TensorExtent> &extents;
  ArgumentSubject subject;
};

} // namespace

Status saccade::rt::bindArguments(const Manifest &manifest, const Batch &batch,
                                  DLDevice device,
                                  std::span<const SaccadeArgument> values,
                                  std::vector<uint64_t> &words,
                                  std::vector<TensorExtent> &extents) {
  words.assign(manifest.words, 0);
  extents.clear();
  size_t results =
      std::ranges::count_if(manifest.results, [](const Slot &slot) {
        return slot.kind != SlotKind::CacheResult;
      });
  if (values.size() != manifest.arguments.size() + results)
    return invalid("@", manifest.kernel, ": expects ",
                   manifest.arguments.size(), " arguments and ", results,
                   " results, but got ", values.size(), " values");
  Binder binder(manifest, batch, device, words, extents);
  size_t next = 0;
  for (const Slot &slot : manifest.arguments)
    SACCADE_TRY(binder.bind(slot, values[next++], /*result=*/false));
  for (const Slot &slot : manifest.results)
    if (slot.kind != SlotKind::CacheResult)
      SACCADE_TRY(binder.bind(slot, values[next++], /*result=*/true));
  return SACCADE_OK;
}
