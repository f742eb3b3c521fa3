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
                          bool batchInvariant, bool shared) {
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
  for (size_t e = 0; e < manifest.entries.size(); ++e)
    sizes.push_back(mostWork(manifest, manifest.entries[e], limits, ctas[e],
                             batchInvariant));
  for (size_t e = 0; e < manifest.entries.size(); ++e) {
    const Entry &entry = manifest.entries[e];
    const WorkSize &most = sizes[e];
    memory.leaders.push_back(shared ? entry.fusedInto : -1);
    int64_t items = most.items;
    if (shared && entry.fused >= 0)
      items += sizes[entry.fused].items;
    if (items >= SACCADE_MAX_POSITION)
      return invalid("@", manifest.kernel,
                     ": expects a capacity of fewer than 2^30 work items, but "
                     "got ",
                     items);
    EntryOffsets &offsets = memory.entries.emplace_back();
    if (memory.leaders[e] < 0) {
      offsets.ctaBegin = take(int64_t(ctas[e]) + 1, sizeof(int32_t));
      offsets.items = take(items, sizeof(SaccadeWorkItem));
    }
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
  // A launch that two entries share takes the states of the one that has some.
  for (size_t e = 0; e < sizes.size(); ++e) {
    if (memory.leaders[e] < 0 || manifest.entries[e].partialFloats == 0)
      continue;
    EntryOffsets &leader = memory.entries[memory.leaders[e]];
    leader.partials = memory.entries[e].partials;
    leader.counters = memory.entries[e].counters;
    leader.states = memory.entries[e].states;
  }
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
  auto wrote = [&](size_t offset, size_t bytes) {
    if (!ranges.empty() && offset - ranges.back().end <= kShortGap)
      ranges.back().end = offset + bytes;
    else
      ranges.push_back({offset, offset + bytes});
  };
  auto put = [&](size_t offset, const auto &values) {
    size_t bytes = values.size() * sizeof(values[0]);
    if (bytes == 0)
      return;
    memcpy(to + offset, values.data(), bytes);
    wrote(offset, bytes);
  };
  put(requests, batch.requests);
  for (size_t c = 0; c < segments.size(); ++c)
    put(segments[c], batch.caches[c].segments);
  // The items of both entries of a launch, cta by cta.
  auto putBoth = [&](const EntryOffsets &at, const EntryWork &first,
                     const EntryWork &second) {
    SharedGrid grid{first.ctas(), second.ctas()};
    auto *begins = reinterpret_cast<int32_t *>(to + at.ctaBegin);
    auto *items = reinterpret_cast<SaccadeWorkItem *>(to + at.items);
    int32_t count = 0;
    for (int32_t cta = 0; cta < grid.ctas(); ++cta) {
      begins[cta] = count;
      auto [isSecond, own] = grid.at(cta);
      const EntryWork &from = isSecond ? second : first;
      for (int32_t i = from.ctaBegin[own]; i < from.ctaBegin[own + 1]; ++i) {
        items[count] = from.items[i];
        items[count++].format = isSecond;
      }
    }
    begins[grid.ctas()] = count;
    wrote(at.ctaBegin, (grid.ctas() + 1) * sizeof(int32_t));
    if (count > 0)
      wrote(at.items, count * sizeof(SaccadeWorkItem));
  };
  for (size_t e = 0; e < entries.size(); ++e) {
    auto shares = std::ranges::find(leaders, static_cast<int32_t>(e));
    if (shares != leaders.end())
      putBoth(entries[e], work[e], work[shares - leaders.begin()]);
    else if (leaders[e] < 0) {
      put(entries[e].ctaBegin, work[e].ctaBegin);
      put(entries[e].items, work[e].items);
    }
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
