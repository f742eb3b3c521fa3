// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Heaviest first: sections of KV heads, runs of items in them, and a tournament
// of ctas that gives each item to the least loaded.
#include "runtime/HeaviestFirst.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

using namespace saccade::rt;

namespace {

/// Ctas stand in the low bits of their keys in the tree: of equal loads the
/// lower cta comes first.
constexpr int kCtaBits = 62 - kCostBits;
/// Of keys and values, a section of KV heads (measured: smaller ones cost
/// nothing, larger ones up to 2 % where every item reads other keys).
constexpr int64_t kSectionBytes = 12 << 20;
/// Tiles that cost less than this part of their request's heaviest are light:
/// of a causal request, a quarter of the tiles and 6 % of the cost.
constexpr uint64_t kLightPart = 4;
/// Keys and values of more than any device holds.
constexpr int64_t kMostSections = 1 << 14;

} // namespace

/// Gives costs as integers, in units of a power of two, which is returned.
/// Costs that are integers themselves are exact.
int HeaviestFirst::measureTiles(std::vector<Tile> &tiles, int32_t heads) {
  double total = 0;
  for (const Tile &tile : tiles)
    total += tile.cost;
  int exponent = costExponent(total, heads);
  double unit = std::ldexp(1.0, exponent); // products with it are exact
  for (Tile &tile : tiles)
    tile.units = std::llround(tile.cost * unit);
  return exponent;
}

/// Deals the sequences of KV heads to sections of one size, one after another:
/// the keys and values of a section fit in the L2 cache beside those of the
/// next, so that its items read them from there. A sequence that a single item
/// reads takes no place. Light tiles come after all sections, and heavy
/// requests first, so that light items even out the end.
void HeaviestFirst::cutSections(const Manifest &manifest, const Entry &entry,
                                const Batch &batch,
                                const std::vector<Tile> &tiles) {
  requesters.clear();
  int64_t total = 0;
  for (const Tile &tile : tiles) { // request by request
    if (requesters.empty() || requesters.back().request != tile.request)
      requesters.push_back({0, 0, tile.request, 0, 0});
    Requester &requester = requesters.back();
    requester.heaviest = std::max(requester.heaviest, tile.units);
    if (++requester.tiles != 2 || tile.slot >= 0)
      continue; // parts of a tile read keys of their own
    for (const Fold &fold : entry.folds) {
      const Slot &slot = manifest.arguments[manifest.caches[fold.cache]];
      requester.bytes += int64_t(slot.dim + slot.valueDim) *
                         bytesOf(slot.dtype) *
                         batch.caches[fold.cache].segments[tile.request].len;
    }
    total += requester.bytes * entry.kvHeads;
  }
  lightBelow.assign(batch.requests.size(), 0);
  auto count =
      std::clamp<int64_t>(ceilDiv(total, kSectionBytes), 1, kMostSections);
  if (count > 1) {
    for (Requester &requester : requesters)
      lightBelow[requester.request] = requester.heaviest / kLightPart;
    auto requester = requesters.begin();
    for (const Tile &tile : tiles) {
      while (requester->request != tile.request)
        ++requester;
      requester->light += isLight(tile);
    }
  }
  std::ranges::sort(requesters, [](const Requester &a, const Requester &b) {
    return a.heaviest != b.heaviest ? a.heaviest > b.heaviest
                                    : a.request < b.request;
  });

  pieces.clear();
  firstPiece.resize(batch.requests.size());
  sections.assign(count + 1, 0); // light tiles at the end
  double share = total > 0 ? double(count) / double(total) : 0;
  int64_t before = 0;
  for (const Requester &requester : requesters) {
    firstPiece[requester.request] = static_cast<int32_t>(pieces.size());
    if (count == 1) {
      pieces.push_back({0, 0, entry.kvHeads});
      sections[0] += requester.tiles;
      continue;
    }
    for (int32_t head = 0; head < entry.kvHeads; ++head) {
      auto section = static_cast<int32_t>(
          std::min<int64_t>((double(before) + double(requester.bytes) / 2) *
                                share, // where its middle lies
                            count - 1));
      before += requester.bytes;
      if (head == 0 || section != pieces.back().section) {
        pieces.push_back({section, head, head});
        sections[section] += requester.tiles - requester.light;
      }
      ++pieces.back().headEnd;
    }
    sections.back() += requester.light;
  }
}

/// Brings tiles in order of cost, and their runs in order of sections.
void HeaviestFirst::orderRuns(std::vector<Tile> &tiles, int32_t heads) {
  std::ranges::sort(tiles, [](const Tile &a, const Tile &b) {
    if (a.units != b.units)
      return a.units > b.units;
    if (a.request != b.request)
      return a.request < b.request;
    return a.rowBegin != b.rowBegin ? a.rowBegin < b.rowBegin
                                    : a.keyBegin < b.keyBegin;
  });
  int32_t begin = 0;
  for (int32_t &section : sections)
    begin += std::exchange(section, begin);
  runs.resize(begin);
  for (size_t t = 0; t < tiles.size(); ++t) {
    if (isLight(tiles[t])) {
      runs[sections.back()++] = {static_cast<int32_t>(t), 0, heads};
      continue;
    }
    const Piece *piece = &pieces[firstPiece[tiles[t].request]];
    do
      runs[sections[piece->section]++] = {static_cast<int32_t>(t),
                                          piece->headBegin, piece->headEnd};
    while (piece++->headEnd < heads);
  }
}

void HeaviestFirst::dealRuns(const std::vector<Tile> &tiles, size_t items,
                             int32_t ctas, EntryWork &work) {
  // A tournament: each node holds the least key (load, cta) below it.
  size_t leaves = std::bit_ceil(static_cast<size_t>(ctas));
  tree.assign(2 * leaves, ~uint64_t(0));
  for (int32_t cta = 0; cta < ctas; ++cta)
    tree[leaves + cta] = cta;
  owners.resize(items);
  int32_t *owner = owners.data();
  auto give = [&](int32_t cta) {
    *owner++ = cta;
    ++work.ctaBegin[cta + 1];
  };
  auto run = runs.begin();
  int32_t head = run->headBegin;
  auto costOfNext = [&] { return tiles[run->tile].units << kCtaBits; };
  auto step = [&] {
    if (++head == run->headEnd && ++run != runs.end())
      head = run->headBegin;
  };
  // At first the least loaded is the next that has nothing.
  for (int32_t cta = 0; cta < ctas && run != runs.end() && costOfNext() > 0;
       ++cta, step()) {
    give(cta);
    tree[leaves + cta] += costOfNext();
  }
  for (size_t node = leaves; --node > 0;)
    tree[node] = std::min(tree[2 * node], tree[2 * node + 1]);
  for (; run != runs.end(); step()) {
    uint64_t key = tree[1];
    auto cta = static_cast<int32_t>(key & ((1 << kCtaBits) - 1));
    give(cta);
    key += costOfNext();
    size_t node = leaves + cta;
    tree[node] = key;
    for (; node > 1; node /= 2) {
      key = std::min(key, tree[node ^ 1]);
      tree[node / 2] = key;
    }
  }
}

void HeaviestFirst::deal(const Manifest &manifest, const Entry &entry,
                         const Batch &batch, std::vector<Tile> &tiles,
                         int32_t ctas, EntryWork &work) {
  work.load.assign(ctas, 0);
  work.ctaBegin.assign(ctas + 1, 0);
  if (tiles.empty())
    return;
  int exponent = measureTiles(tiles, entry.kvHeads);
  cutSections(manifest, entry, batch, tiles);
  orderRuns(tiles, entry.kvHeads);
  dealRuns(tiles, tiles.size() * entry.kvHeads, ctas, work);
  size_t leaves = tree.size() / 2;
  double unit = std::ldexp(1.0, -exponent);
  for (int32_t cta = 0; cta < ctas; ++cta)
    work.load[cta] = static_cast<double>(tree[leaves + cta] >> kCtaBits) * unit;
}

void HeaviestFirst::write(const Entry &entry, const std::vector<Tile> &tiles,
                          EntryWork &work) {
  work.items.resize(tiles.size() * entry.kvHeads);
  if (tiles.empty())
    return;
  std::partial_sum(work.ctaBegin.begin(), work.ctaBegin.end(),
                   work.ctaBegin.begin());
  next.assign(work.ctaBegin.begin(), work.ctaBegin.end() - 1);
  const int32_t *owner = owners.data();
  for (const Run &run : runs) {
    const Tile &tile = tiles[run.tile];
    for (int32_t head = run.headBegin; head < run.headEnd; ++head)
      work.items[next[*owner++]++] = {
          tile.request,
          head,
          tile.rowBegin,
          tile.rowEnd,
          tile.keyBegin,
          tile.keyEnd,
          tile.slot < 0 ? -1 : tile.slot + head * tile.slotsPerHead,
          /*format=*/0};
  }
}

void HeaviestFirst::reserve(const Limits &limits, int64_t items, int32_t ctas,
                            int32_t heads) {
  requesters.reserve(limits.requests);
  pieces.reserve(limits.requests * heads);
  firstPiece.reserve(limits.requests);
  lightBelow.reserve(limits.requests);
  sections.reserve(kMostSections + 1);
  runs.reserve(items);
  tree.reserve(2 * std::bit_ceil(static_cast<size_t>(ctas)));
  owners.reserve(items);
  next.reserve(ctas);
}
