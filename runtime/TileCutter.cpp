// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Cuts requests into query tiles, and counts what they visit.
#include "runtime/TileCutter.h"

#include <algorithm>
#include <cmath>

using namespace saccade::rt;

int64_t saccade::rt::tileRowsOf(const Entry &entry) {
  int64_t whole = entry.rowsPerItem / entry.group * entry.group;
  return whole > 0 ? whole : entry.rowsPerItem;
}

int64_t saccade::rt::tileRowsOf(const Entry &entry, int64_t groups) {
  return groups * entry.groupRows / entry.group * entry.group;
}

int64_t saccade::rt::mostItemsOf(const Entry &entry, const Limits &limits,
                                 int64_t tile) {
  // A request of n rows gives at most floor(n / span) full spans and a rest,
  // each of at most perSpan tiles; requests without rows give none.
  int64_t span = entry.rowBlock ? entry.rowBlock : tile;
  int64_t perSpan = ceilDiv(span, tile);
  int64_t rows = limits.queryTokens * entry.group;
  int64_t rests = std::min(limits.requests, limits.queryTokens);
  int64_t tiles = (rows / span + rests) * perSpan;
  return std::min(tiles, rows) * entry.kvHeads;
}

double saccade::rt::costOf(const Entry &entry, int64_t rows, int64_t keys) {
  double share = 1;
  if (entry.groupRows)
    share = entry.groupCosts[ceilDiv(rows, entry.groupRows) - 1];
  return entry.itemCost + entry.alpha * double(rows) +
         entry.beta * share * double(keys);
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
void saccade::rt::cutTiles(const Manifest &manifest, const Entry &entry,
                           const Batch &batch, int64_t most,
                           std::vector<Tile> &tiles) {
  tiles.clear();
  for (size_t r = 0; r < batch.requests.size(); ++r) {
    const SaccadeRequest &record = batch.requests[r];
    int64_t rows = int64_t(record.q_len) * entry.group;
    if (!entry.takes(rows))
      continue;
    for (int64_t begin = 0, end; begin < rows; begin = end) {
      if (entry.rowBlock)
        end = std::min({begin + most, rows,
                        (begin / entry.rowBlock + 1) * entry.rowBlock});
      else
        end = begin == 0 && rows % most ? rows % most : begin + most;
      auto request = static_cast<int32_t>(r);
      int64_t visited =
          visitedTiles(manifest, entry, batch, request, begin, end);
      Tile &tile = tiles.emplace_back();
      tile.units = 0;
      tile.request = request;
      tile.rowBegin = static_cast<int32_t>(begin);
      tile.rowEnd = static_cast<int32_t>(end);
      tile.keyBegin = 0;
      tile.keyEnd = record.kv_len;
      tile.slot = -1;
      tile.slotsPerHead = 0;
      tile.visited = static_cast<int32_t>(
          std::min<int64_t>(visited, SACCADE_MAX_POSITION));
      tile.cost = costOf(entry, end - begin, visited * entry.kvTile);
    }
  }
}

TileCosts::TileCosts(const Entry &entry, const std::vector<Tile> &tiles) {
  for (const Tile &tile : tiles) {
    sum += tile.cost * entry.kvHeads;
    heaviest = std::max(heaviest, tile.cost);
  }
}

int saccade::rt::costExponent(double total, int32_t heads) {
  total *= heads;
  return total > 0 ? std::min(kCostBits - 2 - std::ilogb(total), 1000) : 0;
}
