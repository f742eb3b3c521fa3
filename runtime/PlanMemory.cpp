// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lays plans out in memory and writes them. Of what is uploaded page ids come
// last: they are most of a plan, and of the least certain number.
#include "runtime/PlanMemory.h"

#include <algorithm>
#include <cstring>

using namespace saccade::rt;

namespace {
constexpr size_t align(size_t bytes) { return (bytes + 15) & ~size_t(15); }

/// Copying this much more costs less than starting another copy: a copy takes
/// some 2 us to start and moves some 20 GB/s over PCIe 4.
constexpr size_t kShortGap = 32 * 1024;
} // namespace

Status PlanMemory::layOut(const Manifest &manifest, const Limits &limits,
                          std::span<const int32_t> ctas, PlanMemory &memory,
                          bool batchInvariant) {
  memory = {};
  auto take = [&](int64_t count, size_t bytes) {
    size_t offset = memory.bytes;
    memory.bytes += align(static_cast<size_t>(count) * bytes);
    return offset;
  };
  std::vector<WorkSize> sizes;
  size_t sparse = 0;
  memory.requests = take(limits.requests, sizeof(SaccadeRequest));
  for (int32_t cache : manifest.caches) {
    memory.segments.push_back(take(limits.requests, sizeof(SaccadeSegment)));
    sparse += manifest.arguments[cache].layout == Layout::BlockSparse;
  }
  for (size_t e = 0; e < manifest.entries.size(); ++e) {
    const WorkSize &most = sizes.emplace_back(mostWork(
        manifest, manifest.entries[e], limits, ctas[e], batchInvariant));
    if (most.items >= SACCADE_MAX_POSITION)
      return invalid("@", manifest.kernel,
                     ": expects a capacity of fewer than 2^30 work items, but "
                     "got ",
                     most.items);
    EntryOffsets &offsets = memory.entries.emplace_back();
    offsets.ctaBegin = take(int64_t(ctas[e]) + 1, sizeof(int32_t));
    offsets.items = take(most.items, sizeof(SaccadeWorkItem));
    // Items that are no parts read the first record, and do not use it.
    offsets.partials =
        take(std::max<int64_t>(most.slots, 1), sizeof(SaccadePartial));
  }
  memory.blockRows = take(limits.rowBlocks + sparse, sizeof(int32_t));
  memory.indices = take(limits.indices, sizeof(int32_t));
  memory.imageBytes = memory.bytes;
  memory.counters = memory.bytes;
  for (size_t e = 0; e < sizes.size(); ++e)
    memory.entries[e].counters = take(sizes[e].counters, sizeof(int32_t));
  memory.counterBytes = memory.bytes - memory.counters;
  for (size_t e = 0; e < sizes.size(); ++e)
    memory.entries[e].states =
        take(sizes[e].slots, manifest.entries[e].partialFloats * sizeof(float));
  // An allocation of nothing has no address.
  memory.bytes = std::max<size_t>(memory.bytes, 16);
  return SACCADE_OK;
}

void PlanMemory::addScratch(int64_t requests, int32_t ctas) {
  error = bytes;
  scratch = error + 16;
  bytes = scratch + align(RangeScratch::bytes(requests, ctas));
}

void PlanMemory::write(const Batch &batch, const std::vector<EntryWork> &work,
                       char *to, std::vector<Range> &ranges) const {
  ranges.clear();
  auto put = [&](size_t offset, const auto &values) {
    size_t bytes = values.size() * sizeof(values[0]);
    if (bytes == 0)
      return;
    memcpy(to + offset, values.data(), bytes);
    if (!ranges.empty() && offset - ranges.back().end <= kShortGap)
      ranges.back().end = offset + bytes;
    else
      ranges.push_back({offset, offset + bytes});
  };
  put(requests, batch.requests);
  for (size_t c = 0; c < segments.size(); ++c)
    put(segments[c], batch.caches[c].segments);
  for (size_t e = 0; e < entries.size(); ++e) {
    put(entries[e].ctaBegin, work[e].ctaBegin);
    put(entries[e].items, work[e].items);
    put(entries[e].partials, work[e].partials);
  }
  put(blockRows, batch.blockRows);
  put(indices, batch.indices);
}

std::vector<PlanMemory::Range>
PlanMemory::write(const Batch &batch, const std::vector<EntryWork> &work,
                  char *to) const {
  std::vector<Range> ranges;
  write(batch, work, to, ranges);
  return ranges;
}
