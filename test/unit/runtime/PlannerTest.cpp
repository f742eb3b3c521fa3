// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Laws of every plan: each (request, row, KV head) is covered exactly once,
// tiles stay in their row blocks or end with the request, items cost the tiles
// that their queries see, no cta is ahead by more than one item, the same batch
// gives the same plan, and no batch exceeds what the capacity promised.
#include "runtime/PlanMemory.h"
#include "test/unit/runtime/PlanLaws.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <tuple>

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;

namespace {

void checkLaws(const Manifest &sample, const Batch &batch,
               const EntryWork &work, int32_t ctas, bool fixedGrid) {
  const Entry &entry = sample.entries[0];
  int32_t step = entry.rowsPerItem;
  if (step >= entry.group)
    step -= step % entry.group;
  auto cost = [&](const SaccadeWorkItem &item) {
    int64_t tiles = visitedTiles(sample, entry, batch, item.request,
                                 item.row_begin, item.row_end);
    return costOf(entry, item.row_end - item.row_begin, tiles * entry.kvTile);
  };
  REQUIRE(work.ctaBegin.front() == 0);
  REQUIRE(work.ctaBegin.back() == int32_t(work.items.size()));
  CHECK(std::ranges::is_sorted(work.ctaBegin));
  if (fixedGrid)
    CHECK(work.ctas() == ctas);
  else
    CHECK(work.ctas() == std::min<int32_t>(ctas, int32_t(work.items.size())));

  std::map<std::tuple<int, int, int>, int> covered;
  double heaviest = 0;
  for (const SaccadeWorkItem &item : work.items) {
    const SaccadeRequest &request = batch.requests[item.request];
    CHECK(item.kv_begin == 0);
    CHECK(item.kv_end == request.kv_len);
    CHECK(item.partial == -1);
    CHECK(item.format == 0);
    CHECK(item.row_begin < item.row_end);
    CHECK(item.row_end - item.row_begin <= step);
    if (step >= entry.group)
      CHECK(item.row_begin % entry.group == 0);
    if (!entry.rowBlock && item.row_begin > 0)
      CHECK((request.q_len * entry.group - item.row_begin) % step == 0);
    if (entry.rowBlock)
      CHECK(item.row_begin / entry.rowBlock ==
            (item.row_end - 1) / entry.rowBlock);
    for (int row = item.row_begin; row < item.row_end; ++row)
      ++covered[{item.request, row, item.kv_head}];
    heaviest = std::max(heaviest, cost(item));
  }
  size_t cells = 0;
  for (const SaccadeRequest &request : batch.requests)
    cells += size_t(request.q_len) * entry.group * entry.kvHeads;
  CHECK(covered.size() == cells);
  CHECK(std::ranges::all_of(covered, [](auto &c) { return c.second == 1; }));
  for (auto &[cell, count] : covered) {
    auto [request, row, head] = cell;
    CHECK(row < batch.requests[request].q_len * entry.group);
    CHECK(head < entry.kvHeads);
  }
  if (!work.load.empty()) {
    auto [least, most] = std::ranges::minmax(work.load);
    CHECK(most - least <= heaviest * (1 + 1e-9));
  }
  for (int32_t cta = 0; cta < work.ctas(); ++cta) {
    double load = 0, last = heaviest;
    for (int i = work.ctaBegin[cta]; i < work.ctaBegin[cta + 1]; ++i) {
      CHECK(cost(work.items[i]) <= last); // heaviest first
      last = cost(work.items[i]);
      load += last;
    }
    CHECK(work.load[cta] == doctest::Approx(load));
  }
}

} // namespace

TEST_CASE("planner: random batches obey the laws") {
  std::mt19937 random(7);
  auto below = [&](int n) { return int(random() % n); };
  for (int round = 0; round < 300; ++round) {
    Manifest sample = parsed(manifest("dense"));
    Entry &entry = sample.entries[0];
    entry.rowsPerItem = 1 + below(20);
    entry.rowBlock = below(3) ? 0 : 2 * (1 + below(12));
    entry.alpha = below(3) * 0.7;
    entry.beta = below(3) * 0.4;
    std::vector<int32_t> qLen(below(12)), kvLen(qLen.size());
    for (size_t r = 0; r < qLen.size(); ++r) {
      qLen[r] = below(4) ? below(4) : below(60);
      kvLen[r] = below(5) ? below(300) : 0;
    }
    Batch batch = makeBatch(sample, qLen, kvLen);
    int32_t ctas = 1 + below(20);
    bool fixedGrid = below(2);
    EntryWork work = planEntry(sample, entry, batch, ctas, fixedGrid);
    checkLaws(sample, batch, work, ctas, fixedGrid);
    CHECK(same(work, planEntry(sample, entry, batch, ctas, fixedGrid)));
    Limits tight{int64_t(qLen.size()), batch.tokens, 0, 0};
    CHECK(int64_t(work.items.size()) <= mostItems(entry, tight));
  }
}

TEST_CASE("planner: of two entries each plans its own requests") {
  std::mt19937 random(23);
  auto below = [&](int n) { return int(random() % n); };
  for (int round = 0; round < 200; ++round) {
    int32_t most = 2 * (1 + below(8));
    json object = manifest("dense");
    object["entries"] = {attend(), attend()};
    object["entries"][0]["rows"] = {{"least", most + 1}};
    object["entries"][0]["rows_per_item"] = 24;
    object["entries"][0]["cost"] = {
        {"item", 3},
        {"alpha", 0.1},
        {"beta", 1},
        {"groups", {{"rows", 8}, {"keys", {0.5, 0.75, 1.0}}}}};
    object["entries"][1]["rows"] = {{"most", most}};
    object["entries"][1]["partial_floats"] = 64;
    object["entries"][1]["cost"] = {
        {"alpha", 1}, {"beta", 1}, {"policy", "ranges"}};
    Manifest sample = parsed(object);
    REQUIRE(sample.entries.size() == 2);
    std::vector<int32_t> qLen(below(12)), kvLen(qLen.size());
    for (size_t r = 0; r < qLen.size(); ++r) {
      qLen[r] = below(4) ? below(4) : below(60);
      kvLen[r] = below(5) ? below(300) : 0;
    }
    Batch batch = makeBatch(sample, qLen, kvLen);
    int32_t ctas = 1 + below(20);
    bool fixedGrid = below(2), invariant = below(2);
    std::map<std::tuple<int, int, int>, int> keys; // of a row and KV head
    std::map<std::tuple<int, int, int>, int> items;
    Limits tight{int64_t(qLen.size()), batch.tokens, 0, 0,
                 std::max<int64_t>(batch.keys, 1)};
    Planner planner(invariant); // one for both, as plans have it
    for (const Entry &entry : sample.entries) {
      EntryWork work;
      planner.plan(sample, entry, batch, ctas, fixedGrid, work);
      if (fixedGrid)
        CHECK(work.ctas() == ctas);
      if (!fixedGrid && work.items.empty())
        CHECK(work.ctas() == 0);
      for (const SaccadeWorkItem &item : work.items) {
        CHECK(entry.takes(int64_t(qLen[item.request]) * entry.group));
        for (int row = item.row_begin; row < item.row_end; ++row) {
          keys[{item.request, row, item.kv_head}] +=
              item.kv_end - item.kv_begin;
          ++items[{item.request, row, item.kv_head}];
        }
      }
      WorkSize size = mostWork(sample, entry, tight, ctas, invariant);
      CHECK(int64_t(work.items.size()) <= size.items);
      CHECK(int64_t(work.partials.size()) <= size.slots);
      CHECK(work.counters <= size.counters);
    }
    size_t cells = 0;
    for (const SaccadeRequest &request : batch.requests)
      cells += size_t(request.q_len) * 4; // query heads
    CHECK(keys.size() == cells);
    for (auto &[cell, count] : keys) {
      CHECK(count == kvLen[std::get<0>(cell)]);
      if (count == 0)
        CHECK(items[cell] == 1);
    }
  }
}

TEST_CASE("planner: items cost the tiles that their queries see") {
  std::mt19937 random(11);
  auto below = [&](int n) { return int(random() % n); };
  for (const Mask &mask : kMasks)
    for (int round = 0; round < 40; ++round) {
      CAPTURE(mask.name);
      Manifest sample = masked("dense", mask.bounds);
      REQUIRE(sample.entries.size() == 1);
      Entry &entry = sample.entries[0];
      entry.rowsPerItem = 1 + below(40);
      entry.kvTile = 1 + below(17);
      entry.rowBlock = below(4) ? 0 : 2 * (1 + below(12));
      std::vector<int32_t> qLen(1 + below(5)), kvLen(qLen.size());
      for (size_t r = 0; r < qLen.size(); ++r) {
        qLen[r] = below(40);
        kvLen[r] = qLen[r] + (below(3) ? below(100) : 0);
      }
      Batch batch = makeBatch(sample, qLen, kvLen);
      int32_t ctas = 1 + below(9);
      EntryWork work = planEntry(sample, entry, batch, ctas, false);
      checkLaws(sample, batch, work, ctas, false);
      double sum = 0;
      for (const SaccadeWorkItem &item : work.items) {
        int r = item.request, offset = kvLen[r] - qLen[r], visible = 0;
        for (int tile = 0; tile * entry.kvTile < kvLen[r]; ++tile) {
          bool seen = false;
          for (int row = item.row_begin; row < item.row_end; ++row)
            for (int key = tile * entry.kvTile;
                 key < std::min((tile + 1) * entry.kvTile, kvLen[r]); ++key)
              seen |= mask.sees(offset + row / entry.group, key);
          visible += seen;
        }
        REQUIRE(visitedTiles(sample, entry, batch, r, item.row_begin,
                             item.row_end) == visible);
        sum += item.row_end - item.row_begin + visible * entry.kvTile;
      }
      double load = 0;
      for (double one : work.load)
        load += one;
      CHECK(load == doctest::Approx(sum));
    }
}

TEST_CASE("planner: block-sparse items cost the blocks that are listed") {
  // Blocks of 2 query tokens x 4 keys; tiles of 3 keys walk the listed blocks
  // one after another, whatever the mask.
  Manifest sample = masked("block_sparse", kMasks[0].bounds);
  Entry &entry = sample.entries[0];
  entry.rowBlock = 4;
  entry.kvTile = 3;
  Ids rows{0, 2, 2, 5}, ids{0, 3, 0, 1, 2};
  int32_t qLen[] = {5}, lengths[] = {15};
  SaccadeCacheBatch caches[1] = {};
  caches[0].lengths = lengths;
  caches[0].indices = ids;
  caches[0].block_rows = rows;
  SaccadeBatch source = {};
  source.requests = source.num_caches = 1;
  source.q_len = qLen;
  source.caches = caches;
  Batch batch;
  REQUIRE(readBatch(sample, source, kHost, kRoomy, batch) == SACCADE_OK);
  EntryWork work = planEntry(sample, entry, batch, 2, false);
  checkLaws(sample, batch, work, 2, false);
  for (const SaccadeWorkItem &item : work.items) {
    int listed[] = {2, 0, 3};
    CHECK(visitedTiles(sample, entry, batch, 0, item.row_begin, item.row_end) ==
          (listed[item.row_begin / 4] * 4 + 2) / 3);
  }
}

TEST_CASE("planner: attended caches add up, each from its own start") {
  json object = manifest("ragged");
  object["arguments"].push_back(cache("ragged"));
  object["arguments"][3]["name"] = "tail";
  object["entries"][0]["caches"] = {1, 3};
  // All of the first, what is causal of the second.
  object["entries"][0]["folds"] = {
      {{"cache", 1}}, {{"cache", 3}, {"bounds", kMasks[0].bounds}}};
  Manifest sample = parsed(object);
  REQUIRE(sample.entries[0].folds.size() == 2);
  int32_t qLen[] = {4}, first[] = {10}, second[] = {9};
  SaccadeCacheBatch caches[2] = {};
  caches[0].lengths = first;
  caches[1].lengths = second;
  SaccadeBatch source = {};
  source.requests = 1;
  source.num_caches = 2;
  source.q_len = qLen;
  source.caches = caches;
  Batch batch;
  REQUIRE(readBatch(sample, source, kHost, kRoomy, batch) == SACCADE_OK);
  // Queries at 15 and 16 of 19 keys: 3 tiles, and of keys 10..16 two.
  CHECK(visitedTiles(sample, sample.entries[0], batch, 0, 0, 4) == 3 + 2);
  CHECK(visitedTiles(sample, sample.entries[0], batch, 0, 4, 8) == 3 + 3);
}

TEST_CASE("planner: plans large prefills in microseconds") {
  json object = manifest("ragged");
  for (auto [slot, heads] : {std::pair(&object["arguments"][0], 32),
                             std::pair(&object["arguments"][1], 8),
                             std::pair(&object["results"][0], 32),
                             std::pair(&object["results"][1], 32)})
    (*slot)["heads"] = heads;
  json &attend = object["entries"][0];
  attend["rows_per_item"] = 192;
  attend["group"] = 4;
  attend["kv_heads"] = 8;
  attend["kv_tile"] = 80;
  attend["folds"] = {{{"cache", 1}, {"bounds", kMasks[0].bounds}}};
  Manifest sample = parsed(object);
  REQUIRE(sample.entries.size() == 1);
  for (auto [requests, length] : {std::pair(16, 1024), std::pair(1, 16384)}) {
    std::vector<int32_t> lengths(requests, length);
    Batch batch = makeBatch(sample, lengths, lengths);
    Planner planner;
    EntryWork work;
    double best = 1e9;
    for (int again = 0; again < 20; ++again) {
      auto begin = std::chrono::steady_clock::now();
      planner.plan(sample, sample.entries[0], batch, 132, false, work);
      std::chrono::duration<double, std::micro> spent =
          std::chrono::steady_clock::now() - begin;
      best = std::min(best, spent.count());
    }
    auto [least, most] = std::ranges::minmax(work.load);
    MESSAGE(requests, " x ", length, ": ", work.items.size(), " items in ",
            best, " us, loads ", least, "..", most);
    CHECK(best < 2000); // 40 us where nothing else runs
    CHECK(most - least <= 0.02 * most);
  }
}

TEST_CASE("planner: KV heads come in sections that a cache holds") {
  Manifest sample = masked("ragged", kMasks[0].bounds);
  sample.arguments[1].dim = sample.arguments[1].valueDim = 128;
  Entry &entry = sample.entries[0];
  entry.rowsPerItem = 64;
  entry.kvTile = 64;
  // 12 MB a head: each its own section. The short requests fit beside it.
  Batch batch = makeBatch(sample, {100, 12000, 1}, {100, 12000, 12000});
  EntryWork work = planEntry(sample, entry, batch, 7, false);
  double heaviest = costOf(entry, 64, 12032);
  for (int32_t cta = 0; cta < work.ctas(); ++cta) {
    int section = 0;
    double last = heaviest;
    for (int i = work.ctaBegin[cta]; i < work.ctaBegin[cta + 1]; ++i) {
      const SaccadeWorkItem &item = work.items[i];
      // The long request: head 0, heaviest first, then head 1, then the light
      // tiles of both.
      if (item.request != 1)
        continue;
      int64_t tiles = visitedTiles(sample, entry, batch, item.request,
                                   item.row_begin, item.row_end);
      double cost = costOf(entry, item.row_end - item.row_begin, tiles * 64);
      int at = 4 * cost < heaviest ? 2 : item.kv_head;
      CHECK(at >= section);
      if (at > section)
        last = heaviest;
      section = at;
      CHECK(cost <= last);
      last = cost;
    }
    CHECK(section == 2);
  }
  auto [least, most] = std::ranges::minmax(work.load);
  CHECK(most - least <= costOf(entry, 64, 12032));
  CHECK(most - least <= 0.01 * most); // light items even out the end

  // Requests of one tile read nothing twice: they are dealt heaviest first,
  // wherever the long one stands.
  std::vector<int32_t> one(40, 1), lengths(40, 12000);
  lengths.back() = 120000;
  batch = makeBatch(sample, one, lengths);
  work = planEntry(sample, entry, batch, 7, false);
  CHECK(work.items[0].request == 39);
  checkLaws(sample, batch, work, 7, false);
}

TEST_CASE("planner: light tiles even out sections of few tiles") {
  Manifest sample = masked("ragged", kMasks[0].bounds);
  sample.arguments[1].dim = sample.arguments[1].valueDim = 256;
  Entry &entry = sample.entries[0];
  entry.rowsPerItem = 128;
  entry.kvTile = 80;
  entry.group = 1;
  entry.kvHeads = 16;
  // A head has 64 tiles, and a section few heads: less than two tiles a cta.
  Batch batch = makeBatch(sample, {8192, 8192}, {8192, 8192});
  EntryWork work = planEntry(sample, entry, batch, 132, false);
  CHECK(work.items.size() == 2048);
  auto [least, most] = std::ranges::minmax(work.load);
  CHECK(most - least <= 0.01 * most); // a tenth without them at the end
}

TEST_CASE("planner: a group that does not divide the rows of an item") {
  Manifest sample = parsed(manifest("dense"));
  Entry &entry = sample.entries[0];
  entry.group = 3;
  entry.rowsPerItem = 8; // two tokens of three heads
  Batch batch = makeBatch(sample, {5}, {5});
  EntryWork work = planEntry(sample, entry, batch, 1, false);
  checkLaws(sample, batch, work, 1, false);
  CHECK(work.items.size() == 6);
  CHECK(int64_t(work.items.size()) <= mostItems(entry, {1, 5, 0, 0}));
  entry.rowsPerItem = 2; // less than a token
  work = planEntry(sample, entry, batch, 1, false);
  checkLaws(sample, batch, work, 1, false);
  CHECK(int64_t(work.items.size()) <= mostItems(entry, {1, 5, 0, 0}));
}

TEST_CASE("planner: few items have fewer rows where that ends earlier") {
  Manifest sample = parsed(manifest("dense"));
  Entry &entry = sample.entries[0];
  entry.rowsPerItem = 192;
  entry.groupRows = 64;
  entry.groupCosts = {0.7, 0.75, 1.0};
  auto mostRows = [&](const EntryWork &work) {
    int32_t rows = 0;
    for (const SaccadeWorkItem &item : work.items)
      rows = std::max(rows, item.row_end - item.row_begin);
    return rows;
  };
  auto rowsOf = [&](const EntryWork &work) {
    std::map<std::tuple<int, int>, int64_t> rows;
    for (const SaccadeWorkItem &item : work.items)
      rows[{item.request, item.kv_head}] += item.row_end - item.row_begin;
    return rows;
  };
  int32_t tokens = 960;
  int64_t rows = int64_t(tokens) * entry.group;
  int64_t tiles = (rows + 191) / 192 * entry.kvHeads;
  Batch batch = makeBatch(sample, {tokens}, {4000});
  // As many ctas as smaller tiles: each has less to do.
  EntryWork wide = planEntry(sample, entry, batch, int32_t(3 * tiles), false);
  CHECK(mostRows(wide) < 192);
  for (auto &[place, count] : rowsOf(wide))
    CHECK(count == rows);
  CHECK(int64_t(wide.items.size()) <= mostItems(entry, {1, tokens, 0, 0}));
  // One cta does all either way, and whole tiles cost it least.
  EntryWork narrow = planEntry(sample, entry, batch, 1, false);
  CHECK(mostRows(narrow) == 192);
  // Items that cost much beside their rows are not worth cutting.
  entry.itemCost = 1e6;
  CHECK(mostRows(planEntry(sample, entry, batch, int32_t(tiles), false)) ==
        192);
  entry.itemCost = 0;
  // Groups that cost as much alone gain nothing.
  entry.groupCosts = {1.0, 1.0, 1.0};
  entry.alpha = 0;
  CHECK(mostRows(planEntry(sample, entry, batch, int32_t(3 * tiles), false)) ==
        192);
}

TEST_CASE("planner: a batch without requests, and one without rows") {
  Manifest sample = parsed(manifest("dense"));
  Batch none = makeBatch(sample, {}, {});
  CHECK(planEntry(sample, sample.entries[0], none, 8, false).ctas() == 0);
  CHECK(planEntry(sample, sample.entries[0], none, 8, true).ctas() == 8);
  Batch noRows = makeBatch(sample, {0, 0}, {5, 0});
  CHECK(planEntry(sample, sample.entries[0], noRows, 8, false).items.empty());
}

TEST_CASE("planner: a request without keys still has items that write it") {
  Manifest sample = parsed(manifest("dense"));
  Batch batch = makeBatch(sample, {2}, {0});
  EntryWork work = planEntry(sample, sample.entries[0], batch, 8, false);
  REQUIRE(work.items.size() == 2);
  CHECK(work.items[0].kv_end == 0);
}

TEST_CASE("planner: an append costs its rows alone") {
  Manifest sample = parsed(manifest("dense"));
  sample.entries[0].kind = EntryKind::Append;
  sample.entries[0].group = 1;
  Batch batch = makeBatch(sample, {4}, {1000});
  EntryWork work = planEntry(sample, sample.entries[0], batch, 1, false);
  REQUIRE(work.load.size() == 1);
  CHECK(work.load[0] == 8);
}

TEST_CASE("planner: text form") {
  Manifest sample = parsed(manifest("ragged"));
  Batch batch = makeBatch(sample, {3, 1}, {10, 20});
  std::vector<EntryWork> work = {
      planEntry(sample, sample.entries[0], batch, 3, false)};
  CHECK(describe(sample, batch, work) ==
        R"(plan @sample: 2 requests, 4 query tokens, 30 keys
entry @attend attend: 6 items on 3 ctas, 4 rows at most, tiles of 4 keys, group 2, 2 KV heads
  load: least 32, mean 34.6667, most 36, imbalance 1.03846
  cta 0: load 36
    request 1 head 0 rows [0, 2) keys [0, 20) in 5 tiles
    request 0 head 0 rows [0, 2) keys [0, 10) in 3 tiles
  cta 1: load 36
    request 1 head 1 rows [0, 2) keys [0, 20) in 5 tiles
    request 0 head 1 rows [0, 2) keys [0, 10) in 3 tiles
  cta 2: load 32
    request 0 head 0 rows [2, 6) keys [0, 10) in 3 tiles
    request 0 head 1 rows [2, 6) keys [0, 10) in 3 tiles
request 0: q [0, 3) keys 10
  ragged 'kv': keys [0, 10) base 0
request 1: q [3, 4) keys 20
  ragged 'kv': keys [0, 20) base 10
)");
}

TEST_CASE("plan memory: parts lie apart, aligned, and inside") {
  Manifest sample = parsed(manifest("dense"));
  Limits limits{5, 40, 100, 7};
  PlanMemory memory;
  int32_t ctas[] = {6};
  REQUIRE(PlanMemory::layOut(sample, limits, ctas, memory) == SACCADE_OK);
  Batch batch = makeBatch(sample, {20, 10, 4, 4, 2}, {9, 9, 9, 9, 9});
  batch.indices.assign(100, 1);
  batch.blockRows.assign(7, 1);
  std::vector<EntryWork> work = {
      planEntry(sample, sample.entries[0], batch, 6, true)};
  std::vector<char> image(memory.bytes + 64, char(0x5a));
  std::vector<PlanMemory::Range> ranges =
      memory.write(batch, work, image.data());
  REQUIRE(ranges.size() == 1);
  CHECK(ranges[0].begin == 0);
  CHECK(ranges[0].end <= memory.bytes);
  CHECK(std::all_of(image.begin() + memory.bytes, image.end(),
                    [](char c) { return c == 0x5a; }));
  std::vector<size_t> offsets = {
      memory.requests,         memory.segments[0], memory.entries[0].ctaBegin,
      memory.entries[0].items, memory.blockRows,   memory.indices};
  for (size_t offset : offsets)
    CHECK(offset % 16 == 0);
  CHECK(std::ranges::is_sorted(offsets));
}

TEST_CASE("plan memory: distant parts are sent apart") {
  Manifest sample = parsed(manifest("dense"));
  Limits limits{100000, 1 << 20, 1 << 20, 0};
  PlanMemory memory;
  int32_t ctas[] = {6};
  REQUIRE(PlanMemory::layOut(sample, limits, ctas, memory) == SACCADE_OK);
  Batch batch = makeBatch(sample, {1}, {9});
  std::vector<EntryWork> work = {
      planEntry(sample, sample.entries[0], batch, 6, false)};
  std::vector<char> image(memory.bytes);
  std::vector<PlanMemory::Range> ranges =
      memory.write(batch, work, image.data());
  size_t sent = 0;
  for (auto [begin, end] : ranges)
    sent += end - begin;
  CHECK(ranges.size() > 1);
  CHECK(sent < 1000);
}
