// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A plan of contiguous ranges: all work of an entry in a row (KV head by KV
// head, request by request, query tile by query tile, KV tile by KV tile), cut
// into as many ranges of equal cost as there are ctas. So no cta has more than
// its share, and none more than two query tiles in part.
//
// The text runs on the host and on the device: a team of threads goes through
// the same steps, and on the host the team is one. It needs no library, and all
// arrays have the size that the capacity asks for.
#ifndef SACCADE_RUNTIME_RANGEPLAN_H
#define SACCADE_RUNTIME_RANGEPLAN_H

#include "saccade/KernelABI.h"

namespace saccade::rt {

/// Numbers that a plan is made from.
struct RangeShape {
  int32_t requests; ///< of the batch
  int32_t ctas, kvHeads, group;
  int32_t tileRows; ///< packed rows of a full query tile
  int32_t kvTile;   ///< keys
  int32_t overhead; ///< of an item, in KV tiles; 1 or more
  int32_t least;    ///< KV tiles that are worth an item of their own; 1 or more
  /// Packed rows of the requests that are planned; others make no items.
  int32_t leastRows, mostRows;
};

/// A place in the row of all work: a KV tile of an item, items counted from 0.
struct RangeCut {
  int32_t item, tile;

  bool operator==(const RangeCut &) const = default;
  bool operator<=(const RangeCut &other) const {
    return item < other.item || (item == other.item && tile <= other.tile);
  }
};

/// What a plan is worked out in.
struct RangeScratch {
  int64_t *cost;  ///< [requests + 1], of one KV head, before the request
  int32_t *items; ///< [requests + 1], the same
  RangeCut *cuts; ///< [ctas + 1]
  int32_t *slots; ///< [ctas + 1], partial states before the cta
};

/// Where a plan goes.
struct RangeOutput {
  SaccadeWorkItem *items;
  int32_t *ctaBegin;        ///< [ctas + 1]
  SaccadePartial *partials; ///< [2 * (ctas - 1)], on ctas - 1 counters
};

/// A request of no KV tiles still has its rows to write.
inline int64_t costOfTile(const RangeShape &shape, int32_t kvTiles) {
  return int64_t(shape.overhead) + kvTiles;
}

/// Plans requests whose q_len and kv_len stand in `requests`.
template <typename Team> class RangePlanner {
public:
  RangePlanner(Team &team, const RangeShape &shape,
               const SaccadeRequest *requests, const RangeScratch &scratch,
               const RangeOutput &out)
      : team(team), shape(shape), requests(requests), scratch(scratch),
        out(out) {}

  void plan() {
    team.scan(shape.requests, scratch.cost, [&](int32_t r) {
      return rowTiles(r) * costOfTile(shape, kvTiles(r));
    });
    team.scan(shape.requests, scratch.items,
              [&](int32_t r) { return rowTiles(r); });
    team.each(shape.ctas + 1,
              [&](int32_t c) { scratch.cuts[c] = cutBefore(c); });
    team.scan(shape.ctas, out.ctaBegin, [&](int32_t c) { return items(c); });
    team.scan(shape.ctas, scratch.slots,
              [&](int32_t c) { return startsInPart(c) + endsInPart(c); });
    team.each(shape.ctas, [&](int32_t c) { write(c); });
  }

private:
  Team &team;
  const RangeShape &shape;
  const SaccadeRequest *requests;
  const RangeScratch &scratch;
  const RangeOutput &out;

  static int32_t ceilDiv(int32_t a, int32_t b) { return (a + b - 1) / b; }

  int32_t rowTiles(int32_t r) const {
    int32_t rows = requests[r].q_len * shape.group;
    bool taken = rows >= shape.leastRows && rows <= shape.mostRows;
    return taken ? ceilDiv(rows, shape.tileRows) : 0;
  }
  int32_t kvTiles(int32_t r) const {
    return ceilDiv(requests[r].kv_len, shape.kvTile);
  }

  /// The request of place `at` in ascending `sums`: the last that begins there
  /// or before.
  template <typename Int> int32_t requestAt(const Int *sums, Int at) const {
    int32_t low = 0, high = shape.requests - 1;
    while (low < high) {
      int32_t middle = low + (high - low + 1) / 2;
      if (sums[middle] <= at)
        low = middle;
      else
        high = middle - 1;
    }
    return low;
  }

  /// Where cta `c` begins. A cut close to the end of an item moves there.
  RangeCut cutBefore(int32_t c) const {
    int32_t itemsOfHead = scratch.items[shape.requests];
    int64_t costOfHead = scratch.cost[shape.requests];
    if (c == shape.ctas || costOfHead == 0)
      return {shape.kvHeads * itemsOfHead, 0};
    int64_t at = costOfHead * shape.kvHeads * c / shape.ctas;
    auto head = static_cast<int32_t>(at / costOfHead);
    int64_t rest = at % costOfHead;
    int32_t r = requestAt(scratch.cost, rest);
    rest -= scratch.cost[r];
    int64_t each = costOfTile(shape, kvTiles(r));
    auto item = static_cast<int32_t>(head * itemsOfHead + scratch.items[r] +
                                     rest / each);
    auto tile = static_cast<int32_t>(rest % each) - shape.overhead;
    if (tile < shape.least)
      return {item, 0};
    if (kvTiles(r) - tile < shape.least)
      return {item + 1, 0};
    return {item, tile};
  }

  RangeCut first(int32_t c) const { return scratch.cuts[c]; }
  RangeCut end(int32_t c) const { return scratch.cuts[c + 1]; }

  int32_t items(int32_t c) const {
    if (first(c) == end(c))
      return 0;
    return end(c).item - first(c).item + (end(c).tile > 0);
  }
  /// Whether the first item of a cta is a part, and whether another one, its
  /// last, is.
  int32_t startsInPart(int32_t c) const {
    if (first(c) == end(c))
      return 0;
    return first(c).tile > 0 ||
           (first(c).item == end(c).item && end(c).tile > 0);
  }
  int32_t endsInPart(int32_t c) const {
    return first(c).item != end(c).item && end(c).tile > 0;
  }

  /// The last cta that begins at `cut` or before.
  int32_t ctaOf(RangeCut cut) const {
    int32_t low = 0, high = shape.ctas - 1;
    while (low < high) {
      int32_t middle = low + (high - low + 1) / 2;
      if (scratch.cuts[middle] <= cut)
        low = middle;
      else
        high = middle - 1;
    }
    return low;
  }

  /// The slot of an item's part in a cta.
  int32_t slotOf(int32_t c, int32_t item) const {
    return scratch.slots[c] + (first(c).item != item && startsInPart(c));
  }

  void write(int32_t c) const {
    int32_t itemsOfHead = scratch.items[shape.requests];
    int32_t count = items(c);
    for (int32_t i = 0; i < count; ++i) {
      int32_t item = first(c).item + i;
      int32_t head = item / itemsOfHead, inHead = item % itemsOfHead;
      int32_t r = requestAt(scratch.items, inHead);
      int32_t rowTile = inHead - scratch.items[r];
      int32_t rows = requests[r].q_len * shape.group;
      int32_t rowBegin = rowTile * shape.tileRows;
      int32_t begin = i == 0 ? first(c).tile : 0, tiles = kvTiles(r);
      int32_t finish = item == end(c).item ? end(c).tile : tiles;
      bool part = begin > 0 || finish < tiles;
      int32_t slot = part ? slotOf(c, item) : -1;
      if (part)
        writePartial(item, slot);
      out.items[out.ctaBegin[c] + i] = {
          r,
          head,
          rowBegin,
          rowBegin + shape.tileRows < rows ? rowBegin + shape.tileRows : rows,
          begin * shape.kvTile,
          finish < tiles ? finish * shape.kvTile : requests[r].kv_len,
          slot,
          /*format=*/0};
    }
  }

  void writePartial(int32_t item, int32_t slot) const {
    int32_t firstCta = ctaOf({item, 0});
    int32_t lastCta = ctaOf({item, kMostTiles});
    int32_t firstSlot = slotOf(firstCta, item);
    int32_t count = slotOf(lastCta, item) - firstSlot + 1;
    // A cta begins at most one tile that others go on with.
    out.partials[slot] = {firstSlot, count, /*counter=*/firstCta, 0};
  }

  static constexpr int32_t kMostTiles = SACCADE_MAX_POSITION;
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_RANGEPLAN_H
