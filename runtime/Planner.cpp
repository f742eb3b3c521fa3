// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Chooses tiles and a policy. What policies do with them is their own matter.
#include "runtime/Planner.h"

#include <algorithm>
#include <tuple>
#include <utility>

using namespace saccade::rt;

namespace {

/// What they have to gain to be taken.
constexpr double kLeastGain = 1.04;
/// Keys of a part of a batch-invariant plan, about: 32k keys of 8 KV heads fill
/// 128 ctas, and merging costs little beside them.
constexpr int64_t kInvariantKeys = 2048;

/// Whether tiles may be smaller than an item's rows.
bool mayShrink(const Entry &entry) {
  return entry.groupCosts.size() > 1 && !entry.rowBlock;
}

/// KV tiles of a part of a batch-invariant plan.
int64_t invariantTiles(const Entry &entry) {
  return std::max<int64_t>(kInvariantKeys / entry.kvTile, 1);
}

double lastOf(const EntryWork &work) {
  return work.load.empty() ? 0 : *std::ranges::max_element(work.load);
}

/// Cuts the keys of requests that have one tile of rows. Others fill ctas by
/// themselves, and their states would be many.
void cutKeys(const Manifest &manifest, const Entry &entry, const Batch &batch,
             std::vector<Tile> &tiles, KeyLine &keys, EntryWork &work) {
  int64_t least = invariantTiles(entry);
  // Parts are put behind the tiles; what they come from becomes the first.
  bool some = false;
  for (size_t t = 0, count = tiles.size(); t < count; ++t) {
    const Tile whole = tiles[t];
    const SaccadeRequest &record = batch.requests[whole.request];
    // mostWork counts on no more than these.
    int64_t most = std::min<int64_t>(
        kMostParts, ceilDiv(record.kv_len, least * entry.kvTile));
    bool alone = whole.rowBegin == 0 &&
                 whole.rowEnd == int64_t(record.q_len) * entry.group;
    if (!alone || most < 2 || whole.visited <= least)
      continue;
    int64_t each = ceilDiv(whole.visited, most * least) * least;
    keys.read(manifest, entry, batch, whole);
    auto slot = static_cast<int32_t>(work.partials.size());
    int32_t parts = 0;
    KeyLine::Place from = {0, 0};
    while (from.before < whole.visited) {
      KeyLine::Place to = {whole.keyEnd, whole.visited};
      if (from.before + each < whole.visited)
        to = keys.after(from.before + each);
      if (to.before >= whole.visited)
        to.position = whole.keyEnd;
      if (parts == 0 && to.before >= whole.visited)
        break; // several folds visit all of it at once
      Tile &part = parts == 0 ? tiles[t] : tiles.emplace_back(whole);
      part.keyBegin = from.position;
      part.keyEnd = to.position;
      part.visited = static_cast<int32_t>(to.before - from.before);
      part.cost = costOf(entry, part.rowEnd - part.rowBegin,
                         int64_t(part.visited) * entry.kvTile);
      part.slot = slot + parts++;
      from = to;
    }
    if (parts == 0)
      continue;
    some = true;
    for (size_t p = 0; p < static_cast<size_t>(parts); ++p)
      (p == 0 ? tiles[t] : tiles[tiles.size() - parts + p]).slotsPerHead =
          parts;
    for (int32_t head = 0; head < entry.kvHeads; ++head)
      for (int32_t p = 0; p < parts; ++p)
        work.partials.push_back(
            {slot + head * parts, parts, work.counters + head, 0});
    work.counters += entry.kvHeads;
  }
  if (some) // request by request again
    std::ranges::sort(tiles, {}, [](const Tile &tile) {
      return std::tuple(tile.request, tile.rowBegin, tile.keyBegin);
    });
}

} // namespace

int64_t saccade::rt::mostItems(const Entry &entry, const Limits &limits) {
  int64_t most = mostItemsOf(entry, limits, tileRowsOf(entry));
  if (!mayShrink(entry))
    return most;
  int64_t least = std::max<int64_t>(tileRowsOf(entry, 1), entry.group);
  return std::max(most, std::min(kFewItems, mostItemsOf(entry, limits, least)));
}

/// Ranges: n ctas have n - 1 cuts between them. Each cut inside a tile makes
/// one item more; a tile with k >= 1 cuts inside has one counter and
/// k + 1 <= 2 k parts. So there are at most n - 1 items more than tiles and
/// heads give, n - 1 counters and 2 (n - 1) slots, whatever the rows of a tile.
///
/// Batch-invariant: a request of n keys is cut only if it has one tile of rows
/// and n > c, c the least keys of a part, and then into at most min(kMostParts,
/// ceil(n / c)) parts, which is less than 2 n / c. So requests of k keys in all
/// have at most min(kMostParts * requests, 2 k / c) parts a KV head, each an
/// item and a slot, and half as many counters.
WorkSize saccade::rt::mostWork(const Manifest &manifest, const Entry &entry,
                               const Limits &limits, int32_t ctas,
                               bool batchInvariant) {
  WorkSize most = {mostItems(entry, limits), 0, 0};
  if (!entry.isSplittable(manifest))
    return most;
  if (!batchInvariant) {
    most.counters = std::max(ctas - 1, 0);
    most.slots = 2 * most.counters;
    most.items += most.counters;
    return most;
  }
  int64_t keys = invariantTiles(entry) * entry.kvTile;
  most.slots = entry.kvHeads *
               std::min(kMostParts * limits.requests, 2 * limits.keys / keys);
  most.counters = most.slots / 2;
  most.items += most.slots;
  return most;
}

/// Deals the tiles; the items are then to be written.
void Planner::dealTiles(const Manifest &manifest, const Entry &entry,
                        const Batch &batch, int32_t ctas, bool fixedGrid,
                        EntryWork &work) {
  int64_t items = static_cast<int64_t>(tiles.size()) * entry.kvHeads;
  if (!fixedGrid)
    ctas = static_cast<int32_t>(std::min<int64_t>(ctas, items));
  heaviestFirst.deal(manifest, entry, batch, tiles, ctas, work);
}

/// The rows of a tile: all, unless fewer let the last cta end clearly earlier.
int64_t Planner::chooseRows(const Manifest &manifest, const Entry &entry,
                            const Batch &batch, int32_t ctas, bool fixedGrid) {
  int64_t rows = tileRowsOf(entry);
  if (!mayShrink(entry) || ctas < 1)
    return rows;
  double best = 0;
  for (auto groups = static_cast<int64_t>(entry.groupCosts.size()); groups > 0;
       --groups) {
    int64_t tried = std::min(tileRowsOf(entry, groups), tileRowsOf(entry));
    if (tried < entry.group)
      break;
    // Counted before they are cut: large batches are cut once.
    int64_t items = 0;
    for (const SaccadeRequest &request : batch.requests)
      if (int64_t all = int64_t(request.q_len) * entry.group; entry.takes(all))
        items += ceilDiv(all, tried);
    items *= entry.kvHeads;
    if (items == 0 || items > kFewItems)
      break;
    cutTiles(manifest, entry, batch, tried, tiles);
    dealTiles(manifest, entry, batch, ctas, fixedGrid, trial);
    double last = lastOf(trial);
    if (best == 0 || last * kLeastGain < best) {
      best = last;
      rows = tried;
    }
  }
  return rows;
}

void Planner::planHeaviestFirst(const Manifest &manifest, const Entry &entry,
                                const Batch &batch, int32_t ctas,
                                bool fixedGrid, EntryWork &work) {
  int64_t rows = chooseRows(manifest, entry, batch, ctas, fixedGrid);
  cutTiles(manifest, entry, batch, rows, tiles);
  dealTiles(manifest, entry, batch, ctas, fixedGrid, work);
  heaviestFirst.write(entry, tiles, work);
}

/// Cuts keys where the request alone says so, and deals the parts.
void Planner::planInvariant(const Manifest &manifest, const Entry &entry,
                            const Batch &batch, int32_t ctas, bool fixedGrid,
                            EntryWork &work) {
  cutTiles(manifest, entry, batch, tileRowsOf(entry), tiles);
  if (entry.isSplittable(manifest))
    cutKeys(manifest, entry, batch, tiles, keys, work);
  dealTiles(manifest, entry, batch, ctas, fixedGrid, work);
  heaviestFirst.write(entry, tiles, work);
}

/// Plans whole tiles, dealt one by one, in place of ranges that would have to
/// be cut, where that ends earlier. Of many tiles, ranges are even without
/// cuts.
bool Planner::dealInstead(const Manifest &manifest, const Entry &entry,
                          const Batch &batch, int32_t ctas, bool fixedGrid,
                          EntryWork &work, double pace) {
  auto items = static_cast<int64_t>(tiles.size()) * entry.kvHeads;
  if (items < ctas || items > kFewItems)
    return false;
  TileCosts costs(entry, tiles);
  double mean = costs.sum / ctas;
  auto isLate = [&](double last) {
    return std::max(mean, last * pace / entry.rush) >=
           mean + mergeCost(manifest, entry) * pace;
  };
  if (isLate(costs.heaviest)) // wherever it goes
    return false;
  trial.partials.clear();
  trial.counters = 0;
  dealTiles(manifest, entry, batch, ctas, fixedGrid, trial);
  if (isLate(lastOf(trial))) {
    // Dealing has brought the tiles in another order.
    cutTiles(manifest, entry, batch, tileRowsOf(entry), tiles);
    return false;
  }
  heaviestFirst.write(entry, tiles, trial);
  trial.pace = pace;
  std::swap(work, trial);
  return true;
}

void Planner::plan(const Manifest &manifest, const Entry &entry,
                   const Batch &batch, int32_t ctas, bool fixedGrid,
                   EntryWork &work, double pace) {
  work.partials.clear();
  work.counters = 0;
  work.pace = pace;
  work.grid = {};
  work.isSecond = false;
  if (batchInvariant)
    return planInvariant(manifest, entry, batch, ctas, fixedGrid, work);
  bool splittable = entry.isSplittable(manifest) && ctas > 0;
  if (splittable && entry.policy == Policy::Ranges) {
    cutTiles(manifest, entry, batch, tileRowsOf(entry), tiles);
    if (ranges.weigh(manifest, entry, tiles, ctas, pace) &&
        dealInstead(manifest, entry, batch, ctas, fixedGrid, work, pace))
      return;
    return ranges.write(manifest, entry, batch, tiles, ctas, fixedGrid, work);
  }
  planHeaviestFirst(manifest, entry, batch, ctas, fixedGrid, work);
  if (!splittable)
    return;
  // Whole tiles, unless cutting some lets the last cta end earlier.
  double last = lastOf(work), sum = 0,
         merge = mergeCost(manifest, entry) * pace;
  for (double load : work.load)
    sum += load;
  if (last <= sum / ctas + merge)
    return;
  cutTiles(manifest, entry, batch, tileRowsOf(entry), tiles);
  ranges.plan(manifest, entry, batch, tiles, ctas, fixedGrid, trial, pace);
  if (trial.partials.empty() || lastOf(trial) + merge >= last)
    return;
  trial.pace = pace;
  std::swap(work, trial);
}

void Planner::reserve(const Manifest &manifest, const Entry &entry,
                      const Limits &limits, int32_t ctas) {
  WorkSize most = mostWork(manifest, entry, limits, ctas, batchInvariant);
  tiles.reserve(most.items / entry.kvHeads + 1);
  heaviestFirst.reserve(limits, most.items, ctas, entry.kvHeads);
  if (mayShrink(entry) || entry.isSplittable(manifest) || entry.fused >= 0)
    trial.reserve(most, ctas);
  if (!entry.isSplittable(manifest))
    return;
  ranges.reserve(most.items / entry.kvHeads + 1, ctas, entry.folds.size());
  keys.reserve(entry.folds.size());
}

EntryWork saccade::rt::planEntry(const Manifest &manifest, const Entry &entry,
                                 const Batch &batch, int32_t ctas,
                                 bool fixedGrid, bool batchInvariant) {
  EntryWork work;
  Planner(batchInvariant).plan(manifest, entry, batch, ctas, fixedGrid, work);
  return work;
}
