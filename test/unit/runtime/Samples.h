// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Manifests, blobs, tensors and batches for the runtime's tests. Each test
// starts from a good sample and breaks one thing.
#ifndef SACCADE_TEST_UNIT_RUNTIME_SAMPLES_H
#define SACCADE_TEST_UNIT_RUNTIME_SAMPLES_H

#include "runtime/Batch.h"
#include "saccade/Runtime.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace saccade::test {

using nlohmann::json;

inline json tensor(const char *name, const char *role = nullptr) {
  json object = {{"kind", "tensor"}, {"name", name}, {"layout", "ragged"},
                 {"heads", 4},       {"dim", 8},     {"dtype", "f32"}};
  if (role)
    object["role"] = role;
  return object;
}

inline json cache(const char *layout) {
  json object = {{"kind", "cache"}, {"name", "kv"}, {"layout", layout},
                 {"heads", 2},      {"key_dim", 8}, {"value_dim", 8},
                 {"dtype", "f32"}};
  if (std::string(layout) == "paged")
    object["page"] = 4;
  if (std::string(layout) == "block_sparse")
    object["block"] = {2, 4};
  return object;
}

inline json attend() {
  return {{"name", "attend"}, {"kind", "attend"}, {"rows_per_item", 4},
          {"group", 2},       {"kv_heads", 2},    {"kv_tile", 4},
          {"caches", {1}},    {"threads", 1},     {"shared_bytes", 0},
          {"binary", 0},      {"format", "elf"}};
}

/// @sample(%q, %kv, %scale) -> (%o, %lse): 4 query heads on 2 KV heads, dim 8.
inline json manifest(const char *layout = "paged") {
  return {{"abi", SACCADE_ABI_VERSION},
          {"build", "test"},
          {"kernel", "sample"},
          {"target", "cpu:test"},
          {"query", 0},
          {"arguments",
           {tensor("q", "query"),
            cache(layout),
            {{"kind", "scalar"}, {"name", "scale"}, {"dtype", "f32"}}}},
          {"results",
           {tensor("o"),
            {{"kind", "lse"},
             {"name", "lse"},
             {"layout", "ragged"},
             {"heads", 4}}}},
          {"entries", {attend()}}};
}

/// A kernel of one entry, for a GPU.
inline json onGpu(json object, const char *target, int threads,
                  int sharedBytes) {
  object["target"] = target;
  json &entry = object["entries"][0];
  entry["format"] = "ptx";
  entry["threads"] = threads;
  entry["shared_bytes"] = sharedBytes;
  return object;
}

/// The sample kernel with 16-bit elements, for a GPU.
inline json gpuManifest() {
  json object = onGpu(manifest("paged"), "sm_90a", 128, 0);
  for (json *slot : {&object["arguments"][0], &object["arguments"][1],
                     &object["results"][0]})
    (*slot)["dtype"] = "bf16";
  return object;
}

inline std::string blob(const json &manifest, std::string_view code = "code") {
  return writeBlob(manifest.dump(), {code});
}

inline rt::Manifest parsed(const json &manifest) {
  rt::Manifest result;
  (void)rt::parseManifest(manifest.dump(), 1, result);
  return result;
}

constexpr DLDevice kHost = {kDLCPU, 0};
constexpr DLDevice kCuda = {kDLCUDA, 0};

/// A DLTensor that owns its shape, strides and, unless told where, its
/// elements.
template <typename T> struct Tensor {
  std::vector<int64_t> shape, strides;
  std::vector<T> data;
  DLTensor view = {};

  explicit Tensor(std::vector<int64_t> sizes, T value = {})
      : shape(std::move(sizes)) {
    int64_t elements = 1;
    strides.resize(shape.size());
    for (size_t i = shape.size(); i-- > 0; elements *= shape[i])
      strides[i] = elements;
    data.assign(elements, value);
    view.data = data.data();
    view.device = kHost;
    view.dtype = {std::is_floating_point_v<T> ? uint8_t(kDLFloat)
                  : std::is_signed_v<T>       ? uint8_t(kDLInt)
                                              : uint8_t(kDLUInt),
                  8 * sizeof(T), 1};
    refresh();
  }
  Tensor(const Tensor &) = delete;

  /// Call after changing shape or strides.
  const DLTensor *refresh() {
    view.ndim = static_cast<int>(shape.size());
    view.shape = shape.data();
    view.strides = strides.data();
    return &view;
  }
  operator const DLTensor *() { return refresh(); }
};

/// A one-dimensional table of int32.
struct Ids : Tensor<int32_t> {
  Ids(std::initializer_list<int32_t> values)
      : Tensor({static_cast<int64_t>(values.size())}) {
    std::copy(values.begin(), values.end(), data.begin());
  }
};

inline SaccadeArgument asTensor(const DLTensor *tensor) {
  return {SACCADE_ARG_TENSOR, 0, tensor, nullptr, 0, 0};
}
inline SaccadeArgument asCache(const DLTensor *keys, const DLTensor *values) {
  return {SACCADE_ARG_CACHE, 0, keys, values, 0, 0};
}
inline SaccadeArgument asReal(double value) {
  return {SACCADE_ARG_SCALAR, 0, nullptr, nullptr, value, 0};
}
inline SaccadeArgument asInteger(int64_t value) {
  return {SACCADE_ARG_SCALAR, 0, nullptr, nullptr, 0, value};
}
inline SaccadeArgument asTable(const DLTensor *tensor) {
  return {SACCADE_ARG_TABLE, 0, tensor, nullptr, 0, 0};
}

constexpr rt::Limits kRoomy = {1 << 16, 1 << 24, 1 << 24, 1 << 20};

/// Whether a call failed with exactly this code and message.
inline bool failed(SaccadeStatus status, SaccadeStatus code,
                   const std::string &message) {
  std::string got = saccade_last_error();
  bool same = status == code && got == message;
  if (!same)
    MESSAGE("status ", int(status), ", message: ", got);
  return same;
}

} // namespace saccade::test
#endif // SACCADE_TEST_UNIT_RUNTIME_SAMPLES_H
