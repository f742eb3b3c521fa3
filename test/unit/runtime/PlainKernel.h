// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An attention kernel written by hand against KernelABI.h, in plain C++: what
// the runtime hands over is right if this computes attention with it.
#ifndef SACCADE_TEST_UNIT_RUNTIME_PLAINKERNEL_H
#define SACCADE_TEST_UNIT_RUNTIME_PLAINKERNEL_H

#include "saccade/KernelABI.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace saccade::test {

/// The words of the sample kernel of Samples.h; dim 8, group 2, page 4, blocks
/// of 2 query tokens x 4 keys.
struct PlainKernel {
  enum class Kind { Ragged, Dense, Paged, BlockSparse };
  static constexpr int kDim = 8, kGroup = 2, kPage = 4, kRows = 2, kKeys = 4;

  template <typename T> static T *pointer(uint64_t word) {
    return reinterpret_cast<T *>(word);
  }

  template <Kind kind> static void run(const uint64_t *words, int32_t cta) {
    auto *items = pointer<const SaccadeWorkItem>(words[SACCADE_WORD_ITEMS]);
    auto *begin = pointer<const int32_t>(words[SACCADE_WORD_CTA_BEGIN]);
    for (int32_t i = begin[cta]; i < begin[cta + 1]; ++i)
      for (int32_t row = items[i].row_begin; row < items[i].row_end; ++row)
        runRow<kind>(words, items[i], row);
  }

private:
  static float *element(const uint64_t *tensor, int64_t batch, int64_t token,
                        int64_t head) {
    return pointer<float>(tensor[SACCADE_TENSOR_DATA]) +
           batch * int64_t(tensor[SACCADE_TENSOR_STRIDE_BATCH]) +
           token * int64_t(tensor[SACCADE_TENSOR_STRIDE_TOKEN]) +
           head * int64_t(tensor[SACCADE_TENSOR_STRIDE_HEAD]);
  }

  template <Kind kind>
  static void runRow(const uint64_t *words, const SaccadeWorkItem &item,
                     int32_t row) {
    const uint64_t *q = words + 8, *kv = words + 12, *o = words + 25,
                   *lse = words + 29;
    float scale = std::bit_cast<float>(uint32_t(words[24]));
    const auto &request = pointer<const SaccadeRequest>(
        words[SACCADE_WORD_REQUESTS])[item.request];
    const auto &segment =
        pointer<const SaccadeSegment>(kv[SACCADE_CACHE_SEGMENTS])[item.request];
    int32_t token = row / kGroup;
    int32_t head = item.kv_head * kGroup + row % kGroup;
    const float *query =
        element(q, item.request, request.q_begin + token, head);

    std::vector<int32_t> keys;
    if constexpr (kind == Kind::BlockSparse) {
      auto *rows = pointer<const int32_t>(kv[SACCADE_CACHE_BLOCK_ROWS]) +
                   segment.blocks + token / kRows;
      auto *ids = pointer<const int32_t>(kv[SACCADE_CACHE_INDICES]);
      for (int32_t b = rows[0]; b < rows[1]; ++b)
        for (int32_t k = 0; k < kKeys; ++k)
          if (ids[b] * kKeys + k < segment.len)
            keys.push_back(ids[b] * kKeys + k);
    } else {
      for (int32_t k = 0; k < segment.len; ++k)
        keys.push_back(k);
    }

    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    double out[kDim] = {};
    std::vector<double> logits;
    auto place = [&](int32_t key, int64_t &batch, int64_t &slot) {
      batch = item.request;
      slot = segment.base + key;
      if constexpr (kind == Kind::Paged) {
        batch = pointer<const int32_t>(
            kv[SACCADE_CACHE_INDICES])[segment.base + key / kPage];
        slot = key % kPage;
      }
    };
    for (int32_t key : keys) {
      int64_t batch, slot;
      place(key, batch, slot);
      const float *k =
          element(kv + SACCADE_CACHE_K_DATA, batch, slot, item.kv_head);
      double s = 0;
      for (int d = 0; d < kDim; ++d)
        s += double(query[d]) * k[d];
      logits.push_back(s * scale);
      most = std::fmax(most, s * scale);
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      int64_t batch, slot;
      place(keys[i], batch, slot);
      const float *v =
          element(kv + SACCADE_CACHE_V_DATA, batch, slot, item.kv_head);
      double p = std::exp(logits[i] - most);
      sum += p;
      for (int d = 0; d < kDim; ++d)
        out[d] += p * v[d];
    }
    float *result = element(o, item.request, request.q_begin + token, head);
    for (int d = 0; d < kDim; ++d)
      result[d] = keys.empty() ? 0 : static_cast<float>(out[d] / sum);
    *element(lse, item.request, request.q_begin + token, head) =
        keys.empty() ? -std::numeric_limits<float>::infinity()
                     : static_cast<float>(most + std::log(sum));
  }
};

} // namespace saccade::test
#endif // SACCADE_TEST_UNIT_RUNTIME_PLAINKERNEL_H
