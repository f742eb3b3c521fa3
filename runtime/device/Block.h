// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A block of threads as a team: what runtime/RangePlan.h asks of one, and the
// few things of a GPU that C++ has no words for. Compiled for the device only.
#ifndef SACCADE_RUNTIME_DEVICE_BLOCK_H
#define SACCADE_RUNTIME_DEVICE_BLOCK_H

#include <stdint.h>

#define SACCADE_SHARED __attribute__((address_space(3)))

namespace saccade::rt {

class Block {
public:
  Block()
      : id(__nvvm_read_ptx_sreg_tid_x()), size(__nvvm_read_ptx_sreg_ntid_x()) {}

  int32_t index() const { return id; }
  int32_t threads() const { return size; }
  static void sync() { __nvvm_bar_sync(0); }

  /// Calls f(0) .. f(n - 1), and waits for all.
  template <typename Fn> void each(int32_t n, Fn f) const {
    for (int32_t i = id; i < n; i += size)
      f(i);
    sync();
  }

  /// sums[i] = f(0) + .. + f(i - 1) for i up to n, and waits for all.
  template <typename T, typename Fn> void scan(int32_t n, T *sums, Fn f) const {
    int32_t chunk = (n + size - 1) / size;
    int32_t begin = least(id * chunk, n), end = least(begin + chunk, n);
    T own = 0;
    for (int32_t i = begin; i < end; ++i)
      own += static_cast<T>(f(i));
    auto sum = static_cast<T>(sumBefore(own));
    for (int32_t i = begin; i < end; ++i) {
      T value = static_cast<T>(f(i));
      sums[i] = sum;
      sum += value;
    }
    if (id == size - 1)
      sums[n] = sum;
    sync();
  }

private:
  static constexpr int32_t kWarp = 32;

  int32_t id, size;

  static int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

  /// The value of the lane `below` lanes below; its own where there is none.
  static int64_t fromBelow(int64_t value, int32_t below) {
    auto low = static_cast<int32_t>(value);
    auto high = static_cast<int32_t>(value >> 32);
    low = __nvvm_shfl_sync_up_i32(-1, low, below, 0);
    high = __nvvm_shfl_sync_up_i32(-1, high, below, 0);
    return (static_cast<int64_t>(high) << 32) | static_cast<uint32_t>(low);
  }

  static int64_t sumToLane(int64_t value, int32_t lane) {
    for (int32_t below = 1; below < kWarp; below *= 2) {
      int64_t other = fromBelow(value, below);
      if (lane >= below)
        value += other;
    }
    return value;
  }

  /// The sum of what threads before this one have.
  int64_t sumBefore(int64_t own) const {
    static SACCADE_SHARED int64_t ofWarps[kWarp];
    int32_t lane = id % kWarp, warp = id / kWarp, warps = size / kWarp;
    int64_t sum = sumToLane(own, lane);
    if (lane == kWarp - 1)
      ofWarps[warp] = sum;
    sync();
    if (warp == 0) {
      int64_t all = sumToLane(lane < warps ? ofWarps[lane] : 0, lane);
      if (lane < warps)
        ofWarps[lane] = all;
    }
    sync();
    sum -= own;
    if (warp > 0)
      sum += ofWarps[warp - 1];
    sync(); // before the next scan
    return sum;
  }
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_DEVICE_BLOCK_H
