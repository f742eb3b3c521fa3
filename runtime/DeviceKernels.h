// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kernels that belong to the runtime itself (runtime/device), and the
// parameters that each takes, by value. Read by host and device.
#ifndef SACCADE_RUNTIME_DEVICEKERNELS_H
#define SACCADE_RUNTIME_DEVICEKERNELS_H

#include "runtime/RangePlan.h"

namespace saccade::rt {

/// Plans a batch whose lengths lie on the device: each block makes the cuts and
/// writes its share of the items.
struct PlanOnDevice {
  static constexpr const char *kName = "saccade_plan_on_device";
  static constexpr int32_t kLeastThreads = 128, kMostThreads = 512;
  /// Each works out the same cuts; more share what is to be written.
  static constexpr int32_t kMostBlocks = 128;
  /// Bytes of shared memory for scratch: every GPU from sm_80 on has them.
  static constexpr int32_t kMostShared = 96 * 1024;

  RangeShape shape;
  RangeOutput out;
  /// RangeScratch::bytes of memory, for one block; null: in shared memory.
  char *scratch;
  int32_t sharers; ///< threads that write the items of a cta
  SaccadeRequest *requests;
  SaccadeSegment *segments;
  const int32_t *qIndptr; ///< [requests + 1]; null: all have q_len tokens
  const int32_t *lengths; ///< [requests], keys
  int32_t qLen;
  int32_t dense;      ///< whether queries are a padded tensor
  int64_t tableRow;   ///< entries of the page table from request to request
  int64_t mostTokens; ///< of queries, the capacity
  int32_t mostKeys;   ///< of a request, as the page table has room
  uint64_t *error;    ///< see TableError
};

/// Tests the page ids of a batch: a block for each request.
struct CheckPages {
  static constexpr const char *kName = "saccade_check_pages";
  static constexpr int32_t kThreads = 128;

  const SaccadeSegment *segments;
  const int32_t *indices;
  int64_t limit; ///< pages of the cache
  int32_t page, cache;
  uint64_t *error;
};

/// The first fault that kernels have found, as one number whose least is kept:
/// request, then what is wrong with it, then where.
struct TableError {
  static constexpr uint64_t kNone = ~uint64_t(0);
  enum Kind : uint32_t { Length = 0, QueryLength = 1, Page = 2 };

  int32_t request, cache; ///< cache below 16
  Kind kind;
  int32_t place; ///< of a page in the request's list, below 2^27

  uint64_t encode() const {
    return static_cast<uint64_t>(request) << 33 |
           static_cast<uint64_t>(kind) << 31 |
           static_cast<uint64_t>(cache & 15) << 27 |
           static_cast<uint64_t>(place & 0x7ffffff);
  }
  static TableError decode(uint64_t code) {
    return {static_cast<int32_t>(code >> 33),
            static_cast<int32_t>(code >> 27 & 15),
            static_cast<Kind>(code >> 31 & 3),
            static_cast<int32_t>(code & 0x7ffffff)};
  }
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_DEVICEKERNELS_H
