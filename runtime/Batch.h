// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A batch as kernels see it: requests, and the part that each has of each
// cache. It is built from the C API's SaccadeBatch, and building it is what
// checks lengths and page tables against each other.
#ifndef SACCADE_RUNTIME_BATCH_H
#define SACCADE_RUNTIME_BATCH_H

#include "runtime/Manifest.h"
#include "saccade/Runtime.h"

#include <cstdint>
#include <vector>

namespace saccade::rt {

/// One cache of a batch.
struct CachePart {
  std::vector<SaccadeSegment> segments; ///< one per request
  int64_t rows = 0;    ///< ragged, block-sparse: rows that the tensor must have
  int32_t longest = 0; ///< most tokens of a request (dense: its least seq)
  int32_t largestId = -1; ///< largest page id known on the host
  /// Tables on the device, used in place; null when they lie in Batch::indices.
  const int32_t *deviceIndices = nullptr;
  const int32_t *deviceBlockRows = nullptr;
};

/// What a plan has room for; see SaccadeCapacity.
struct Limits {
  int64_t requests = 0, queryTokens = 0, indices = 0, rowBlocks = 0;
  int64_t keys = 0; ///< 0: any number
};

struct Batch {
  std::vector<SaccadeRequest> requests;
  std::vector<CachePart> caches;  ///< in the order of Manifest::caches
  std::vector<int32_t> indices;   ///< page ids and key blocks of all caches
  std::vector<int32_t> blockRows; ///< row pointers into indices, all caches
  int64_t tokens = 0;             ///< sum of q_len
  int64_t queryRows = 0;          ///< rows that a ragged query must have
  int64_t keys = 0;               ///< sum of kv_len
  int64_t bitsBytes = 0;          ///< of a packed mask
  int32_t longestQuery = 0;

  /// Becomes the empty batch for so many caches, and keeps its memory.
  void clear(size_t numCaches);
  /// Makes room for any batch within the limits.
  void reserve(const Manifest &manifest, const Limits &limits);
};

/// Reads and checks a batch whose device tables, if any, lie on `device`.
Status readBatch(const Manifest &manifest, const SaccadeBatch &source,
                 DLDevice device, const Limits &limits, Batch &batch);

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_BATCH_H
