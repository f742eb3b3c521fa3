// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A plan of contiguous ranges: all work of an entry in a row (KV head by KV
// head, request by request, query tile by query tile, KV tile by KV tile), cut
// into as many ranges of equal cost as there are ctas. So no cta has more than
// its share, and none more than two query tiles in part.
//
// The text runs on the host and on the device: a team of threads goes through
// the same steps, and on the host the team is one. On the device each block
// works out all cuts for itself, and writes its share of the plan: no block
// waits for another. The text needs no library, and all arrays have the size
// that the capacity asks for.
#ifndef SACCADE_RUNTIME_RANGEPLAN_H
#define SACCADE_RUNTIME_RANGEPLAN_H

#include "runtime/Divisor.h"
#include "saccade/KernelABI.h"

#include <stddef.h>

namespace saccade::rt {

/// Numbers that a plan is made from.
struct RangeShape {
  int32_t requests; ///< of the batch
  Divisor ctas;
  int32_t kvHeads, group;
  Divisor tileRows; ///< packed rows of a full query tile
  Divisor kvTile;   ///< keys
  int32_t overhead; ///< of an item, in KV tiles; 1 or more
  int32_t least;    ///< KV tiles that are worth an item of their own; 1 or more
  /// Packed rows of the requests that are planned; others make no items.
  int32_t leastRows, mostRows;
};

/// A place in the row of all work: a KV tile of an item, items counted from 0.
struct RangeCut {
  int32_t item, tile;

  bool operator==(const RangeCut &) const = default;
  bool operator<=(const RangeCut &other) const { return key() <= other.key(); }

private:
  int64_t key() const { return int64_t(item) << 32 | tile; }
};

/// What a plan must know of a request.
struct RangeRequest {
  int32_t rows; ///< packed
  int32_t keys;
};

/// What a team works a plan out in.
struct RangeScratch {
  struct Request : RangeRequest {
    int32_t rowTiles, kvTiles;
  };
  Request *requests; ///< [requests]
  int64_t *cost;     ///< [requests + 1], of one KV head, before the request
  RangeCut *cuts;    ///< [ctas + 1]
  int32_t *items;    ///< [requests + 1], as cost
  int32_t *begin;    ///< [ctas + 1], items before the cta
  int32_t *slots;    ///< [ctas + 1], partial states before the cta

  static constexpr size_t bytes(int64_t requests, int64_t ctas) {
    return (requests + 1) *
               (sizeof(Request) + sizeof(int64_t) + sizeof(int32_t)) +
           (ctas + 1) * (sizeof(RangeCut) + 2 * sizeof(int32_t));
  }
  /// In memory that is aligned to 16 bytes.
  static RangeScratch at(char *memory, int64_t requests, int64_t ctas) {
    auto take = [&]<typename T>(T *&array, int64_t count) {
      array = reinterpret_cast<T *>(memory);
      memory += count * sizeof(T);
    };
    RangeScratch scratch;
    take(scratch.requests, requests + 1);
    take(scratch.cost, requests + 1);
    take(scratch.cuts, ctas + 1);
    take(scratch.items, requests + 1);
    take(scratch.begin, ctas + 1);
    take(scratch.slots, ctas + 1);
    return scratch;
  }
};

/// Where a plan goes.
struct RangeOutput {
  SaccadeWorkItem *items;   ///< aligned to 16 bytes, as partials are
  int32_t *ctaBegin;        ///< [ctas + 1]
  SaccadePartial *partials; ///< [2 * (ctas - 1)], on ctas - 1 counters
};

/// A request of no KV tiles still has its rows to write.
inline int64_t costOfTile(const RangeShape &shape, int32_t kvTiles) {
  return int64_t(shape.overhead) + kvTiles;
}

/// Records that are read or written 16 bytes at a time.
template <typename T> T *aligned(T *array) {
  return static_cast<T *>(__builtin_assume_aligned(array, 16));
}

/// Plans by a team, which has
/// - each(n, f): calls f(0) .. f(n - 1), and waits for all;
/// - scan(n, value, put): calls put(i, value(0) + .. + value(i - 1)) for i up
/// to
///   n, and waits for all;
/// - share(n, f): calls f(0, first, step) .. f(n - 1, first, step) in one of
/// the
///   team's blocks, there once for each of `step` values of `first` below it;
/// - owns(i): whether this block writes entry i of an array that each works
/// out.
template <typename Team> class RangePlanner {
public:
  RangePlanner(Team &team, const RangeShape &shape, const RangeScratch &scratch,
               const RangeOutput &out)
      : team(team), shape(shape), ctas(shape.ctas.value()), scratch(scratch),
        out(out) {}

  /// `read(r)` gives a request; `place(r, keys)` is told how many keys lie
  /// before it, once.
  template <typename Read, typename Place> void plan(Read read, Place place) {
    team.each(shape.requests,
              [&](int32_t r) { scratch.requests[r] = cut(read(r)); });
    team.scan(
        shape.requests,
        [&](int32_t r) {
          auto request = aligned(scratch.requests)[r];
          return RequestSums{request.keys,
                             request.rowTiles *
                                 costOfTile(shape, request.kvTiles),
                             request.rowTiles, 0};
        },
        [&](int32_t r, const RequestSums &before) {
          scratch.cost[r] = before.cost;
          scratch.items[r] = before.items;
          if (r < shape.requests && team.owns(r))
            place(r, before.keys);
        });
    team.each(ctas + 1, [&](int32_t c) { scratch.cuts[c] = cutBefore(c); });
    team.scan(
        ctas,
        [&](int32_t c) {
          return CtaSums{items(c), startsInPart(c) + endsInPart(c)};
        },
        [&](int32_t c, const CtaSums &before) {
          scratch.begin[c] = before.items;
          scratch.slots[c] = before.slots;
          if (team.owns(c))
            out.ctaBegin[c] = before.items;
        });
    team.share(ctas, [&](int32_t c, int32_t first, int32_t step) {
      int32_t begin = scratch.begin[c], end = scratch.begin[c + 1];
      for (int32_t i = begin + first; i < end; i += step)
        writeItem(c, i);
      for (int32_t i = first; i < 2; i += step)
        if (i == 0 ? startsInPart(c) : endsInPart(c))
          writePartial(c, i == 0 ? this->first(c).item : this->end(c).item);
    });
  }

private:
  Team &team;
  const RangeShape &shape;
  const int32_t ctas;
  const RangeScratch &scratch;
  const RangeOutput &out;

  struct RequestSums {
    int64_t keys, cost;
    int32_t items, unused;

    RequestSums &operator+=(const RequestSums &other) {
      keys += other.keys;
      cost += other.cost;
      items += other.items;
      return *this;
    }
  };
  struct CtaSums {
    int32_t items, slots;

    CtaSums &operator+=(const CtaSums &other) {
      items += other.items;
      slots += other.slots;
      return *this;
    }
  };

  static int32_t ceilDiv(int32_t a, const Divisor &b) {
    return static_cast<int32_t>(b.below(int64_t(a) + b.value() - 1));
  }

  RangeScratch::Request cut(RangeRequest request) const {
    bool taken =
        request.rows >= shape.leastRows && request.rows <= shape.mostRows;
    return {request, taken ? ceilDiv(request.rows, shape.tileRows) : 0,
            ceilDiv(request.keys, shape.kvTile)};
  }
  /// Looks in `count` ascending places, the first of which is not behind `at`,
  /// for the last that is not. On a device what counts is how often a search
  /// waits for memory: it tries three places at a time, whatever it finds.
  template <typename T>
  static int32_t lastUpTo(const T *places, int32_t count, T at) {
    int32_t low = 0;
    int32_t step = count < 2 ? 0 : 1 << (31 - __builtin_clz(count - 1)) / 2 * 2;
#pragma nounroll
    for (; step > 0; step >>= 2) {
      int32_t passed = 0;
#pragma unroll
      for (int32_t i = 1; i < 4; ++i) {
        int32_t place = low + i * step;
        bool exists = place < count;
        passed += static_cast<int32_t>(exists) &
                  static_cast<int32_t>(places[exists ? place : 0] <= at);
      }
      low += passed * step;
    }
    return low;
  }

  /// Where cta `c` begins. A cut close to the end of an item moves there.
  RangeCut cutBefore(int32_t c) const {
    int32_t itemsOfHead = scratch.items[shape.requests];
    int64_t costOfHead = scratch.cost[shape.requests];
    if (c == ctas || costOfHead == 0)
      return {shape.kvHeads * itemsOfHead, 0};
    // costOfHead * kvHeads * c / ctas, in heads and the rest of one.
    int64_t heads = int64_t(shape.kvHeads) * c;
    int64_t head = shape.ctas.below(heads);
    int64_t rest = shape.ctas.below(costOfHead * (heads - head * ctas));
    int32_t r = lastUpTo(scratch.cost, shape.requests, rest);
    rest -= scratch.cost[r];
    int32_t kvTiles = scratch.requests[r].kvTiles;
    auto item = static_cast<int32_t>(head) * itemsOfHead + scratch.items[r];
    if (int64_t each = costOfTile(shape, kvTiles); rest >= each) {
      item += static_cast<int32_t>(rest / each);
      rest %= each;
    }
    int32_t tile = static_cast<int32_t>(rest) - shape.overhead;
    if (tile < shape.least)
      return {item, 0};
    if (kvTiles - tile < shape.least)
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

  /// The slot of an item's part in a cta.
  int32_t slotOf(int32_t c, int32_t item) const {
    return scratch.slots[c] + (first(c).item != item && startsInPart(c));
  }

  /// The request of an item of a head. Where all have one, it is the same.
  int32_t requestOf(int32_t inHead) const {
    const int32_t *items = scratch.items;
    if (inHead < shape.requests && items[inHead] == inHead &&
        items[inHead + 1] > inHead)
      return inHead;
    return lastUpTo(items, shape.requests, inHead);
  }

  void writeItem(int32_t c, int32_t i) const {
    RangeCut from = first(c), to = end(c);
    int32_t item = from.item + i - scratch.begin[c];
    auto itemsOfHead = static_cast<uint32_t>(scratch.items[shape.requests]);
    auto head = static_cast<int32_t>(item / itemsOfHead);
    auto inHead = static_cast<int32_t>(item % itemsOfHead);
    int32_t r = requestOf(inHead);
    auto request = aligned(scratch.requests)[r];
    int32_t rowBegin = (inHead - scratch.items[r]) * shape.tileRows.value();
    int32_t rowEnd = rowBegin + shape.tileRows.value();
    int32_t begin = item == from.item ? from.tile : 0;
    int32_t finish = item == to.item ? to.tile : request.kvTiles;
    bool ends = finish == request.kvTiles;
    aligned(out.items)[i] = {r,
                             head,
                             rowBegin,
                             rowEnd < request.rows ? rowEnd : request.rows,
                             begin * shape.kvTile.value(),
                             ends ? request.keys
                                  : finish * shape.kvTile.value(),
                             begin > 0 || !ends ? slotOf(c, item) : -1,
                             /*format=*/0};
  }

  /// The first cta that has a part of an item, of which `c` has one, and the
  /// last. Mostly they are neighbours.
  int32_t firstCtaOf(int32_t item, int32_t c) const {
    RangeCut start = {item, 0};
    for (int32_t near = 0; near < 2; ++near, --c)
      if (first(c) <= start)
        return c;
    return lastUpTo(scratch.cuts, c + 1, start);
  }
  int32_t lastCtaOf(int32_t item, int32_t c) const {
    for (int32_t near = 0; near < 2; ++near, ++c)
      if (end(c).item != item)
        return c;
    return lastUpTo(scratch.cuts, ctas, {item, kMostTiles});
  }

  void writePartial(int32_t c, int32_t item) const {
    int32_t firstCta = firstCtaOf(item, c);
    int32_t firstSlot = slotOf(firstCta, item);
    int32_t count = slotOf(lastCtaOf(item, c), item) - firstSlot + 1;
    // A cta begins at most one tile that others go on with.
    aligned(out.partials)[slotOf(c, item)] = {firstSlot, count,
                                              /*counter=*/firstCta, 0};
  }

  static constexpr int32_t kMostTiles = SACCADE_MAX_POSITION;
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_RANGEPLAN_H
