// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Division by a number that many are divided by: a product and a shift instead,
// which GPUs do in a tenth of the time (T. Granlund, P. Montgomery, "Division
// by invariant integers using multiplication", 1994). For host and device.
#ifndef SACCADE_RUNTIME_DIVISOR_H
#define SACCADE_RUNTIME_DIVISOR_H

#include <stdint.h>

namespace saccade::rt {

class Divisor {
public:
  Divisor() = default;
  /// 1 or more.
  explicit Divisor(int32_t by) : by(by) {
    while ((int64_t(1) << log2) < by)
      ++log2;
    // 2^63 at least: it takes 64 bits.
    factor = static_cast<uint64_t>(((Wide(1) << (63 + log2)) + by - 1) / by);
  }

  int32_t value() const { return by; }
  /// n / by, of an n that is not negative.
  int64_t below(int64_t n) const {
    return static_cast<int64_t>((Wide(n) * factor >> 63) >> log2);
  }
  int32_t below(int32_t n) const {
    return static_cast<int32_t>(below(int64_t(n)));
  }

private:
  __extension__ using Wide = unsigned __int128;

  uint64_t factor = 0;
  int32_t by = 0, log2 = 0;
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_DIVISOR_H
