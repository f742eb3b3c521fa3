// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Cuts the line of work into ranges. Costs are integers here, so that a cut
// lies where it does on any machine.
#include "runtime/RangePolicy.h"

#include <algorithm>
#include <cmath>

using namespace saccade::rt;

double saccade::rt::stateCost(const Manifest &manifest, const Entry &entry) {
  const Slot &cache = manifest.arguments[entry.caches.front()];
  double keyBytes =
      double(int64_t(cache.dim) + cache.valueDim) * bytesOf(cache.dtype);
  return entry.beta * 4.0 * entry.partialFloats / keyBytes;
}

double saccade::rt::mergeCost(const Manifest &manifest, const Entry &entry) {
  return entry.mergeCost >= 0 ? entry.mergeCost
                              : 2 * stateCost(manifest, entry);
}

int64_t RangePolicy::unitsOf(double cost) const {
  return std::llround(std::ldexp(std::min(cost, 1e15), exponent));
}

void RangePolicy::weigh(const Entry &entry, const std::vector<Tile> &tiles) {
  double total = 0;
  for (const Tile &tile : tiles)
    total += tile.cost;
  heads = entry.kvHeads;
  exponent = costExponent(total, heads);
  // Where nothing costs anything, tiles count.
  free = total == 0;
  Weight weight = {1, 0};
  int32_t rows = 0;
  weights.resize(tiles.size());
  before.resize(tiles.size() + 1);
  before[0] = heaviest = 0;
  for (size_t t = 0; t < tiles.size(); ++t) {
    const Tile &tile = tiles[t];
    if (!free && tile.rowEnd - tile.rowBegin != rows) {
      rows = tile.rowEnd - tile.rowBegin;
      double fixed = costOf(entry, rows, 0);
      weight = {unitsOf(fixed),
                unitsOf(costOf(entry, rows, entry.kvTile) - fixed)};
    }
    weights[t] = weight;
    int64_t units = weight.fixed + weight.each * tile.visited;
    heaviest = std::max(heaviest, units);
    before[t + 1] = before[t] + units;
  }
  perHead = before.back();
}

int64_t RangePolicy::cutWhole(int64_t count, int32_t ctas) {
  cuts.resize(static_cast<size_t>(ctas) + 1);
  cuts[0] = {0, 0, 0, 0};
  int64_t most = 0, all = perHead * heads;
  for (int32_t c = 1; c <= ctas; ++c) {
    int64_t at = all / ctas * c + all % ctas * c / ctas;
    int64_t head = perHead ? at / perHead : 0, rest = at - head * perHead;
    // The nearest end of a tile.
    auto it = std::ranges::upper_bound(before, rest) - 1;
    int64_t tile = std::min<int64_t>(it - before.begin(), count);
    if (tile < count && rest - before[tile] > before[tile + 1] - rest)
      ++tile;
    cuts[c] = {head * count + tile, 0, 0, head * perHead + before[tile]};
    if (c == ctas) // tiles that cost nothing may follow
      cuts[c] = {heads * count, 0, 0, all};
    most = std::max(most, cuts[c].units - cuts[c - 1].units);
  }
  return most;
}

void RangePolicy::cutAnywhere(const Manifest &manifest, const Entry &entry,
                              const Batch &batch,
                              const std::vector<Tile> &tiles, int32_t ctas,
                              int64_t sliver) {
  auto count = static_cast<int64_t>(tiles.size());
  cuts.resize(static_cast<size_t>(ctas) + 1);
  cuts[0] = {0, 0, 0, 0};
  int64_t all = perHead * heads, read = -1;
  for (int32_t c = 1; c < ctas; ++c) {
    int64_t at = all / ctas * c + all % ctas * c / ctas;
    int64_t head = at / perHead, rest = at - head * perHead;
    auto it = std::ranges::upper_bound(before, rest) - 1;
    int64_t tile = it - before.begin();
    Cut &cut = cuts[c];
    auto between = [&](int64_t next) {
      cut = {head * count + next, 0, 0, head * perHead + before[next]};
    };
    if (tile >= count) {
      between(count);
      continue;
    }
    // The nearest end of a KV tile; a sliver is not worth a part.
    auto [fixed, each] = weights[tile];
    int64_t visited = tiles[tile].visited;
    int64_t inside = rest - before[tile] - fixed;
    int64_t parted = each > 0 ? (std::max<int64_t>(inside, 0) + each / 2) / each
                     : inside >= 0 ? visited
                                   : 0;
    if (parted * each <= sliver || parted == 0) {
      between(tile);
      continue;
    }
    if ((visited - parted) * each <= sliver || parted >= visited) {
      between(tile + 1);
      continue;
    }
    if (tile != read)
      keys.read(manifest, entry, batch, tiles[tile]);
    read = tile;
    KeyLine::Place place = keys.after(parted);
    if (place.before >= visited) {
      between(tile + 1);
      continue;
    }
    cut = {head * count + tile, place.before, place.position,
           head * perHead + before[tile] + fixed + place.before * each};
  }
  cuts[ctas] = {heads * count, 0, 0, all};
}

/// Writes the part of a tile between two cuts, at least one of which is inside.
void RangePolicy::writePart(const std::vector<Tile> &tiles, const Cut &from,
                            const Cut &to, EntryWork &work) {
  auto count = static_cast<int64_t>(tiles.size());
  bool first = from.before == 0, last = to.item != from.item;
  const Tile &tile = tiles[from.item % count];
  auto slot = static_cast<int32_t>(work.partials.size());
  int32_t begin = first ? slot : work.partials.back().first;
  if (first)
    ++work.counters;
  work.partials.push_back({begin, slot - begin + 1, work.counters - 1, 0});
  if (last)
    for (int32_t s = begin; s < slot; ++s)
      work.partials[s].count = slot - begin + 1;
  work.items.push_back({tile.request, static_cast<int32_t>(from.item / count),
                        tile.rowBegin, tile.rowEnd, first ? 0 : from.position,
                        last ? tile.keyEnd : to.position, slot,
                        /*format=*/0});
}

/// Writes the items of each range. Parts come first: their states are then
/// merged while others still work on whole tiles.
void RangePolicy::write(const Entry &entry, const std::vector<Tile> &tiles,
                        int32_t ctas, bool fixedGrid, EntryWork &work) {
  auto count = static_cast<int64_t>(tiles.size());
  int32_t wanted = fixedGrid ? ctas : 0;
  for (int32_t c = 0, used = static_cast<int32_t>(cuts.size()) - 1; c < used;
       ++c) {
    Cut from = cuts[c], to = cuts[c + 1];
    if (from.item == to.item && from.before == to.before)
      continue; // nothing left between the two
    int64_t units = to.units - from.units;
    if (from.before > 0) { // the rest of a tile, or a part of that
      units += weights[from.item % count].fixed;
      bool ends = to.item > from.item;
      writePart(tiles, from, ends ? Cut{from.item + 1, 0, 0, 0} : to, work);
      from = ends ? Cut{from.item + 1, 0, 0, 0} : to;
    }
    if (to.before > 0 && from.before == 0)
      writePart(tiles, {to.item, 0, 0, 0}, to, work);
    auto head = static_cast<int32_t>(from.item / count);
    int64_t t = from.item % count;
    for (int64_t item = from.item; item < to.item; ++item) {
      const Tile &tile = tiles[t];
      work.items.push_back({tile.request, head, tile.rowBegin, tile.rowEnd,
                            tile.keyBegin, tile.keyEnd, /*partial=*/-1,
                            /*format=*/0});
      if (++t == count) {
        t = 0;
        ++head;
      }
    }
    work.load.push_back(
        free ? 0 : std::ldexp(static_cast<double>(units), -exponent));
    work.ctaBegin.push_back(static_cast<int32_t>(work.items.size()));
  }
  while (work.ctas() < wanted) {
    work.load.push_back(0);
    work.ctaBegin.push_back(work.ctaBegin.back());
  }
}

void RangePolicy::plan(const Manifest &manifest, const Entry &entry,
                       const Batch &batch, const std::vector<Tile> &tiles,
                       int32_t ctas, bool fixedGrid, EntryWork &work) {
  work.items.clear();
  work.partials.clear();
  work.load.clear();
  work.ctaBegin.assign(1, 0);
  work.counters = 0;
  if (tiles.empty()) {
    work.load.assign(fixedGrid ? ctas : 0, 0);
    work.ctaBegin.assign(work.load.size() + 1, 0);
    return;
  }
  weigh(entry, tiles);
  int64_t all = perHead * heads;
  // Merging reads the states that parts wrote one after another, so n parts of
  // a tile of cost c end after c / n + n * s: best where n = sqrt(c / s).
  double state = stateCost(manifest, entry);
  double cost = std::ldexp(static_cast<double>(heaviest), -exponent);
  double parts = std::clamp(std::sqrt(cost / std::max(state, 1e-9)), 1.0,
                            double(kMostParts));
  auto used = static_cast<int32_t>(std::clamp(
      std::floor(double(all) / double(heaviest) * parts), 1.0, double(ctas)));
  int64_t most = cutWhole(static_cast<int64_t>(tiles.size()), ctas);
  if (double(most) >
      double(all) / used + double(unitsOf(mergeCost(manifest, entry))))
    cutAnywhere(manifest, entry, batch, tiles, used,
                weights.front().fixed + unitsOf(2 * state));
  write(entry, tiles, ctas, fixedGrid, work);
}

void RangePolicy::reserve(int64_t tiles, int32_t ctas, size_t folds) {
  weights.reserve(tiles);
  before.reserve(tiles + 1);
  cuts.reserve(static_cast<size_t>(ctas) + 1);
  keys.reserve(folds);
}
