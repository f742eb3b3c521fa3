// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides who computes what: cuts a batch into work items and deals them to
// ctas. Plain code over plain numbers, deterministic, and printable, so that a
// plan can be read and tested without a device.
//
// Items are query tiles x KV heads over the whole sequence, or over a part of
// the keys: then each part leaves a partial state, and the last one merges
// them. Two policies deal them, over one model of cost (Blob.h, "cost"):
//
// - Ranges (RangePolicy.h), where tiles are light, as in decode: contiguous
//   ranges of equal cost.
// - Heaviest first (HeaviestFirst.h), where tiles are heavy, as in prefill:
//   whole tiles, each to the least loaded cta. Where items are few, tiles of
//   fewer rows are tried: they spread over more ctas, and groups of warps
//   without rows leave the others more of a processor. Where the last cta would
//   still end later than ranges would with all their merging, because single
//   tiles are more than a cta's share, it is ranges here too.
//
// Where a kernel has an entry for requests of many rows and one for those of
// few, each is planned over its own requests alone.
//
// Where both are bodies of one kernel (SharedPlan.cpp), they share a launch:
// its ctas are divided so that both are modelled to end at once.
//
// An entry says which of the two it asks for; one without partial states is
// planned heaviest first, in whole tiles.
//
// A batch-invariant planner cuts each request by its own lengths alone: full
// tiles of rows, and a single tile of rows into parts of a fixed number of KV
// tiles (more for requests beyond kMostParts of them). Who computes an item
// then depends on the batch, but never what an item is.
#ifndef SACCADE_RUNTIME_PLANNER_H
#define SACCADE_RUNTIME_PLANNER_H

#include "runtime/HeaviestFirst.h"
#include "runtime/RangePolicy.h"

#include <span>
#include <string>
#include <vector>

namespace saccade::rt {

/// Smaller tiles, and other divisions of ctas, are tried where they make no
/// more items than this.
constexpr int64_t kFewItems = 1024;

/// Whole items that any batch within the limits gives at most.
int64_t mostItems(const Entry &entry, const Limits &limits);

/// Sizes that no plan of a batch within the limits exceeds.
WorkSize mostWork(const Manifest &manifest, const Entry &entry,
                  const Limits &limits, int32_t ctas, bool batchInvariant);

/// Plans entries. It keeps its memory from plan to plan.
class Planner {
public:
  explicit Planner(bool batchInvariant = false)
      : batchInvariant(batchInvariant) {}

  /// Makes room for any batch within the limits.
  void reserve(const Manifest &manifest, const Entry &entry,
               const Limits &limits, int32_t ctas);

  /// Plans one entry for at most `ctas` ctas; exactly so many with
  /// `fixedGrid`. What `work` held is overwritten. Its ctas work `pace` times
  /// as fast as costs say, out of at most `rush`; loads are costs all the same.
  void plan(const Manifest &manifest, const Entry &entry, const Batch &batch,
            int32_t ctas, bool fixedGrid, EntryWork &work, double pace = 1);

  /// Plans two entries for a launch that both share, of at most `ctas` ctas, at
  /// least two: each has one or more, unless the other has all. Loads are times
  /// now.
  void planShared(const Manifest &manifest, const Entry &first,
                  const Entry &second, const Batch &batch, int32_t ctas,
                  bool fixedGrid, EntryWork &firstWork, EntryWork &secondWork);

  /// Plans all entries, for at most ctas[e] ctas of entry e, or of the launch
  /// that it shares; without `shared`, none shares one.
  void planAll(const Manifest &manifest, const Batch &batch,
               std::span<const int32_t> ctas, bool fixedGrid, bool shared,
               std::vector<EntryWork> &work);

private:
  int32_t divide(const Manifest &manifest, const Entry &first,
                 const Entry &second, const Batch &batch, int32_t ctas);
  int64_t chooseRows(const Manifest &manifest, const Entry &entry,
                     const Batch &batch, int32_t ctas, bool fixedGrid);
  void planHeaviestFirst(const Manifest &manifest, const Entry &entry,
                         const Batch &batch, int32_t ctas, bool fixedGrid,
                         EntryWork &work);
  bool dealInstead(const Manifest &manifest, const Entry &entry,
                   const Batch &batch, int32_t ctas, bool fixedGrid,
                   EntryWork &work, double pace);
  void planInvariant(const Manifest &manifest, const Entry &entry,
                     const Batch &batch, int32_t ctas, bool fixedGrid,
                     EntryWork &work);
  void dealTiles(const Manifest &manifest, const Entry &entry,
                 const Batch &batch, int32_t ctas, bool fixedGrid,
                 EntryWork &work);

  bool batchInvariant;
  std::vector<Tile> tiles;
  HeaviestFirst heaviestFirst;
  RangePolicy ranges;
  KeyLine keys;
  EntryWork trial;
};

/// A plan of one entry, by a planner of its own.
EntryWork planEntry(const Manifest &manifest, const Entry &entry,
                    const Batch &batch, int32_t ctas, bool fixedGrid,
                    bool batchInvariant = false);

/// A plan as text: entries, their ctas and items, then requests and caches.
std::string describe(const Manifest &manifest, const Batch &batch,
                     const std::vector<EntryWork> &work);

/// A plan as an SVG: the load of every cta along the modelled time.
std::string picture(const Manifest &manifest, const Batch &batch,
                    const std::vector<EntryWork> &work);

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_PLANNER_H
