// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The planner's first form: query tiles x KV heads, dealt to the least loaded
// cta. A split of the keys comes later and changes nothing but this file.
#include "runtime/Planner.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

using namespace saccade::rt;

namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Rows of a full tile. It ends where a token does, if it can hold one.
int64_t tileRowsOf(const Entry &entry) {
  int64_t whole = entry.rowsPerItem / entry.group * entry.group;
  return whole > 0 ? whole : entry.rowsPerItem;
}

/// Ctas stand in the low bits of their keys in the tree: of equal loads the
/// lower cta comes first.
constexpr int kCtaBits = 20;
/// All costs together are at most 2^kCostBits units.
constexpr int kCostBits = 62 - kCtaBits;
/// Of keys and values, a section of KV heads.
constexpr int64_t kSectionBytes = 20 << 20;
/// Smaller tiles are tried where they make no more items than this.
constexpr int64_t kFewItems = 1024;
/// What they have to gain to be taken.
constexpr double kLeastGain = 1.04;

/// Rows of a tile that so many groups compute; 0 where that is none.
int64_t tileRowsOf(const Entry &entry, int64_t groups) {
  return groups * entry.groupRows / entry.group * entry.group;
}

int64_t mostItemsOf(const Entry &entry, const Limits &limits, int64_t tile) {
  // A request of n rows gives at most floor(n / span) full spans and a rest,
  // each of at most perSpan tiles; requests without rows give none.
  int64_t span = entry.rowBlock ? entry.rowBlock : tile;
  int64_t perSpan = ceilDiv(span, tile);
  int64_t rows = limits.queryTokens * entry.group;
  int64_t rests = std::min(limits.requests, limits.queryTokens);
  int64_t tiles = (rows / span + rests) * perSpan;
  return std::min(tiles, rows) * entry.kvHeads;
}

/// Whether tiles may be smaller than an item's rows.
bool mayShrink(const Entry &entry) {
  return entry.groupCosts.size() > 1 && !entry.rowBlock;
}

} // namespace

double saccade::rt::costOf(const Entry &entry, int64_t rows, int64_t keys) {
  double share = 1;
  if (entry.groupRows)
    share = entry.groupCosts[ceilDiv(rows, entry.groupRows) - 1];
  return entry.itemCost + entry.alpha * double(rows) +
         entry.beta * share * double(keys);
}

int64_t saccade::rt::mostItems(const Entry &entry, const Limits &limits) {
  int64_t most = mostItemsOf(entry, limits, tileRowsOf(entry));
  if (!mayShrink(entry))
    return most;
  int64_t least = std::max<int64_t>(tileRowsOf(entry, 1), entry.group);
  return std::max(most, std::min(kFewItems, mostItemsOf(entry, limits, least)));
}

int64_t saccade::rt::visitedTiles(const Manifest &manifest, const Entry &entry,
                                  const Batch &batch, int32_t request,
                                  int64_t rowBegin, int64_t rowEnd) {
  if (entry.kind != EntryKind::Attend)
    return 0;
  int64_t total = 0;
  const SaccadeRequest &record = batch.requests[request];
  int64_t offset = int64_t(record.kv_len) - record.q_len;
  TileQueries queries{offset + rowBegin / entry.group,
                      offset + (rowEnd - 1) / entry.group, request,
                      record.q_len, record.kv_len};
  for (const Fold &fold : entry.folds) {
    const CachePart &part = batch.caches[fold.cache];
    const SaccadeSegment &segment = part.segments[request];
    const Slot &slot = manifest.arguments[manifest.caches[fold.cache]];
    if (slot.layout == Layout::BlockSparse && !part.deviceBlockRows) {
      const int32_t *row =
          &batch.blockRows[segment.blocks +
                           rowBegin / entry.group / slot.blockRows];
      total += ceilDiv(int64_t(row[1] - row[0]) * slot.blockKeys, entry.kvTile);
      continue;
    }
    KeyTiles all{segment.start, int64_t(segment.start) + segment.len,
                 entry.kvTile};
    total += fold.bounded ? fold.bounds.countTiles(queries, all) : all.count();
  }
  return total;
}

/// Cuts every request from its end, so that the short tile is its first, which
/// sees the fewest keys under a causal mask; row blocks from their start.
void Planner::cutTiles(const Manifest &manifest, const Entry &entry,
                       const Batch &batch, int64_t most) {
  tiles.clear();
  for (size_t r = 0; r < batch.requests.size(); ++r) {
    int64_t rows = int64_t(batch.requests[r].q_len) * entry.group;
    for (int64_t begin = 0, end; begin < rows; begin = end) {
      if (entry.rowBlock)
        end = std::min({begin + most, rows,
                        (begin / entry.rowBlock + 1) * entry.rowBlock});
      else
        end = begin == 0 && rows % most ? rows % most : begin + most;
      auto request = static_cast<int32_t>(r);
      int64_t visited =
          visitedTiles(manifest, entry, batch, request, begin, end);
      tiles.push_back({0, request, static_cast<int32_t>(begin),
                       static_cast<int32_t>(end),
                       costOf(entry, end - begin, visited * entry.kvTile)});
    }
  }
}

/// Gives costs as integers, in units of a power of two, which is returned.
/// Costs that are integers themselves are exact.
int Planner::measureTiles(int32_t heads) {
  double total = 0;
  for (const Tile &tile : tiles)
    total += tile.cost;
  total *= heads;
  int exponent =
      total > 0 ? std::min(kCostBits - 2 - std::ilogb(total), 1000) : 0;
  for (Tile &tile : tiles)
    tile.units = std::llround(std::ldexp(tile.cost, exponent));
  return exponent;
}

/// Deals the sequences of KV heads to sections of one size, one after another:
/// the keys and values of a section fit in the L2 cache beside those of the
/// next, so that its items read them from there. A sequence that a single item
/// reads takes no place. Heavy requests come first, so that light items even
/// out the end.
void Planner::cutSections(const Manifest &manifest, const Entry &entry,
                          const Batch &batch) {
  requesters.clear();
  int64_t total = 0;
  for (const Tile &tile : tiles) { // request by request
    if (requesters.empty() || requesters.back().request != tile.request)
      requesters.push_back({0, 0, tile.request, 0});
    Requester &requester = requesters.back();
    requester.heaviest = std::max(requester.heaviest, tile.units);
    if (++requester.tiles != 2)
      continue;
    for (const Fold &fold : entry.folds) {
      const Slot &slot = manifest.arguments[manifest.caches[fold.cache]];
      requester.bytes += int64_t(slot.dim + slot.valueDim) *
                         bytesOf(slot.dtype) *
                         batch.caches[fold.cache].segments[tile.request].len;
    }
    total += requester.bytes * entry.kvHeads;
  }
  std::ranges::sort(requesters, [](const Requester &a, const Requester &b) {
    return a.heaviest != b.heaviest ? a.heaviest > b.heaviest
                                    : a.request < b.request;
  });

  pieces.clear();
  firstPiece.resize(batch.requests.size());
  sections.assign(std::max<int64_t>(ceilDiv(total, kSectionBytes), 1), 0);
  double share =
      total > 0 ? static_cast<double>(sections.size()) / double(total) : 0;
  int64_t before = 0;
  for (const Requester &requester : requesters) {
    firstPiece[requester.request] = static_cast<int32_t>(pieces.size());
    for (int32_t head = 0; head < entry.kvHeads; ++head) {
      auto section = static_cast<int32_t>(
          std::min<size_t>((double(before) + double(requester.bytes) / 2) *
                               share, // where its middle lies
                           sections.size() - 1));
      before += requester.bytes;
      if (head == 0 || section != pieces.back().section) {
        pieces.push_back({section, head, head});
        sections[section] += requester.tiles;
      }
      ++pieces.back().headEnd;
    }
  }
}

/// Brings tiles in order of cost, and their runs in order of sections.
void Planner::orderRuns(int32_t heads) {
  std::ranges::sort(tiles, [](const Tile &a, const Tile &b) {
    if (a.units != b.units)
      return a.units > b.units;
    return a.request != b.request ? a.request < b.request
                                  : a.rowBegin < b.rowBegin;
  });
  int32_t begin = 0;
  for (int32_t &section : sections)
    begin += std::exchange(section, begin);
  runs.resize(begin);
  for (size_t t = 0; t < tiles.size(); ++t) {
    const Piece *piece = &pieces[firstPiece[tiles[t].request]];
    do
      runs[sections[piece->section]++] = {static_cast<int32_t>(t),
                                          piece->headBegin, piece->headEnd};
    while (piece++->headEnd < heads);
  }
}

void Planner::deal(size_t items, int32_t ctas, EntryWork &work) {
  // A tournament: each node holds the least key (load, cta) below it.
  size_t leaves = std::bit_ceil(static_cast<size_t>(ctas));
  tree.assign(2 * leaves, ~uint64_t(0));
  for (int32_t cta = 0; cta < ctas; ++cta)
    tree[leaves + cta] = cta;
  for (size_t node = leaves; --node > 0;)
    tree[node] = std::min(tree[2 * node], tree[2 * node + 1]);
  owners.resize(items);
  int32_t *owner = owners.data();
  for (const Run &run : runs) {
    uint64_t cost = tiles[run.tile].units << kCtaBits;
    for (int32_t head = run.headBegin; head < run.headEnd; ++head) {
      uint64_t key = tree[1];
      auto cta = static_cast<int32_t>(key & ((1 << kCtaBits) - 1));
      *owner++ = cta;
      ++work.ctaBegin[cta + 1];
      key += cost;
      size_t node = leaves + cta;
      tree[node] = key;
      for (; node > 1; node /= 2) {
        key = std::min(key, tree[node ^ 1]);
        tree[node / 2] = key;
      }
    }
  }
}

void Planner::dealTiles(const Manifest &manifest, const Entry &entry,
                        const Batch &batch, int32_t ctas, EntryWork &work) {
  work.load.assign(ctas, 0);
  work.ctaBegin.assign(ctas + 1, 0);
  if (tiles.empty())
    return;
  int exponent = measureTiles(entry.kvHeads);
  cutSections(manifest, entry, batch);
  orderRuns(entry.kvHeads);
  deal(tiles.size() * entry.kvHeads, ctas, work);
  size_t leaves = tree.size() / 2;
  for (int32_t cta = 0; cta < ctas; ++cta)
    work.load[cta] = std::ldexp(
        static_cast<double>(tree[leaves + cta] >> kCtaBits), -exponent);
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
      items += ceilDiv(int64_t(request.q_len) * entry.group, tried);
    items *= entry.kvHeads;
    if (items == 0 || items > kFewItems)
      break;
    cutTiles(manifest, entry, batch, tried);
    auto used = static_cast<int32_t>(std::min<int64_t>(ctas, items));
    dealTiles(manifest, entry, batch, fixedGrid ? ctas : used, trial);
    double last = *std::ranges::max_element(trial.load);
    if (best == 0 || last * kLeastGain < best) {
      best = last;
      rows = tried;
    }
  }
  return rows;
}

void Planner::plan(const Manifest &manifest, const Entry &entry,
                   const Batch &batch, int32_t ctas, bool fixedGrid,
                   EntryWork &work) {
  cutTiles(manifest, entry, batch,
           chooseRows(manifest, entry, batch, ctas, fixedGrid));
  int64_t items = static_cast<int64_t>(tiles.size()) * entry.kvHeads;
  if (!fixedGrid)
    ctas = static_cast<int32_t>(std::min<int64_t>(ctas, items));
  work.items.resize(items);
  dealTiles(manifest, entry, batch, ctas, work);
  if (items == 0)
    return;
  std::partial_sum(work.ctaBegin.begin(), work.ctaBegin.end(),
                   work.ctaBegin.begin());
  next.assign(work.ctaBegin.begin(), work.ctaBegin.end() - 1);
  const int32_t *owner = owners.data();
  for (const Run &run : runs) {
    const Tile &tile = tiles[run.tile];
    int32_t kvLen = batch.requests[tile.request].kv_len;
    for (int32_t head = run.headBegin; head < run.headEnd; ++head)
      work.items[next[*owner++]++] = {
          tile.request,   head,        tile.rowBegin, tile.rowEnd, 0, kvLen,
          /*partial=*/-1, /*format=*/0};
  }
}

EntryWork saccade::rt::planEntry(const Manifest &manifest, const Entry &entry,
                                 const Batch &batch, int32_t ctas,
                                 bool fixedGrid) {
  EntryWork work;
  Planner().plan(manifest, entry, batch, ctas, fixedGrid, work);
  return work;
}
