// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The laws of range plans, over random batches. The same text runs on the
// device; here its team is one thread.
#include "runtime/RangePlan.h"

#include "test/unit/Test.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <vector>

using namespace saccade::rt;

namespace {

struct Alone {
  template <typename Fn> void each(int32_t n, Fn f) const {
    for (int32_t i = 0; i < n; ++i)
      f(i);
  }
  template <typename T, typename Fn> void scan(int32_t n, T *sums, Fn f) const {
    T sum = 0;
    for (int32_t i = 0; i < n; ++i) {
      sums[i] = sum;
      sum += static_cast<T>(f(i));
    }
    sums[n] = sum;
  }
};

/// A plan in arrays of exactly the size that is promised to be enough.
struct Planned {
  RangeShape shape;
  std::vector<SaccadeRequest> requests;
  std::vector<int64_t> cost = std::vector<int64_t>(shape.requests + 1);
  std::vector<int32_t> itemsBefore = std::vector<int32_t>(shape.requests + 1);
  std::vector<RangeCut> cuts = std::vector<RangeCut>(shape.ctas + 1);
  std::vector<int32_t> slots = std::vector<int32_t>(shape.ctas + 1);
  std::vector<int32_t> ctaBegin = std::vector<int32_t>(shape.ctas + 1);
  std::vector<SaccadePartial> partials =
      std::vector<SaccadePartial>(2 * (shape.ctas - 1), {-1, 0, 0, 0});
  std::vector<SaccadeWorkItem> items;

  Planned(RangeShape shape, std::vector<SaccadeRequest> batch)
      : shape(shape), requests(std::move(batch)) {
    int64_t most = int64_t(shape.ctas) - 1;
    for (const SaccadeRequest &request : requests)
      most += int64_t(shape.kvHeads) * rowTiles(request);
    items.resize(most);
    Alone alone;
    RangeScratch scratch{cost.data(), itemsBefore.data(), cuts.data(),
                         slots.data()};
    RangeOutput out{items.data(), ctaBegin.data(), partials.data()};
    RangePlanner(alone, this->shape, requests.data(), scratch, out).plan();
  }

  int32_t rowTiles(const SaccadeRequest &request) const {
    return (rows(request) + shape.tileRows - 1) / shape.tileRows;
  }
  int32_t rows(const SaccadeRequest &request) const {
    int32_t all = request.q_len * shape.group;
    return all < shape.leastRows || all > shape.mostRows ? 0 : all;
  }
  int32_t tiles(const SaccadeRequest &request) const {
    return (request.kv_len + shape.kvTile - 1) / shape.kvTile;
  }
};

void checkLaws(const Planned &plan) {
  using Tile = std::tuple<int32_t, int32_t, int32_t>; // request, head, row
  struct Part {
    int32_t slot;
    SaccadeWorkItem item;
  };
  std::map<Tile, std::vector<Part>> tiles;
  const RangeShape &shape = plan.shape;
  REQUIRE(plan.ctaBegin[0] == 0);
  int64_t total = 0, heaviest = 0;
  std::vector<int32_t> used;
  for (int32_t c = 0; c < shape.ctas; ++c) {
    REQUIRE(plan.ctaBegin[c] <= plan.ctaBegin[c + 1]);
    int64_t load = 0;
    int parts = 0;
    for (int32_t i = plan.ctaBegin[c]; i < plan.ctaBegin[c + 1]; ++i) {
      const SaccadeWorkItem &item = plan.items[i];
      REQUIRE(item.kv_begin % shape.kvTile == 0);
      load += shape.overhead +
              (item.kv_end - item.kv_begin + shape.kvTile - 1) / shape.kvTile;
      tiles[{item.request, item.kv_head, item.row_begin}].push_back(
          {item.partial, item});
      if (item.partial >= 0) {
        ++parts;
        used.push_back(item.partial);
      }
    }
    CHECK(parts <= 2);
    total += load;
    heaviest = std::max(heaviest, load);
  }
  // A cta has its share, and at most what is left of an item at both ends.
  int64_t slack = 2 * (shape.overhead + shape.least) + 1;
  CHECK(heaviest <= total / shape.ctas + slack);

  // Slots are used once, without a gap.
  std::ranges::sort(used);
  for (size_t i = 0; i < used.size(); ++i)
    REQUIRE(used[i] == static_cast<int32_t>(i));
  REQUIRE(used.size() <= plan.partials.size());

  size_t expected = 0;
  std::set<int32_t> counters;
  for (size_t r = 0; r < plan.requests.size(); ++r) {
    const SaccadeRequest &request = plan.requests[r];
    int32_t rows = plan.rows(request);
    for (int32_t head = 0; head < shape.kvHeads; ++head)
      for (int32_t row = 0; row < rows; row += shape.tileRows) {
        ++expected;
        auto found = tiles.find({static_cast<int32_t>(r), head, row});
        REQUIRE(found != tiles.end());
        auto &parts = found->second;
        int32_t at = 0;
        for (size_t i = 0; i < parts.size(); ++i) {
          const auto &[slot, item] = parts[i];
          CHECK(item.row_end == std::min(row + shape.tileRows, rows));
          CHECK(item.kv_begin == at);
          at = item.kv_end;
          if (parts.size() == 1) {
            CHECK(slot == -1);
            continue;
          }
          CHECK(item.kv_end > item.kv_begin);
          CHECK(slot == parts[0].slot + static_cast<int32_t>(i));
          const SaccadePartial &partial = plan.partials[slot];
          CHECK(partial.first == parts[0].slot);
          CHECK(partial.count == static_cast<int32_t>(parts.size()));
          CHECK(partial.counter == plan.partials[parts[0].slot].counter);
          if (i == 0)
            CHECK(counters.insert(partial.counter).second);
          CHECK(partial.counter < shape.ctas - 1);
        }
        CHECK(at == request.kv_len);
      }
  }
  CHECK(tiles.size() == expected);
}

} // namespace

TEST_CASE("range plan: every KV tile once, slots in order, equal shares") {
  std::mt19937 random(7);
  auto pick = [&](std::initializer_list<int32_t> values) {
    return values.begin()[random() % values.size()];
  };
  for (int round = 0; round < 600; ++round) {
    RangeShape shape{};
    shape.requests = pick({0, 1, 2, 3, 17, 64, 200});
    shape.ctas = pick({1, 2, 7, 132, 264});
    shape.kvHeads = pick({1, 2, 8});
    shape.group = pick({1, 4, 5});
    shape.tileRows = pick({1, 2, 8}) * shape.group;
    shape.kvTile = pick({16, 32});
    shape.overhead = pick({1, 4, 24});
    shape.least = pick({1, 8});
    shape.leastRows = pick({1, 1, 2 * shape.group});
    shape.mostRows = pick({SACCADE_MAX_POSITION, 3 * shape.group});
    int32_t longest = pick({1, 15, 100, 5000, 100000});
    std::vector<SaccadeRequest> requests(shape.requests);
    for (SaccadeRequest &request : requests) {
      request.q_len = pick({0, 1, 1, 1, 3, 16});
      request.kv_len = static_cast<int32_t>(random() % (longest + 1));
      if (random() % 8 == 0)
        request.kv_len = 0;
    }
    CAPTURE(round);
    checkLaws(Planned(shape, requests));
  }
}

TEST_CASE("range plan: one long request goes to all ctas") {
  RangeShape shape{/*requests=*/1,  /*ctas=*/132,   /*kvHeads=*/8,
                   /*group=*/4,     /*tileRows=*/8, /*kvTile=*/16,
                   /*overhead=*/8,  /*least=*/8,
                   /*leastRows=*/1, /*mostRows=*/16};
  std::vector<SaccadeRequest> requests(1);
  requests[0].q_len = 1;
  requests[0].kv_len = 32768;
  Planned plan(shape, requests);
  checkLaws(plan);
  for (int32_t c = 0; c < shape.ctas; ++c)
    CHECK(plan.ctaBegin[c + 1] > plan.ctaBegin[c]);
}
