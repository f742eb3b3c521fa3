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
  return std::llround(std::min(cost, 1e15) * scale);
}

void RangePolicy::weighTiles(const Entry &entry,
                             const std::vector<Tile> &tiles) {
  double total = 0;
  for (const Tile &tile : tiles)
    total += tile.cost;
  heads = entry.kvHeads;
  count = static_cast<int32_t>(tiles.size());
  scale = std::ldexp(1.0, costExponent(total, heads));
  // Where nothing costs anything, tiles count.
  free = total == 0;
  Weight weight = {1, 0};
  int32_t rows = 0;
  weights.resize(tiles.size());
  whole.resize(tiles.size());
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
    whole[t] = {tile.request,   /*head=*/0,    tile.rowBegin,
                tile.rowEnd,    tile.keyBegin, tile.keyEnd,
                /*partial=*/-1, /*format=*/0};
  }
}

void RangePolicy::spread(int32_t ctas) {
  cuts.resize(static_cast<size_t>(ctas) + 1);
  int64_t perHead = before.back();
  // The step as a whole number and a fraction of ctas: no sum overflows.
  int64_t step = perHead * heads / ctas, part = perHead * heads % ctas;
  int64_t head = 0, rest = 0, fraction = 0, tile = 0;
  cuts[0] = {0, 0, 0, 0, 0};
  for (int32_t c = 1; c < ctas; ++c) {
    rest += step;
    fraction += part;
    if (fraction >= ctas) {
      fraction -= ctas;
      ++rest;
    }
    for (; rest >= perHead; rest -= perHead) {
      ++head;
      tile = 0;
    }
    // Mostly near: a search from here would cost more.
    for (int near = 0; near < 8 && before[tile + 1] <= rest; ++near)
      ++tile;
    if (before[tile + 1] <= rest)
      tile = std::upper_bound(before.begin() + tile + 1, before.end(), rest) -
             before.begin() - 1;
    cuts[c] = {static_cast<int32_t>(head), static_cast<int32_t>(tile), 0, rest,
               0};
  }
  // Behind all tiles, also those that cost nothing.
  cuts[ctas] = {heads, 0, 0, perHead * heads, 0};
}

/// A cut at the nearest end of a tile.
RangePolicy::Cut RangePolicy::betweenTiles(Cut cut) const {
  int64_t rest = cut.units;
  bool next = rest - before[cut.tile] > before[cut.tile + 1] - rest;
  cut.units = cut.head * before.back() + before[cut.tile + next];
  return next ? behind(cut) : cut;
}

int64_t RangePolicy::heaviestWhole() const {
  int64_t most = 0, last = 0;
  for (size_t c = 1; c + 1 < cuts.size(); ++c) {
    int64_t units = betweenTiles(cuts[c]).units;
    most = std::max(most, units - last);
    last = units;
  }
  return std::max(most, cuts.back().units - last);
}

void RangePolicy::cutWhole() {
  for (size_t c = 1; c + 1 < cuts.size(); ++c)
    cuts[c] = betweenTiles(cuts[c]);
}

void RangePolicy::cutAnywhere(const Manifest &manifest, const Entry &entry,
                              const Batch &batch,
                              const std::vector<Tile> &tiles, int64_t sliver) {
  int32_t read = -1;
  for (size_t c = 1; c + 1 < cuts.size(); ++c) {
    Cut &cut = cuts[c];
    auto [fixed, each] = weights[cut.tile];
    int64_t begin = before[cut.tile], rest = cut.units;
    int64_t visited = tiles[cut.tile].visited;
    // The nearest end of a KV tile; a sliver is not worth a part.
    int64_t inside = std::max<int64_t>(rest - begin - fixed, 0);
    int64_t parted = each > 0                ? (inside + each / 2) / each
                     : rest - begin >= fixed ? visited
                                             : 0;
    if (parted == 0 || parted * each <= sliver)
      parted = 0;
    else if (parted >= visited || (visited - parted) * each <= sliver)
      parted = visited;
    cut.units = cut.head * before.back() + begin;
    if (parted == 0)
      continue;
    KeyLine::Place place = {0, visited};
    if (parted < visited) {
      if (cut.tile != read)
        keys.read(manifest, entry, batch, tiles[cut.tile]);
      read = cut.tile;
      place = keys.after(parted);
    }
    if (place.before >= visited) {
      cut.units += fixed + visited * each;
      cut = behind(cut);
      continue;
    }
    cut.before = place.before;
    cut.position = place.position;
    cut.units += fixed + place.before * each;
  }
}

/// The next tile, from anywhere in one.
RangePolicy::Cut RangePolicy::behind(Cut cut) const {
  cut.before = cut.position = 0;
  if (++cut.tile == count) {
    cut.tile = 0;
    ++cut.head;
  }
  return cut;
}

/// Writes the part of a tile between two cuts, at least one of which is inside.
void RangePolicy::writePart(const Cut &from, const Cut &to,
                            SaccadeWorkItem &item, EntryWork &work) const {
  bool first = from.before == 0, last = from.isBefore(to);
  auto slot = static_cast<int32_t>(work.partials.size());
  int32_t begin = first ? slot : work.partials.back().first;
  if (first)
    ++work.counters;
  work.partials.push_back({begin, slot - begin + 1, work.counters - 1, 0});
  if (last)
    for (int32_t s = begin; s < slot; ++s)
      work.partials[s].count = slot - begin + 1;
  item = whole[from.tile];
  item.kv_head = from.head;
  item.partial = slot;
  if (!first)
    item.kv_begin = from.position;
  if (!last)
    item.kv_end = to.position;
}

/// Writes the items of each range. Parts come first: their states are then
/// merged while others still work on whole tiles.
void RangePolicy::writeItems(int32_t ctas, bool fixedGrid, EntryWork &work) {
  // Each cut inside a tile makes one item more.
  int64_t items = int64_t(count) * heads;
  const Cut *last = nullptr;
  for (const Cut &cut : cuts) {
    items += cut.before > 0 &&
             !(last && last->head == cut.head && last->tile == cut.tile &&
               last->before == cut.before);
    last = &cut;
  }
  work.items.resize(items); // a plan of as many items writes none twice
  SaccadeWorkItem *item = work.items.data();
  double cost = free ? 0 : 1 / scale;
  for (size_t c = 0; c + 1 < cuts.size(); ++c) {
    Cut from = cuts[c], to = cuts[c + 1];
    if (!from.isBefore(to) && from.before == to.before)
      continue; // nothing left between the two
    int64_t units = to.units - from.units;
    if (from.before > 0) { // the rest of a tile, or a part of that
      units += weights[from.tile].fixed;
      bool ends = from.isBefore(to);
      writePart(from, to, *item++, work);
      from = ends ? behind(from) : to;
    }
    if (to.before > 0 && from.before == 0) {
      Cut start = to;
      start.before = 0;
      writePart(start, to, *item++, work);
    }
    for (; from.isBefore(to); ++from.head, from.tile = 0)
      for (int32_t end = from.head < to.head ? count : to.tile; from.tile < end;
           ++from.tile) {
        *item = whole[from.tile];
        item++->kv_head = from.head;
      }
    work.load.push_back(static_cast<double>(units) * cost);
    work.ctaBegin.push_back(static_cast<int32_t>(item - work.items.data()));
  }
  while (fixedGrid && work.ctas() < ctas) {
    work.load.push_back(0);
    work.ctaBegin.push_back(work.ctaBegin.back());
  }
}

bool RangePolicy::weigh(const Manifest &manifest, const Entry &entry,
                        const std::vector<Tile> &tiles, int32_t ctas,
                        double pace) {
  isCut = false;
  if (tiles.empty())
    return false;
  weighTiles(entry, tiles);
  auto all = static_cast<double>(before.back() * heads);
  // Merging reads the states that parts wrote one after another, so n parts of
  // a tile of cost c end after c / n + n * s: best where n = sqrt(c / s).
  double state = stateCost(manifest, entry);
  double parts =
      std::clamp(std::sqrt(double(heaviest) / scale / std::max(state, 1e-9)),
                 1.0, double(kMostParts));
  used = static_cast<int32_t>(std::clamp(
      std::floor(all / double(heaviest) * parts), 1.0, double(ctas)));
  // Equal tiles are cut into equally many parts, if few ctas go without work.
  int64_t items = int64_t(heads) * static_cast<int64_t>(tiles.size());
  bool equal = before.back() == heaviest * static_cast<int64_t>(tiles.size());
  if (equal && used > items && double(used % items) <= 0.05 * used)
    used -= static_cast<int32_t>(used % items);
  spread(ctas);
  // Ctas that share the memory's bandwidth end together, unless one has so much
  // more that it cannot draw it fast enough.
  double uncut =
      std::max(all / ctas, double(heaviestWhole()) * pace / entry.rush);
  isCut =
      uncut > all / used + double(unitsOf(mergeCost(manifest, entry) * pace));
  return isCut;
}

void RangePolicy::write(const Manifest &manifest, const Entry &entry,
                        const Batch &batch, const std::vector<Tile> &tiles,
                        int32_t ctas, bool fixedGrid, EntryWork &work) {
  work.partials.clear();
  work.load.clear();
  work.ctaBegin.assign(1, 0);
  work.counters = 0;
  if (tiles.empty()) {
    work.items.clear();
    work.load.assign(fixedGrid ? ctas : 0, 0);
    work.ctaBegin.assign(work.load.size() + 1, 0);
    return;
  }
  if (!isCut) {
    cutWhole();
  } else {
    if (used < ctas)
      spread(used);
    cutAnywhere(manifest, entry, batch, tiles,
                weights.front().fixed +
                    unitsOf(2 * stateCost(manifest, entry)));
  }
  writeItems(ctas, fixedGrid, work);
}

void RangePolicy::reserve(int64_t tiles, int32_t ctas, size_t folds) {
  weights.reserve(tiles);
  whole.reserve(tiles);
  before.reserve(tiles + 1);
  cuts.reserve(static_cast<size_t>(ctas) + 1);
  keys.reserve(folds);
}
