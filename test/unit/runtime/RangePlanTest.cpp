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

/// One of `blocks` teams of one thread.
struct Alone {
  int32_t block = 0, blocks = 1;

  template <typename Fn> void each(int32_t n, Fn f) const {
    for (int32_t i = 0; i < n; ++i)
      f(i);
  }
  template <typename Fn> void share(int32_t n, Fn f) const {
    constexpr int32_t lanes = 3;
    for (int32_t i = block; i < n; i += blocks)
      for (int32_t lane = 0; lane < lanes; ++lane)
        f(i, lane, lanes);
  }
  bool owns(int32_t i) const { return i % blocks == block; }
  template <typename Value, typename Put>
  void scan(int32_t n, Value value, Put put) const {
    decltype(value(0)) sum = {};
    for (int32_t i = 0; i < n; ++i) {
      put(i, sum);
      sum += value(i);
    }
    put(n, sum);
  }
};

/// A plan in arrays of exactly the size that is promised to be enough.
struct Planned {
  RangeShape shape;
  std::vector<SaccadeRequest> requests;
  std::vector<int32_t> ctaBegin = std::vector<int32_t>(shape.ctas.value() + 1);
  std::vector<SaccadePartial> partials =
      std::vector<SaccadePartial>(2 * (shape.ctas.value() - 1), {-1, 0, 0, 0});
  std::vector<SaccadeWorkItem> items;

  Planned(RangeShape shape, std::vector<SaccadeRequest> batch,
          int32_t blocks = 1)
      : shape(shape), requests(std::move(batch)) {
    int64_t most = int64_t(shape.ctas.value()) - 1;
    for (const SaccadeRequest &request : requests)
      most += int64_t(shape.kvHeads) * rowTiles(request);
    items.resize(most);
    RangeOutput out{items.data(), ctaBegin.data(), partials.data()};
    std::vector<int64_t> keysBefore(shape.requests, -1);
    for (int32_t b = 0; b < blocks; ++b) {
      std::vector<int64_t> memory(
          RangeScratch::bytes(shape.requests, shape.ctas.value()) / 8 + 1);
      auto scratch = RangeScratch::at(reinterpret_cast<char *>(memory.data()),
                                      shape.requests, shape.ctas.value());
      Alone block{b, blocks};
      RangePlanner(block, this->shape, scratch, out)
          .plan(
              [&](int32_t r) {
                return RangeRequest{requests[r].q_len * shape.group,
                                    requests[r].kv_len};
              },
              [&](int32_t r, int64_t keys) {
                CHECK(keysBefore[r] == -1);
                keysBefore[r] = keys;
              });
    }
    int64_t keys = 0;
    for (int32_t r = 0; r < shape.requests; ++r) {
      CHECK(keysBefore[r] == keys);
      keys += requests[r].kv_len;
    }
  }

  int32_t rowTiles(const SaccadeRequest &request) const {
    return (rows(request) + shape.tileRows.value() - 1) /
           shape.tileRows.value();
  }
  int32_t rows(const SaccadeRequest &request) const {
    int32_t all = request.q_len * shape.group;
    return all < shape.leastRows || all > shape.mostRows ? 0 : all;
  }
  int32_t tiles(const SaccadeRequest &request) const {
    return (request.kv_len + shape.kvTile.value() - 1) / shape.kvTile.value();
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
  for (int32_t c = 0; c < shape.ctas.value(); ++c) {
    REQUIRE(plan.ctaBegin[c] <= plan.ctaBegin[c + 1]);
    int64_t load = 0;
    int parts = 0;
    for (int32_t i = plan.ctaBegin[c]; i < plan.ctaBegin[c + 1]; ++i) {
      const SaccadeWorkItem &item = plan.items[i];
      REQUIRE(item.kv_begin % shape.kvTile.value() == 0);
      load += shape.overhead +
              (item.kv_end - item.kv_begin + shape.kvTile.value() - 1) /
                  shape.kvTile.value();
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
  CHECK(heaviest <= total / shape.ctas.value() + slack);

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
      for (int32_t row = 0; row < rows; row += shape.tileRows.value()) {
        ++expected;
        auto found = tiles.find({static_cast<int32_t>(r), head, row});
        REQUIRE(found != tiles.end());
        auto &parts = found->second;
        int32_t at = 0;
        for (size_t i = 0; i < parts.size(); ++i) {
          const auto &[slot, item] = parts[i];
          CHECK(item.row_end == std::min(row + shape.tileRows.value(), rows));
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
          CHECK(partial.counter < shape.ctas.value() - 1);
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
    shape.ctas = Divisor(pick({1, 2, 7, 132, 264}));
    shape.kvHeads = pick({1, 2, 8});
    shape.group = pick({1, 4, 5});
    shape.tileRows = Divisor(pick({1, 2, 8}) * shape.group);
    shape.kvTile = Divisor(pick({16, 32}));
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
    checkLaws(Planned(shape, requests, pick({1, 1, 2, 5})));
  }
}

TEST_CASE("range plan: one long request goes to all ctas") {
  RangeShape shape{/*requests=*/1,
                   /*ctas=*/Divisor(132),
                   /*kvHeads=*/8,
                   /*group=*/4,
                   /*tileRows=*/Divisor(8),
                   /*kvTile=*/Divisor(16),
                   /*overhead=*/8,
                   /*least=*/8,
                   /*leastRows=*/1,
                   /*mostRows=*/16};
  std::vector<SaccadeRequest> requests(1);
  requests[0].q_len = 1;
  requests[0].kv_len = 32768;
  Planned plan(shape, requests);
  checkLaws(plan);
  for (int32_t c = 0; c < shape.ctas.value(); ++c)
    CHECK(plan.ctaBegin[c + 1] > plan.ctaBegin[c]);
}

TEST_CASE("divisors: as division does") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 20000; ++round) {
    auto by = static_cast<int32_t>(1 + (random() >> 33 >> random() % 31) %
                                           (SACCADE_MAX_POSITION));
    auto n = static_cast<int64_t>(random() >> 1 >> random() % 63);
    if (round % 3 == 0) // around a multiple
      n = std::max<int64_t>(n / by * by - round % 2, 0);
    CAPTURE(by);
    CAPTURE(n);
    REQUIRE(Divisor(by).below(n) == n / by);
    auto few = static_cast<int32_t>(n & 0x7fffffff);
    REQUIRE(Divisor(by).below(few) == few / by);
  }
}
