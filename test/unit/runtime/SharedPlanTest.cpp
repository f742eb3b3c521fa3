// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Two entries of one launch: their ctas alternate, each plans its own requests,
// both have ctas where both have work, both are modelled to end at about the
// same time, and what is written is what the kernel reads.
#include "runtime/PlanMemory.h"
#include "test/unit/runtime/PlanLaws.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <tuple>

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;

namespace {

json twoEntries(int32_t most) {
  json object = gpuManifest();
  object["arguments"][1] = cache("dense");
  object["arguments"][1]["dtype"] = "bf16";
  object["entries"].push_back(object["entries"][0]);
  json &many = object["entries"][0], &few = object["entries"][1];
  many["rows"] = {{"least", most + 1}};
  many["rows_per_item"] = 24;
  many["cost"] = {{"item", 3},
                  {"alpha", 0.1},
                  {"beta", 1},
                  {"groups", {{"rows", 8}, {"keys", {0.5, 0.75, 1.0}}}}};
  few["name"] = "few";
  few["rows"] = {{"most", most}};
  few["fused_into"] = 0;
  few["partial_floats"] = 64;
  few["cost"] = {
      {"alpha", 1}, {"beta", 1}, {"policy", "ranges"}, {"rush", 2.0}};
  return object;
}

double lastOf(const EntryWork &work) {
  return work.load.empty() ? 0 : std::ranges::max(work.load);
}

/// Items of a request, without slots, which depend on those before it.
std::vector<SaccadeWorkItem> itemsOf(const EntryWork &work, int32_t request) {
  std::vector<SaccadeWorkItem> found;
  for (SaccadeWorkItem item : work.items)
    if (item.request == request) {
      item.request = 0;
      item.partial = item.partial >= 0;
      found.push_back(item);
    }
  std::ranges::sort(found, {}, [](const SaccadeWorkItem &item) {
    return std::tuple(item.kv_head, item.row_begin, item.kv_begin);
  });
  return found;
}

} // namespace

TEST_CASE("shared plan: ctas of two kinds alternate") {
  for (int32_t first = 0; first < 40; ++first)
    for (int32_t second = 0; second < 40; ++second) {
      SharedGrid grid{first, second};
      int32_t seen[2] = {0, 0};
      for (int32_t cta = 0; cta < grid.ctas(); ++cta) {
        SharedGrid::Place place = grid.at(cta);
        CHECK(place.own == seen[place.isSecond]++);
        CHECK(grid.cta(place) == cta);
        // Among any first ones each kind has its share, but for one.
        CHECK(std::abs(seen[0] * grid.ctas() - first * (cta + 1)) <
              grid.ctas());
      }
      CHECK(seen[0] == first);
      CHECK(seen[1] == second);
    }
}

TEST_CASE("shared plan: random batches obey the laws") {
  std::mt19937 random(31);
  auto below = [&](int n) { return int(random() % n); };
  int both = 0;
  for (int round = 0; round < 400; ++round) {
    int32_t most = 2 * (1 + below(8));
    Manifest sample = parsed(twoEntries(most));
    REQUIRE(sample.entries.size() == 2);
    REQUIRE(sample.entries[0].fused == 1);
    std::vector<int32_t> qLen(below(12)), kvLen(qLen.size());
    for (size_t r = 0; r < qLen.size(); ++r) {
      qLen[r] = below(4) ? below(4) : below(60);
      kvLen[r] = qLen[r] + (below(5) ? below(300) : 0);
    }
    Batch batch = makeBatch(sample, qLen, kvLen);
    int32_t count = 2 + below(30);
    bool fixedGrid = below(2), invariant = below(2);
    std::vector<int32_t> ctas = {count, count};
    Planner planner(invariant);
    std::vector<EntryWork> work(2), again(2);
    planner.planAll(sample, batch, ctas, fixedGrid, true, work);
    const EntryWork &many = work[0], &few = work[1];
    CHECK(many.ctas() + few.ctas() <= count);
    if (fixedGrid)
      CHECK(many.ctas() + few.ctas() == count);
    CHECK(many.grid.ctas() == many.ctas() + few.ctas());
    CHECK(many.items.empty() == (many.ctas() == 0));
    if (!many.items.empty() && !few.items.empty()) {
      ++both;
      CHECK(many.ctas() >= 1);
      CHECK(few.ctas() >= 1);
    }

    // Each entry's items are those of its requests, and cover each row once.
    std::map<std::tuple<int, int, int>, int> keys;
    for (int e = 0; e < 2; ++e)
      for (const SaccadeWorkItem &item : work[e].items) {
        CHECK(sample.entries[e].takes(int64_t(qLen[item.request]) *
                                      sample.entries[e].group));
        for (int row = item.row_begin; row < item.row_end; ++row)
          keys[{item.request, row, item.kv_head}] +=
              item.kv_end - item.kv_begin;
      }
    size_t rows = 0;
    for (int32_t length : qLen)
      rows +=
          size_t(length) * sample.entries[0].group * sample.entries[0].kvHeads;
    CHECK(keys.size() == rows);
    for (auto &[row, seen] : keys)
      CHECK(seen == kvLen[std::get<0>(row)]);

    // What was planned before changes nothing.
    planner.planAll(sample, makeBatch(sample, {3, 50}, {700, 90}), ctas, true,
                    true, again);
    planner.planAll(sample, batch, ctas, fixedGrid, true, again);
    CHECK(same(many, again[0]));
    CHECK(same(few, again[1]));

    // What the capacity promises holds for any division.
    Limits tight{int64_t(qLen.size()), batch.tokens, 0, 0,
                 std::max<int64_t>(batch.keys, 1)};
    for (int e = 0; e < 2; ++e) {
      WorkSize size =
          mostWork(sample, sample.entries[e], tight, count, invariant);
      CHECK(int64_t(work[e].items.size()) <= size.items);
      CHECK(int64_t(work[e].partials.size()) <= size.slots);
      CHECK(work[e].counters <= size.counters);
    }

    // The memory holds both, cta by cta.
    PlanMemory memory;
    REQUIRE(PlanMemory::layOut(sample, tight, ctas, memory, invariant) ==
            SACCADE_OK);
    CHECK(memory.leaders == std::vector<int32_t>{-1, 0});
    CHECK(memory.entries[0].states == memory.entries[1].states);
    std::vector<char> image(memory.bytes);
    memory.write(batch, work, image.data());
    const auto *begin = reinterpret_cast<const int32_t *>(
        image.data() + memory.entries[0].ctaBegin);
    const auto *items = reinterpret_cast<const SaccadeWorkItem *>(
        image.data() + memory.entries[0].items);
    CHECK(begin[0] == 0);
    for (int32_t cta = 0; cta < many.grid.ctas(); ++cta) {
      auto [isSecond, own] = many.grid.at(cta);
      const EntryWork &from = work[isSecond];
      CHECK(from.launched(own) == cta);
      int32_t first = from.ctaBegin[own], last = from.ctaBegin[own + 1];
      REQUIRE(begin[cta + 1] - begin[cta] == last - first);
      for (int32_t i = first; i < last; ++i) {
        SaccadeWorkItem expected = from.items[i];
        expected.format = isSecond;
        CHECK(memcmp(&items[begin[cta] + i - first], &expected,
                     sizeof expected) == 0);
      }
    }
  }
  CHECK(both > 100);
}

TEST_CASE("shared plan: both kinds end at about the same time") {
  std::mt19937 random(37);
  auto below = [&](int n) { return int(random() % n); };
  for (int round = 0; round < 40; ++round) {
    Manifest sample = parsed(twoEntries(8));
    std::vector<int32_t> qLen, kvLen;
    for (int r = 1 + below(4); r > 0; --r) {
      qLen.push_back(200 + below(300));
      kvLen.push_back(qLen.back() + below(3000));
    }
    for (int r = 20 + below(200); r > 0; --r) {
      qLen.push_back(1);
      kvLen.push_back(1 + below(9000));
    }
    Batch batch = makeBatch(sample, qLen, kvLen);
    Planner planner;
    EntryWork many, few;
    auto planWith = [&](int32_t ctas) {
      planner.planShared(sample, sample.entries[0], sample.entries[1], batch,
                         ctas, false, many, few);
      return std::max(lastOf(many), lastOf(few));
    };
    double last = planWith(132);
    // Loads are times: what few ctas draw at most is twice what each of all
    // draws.
    CHECK(few.pace == doctest::Approx(std::min(132.0 / few.ctas(), 2.0)));
    double all = 0;
    for (double load : few.load)
      all += load * few.pace;
    CHECK(lastOf(few) >= all / 132 * (1 - 1e-9));
    // Within a tenth of the best of all divisions.
    double best = last;
    for (int32_t count = 1; count < 132; ++count) {
      EntryWork a = planEntry(sample, sample.entries[0], batch, count, false);
      EntryWork b =
          planEntry(sample, sample.entries[1], batch, 132 - count, false);
      double pace = std::clamp(132.0 / (132 - count), 1.0, 2.0);
      best = std::min(best, std::max(lastOf(a), lastOf(b) / pace));
    }
    CHECK(last <= 1.1 * best);
  }
}

TEST_CASE("shared plan: a division does not change what an item is") {
  Manifest sample = parsed(twoEntries(8));
  sample.entries[1].kvTile = 64;
  std::vector<int32_t> qLen = {1, 100, 2, 40}, kvLen = {9000, 2000, 5000, 700};
  Planner planner(/*batchInvariant=*/true);
  std::vector<EntryWork> work(2);
  auto plan = [&](const std::vector<int32_t> &q, const std::vector<int32_t> &k,
                  int32_t ctas) {
    planner.planAll(sample, makeBatch(sample, q, k),
                    std::vector<int32_t>{ctas, ctas}, true, true, work);
  };
  auto sameItems = [](const std::vector<SaccadeWorkItem> &a,
                      const std::vector<SaccadeWorkItem> &b) {
    return a.size() == b.size() &&
           memcmp(a.data(), b.data(), a.size() * sizeof a[0]) == 0;
  };
  for (size_t r = 0; r < qLen.size(); ++r) {
    int e = sample.entries[1].takes(2 * qLen[r]);
    plan({qLen[r]}, {kvLen[r]}, 132);
    std::vector<SaccadeWorkItem> alone = itemsOf(work[e], 0);
    REQUIRE(!alone.empty());
    for (int32_t ctas : {2, 3, 20, 132}) {
      plan(qLen, kvLen, ctas);
      CHECK(sameItems(alone, itemsOf(work[e], int32_t(r))));
    }
  }
}

TEST_CASE("shared plan: text form names the launch's ctas") {
  Manifest sample = parsed(twoEntries(8));
  Batch batch = makeBatch(sample, {30, 1, 1}, {30, 300, 300});
  std::vector<EntryWork> work(2);
  Planner().planAll(sample, batch, std::vector<int32_t>{4, 4}, false, true,
                    work);
  std::string text = describe(sample, batch, work);
  CHECK(text.find(", in a launch of 4 ctas") != text.npos);
  for (int32_t cta = 0; cta < 4; ++cta) {
    std::string line = join("  cta ", cta, ": load ");
    size_t first = text.find(line);
    CHECK(first != text.npos);
    CHECK(text.find(line, first + 1) == text.npos);
  }
  std::string svg = picture(sample, batch, work);
  CHECK(svg.find(" of 4 of a launch") != svg.npos);
}
