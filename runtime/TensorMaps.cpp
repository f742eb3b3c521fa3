// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Describes bound tensors to cuTensorMapEncodeTiled (CUDA Driver API, "Tensor
// Map Object Management"). Its conditions are checked here first: the driver
// says of all of them "invalid argument".
#include "runtime/TensorMaps.h"

#include <algorithm>
#include <cstring>

using namespace saccade::rt;

namespace {

constexpr uint64_t kMostSize = uint64_t(1) << 32;
constexpr int64_t kStrideLimit = int64_t(1) << 40; // bytes
constexpr int64_t kAlignment = 16;                 // bytes
constexpr uint32_t kBoxBytes = 128; // of a row: those of the swizzle

CUtensorMapDataType mapTypeOf(DType dtype) {
  if (bytesOf(dtype) == 1)
    return CU_TENSOR_MAP_DATA_TYPE_UINT8;
  return dtype == DType::F16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                             : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
}

std::string list(std::span<const uint64_t> values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i)
    text += join(i ? ", " : "", values[i]);
  return text + "]";
}

/// What the driver refused after all that was checked here.
Status refused(const CudaDriver &driver, const Manifest &manifest,
               const TensorMapRecipe &recipe, const TensorMapInputs &inputs,
               CUresult result) {
  uint64_t box[4];
  std::ranges::copy(inputs.box, box);
  return driver.check(result,
                      join("@", manifest.kernel, ": cuTensorMapEncodeTiled of ",
                           recipe.name, " with sizes ", list(inputs.sizes),
                           ", strides of ", list(inputs.strides),
                           " bytes and box ", list(box)));
}

} // namespace

Status saccade::rt::readMapInputs(const Manifest &manifest,
                                  const TensorMapRecipe &recipe,
                                  std::span<const TensorExtent> extents,
                                  std::span<const uint64_t> words,
                                  const void *empty, TensorMapInputs &inputs) {
  std::string_view axes[] = {"head", "token", "batch"};
  auto wrong = [&](auto... parts) {
    return invalid("@", manifest.kernel, ": expects ", recipe.name, " to have ",
                   parts...);
  };
  auto extent = std::ranges::find(extents, recipe.word, &TensorExtent::word);
  const uint64_t *tensor = &words[recipe.word];
  inputs.address = tensor[SACCADE_TENSOR_DATA];
  const int64_t sizes[] = {extent->heads, extent->tokens, extent->batches};
  const uint64_t strides[] = {tensor[SACCADE_TENSOR_STRIDE_HEAD],
                              tensor[SACCADE_TENSOR_STRIDE_TOKEN],
                              tensor[SACCADE_TENSOR_STRIDE_BATCH]};
  if (std::ranges::count(sizes, 0))
    inputs.address = reinterpret_cast<uintptr_t>(empty);
  if (inputs.address % kAlignment != 0)
    return wrong("an address that is a multiple of ", kAlignment,
                 " bytes for its tensor map, but it is ",
                 inputs.address % kAlignment, " past that");
  int64_t bytes = bytesOf(recipe.dtype);
  inputs.sizes[0] = recipe.dim;
  inputs.box[0] = kBoxBytes / static_cast<uint32_t>(bytes);
  inputs.box[1] = recipe.heads;
  inputs.box[2] = recipe.tokens;
  inputs.box[3] = 1;
  // Bytes that the dimensions so far span: the stride of one of size 1, which
  // is ours to choose.
  int64_t span =
      (recipe.dim * bytes + kAlignment - 1) / kAlignment * kAlignment;
  for (int i = 0; i < 3; ++i) {
    inputs.sizes[i + 1] = std::max<int64_t>(sizes[i], 1);
    if (inputs.sizes[i + 1] > kMostSize)
      return wrong("at most 2^32 entries of its ", axes[i],
                   " axis for its tensor map, but got ", sizes[i]);
    if (sizes[i] <= 1) {
      inputs.strides[i] = std::min(span, kStrideLimit - kAlignment);
      continue;
    }
    // A tensor spans fewer than 2^59 elements: this does not overflow.
    int64_t stride = static_cast<int64_t>(strides[i]) * bytes;
    if (stride < 0 || stride >= kStrideLimit || stride % kAlignment != 0)
      return wrong("a ", axes[i], " stride of a multiple of ", kAlignment,
                   " bytes below 2^40 for its tensor map, but got ", stride);
    inputs.strides[i] = stride;
    span = std::max(span, stride * sizes[i]);
  }
  return SACCADE_OK;
}

Status TensorMaps::put(const CudaDriver &driver, const Manifest &manifest,
                       const Entry &entry,
                       std::span<const TensorExtent> extents, const void *empty,
                       std::vector<uint64_t> &words) {
  words.resize(std::max<size_t>(words.size(), entry.blockWords(manifest)));
  made.resize(entry.maps.size());
  for (size_t i = 0; i < entry.maps.size(); ++i) {
    const TensorMapRecipe &recipe = entry.maps[i];
    TensorMapInputs inputs;
    SACCADE_TRY(readMapInputs(manifest, recipe, extents, words, empty, inputs));
    if (inputs != made[i].inputs) {
      if (!driver.cuTensorMapEncodeTiled)
        return fail(SACCADE_NO_DEVICE, "@", manifest.kernel,
                    ": expects a driver with cuTensorMapEncodeTiled (CUDA 12.0 "
                    "or later)");
      constexpr uint32_t elementStrides[] = {1, 1, 1, 1};
      CUresult result = driver.cuTensorMapEncodeTiled(
          &made[i].map, mapTypeOf(recipe.dtype),
          /*rank=*/4, reinterpret_cast<void *>(inputs.address), inputs.sizes,
          inputs.strides, inputs.box, elementStrides,
          CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
          CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
          CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
      made[i].inputs = {};
      if (result != CUDA_SUCCESS)
        return refused(driver, manifest, recipe, inputs, result);
      made[i].inputs = inputs;
    }
    memcpy(&words[entry.mapWord + SACCADE_TENSOR_MAP_WORDS * i],
           made[i].map.opaque, sizeof(CUtensorMap));
  }
  return SACCADE_OK;
}
