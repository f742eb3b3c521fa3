// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The planner's first form: query tiles x KV heads, dealt to the least loaded
// cta. A split of the keys comes later and changes nothing but this file.
#include "runtime/Planner.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

using namespace saccade::rt;

namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Rows that lie in one row block: the span that tiles never leave.
int64_t spanOf(const Entry &entry) {
  return entry.rowBlock ? entry.rowBlock : entry.rowsPerItem;
}

struct CostedItem {
  SaccadeWorkItem item;
  double cost;
  int32_t section;
};

/// Deals the sequences of KV heads to sections, one after another: the keys and
/// values of a section fit in the L2 cache beside those of the next, so that
/// its items read them from there.
class Sections {
public:
  Sections(const Manifest &manifest, const Entry &entry, const Batch &batch)
      : batch(batch) {
    for (size_t c = 0; c < manifest.caches.size(); ++c) {
      const Slot &slot = manifest.arguments[manifest.caches[c]];
      bool folded = entry.kind == EntryKind::Attend &&
                    std::ranges::count(entry.caches, manifest.caches[c]);
      bytesOfToken.push_back(
          folded ? int64_t(slot.dim + slot.valueDim) * bytesOf(slot.dtype) : 0);
    }
  }

  /// The section of the next KV head of a request.
  int32_t next(int32_t request) {
    int64_t bytes = 0;
    for (size_t c = 0; c < bytesOfToken.size(); ++c)
      bytes += bytesOfToken[c] * batch.caches[c].segments[request].len;
    if (used > 0 && used + bytes > kSectionBytes) {
      ++section;
      used = 0;
    }
    used += bytes;
    return section;
  }

private:
  static constexpr int64_t kSectionBytes = 20 << 20;

  const Batch &batch;
  std::vector<int64_t> bytesOfToken; ///< of each cache
  int64_t used = 0;
  int32_t section = 0;
};

std::vector<CostedItem> cutItems(const Manifest &manifest, const Entry &entry,
                                 const Batch &batch) {
  std::vector<CostedItem> items;
  int64_t span = spanOf(entry);
  Sections sections(manifest, entry, batch);
  std::vector<int32_t> sectionOfHead(entry.kvHeads);
  for (size_t r = 0; r < batch.requests.size(); ++r) {
    const SaccadeRequest &request = batch.requests[r];
    int64_t rows = int64_t(request.q_len) * entry.group;
    for (int32_t &section : sectionOfHead)
      section = sections.next(static_cast<int32_t>(r));
    for (int64_t begin = 0, end; begin < rows; begin = end) {
      int64_t blockEnd = (begin / span + 1) * span;
      end = std::min({begin + entry.rowsPerItem, blockEnd, rows});
      // An append moves its rows and folds nothing.
      int64_t keys = 0;
      if (entry.kind == EntryKind::Attend)
        keys = batch.keysOf(manifest, entry, static_cast<int32_t>(r),
                            static_cast<int32_t>(begin / entry.group));
      double cost = costOf(entry, end - begin, keys);
      for (int32_t head = 0; head < entry.kvHeads; ++head)
        items.push_back(
            {{static_cast<int32_t>(r), head, static_cast<int32_t>(begin),
              static_cast<int32_t>(end), 0, request.kv_len, /*partial=*/-1,
              /*format=*/0},
             cost,
             sectionOfHead[head]});
    }
  }
  return items;
}

} // namespace

int64_t saccade::rt::mostItems(const Entry &entry, const Limits &limits) {
  // A request of n rows gives at most floor(n / span) full spans and a rest,
  // each of at most perSpan tiles; requests without rows give none.
  int64_t span = spanOf(entry);
  int64_t perSpan = ceilDiv(span, entry.rowsPerItem);
  int64_t rows = limits.queryTokens * entry.group;
  int64_t rests = std::min(limits.requests, limits.queryTokens);
  int64_t tiles = (rows / span + rests) * perSpan;
  return std::min(tiles, rows) * entry.kvHeads;
}

EntryWork saccade::rt::planEntry(const Manifest &manifest, const Entry &entry,
                                 const Batch &batch, int32_t ctas,
                                 bool fixedGrid) {
  std::vector<CostedItem> items = cutItems(manifest, entry, batch);
  std::vector<int32_t> order(items.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](int32_t a, int32_t b) {
    if (items[a].section != items[b].section)
      return items[a].section < items[b].section;
    return items[a].cost != items[b].cost ? items[a].cost > items[b].cost
                                          : a < b;
  });
  if (!fixedGrid)
    ctas = static_cast<int32_t>(std::min<int64_t>(ctas, items.size()));

  // Ties go to the lower cta: pairs compare by load, then by number.
  using Slot = std::pair<double, int32_t>;
  std::priority_queue<Slot, std::vector<Slot>, std::greater<>> leastLoaded;
  for (int32_t cta = 0; cta < ctas; ++cta)
    leastLoaded.emplace(0.0, cta);
  std::vector<int32_t> owner(items.size());
  EntryWork work;
  work.load.resize(ctas);
  work.ctaBegin.assign(ctas + 1, 0);
  for (int32_t i : order) {
    auto [load, cta] = leastLoaded.top();
    leastLoaded.pop();
    owner[i] = cta;
    work.load[cta] = load + items[i].cost;
    ++work.ctaBegin[cta + 1];
    leastLoaded.emplace(work.load[cta], cta);
  }
  std::partial_sum(work.ctaBegin.begin(), work.ctaBegin.end(),
                   work.ctaBegin.begin());
  std::vector<int32_t> next(work.ctaBegin.begin(), work.ctaBegin.end() - 1);
  work.items.resize(items.size());
  for (int32_t i : order)
    work.items[next[owner[i]]++] = items[i].item;
  return work;
}
