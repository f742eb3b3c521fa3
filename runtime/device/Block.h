// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A block of threads as a team: what runtime/RangePlan.h asks of one, and the
// few things of a GPU that C++ has no words for. Compiled for the device only.
#ifndef SACCADE_RUNTIME_DEVICE_BLOCK_H
#define SACCADE_RUNTIME_DEVICE_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#define SACCADE_SHARED __attribute__((address_space(3)))

namespace saccade::rt {

static constexpr int32_t kWarp = 32, kMostWarps = 32;
/// Of the sums of a scan.
static constexpr int32_t kMostBytes = 24;
alignas(8) static SACCADE_SHARED char sums[2 * kMostWarps * kMostBytes];

/// One of several blocks that work out the same, each for itself, and share
/// what is written.
class Block {
public:
  /// So many threads share what share() gives out, a divisor of the block's.
  explicit Block(int32_t sharers = 1)
      : sharers(sharers), id(__nvvm_read_ptx_sreg_tid_x()),
        size(__nvvm_read_ptx_sreg_ntid_x()),
        block(__nvvm_read_ptx_sreg_ctaid_x()),
        blocks(__nvvm_read_ptx_sreg_nctaid_x()) {}

  static void sync() { __nvvm_bar_sync(0); }

  /// Calls f(0) .. f(n - 1), and waits for all.
  template <typename Fn> void each(int32_t n, Fn f) const {
#pragma nounroll
    for (int32_t i = id; i < n; i += size)
      f(i);
    sync();
  }

  /// Calls f(i, 0, sharers) .. f(i, sharers - 1, sharers) for i from 0 to n
  /// - 1.
  template <typename Fn> void share(int32_t n, Fn f) const {
    int32_t group = id / sharers, groups = size / sharers;
#pragma nounroll
    for (int32_t i = block + group * blocks; i < n; i += blocks * groups)
      f(i, id - group * sharers, sharers);
  }

  /// Whether this block writes entry i of what each works out: whole warps do.
  /// The number of blocks is a power of two.
  bool owns(int32_t i) const { return (i / kWarp & (blocks - 1)) == block; }

  /// Calls put(i, value(0) + .. + value(i - 1)) for i up to n, and waits for
  /// all.
  template <typename Value, typename Put>
  void scan(int32_t n, Value value, Put put) {
    int32_t chunk = n <= size ? 1 : (n + size - 1) / size;
    int32_t begin = id * chunk, end = least(begin + chunk, n);
    decltype(value(0)) sum = {};
#pragma nounroll
    for (int32_t i = begin; i < end; ++i)
      sum += value(i);
    sum = sumBefore(sum);
    // One thread goes on to n itself.
    int32_t last = id == size - 1 ? n : least(begin + chunk - 1, n);
#pragma nounroll
    for (int32_t i = begin; i <= last; ++i) {
      put(i, sum);
      if (i < last)
        sum += value(i);
    }
    sync();
  }

private:
  int32_t sharers, id, size, block, blocks;
  int32_t scans = 0; ///< so far

  static int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

  /// What shuffle(word) does to each word of a value.
  template <typename T, typename Fn>
  static T shuffled(const T &value, Fn shuffle) {
    struct Words {
      int32_t of[sizeof(T) / sizeof(int32_t)];
    };
    auto words = __builtin_bit_cast(Words, value);
    for (int32_t &word : words.of)
      word = shuffle(word);
    return __builtin_bit_cast(T, words);
  }

  /// The value of the lane `below` lanes below; its own where there is none.
  template <typename T> static T fromBelow(const T &value, int32_t below) {
    return shuffled(value, [&](int32_t word) {
      return __nvvm_shfl_sync_up_i32(-1, word, below, 0);
    });
  }

  /// The sum of the values of lanes up to this one.
  template <typename T> static T sumToLane(T value, int32_t lane) {
#pragma nounroll
    for (int32_t below = 1; below < kWarp; below *= 2) {
      T other = fromBelow(value, below);
      if (lane >= below)
        value += other;
    }
    return value;
  }

  /// The sum of the values of all lanes.
  template <typename T> static T sumOfLanes(T value) {
#pragma nounroll
    for (int32_t away = 1; away < kWarp; away *= 2)
      value += shuffled(value, [&](int32_t word) {
        return __nvvm_shfl_sync_bfly_i32(-1, word, away, kWarp - 1);
      });
    return value;
  }

  /// The sum of what threads before this one have. The sums of warps lie in one
  /// of two places, so that the next scan may begin at once.
  template <typename T> T sumBefore(const T &own) {
    static_assert(sizeof(T) <= kMostBytes && sizeof(T) % sizeof(int32_t) == 0);
    auto *ofWarps = reinterpret_cast<SACCADE_SHARED T *>(
        sums + scans++ % 2 * kMostWarps * kMostBytes);
    int32_t lane = id % kWarp, warp = id / kWarp;
    T upTo = sumToLane(own, lane);
    if (lane == kWarp - 1)
      ofWarps[warp] = upTo;
    sync();
    T ofWarp = {};
    if (lane < warp)
      ofWarp = ofWarps[lane];
    T sum = fromBelow(upTo, 1);
    if (lane == 0)
      sum = {};
    sum += sumOfLanes(ofWarp);
    return sum;
  }
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_DEVICE_BLOCK_H
