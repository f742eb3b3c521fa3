// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds places in closed form where one fold walks a cache, and by bisection
// where several walk the same one.
#include "runtime/KeyLine.h"

#include <algorithm>

using namespace saccade::rt;

int64_t KeyLine::Walk::before(int64_t tiles) const {
  int64_t sum = 0;
  for (size_t i = 0; i < size; ++i)
    sum += std::clamp<int64_t>(tiles - spans[i].first, 0,
                               spans[i].end - spans[i].first);
  return sum;
}

int64_t KeyLine::Walk::behind(int64_t wanted) const {
  for (size_t i = 0; i < size; ++i) {
    int64_t length = spans[i].end - spans[i].first;
    if (wanted <= length)
      return spans[i].first + wanted;
    wanted -= length;
  }
  return (end - start + tile - 1) / tile;
}

void KeyLine::read(const Manifest &manifest, const Entry &entry,
                   const Batch &batch, int32_t request, int64_t rowBegin,
                   int64_t rowEnd) {
  walks.clear();
  const SaccadeRequest &record = batch.requests[request];
  int64_t offset = int64_t(record.kv_len) - record.q_len;
  TileQueries queries{offset + rowBegin / entry.group,
                      offset + (rowEnd - 1) / entry.group, request,
                      record.q_len, record.kv_len};
  // Caches hold the sequence in their order.
  for (size_t cache = 0; cache < manifest.caches.size(); ++cache)
    for (const Fold &fold : entry.folds) {
      if (fold.cache != static_cast<int32_t>(cache))
        continue;
      const SaccadeSegment &segment = batch.caches[cache].segments[request];
      Walk &walk = walks.emplace_back();
      walk.start = segment.start;
      walk.end = int64_t(segment.start) + segment.len;
      walk.tile = entry.kvTile;
      KeyTiles all{walk.start, walk.end, walk.tile};
      walk.spans[0] = {0, all.count()};
      walk.size =
          fold.bounded ? fold.bounds.findTiles(queries, all, walk.spans) : 1;
      walk.count = walk.before(all.count());
    }
}

KeyLine::Place KeyLine::after(int64_t count) const {
  int64_t earlier = 0;
  for (size_t first = 0, last; first < walks.size(); first = last) {
    int64_t here = 0;
    for (last = first;
         last < walks.size() && walks[last].start == walks[first].start &&
         walks[last].end == walks[first].end;
         ++last)
      here += walks[last].count;
    if (earlier + here < count) {
      earlier += here;
      continue;
    }
    const Walk &walk = walks[first];
    int64_t low = 1, high = (walk.end - walk.start + walk.tile - 1) / walk.tile;
    auto before = [&](int64_t tiles) {
      int64_t sum = earlier;
      for (size_t w = first; w < last; ++w)
        sum += walks[w].before(tiles);
      return sum;
    };
    if (last == first + 1)
      low = walk.behind(count - earlier);
    else
      while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (before(middle) >= count)
          high = middle;
        else
          low = middle + 1;
      }
    return {
        static_cast<int32_t>(std::min(walk.start + low * walk.tile, walk.end)),
        before(low)};
  }
  return {walks.empty() ? 0 : static_cast<int32_t>(walks.back().end), earlier};
}

int64_t KeyLine::before(int64_t position) const {
  int64_t sum = 0;
  for (const Walk &walk : walks) {
    int64_t inside = std::clamp(position, walk.start, walk.end) - walk.start;
    sum += walk.before((inside + walk.tile - 1) / walk.tile);
  }
  return sum;
}
