// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Laws of every plan: each (request, row, KV head) is covered exactly once,
// tiles stay in their row blocks, no cta is ahead by more than one item, the
// same batch gives the same plan, and no batch exceeds what the capacity
// promised.
#include "runtime/Planner.h"
#include "runtime/PlanMemory.h"
#include "test/unit/Test.h"
#include "test/unit/runtime/Samples.h"

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;

namespace {

Batch makeBatch(const Manifest &manifest, const std::vector<int32_t> &qLen,
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

void checkLaws(const Entry &entry, const Batch &batch, const EntryWork &work,
               int32_t ctas, bool fixedGrid) {
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
    CHECK(item.row_end - item.row_begin <= entry.rowsPerItem);
    if (entry.rowBlock)
      CHECK(item.row_begin / entry.rowBlock ==
            (item.row_end - 1) / entry.rowBlock);
    for (int row = item.row_begin; row < item.row_end; ++row)
      ++covered[{item.request, row, item.kv_head}];
    heaviest = std::max(
        heaviest, costOf(entry, item.row_end - item.row_begin, request.kv_len));
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
}

bool same(const EntryWork &a, const EntryWork &b) {
  return a.ctaBegin == b.ctaBegin && a.items.size() == b.items.size() &&
         (a.items.empty() ||
          memcmp(a.items.data(), b.items.data(),
                 a.items.size() * sizeof(SaccadeWorkItem)) == 0);
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
    entry.alpha = below(3);
    entry.beta = below(3);
    std::vector<int32_t> qLen(below(12)), kvLen(qLen.size());
    for (size_t r = 0; r < qLen.size(); ++r) {
      qLen[r] = below(4) ? below(4) : below(60);
      kvLen[r] = below(5) ? below(300) : 0;
    }
    Batch batch = makeBatch(sample, qLen, kvLen);
    int32_t ctas = 1 + below(20);
    bool fixedGrid = below(2);
    EntryWork work = planEntry(sample, entry, batch, ctas, fixedGrid);
    checkLaws(entry, batch, work, ctas, fixedGrid);
    CHECK(same(work, planEntry(sample, entry, batch, ctas, fixedGrid)));
    Limits tight{int64_t(qLen.size()), batch.tokens, 0, 0};
    CHECK(int64_t(work.items.size()) <= mostItems(entry, tight));
  }
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
entry @attend attend: 6 items on 3 ctas, 4 rows each, group 2, 2 KV heads
  load: least 28, mean 32, most 34
  cta 0: load 34
    request 1 head 0 rows [0, 2) keys [0, 20)
    request 0 head 0 rows [4, 6) keys [0, 10)
  cta 1: load 34
    request 1 head 1 rows [0, 2) keys [0, 20)
    request 0 head 1 rows [4, 6) keys [0, 10)
  cta 2: load 28
    request 0 head 0 rows [0, 4) keys [0, 10)
    request 0 head 1 rows [0, 4) keys [0, 10)
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
