// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An attention kernel written by hand against KernelABI.h, in plain C++: what
// the runtime hands over is right if this computes attention with it, whole
// tiles and parts of them.
#ifndef SACCADE_TEST_UNIT_RUNTIME_PLAINKERNEL_H
#define SACCADE_TEST_UNIT_RUNTIME_PLAINKERNEL_H

#include "saccade/KernelABI.h"

#include <algorithm>
#include <atomic>
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

  /// Of a row's state: maximum, sum, outputs.
  static constexpr int kRowFloats = 2 + kDim, kPartialFloats = 4 * kRowFloats;

  template <Kind kind> static void run(const uint64_t *words, int32_t cta) {
    auto *items = pointer<const SaccadeWorkItem>(words[SACCADE_WORD_ITEMS]);
    auto *begin = pointer<const int32_t>(words[SACCADE_WORD_CTA_BEGIN]);
    for (int32_t i = begin[cta]; i < begin[cta + 1]; ++i)
      runItem<kind>(words, items[i]);
  }

private:
  static float *element(const uint64_t *tensor, int64_t batch, int64_t token,
                        int64_t head) {
    return pointer<float>(tensor[SACCADE_TENSOR_DATA]) +
           batch * int64_t(tensor[SACCADE_TENSOR_STRIDE_BATCH]) +
           token * int64_t(tensor[SACCADE_TENSOR_STRIDE_TOKEN]) +
           head * int64_t(tensor[SACCADE_TENSOR_STRIDE_HEAD]);
  }

  struct State {
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    double out[kDim] = {};
  };

  static void merge(State &into, const State &part) {
    double most = std::fmax(into.most, part.most);
    if (std::isinf(most))
      return; // neither has seen a key
    double a = std::exp(into.most - most), b = std::exp(part.most - most);
    into.most = most;
    into.sum = into.sum * a + part.sum * b;
    for (int d = 0; d < kDim; ++d)
      into.out[d] = into.out[d] * a + part.out[d] * b;
  }

  static float *stateOf(const uint64_t *words, int64_t slot, int32_t row) {
    return pointer<float>(words[SACCADE_WORD_WORKSPACE]) +
           slot * kPartialFloats + row * kRowFloats;
  }

  template <Kind kind>
  static void runItem(const uint64_t *words, const SaccadeWorkItem &item) {
    if (item.partial < 0) {
      for (int32_t row = item.row_begin; row < item.row_end; ++row)
        finish(words, item, row, fold<kind>(words, item, row));
      return;
    }
    for (int32_t row = item.row_begin; row < item.row_end; ++row) {
      State state = fold<kind>(words, item, row);
      float *to = stateOf(words, item.partial, row - item.row_begin);
      to[0] = static_cast<float>(state.most);
      to[1] = static_cast<float>(state.sum);
      for (int d = 0; d < kDim; ++d)
        to[2 + d] = static_cast<float>(state.out[d]);
    }
    const SaccadePartial &partial = pointer<const SaccadePartial>(
        words[SACCADE_WORD_PARTIALS])[item.partial];
    std::atomic_ref<int32_t> counter(
        pointer<int32_t>(words[SACCADE_WORD_COUNTERS])[partial.counter]);
    if (counter.fetch_add(1) + 1 < partial.count)
      return;
    counter = 0;
    for (int32_t row = item.row_begin; row < item.row_end; ++row) {
      State all;
      for (int32_t p = 0; p < partial.count; ++p) {
        float *from = stateOf(words, partial.first + p, row - item.row_begin);
        State part = {from[0], from[1], {}};
        std::copy_n(from + 2, int(kDim), part.out);
        merge(all, part);
      }
      finish(words, item, row, all);
    }
  }

  template <Kind kind>
  static State fold(const uint64_t *words, const SaccadeWorkItem &item,
                    int32_t row) {
    const uint64_t *q = words + 8, *kv = words + 12;
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
      for (int32_t k = std::max(item.kv_begin - segment.start, 0);
           k < std::min(item.kv_end - segment.start, segment.len); ++k)
        keys.push_back(k);
    }

    State state;
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
      state.most = std::fmax(state.most, s * scale);
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      int64_t batch, slot;
      place(keys[i], batch, slot);
      const float *v =
          element(kv + SACCADE_CACHE_V_DATA, batch, slot, item.kv_head);
      double p = std::exp(logits[i] - state.most);
      state.sum += p;
      for (int d = 0; d < kDim; ++d)
        state.out[d] += p * v[d];
    }
    return state;
  }

  static void finish(const uint64_t *words, const SaccadeWorkItem &item,
                     int32_t row, const State &state) {
    const uint64_t *o = words + 25, *lse = words + 29;
    const auto &request = pointer<const SaccadeRequest>(
        words[SACCADE_WORD_REQUESTS])[item.request];
    int32_t token = row / kGroup;
    int32_t head = item.kv_head * kGroup + row % kGroup;
    bool none = std::isinf(state.most);
    float *result = element(o, item.request, request.q_begin + token, head);
    for (int d = 0; d < kDim; ++d)
      result[d] = none ? 0 : static_cast<float>(state.out[d] / state.sum);
    *element(lse, item.request, request.q_begin + token, head) =
        static_cast<float>(none ? state.most
                                : state.most + std::log(state.sum));
  }
};

} // namespace saccade::test
#endif // SACCADE_TEST_UNIT_RUNTIME_PLAINKERNEL_H
