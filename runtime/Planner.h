// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides who computes what: cuts a batch into work items and deals them to
// ctas. Plain code over plain numbers, deterministic, and printable, so that a
// plan can be read and tested without a device.
//
// Items are query tiles x KV heads over the whole sequence. They are dealt
// each to the cta with the least work so far, so that no two ctas differ by
// more than one item: section by section of KV heads, so that what ctas read at
// a time fits in the L2 cache, and heaviest first within one (Graham's LPT
// rule).
#ifndef SACCADE_RUNTIME_PLANNER_H
#define SACCADE_RUNTIME_PLANNER_H

#include "runtime/Batch.h"

#include <string>
#include <vector>

namespace saccade::rt {

/// The work of one entry: items in the order of ctas.
struct EntryWork {
  std::vector<SaccadeWorkItem> items;
  std::vector<int32_t> ctaBegin; ///< [ctas + 1] into items
  std::vector<double> load;      ///< cost per cta

  int32_t ctas() const { return static_cast<int32_t>(ctaBegin.size()) - 1; }
};

/// Items that any batch within the limits gives at most.
int64_t mostItems(const Entry &entry, const Limits &limits);

/// The cost of an item of so many rows and keys, in the manifest's unit.
inline double costOf(const Entry &entry, int64_t rows, int64_t keys) {
  return entry.alpha * double(rows) + entry.beta * double(keys);
}

/// Plans one entry for at most `ctas` ctas; exactly so many with `fixedGrid`.
EntryWork planEntry(const Manifest &manifest, const Entry &entry,
                    const Batch &batch, int32_t ctas, bool fixedGrid);

/// A plan as text: entries, their ctas and items, then requests and caches.
std::string describe(const Manifest &manifest, const Batch &batch,
                     const std::vector<EntryWork> &work);

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_PLANNER_H
