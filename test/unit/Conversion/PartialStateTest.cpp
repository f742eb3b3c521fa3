// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Items that are parts of a query tile, on the CPU, from a plan written by
// hand: whichever part is done last, results have the same bits, and they are
// those of a whole item up to rounding.

#include "include/saccade/KernelABI.h"
#include "lib/Pipelines.h"
#include "test/unit/CpuCode.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <thread>

using namespace saccade;
using namespace saccade::test;

namespace {
/// Two finished states, one of two caches with softmax, one without.
constexpr const char *kSpec = R"(
attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}
attn.variant @gate() normalizer = sigmoid {
}
attn.kernel @f(%q: !attn.ragged<2x16xf32>, %a: !attn.ragged<1x16xf32>, %b: !attn.ragged<1x16xf32>)
    schedule = #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32, splits = true> {
  %s0 = attn.attend @causal() %q, %a : !attn.ragged<2x16xf32>, !attn.ragged<1x16xf32> -> !attn.state<2x16>
  %s1 = attn.attend @causal() %q, %b : !attn.ragged<2x16xf32>, !attn.ragged<1x16xf32> -> !attn.state<2x16>
  %s = attn.merge %s0, %s1 : !attn.state<2x16>
  %t = attn.attend @gate() %q, %b : !attn.ragged<2x16xf32>, !attn.ragged<1x16xf32> -> !attn.state<2x16, sigmoid>
  %o, %lse = attn.finish @causal() %s : !attn.state<2x16> -> !attn.ragged<2x16xf32>, !attn.lse<2>
  %p = attn.finish @gate() %t : !attn.state<2x16, sigmoid> -> !attn.ragged<2x16xf32>
  attn.return %o, %lse, %p : !attn.ragged<2x16xf32>, !attn.lse<2>, !attn.ragged<2x16xf32>
}
)";
/// Of m and l, two columns of 16 rows, and O, 16 x 16, and the same without
/// softmax; each at a multiple of 32.
constexpr int kPartialFloats = 32 + 32 + 256 + 256;

/// The kernel above as operations on tiles.
std::string tiles() {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(kSpec, &context);
  REQUIRE(module);
  mlir::PassManager passes(&context);
  buildAttnPipeline(passes, {});
  buildTilePipeline(passes, {});
  REQUIRE(mlir::succeeded(passes.run(*module)));
  module->walk([](tile::EntryOp entry) {
    auto floats =
        entry->getAttrOfType<mlir::IntegerAttr>(tile::kPartialFloatsAttr);
    REQUIRE(floats);
    CHECK(floats.getInt() == kPartialFloats);
  });
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  return text;
}

uint64_t word(const void *pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

/// One request of three query tokens (six packed rows) over 40 + 50 keys.
struct Problem {
  static constexpr int kTokens = 3, kFirst = 40, kSecond = 50;
  static constexpr int kLength = kFirst + kSecond;
  std::vector<float> q, a, b, o, lse, p;
  std::vector<float> workspace = std::vector<float>(
      8 * kPartialFloats, std::numeric_limits<float>::quiet_NaN());
  std::vector<int32_t> counters = {0, 0, 0};
  /// One is read, and not used, also for items that are no parts.
  std::vector<SaccadePartial> partials = {{}};
  SaccadeRequest request{0, 0, 0, kTokens, kLength, 0};
  SaccadeSegment first{0, 0, kFirst, 0}, second{0, 0, kSecond, kFirst};

  Problem() {
    std::mt19937 random(7);
    std::uniform_real_distribution<float> uniform(-1, 1);
    auto fill = [&](std::vector<float> &values, int count) {
      values.resize(count);
      for (float &value : values)
        value = uniform(random);
    };
    fill(q, kTokens * 2 * 16);
    fill(a, kFirst * 2 * 16);
    fill(b, kSecond * 2 * 16);
    poison();
  }
  void poison() {
    o.assign(kTokens * 2 * 16 + 1, -77);
    lse.assign(kTokens * 2 + 1, -77);
    p.assign(kTokens * 2 * 16 + 1, -77);
  }
  std::vector<float> results() const {
    std::vector<float> all = o;
    all.insert(all.end(), lse.begin(), lse.end());
    all.insert(all.end(), p.begin(), p.end());
    return all;
  }

  /// Runs items, each as a CTA of its own, in the given order or all at once.
  void run(SaccadeCpuEntry entry, const std::vector<SaccadeWorkItem> &items,
           const std::vector<int> &order, bool parallel = false) {
    std::vector<int32_t> begin(items.size() + 1);
    for (size_t i = 0; i < begin.size(); ++i)
      begin[i] = static_cast<int32_t>(i);
    std::vector<uint64_t> words = {word(items.data()),
                                   word(begin.data()),
                                   word(&request),
                                   word(workspace.data()),
                                   word(partials.data()),
                                   word(counters.data()),
                                   0,
                                   0};
    auto tensor = [&](const std::vector<float> &data, uint64_t token,
                      uint64_t head) {
      words.insert(words.end(), {word(data.data()), 0, token, head});
    };
    auto cache = [&](const std::vector<float> &data,
                     const SaccadeSegment &segment) {
      tensor(data, 32, 32);
      words.insert(words.end(), {word(data.data() + 16), 0, 32, 32,
                                 word(&segment), 0, 0, 0});
    };
    tensor(q, 32, 16);
    cache(a, first);
    cache(b, second);
    tensor(o, 32, 16);
    tensor(lse, 2, 1);
    tensor(p, 32, 16);
    std::vector<std::thread> threads;
    for (int cta : order) {
      if (parallel)
        threads.emplace_back([&, cta] { entry(words.data(), cta); });
      else
        entry(words.data(), cta);
    }
    for (std::thread &thread : threads)
      thread.join();
  }
};

SaccadeWorkItem item(int rowBegin, int rowEnd, int begin, int end,
                     int partial) {
  return {0, 0, rowBegin, rowEnd, begin, end, partial, 0};
}
} // namespace

TEST_CASE("partial states: merged by the last of an item's parts") {
  CpuCode code(tiles());
  auto entry = code.get<void(const uint64_t *, int32_t)>("f");
  Problem problem;
  problem.run(entry, {item(0, 6, 0, Problem::kLength, -1)}, {0});
  std::vector<float> whole = problem.results();
  CHECK(std::ranges::count(whole, -77.0f) == 3);

  // Four rows in three parts that end within either cache, two rows in two, one
  // of which no key of the first rows' tile is visible in, and slots in between
  // that are nobody's.
  std::vector<SaccadeWorkItem> items = {
      item(0, 4, 0, 16, 2), item(0, 4, 16, 72, 3), item(0, 4, 72, 90, 4),
      item(4, 6, 0, 88, 6), item(4, 6, 88, 90, 7),
  };
  problem.partials = {{},           {}, {2, 3, 2, 0}, {2, 3, 2, 0},
                      {2, 3, 2, 0}, {}, {6, 2, 0, 0}, {6, 2, 0, 0}};
  std::vector<int> order = {0, 1, 2, 3, 4};
  std::vector<float> split;
  std::mt19937 random(3);
  for (int trial = 0; trial < 40; ++trial) {
    problem.poison();
    problem.run(entry, items, order, /*parallel=*/trial % 2);
    std::vector<float> results = problem.results();
    if (split.empty())
      split = results;
    CHECK(std::memcmp(split.data(), results.data(),
                      results.size() * sizeof(float)) == 0);
    CHECK(problem.counters == std::vector<int32_t>{0, 0, 0});
    std::ranges::shuffle(order, random);
  }
  float worst = 0;
  for (size_t i = 0; i < whole.size(); ++i)
    worst = std::max(worst, std::fabs(whole[i] - split[i]));
  CHECK(worst < 2e-6f);
  CHECK(!std::isnan(worst));

  // Slots of rows that are not there stay what they were.
  CHECK(std::isnan(problem.workspace[2 * kPartialFloats + 4]));
  CHECK(!std::isnan(problem.workspace[2 * kPartialFloats + 3]));
}
