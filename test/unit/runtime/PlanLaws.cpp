// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The laws of plans with parts. They are tested key by key where that is cheap:
// batches of tests are small.
#include "test/unit/runtime/PlanLaws.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;

const Mask saccade::test::kMasks[5] = {
    {"causal", [](int q, int k) { return k <= q; },
     json::parse(R"({"code": ["query_last", 1, ["add", 0, 1], 0],
                     "keys": [[3, 2]]})")},
    {"window", [](int q, int k) { return k <= q && q - k < 20; },
     json::parse(R"({"code": ["query_first", 19, ["sub", 0, 1], "query_last",
                              1, ["add", 3, 4]], "keys": [[2, 5]]})")},
    {"prefix", [](int q, int k) { return k <= q || k < 50; },
     json::parse(R"({"code": ["query_last", 1, ["add", 0, 1], 50,
                              ["max", 2, 3], 0], "keys": [[5, 4]]})")},
    {"sinks", [](int q, int k) { return k <= q && (k < 6 || q - k < 20); },
     json::parse(R"({"code": ["query_last", 1, ["add", 0, 1], 6,
                              ["min", 3, 2], "query_first", 19, ["sub", 5, 6],
                              ["max", 7, 4], 0], "keys": [[9, 4], [8, 2]]})")},
    {"chunks", [](int q, int k) { return k / 16 == q / 16; },
     json::parse(R"({"code": ["query_first", 16, ["floordiv", 0, 1],
                              ["mul", 2, 1], "query_last", ["floordiv", 4, 1],
                              ["mul", 5, 1], ["add", 6, 1]],
                     "keys": [[3, 7]]})")}};

Manifest saccade::test::masked(const char *layout, const json &bounds) {
  json object = manifest(layout);
  object["entries"][0]["folds"] = {{{"cache", 1}, {"bounds", bounds}}};
  return parsed(object);
}

Batch saccade::test::makeBatch(const Manifest &manifest,
                               const std::vector<int32_t> &qLen,
                               const std::vector<int32_t> &kvLen) {
  SaccadeCacheBatch caches[1] = {};
  caches[0].lengths = kvLen.data();
  SaccadeBatch source = {};
  source.requests = static_cast<int32_t>(qLen.size());
  source.num_caches = 1;
  source.q_len = qLen.data();
  source.caches = caches;
  Batch batch;
  REQUIRE(readBatch(manifest, source, kHost, kRoomy, batch) == SACCADE_OK);
  return batch;
}

bool saccade::test::same(const EntryWork &a, const EntryWork &b) {
  auto equal = [](const auto &x, const auto &y) {
    return x.size() == y.size() &&
           (x.empty() ||
            memcmp(x.data(), y.data(), x.size() * sizeof(x[0])) == 0);
  };
  return a.ctaBegin == b.ctaBegin && a.load == b.load &&
         equal(a.items, b.items) && equal(a.partials, b.partials) &&
         a.counters == b.counters;
}

void saccade::test::checkParts(const Manifest &manifest, const Batch &batch,
                               const EntryWork &work, int32_t ctas,
                               bool fixedGrid, bool batchInvariant) {
  const Entry &entry = manifest.entries[0];
  REQUIRE(work.ctaBegin.front() == 0);
  REQUIRE(work.ctaBegin.back() == int32_t(work.items.size()));
  REQUIRE(std::ranges::is_sorted(work.ctaBegin));
  CHECK(work.load.size() == size_t(work.ctas()));
  if (fixedGrid)
    CHECK(work.ctas() == ctas);
  else
    CHECK(work.ctas() <= ctas);

  // Items of a tile, in the order of their keys.
  std::map<std::tuple<int, int, int>, std::vector<SaccadeWorkItem>> tiles;
  std::set<int32_t> slots, counters;
  for (const SaccadeWorkItem &item : work.items) {
    CHECK(item.row_begin < item.row_end);
    CHECK(item.row_end - item.row_begin <= entry.rowsPerItem);
    CHECK(item.format == 0);
    tiles[{item.request, item.kv_head, item.row_begin}].push_back(item);
    if (item.partial >= 0)
      CHECK(slots.insert(item.partial).second);
  }
  CHECK(slots.size() == work.partials.size());
  if (!slots.empty()) {
    CHECK(*slots.begin() == 0);
    CHECK(*slots.rbegin() == int32_t(slots.size()) - 1);
  }
  KeyLine keys;
  for (auto &[place, items] : tiles) {
    std::ranges::sort(items, {}, &SaccadeWorkItem::kv_begin);
    int32_t reached = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      const SaccadeWorkItem &item = items[i];
      CHECK(item.kv_begin == reached);
      reached = item.kv_end;
      CHECK(item.row_end == items[0].row_end);
      if (items.size() == 1) {
        CHECK(item.partial == -1);
        continue;
      }
      CHECK(item.kv_begin < item.kv_end);
      bool onGrid = item.kv_begin == 0;
      for (const CachePart &part : batch.caches) {
        const SaccadeSegment &segment = part.segments[item.request];
        onGrid |= item.kv_begin >= segment.start &&
                  item.kv_begin < segment.start + segment.len &&
                  (item.kv_begin - segment.start) % entry.kvTile == 0;
      }
      CHECK(onGrid);
      keys.read(manifest, entry, batch, item.request, item.row_begin,
                item.row_end);
      CHECK(keys.before(item.kv_begin) < keys.before(item.kv_end));
      REQUIRE(size_t(item.partial) < work.partials.size());
      const SaccadePartial &partial = work.partials[item.partial];
      CHECK(partial.first == items[0].partial);
      CHECK(item.partial == partial.first + int32_t(i));
      CHECK(partial.count == int32_t(items.size()));
      CHECK(partial.reserved == 0);
      CHECK(partial.counter == work.partials[items[0].partial].counter);
      CHECK(partial.counter < work.counters);
      if (i == 0)
        CHECK(counters.insert(partial.counter).second);
    }
    CHECK(reached == batch.requests[std::get<0>(place)].kv_len);
  }
  CHECK(counters.size() == size_t(work.counters));
  // Tiles hold each row once.
  std::map<std::pair<int, int>, int32_t> rows;
  for (auto &[place, items] : tiles) { // ascending rows
    int32_t &next = rows[{std::get<0>(place), std::get<1>(place)}];
    CHECK(items[0].row_begin == next);
    next = items[0].row_end;
  }
  size_t some = 0;
  for (size_t r = 0; r < batch.requests.size(); ++r)
    some += batch.requests[r].q_len > 0;
  CHECK(rows.size() == some * entry.kvHeads);
  for (auto &[place, end] : rows)
    CHECK(end == batch.requests[place.first].q_len * entry.group);

  for (int32_t cta = 0; cta < work.ctas(); ++cta) {
    double load = 0;
    for (int i = work.ctaBegin[cta]; i < work.ctaBegin[cta + 1]; ++i) {
      const SaccadeWorkItem &item = work.items[i];
      int64_t visited = visitedTiles(manifest, entry, batch, item.request,
                                     item.row_begin, item.row_end);
      if (item.partial >= 0) {
        keys.read(manifest, entry, batch, item.request, item.row_begin,
                  item.row_end);
        visited = keys.before(item.kv_end) - keys.before(item.kv_begin);
      }
      load +=
          costOf(entry, item.row_end - item.row_begin, visited * entry.kvTile);
    }
    CHECK(work.load[cta] == doctest::Approx(load).epsilon(1e-6));
  }
  Limits tight{int64_t(batch.requests.size()), batch.tokens, 0, 0,
               std::max<int64_t>(batch.keys, 1)};
  WorkSize most = mostWork(manifest, entry, tight, ctas, batchInvariant);
  CHECK(int64_t(work.items.size()) <= most.items);
  CHECK(int64_t(work.partials.size()) <= most.slots);
  CHECK(work.counters <= most.counters);
}
