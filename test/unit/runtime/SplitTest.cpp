// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plans whose tiles are cut by keys: both policies and the batch-invariant
// mode, over random batches and over lengths like those of a chat service.
#include "runtime/PlanMemory.h"
#include "test/unit/runtime/PlanLaws.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;

namespace {

/// The sample with partial states.
Manifest splittable(const char *layout, const json &bounds, Policy policy) {
  Manifest sample = masked(layout, bounds);
  Entry &entry = sample.entries[0];
  entry.partialFloats = 40;
  entry.policy = policy;
  return sample;
}

/// A decode kernel: 8 rows of 4 tokens or fewer, 16 keys a tile, bf16.
Manifest decodeKernel(int32_t heads = 8) {
  Manifest sample = splittable("ragged", kMasks[0].bounds, Policy::Ranges);
  Slot &cache = sample.arguments[1];
  cache.dim = cache.valueDim = 128;
  cache.dtype = DType::BF16;
  cache.heads = heads;
  Entry &entry = sample.entries[0];
  entry.kvHeads = heads;
  entry.group = 4;
  entry.rowsPerItem = 8;
  entry.kvTile = 16;
  entry.partialFloats = 8 * 130;
  return sample;
}

/// What ranges may have above their share: a KV tile, an item begun again, and
/// a sliver at either end that was not worth a part.
double slackOf(const Manifest &sample) {
  const Entry &entry = sample.entries[0];
  double fixed = costOf(entry, entry.rowsPerItem, 0);
  return costOf(entry, entry.rowsPerItem, entry.kvTile) + fixed +
         2 * (fixed + 2 * stateCost(sample, entry));
}

double sumOf(const EntryWork &work) {
  return std::accumulate(work.load.begin(), work.load.end(), 0.0);
}

double mostOf(const EntryWork &work) {
  return work.load.empty() ? 0 : *std::ranges::max_element(work.load);
}

} // namespace

TEST_CASE("splits: random batches obey the laws") {
  std::mt19937 random(23);
  auto below = [&](int n) { return int(random() % n); };
  int64_t parts = 0;
  for (int round = 0; round < 1200; ++round) {
    const Mask &mask = kMasks[below(5)];
    bool invariant = below(4) == 0;
    Manifest sample =
        splittable("dense", mask.bounds,
                   below(2) ? Policy::Ranges : Policy::HeaviestFirst);
    Entry &entry = sample.entries[0];
    entry.rowsPerItem = 2 * (1 + below(8));
    entry.kvTile = 1 << below(6);
    entry.rowBlock = below(4) ? 0 : 2 * (1 + below(12));
    entry.alpha = below(3) * 0.7;
    entry.beta = below(4) * 0.4;
    entry.partialFloats = 4 * (1 + below(20));
    if (below(3) == 0)
      entry.mergeCost = below(50);
    if (below(3) == 0) {
      entry.groupRows = (entry.rowsPerItem + 1) / 2;
      entry.groupCosts = {0.75, 1.0};
    }
    bool decode = below(2);
    std::vector<int32_t> qLen(below(9)), kvLen(qLen.size());
    for (size_t r = 0; r < qLen.size(); ++r) {
      qLen[r] = decode ? below(3) : below(40);
      kvLen[r] = qLen[r] + (below(6) ? below(below(6) ? 300 : 9000) : 0);
    }
    Batch batch = makeBatch(sample, qLen, kvLen);
    int32_t ctas = 1 + below(40);
    bool fixedGrid = below(2);
    Planner planner(invariant);
    EntryWork work;
    planner.plan(sample, entry, batch, ctas, fixedGrid, work);
    checkParts(sample, batch, work, ctas, fixedGrid, invariant);
    parts += int64_t(work.partials.size());
    // What was planned before changes nothing.
    EntryWork again =
        planEntry(sample, entry, batch, ctas, fixedGrid, invariant);
    CHECK(same(work, again));
    planner.plan(sample, entry, makeBatch(sample, {3, 1}, {700, 90}), 5, true,
                 again);
    planner.plan(sample, entry, batch, ctas, fixedGrid, again);
    CHECK(same(work, again));
  }
  CHECK(parts > 3000); // they were cut at all
}

TEST_CASE("splits: parts of several caches meet on each one's own grid") {
  std::mt19937 random(29);
  auto below = [&](int n) { return int(random() % n); };
  for (int round = 0; round < 300; ++round) {
    json object = manifest("ragged");
    for (const char *name : {"middle", "tail"}) {
      object["arguments"].push_back(cache("ragged"));
      object["arguments"].back()["name"] = name;
    }
    object["entries"][0]["caches"] = {1, 3, 4};
    // Two attends on the middle, one of them masked.
    object["entries"][0]["folds"] = {
        {{"cache", 4}, {"bounds", kMasks[below(5)].bounds}},
        {{"cache", 3}, {"bounds", kMasks[below(5)].bounds}},
        {{"cache", 1}},
        {{"cache", 3}}};
    Manifest sample = parsed(object);
    REQUIRE(sample.entries.size() == 1);
    Entry &entry = sample.entries[0];
    entry.partialFloats = 4;
    entry.kvTile = 1 + below(30);
    entry.alpha = 0.1;
    entry.policy = Policy::Ranges;
    std::vector<int32_t> qLen(1 + below(3));
    std::vector<int32_t> lengths[3];
    for (size_t r = 0; r < qLen.size(); ++r) {
      qLen[r] = 1 + below(3);
      for (std::vector<int32_t> &part : lengths)
        part.push_back(below(3) ? below(900) : 0);
    }
    SaccadeCacheBatch caches[3] = {};
    for (int c = 0; c < 3; ++c)
      caches[c].lengths = lengths[c].data();
    SaccadeBatch source = {};
    source.requests = int32_t(qLen.size());
    source.num_caches = 3;
    source.q_len = qLen.data();
    source.caches = caches;
    Batch batch;
    REQUIRE(readBatch(sample, source, kHost, kRoomy, batch) == SACCADE_OK);
    bool invariant = below(3) == 0;
    EntryWork work =
        planEntry(sample, entry, batch, 1 + below(30), true, invariant);
    checkParts(sample, batch, work, work.ctas(), true, invariant);
  }
}

TEST_CASE("splits: ranges give each cta its share") {
  Manifest sample = decodeKernel();
  const Entry &entry = sample.entries[0];
  std::mt19937 random(31);
  auto check = [&](const std::vector<int32_t> &lengths) {
    Batch batch =
        makeBatch(sample, std::vector<int32_t>(lengths.size(), 1), lengths);
    EntryWork work = planEntry(sample, entry, batch, 132, true);
    checkParts(sample, batch, work, 132, true, false);
    // At most two parts a cta, before its whole tiles; no tile in too many.
    for (int32_t cta = 0; cta < 132; ++cta) {
      int parts = 0;
      for (int i = work.ctaBegin[cta]; i < work.ctaBegin[cta + 1]; ++i)
        if (work.items[i].partial >= 0)
          CHECK(i == work.ctaBegin[cta] + parts++);
      CHECK(parts <= 2);
    }
    for (const SaccadePartial &partial : work.partials)
      CHECK(partial.count <= kMostParts + 1);
    return work;
  };
  for (auto [requests, length] :
       {std::pair(64, 4096), std::pair(128, 4096), std::pair(16, 8192),
        std::pair(1, 32768), std::pair(3, 5000)}) {
    EntryWork work = check(std::vector<int32_t>(requests, length));
    // 128 equal tiles stay whole: that few ctas go without work.
    bool whole = requests == 16;
    CHECK(work.partials.empty() == whole);
    CHECK(mostOf(work) <= sumOf(work) / (whole ? 128 : 132) + slackOf(sample));
    CHECK(mostOf(work) <= 1.06 * sumOf(work) / 132);
  }
  // Zipf: one long request does not hold up the rest.
  std::vector<int32_t> zipf;
  for (int r = 1; r <= 128; ++r)
    zipf.push_back(std::max(32768 / r, 64));
  std::ranges::shuffle(zipf, random);
  EntryWork work = check(zipf);
  CHECK(mostOf(work) <= sumOf(work) / 132 + slackOf(sample));
}

TEST_CASE("splits: tiles stay whole where that ends as early") {
  Manifest sample = decodeKernel();
  Entry &entry = sample.entries[0];
  // 1024 tiles of 520 on 132 ctas: 8 at most, 7.76 in the mean.
  Batch batch = makeBatch(sample, std::vector<int32_t>(128, 1),
                          std::vector<int32_t>(128, 512));
  EntryWork cut = planEntry(sample, entry, batch, 132, false);
  CHECK(!cut.partials.empty());
  entry.mergeCost = 192;
  EntryWork whole = planEntry(sample, entry, batch, 132, false);
  checkParts(sample, batch, whole, 132, false, false);
  CHECK(whole.partials.empty());
  CHECK(mostOf(whole) <= mostOf(cut) + 192);
  // Few keys are not worth a merge, nor an idle cta an error.
  batch = makeBatch(sample, {1}, {64});
  whole = planEntry(sample, entry, batch, 132, true);
  checkParts(sample, batch, whole, 132, true, false);
  CHECK(whole.partials.empty());
  // One KV head: not in more parts than a merge is worth.
  Manifest single = decodeKernel(1);
  batch = makeBatch(single, {1}, {200000});
  EntryWork parts = planEntry(single, single.entries[0], batch, 132, false);
  CHECK(parts.ctas() >= kMostParts - 1);
  CHECK(parts.ctas() <= kMostParts);
}

TEST_CASE("splits: heavy items of a heaviest-first entry are cut") {
  Manifest sample =
      splittable("ragged", kMasks[0].bounds, Policy::HeaviestFirst);
  Slot &cache = sample.arguments[1];
  cache.dim = cache.valueDim = 128;
  cache.dtype = DType::BF16;
  Entry &entry = sample.entries[0];
  entry.rowsPerItem = 192;
  entry.kvTile = 80;
  entry.partialFloats = 192 * 130;
  entry.groupRows = 64;
  entry.groupCosts = {0.7, 0.75, 1.0};
  auto plan = [&](std::vector<int32_t> qLen, std::vector<int32_t> kvLen) {
    Batch batch = makeBatch(sample, qLen, kvLen);
    EntryWork work = planEntry(sample, entry, batch, 132, false);
    checkParts(sample, batch, work, 132, false, false);
    return work;
  };
  // One chunk of 512 on 100000 keys: 12 tiles for 132 ctas.
  EntryWork work = plan({512}, {100000});
  CHECK(work.ctas() > 100);
  CHECK(!work.partials.empty());
  CHECK(mostOf(work) <= sumOf(work) / work.ctas() + slackOf(sample));
  // Long prefills beside short ones that would be done long before.
  work = plan({512, 40, 40, 40}, {100000, 1000, 2000, 3000});
  CHECK(!work.partials.empty());
  // Plenty of tiles: they stay whole, dealt as ever.
  work = plan(std::vector<int32_t>(16, 1024), std::vector<int32_t>(16, 1024));
  CHECK(work.partials.empty());
  Entry whole = entry;
  whole.partialFloats = 0;
  Batch batch = makeBatch(sample, std::vector<int32_t>(16, 1024),
                          std::vector<int32_t>(16, 1024));
  CHECK(same(work, planEntry(sample, whole, batch, 132, false)));
}

TEST_CASE("splits: an entry over a block-sparse cache stays whole") {
  Manifest sample =
      splittable("block_sparse", kMasks[0].bounds, Policy::Ranges);
  CHECK(!sample.entries[0].isSplittable(sample));
  WorkSize most =
      mostWork(sample, sample.entries[0], {4, 4, 0, 0, 0}, 100, false);
  CHECK(most.slots == 0);
}

TEST_CASE("splits: a batch-invariant plan cuts a request by itself alone") {
  Manifest sample = decodeKernel();
  const Entry &entry = sample.entries[0];
  std::mt19937 random(37);
  auto below = [&](int n) { return int(random() % n); };
  using Part = std::tuple<int, int, int, int, int>;
  // Parts of the request at `place`: head, rows, keys; and their order.
  auto partsOf = [&](const EntryWork &work, int32_t place) {
    std::vector<std::pair<Part, int>> parts;
    for (const SaccadeWorkItem &item : work.items)
      if (item.request == place)
        parts.push_back(
            {{item.kv_head, item.row_begin, item.row_end, item.kv_begin,
              item.kv_end},
             item.partial < 0
                 ? -1
                 : item.partial - work.partials[item.partial].first});
    std::ranges::sort(parts);
    return parts;
  };
  for (int round = 0; round < 60; ++round) {
    int32_t tokens = below(3) ? 1 : 1 + below(9);
    int32_t length = tokens + below(below(2) ? 10000 : 200000);
    std::vector<std::pair<Part, int>> alone;
    for (int other = 0; other < 6; ++other) {
      std::vector<int32_t> qLen, kvLen;
      for (int n = other ? below(40) : 0; n > 0; --n) {
        qLen.push_back(below(4));
        kvLen.push_back(qLen.back() + below(20000));
      }
      int32_t place = below(int(qLen.size()) + 1);
      qLen.insert(qLen.begin() + place, tokens);
      kvLen.insert(kvLen.begin() + place, length);
      Batch batch = makeBatch(sample, qLen, kvLen);
      int32_t ctas = 1 + below(200);
      bool fixedGrid = below(2);
      EntryWork work = planEntry(sample, entry, batch, ctas, fixedGrid, true);
      checkParts(sample, batch, work, ctas, fixedGrid, true);
      if (other == 0)
        alone = partsOf(work, place);
      CHECK(partsOf(work, place) == alone);
    }
    if (tokens <= 2 && length > 5000)
      CHECK(alone.size() > size_t(entry.kvHeads));
  }
}

TEST_CASE("splits: lengths of a chat service") {
  // The distribution of `saccade plan --draw`.
  std::mt19937_64 random(41);
  std::lognormal_distribution<double> prompt(6.69, 0.94), answer(5.20, 0.91);
  Manifest decode = decodeKernel();
  Manifest prefill =
      splittable("ragged", kMasks[0].bounds, Policy::HeaviestFirst);
  prefill.entries[0].rowsPerItem = 128;
  prefill.entries[0].kvTile = 64;
  for (int requests : {1, 7, 64, 256}) {
    std::vector<int32_t> context, generated;
    for (int r = 0; r < requests; ++r) {
      context.push_back(int32_t(std::clamp(prompt(random), 1.0, 14000.0)));
      generated.push_back(int32_t(std::clamp(answer(random), 1.0, 1000.0)));
    }
    std::vector<int32_t> one(requests, 1), all = context;
    for (int r = 0; r < requests; ++r)
      all[r] += generated[r];
    for (bool invariant : {false, true}) {
      Batch batch = makeBatch(decode, one, all);
      EntryWork work =
          planEntry(decode, decode.entries[0], batch, 132, false, invariant);
      checkParts(decode, batch, work, 132, false, invariant);
      if (!invariant && requests >= 7)
        CHECK(mostOf(work) <= sumOf(work) / 132 + slackOf(decode));
      batch = makeBatch(prefill, context, context);
      work =
          planEntry(prefill, prefill.entries[0], batch, 132, false, invariant);
      checkParts(prefill, batch, work, 132, false, invariant);
    }
  }
}

TEST_CASE("splits: text form") {
  Manifest sample = decodeKernel(1);
  Batch batch = makeBatch(sample, {1, 1}, {3000, 100});
  std::vector<EntryWork> work = {
      planEntry(sample, sample.entries[0], batch, 3, false)};
  std::string text = describe(sample, batch, work);
  CHECK(text.substr(0, text.find("request 0: q")) ==
        R"(plan @sample: 2 requests, 2 query tokens, 3100 keys
entry @attend attend: 4 items on 3 ctas, 8 rows at most, 1 tiles in 3 parts, tiles of 16 keys, group 4, 1 KV heads
  load: least 1044, mean 1045.33, most 1048, imbalance 1.00255
  cta 0: load 1044
    request 0 head 0 rows [0, 4) keys [0, 1040) in 65 tiles, part 1 of 3 in slot 0
  cta 1: load 1044
    request 0 head 0 rows [0, 4) keys [1040, 2080) in 65 tiles, part 2 of 3 in slot 1
  cta 2: load 1048
    request 0 head 0 rows [0, 4) keys [2080, 3000) in 58 tiles, part 3 of 3 in slot 2
    request 1 head 0 rows [0, 4) keys [0, 100) in 7 tiles
)");
}

TEST_CASE("splits: a picture has a bar for each item, and says what it is") {
  Manifest sample = decodeKernel(1);
  sample.kernel = "a<b";
  Batch batch = makeBatch(sample, {1, 1}, {3000, 100});
  std::vector<EntryWork> work = {
      planEntry(sample, sample.entries[0], batch, 3, true)};
  std::string svg = picture(sample, batch, work);
  auto count = [&](std::string_view what) {
    int found = 0;
    for (size_t at = svg.find(what); at != std::string::npos;
         at = svg.find(what, at + 1))
      ++found;
    return found;
  };
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" "));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(count("<title>") == 4);
  CHECK(count("<rect ") == 1 + 4 + 2); // and the ground, and two of the legend
  CHECK(count("<rect ") + count("<text ") + count("<line ") + count("<svg ") +
            count("<title>") ==
        count("/>") + count("</rect>") + count("</text>") + count("</svg>") +
            count("</title>"));
  CHECK(count("part 2 of 3, slot 1<") == 1);
  CHECK(count("imbalance 1.00255") == 1);
  CHECK(count("@a&lt;b, entry @attend") == 1);
  // Nothing to draw is no error.
  batch = makeBatch(sample, {}, {});
  work = {planEntry(sample, sample.entries[0], batch, 3, true)};
  CHECK(picture(sample, batch, work).ends_with("</svg>\n"));
}

TEST_CASE("plan memory: states are aligned and not sent") {
  Manifest sample = decodeKernel();
  Limits limits{4, 4, 0, 0, 0};
  PlanMemory memory;
  int32_t ctas[] = {132};
  REQUIRE(PlanMemory::layOut(sample, limits, ctas, memory) == SACCADE_OK);
  const PlanMemory::EntryOffsets &entry = memory.entries[0];
  CHECK(entry.partials % 16 == 0);
  CHECK(entry.counters % 16 == 0);
  CHECK(entry.states % 16 == 0);
  CHECK(memory.counters == entry.counters);
  CHECK(memory.counterBytes >= 131 * sizeof(int32_t));
  CHECK(memory.bytes - entry.states == 262 * 8 * 130 * sizeof(float));
  Batch batch = makeBatch(sample, {1, 1, 1, 1}, {5000, 6000, 7000, 8000});
  std::vector<EntryWork> work = {
      planEntry(sample, sample.entries[0], batch, 132, true)};
  REQUIRE(!work[0].partials.empty());
  std::vector<char> image(memory.bytes, char(0x5a));
  for (PlanMemory::Range range : memory.write(batch, work, image.data()))
    CHECK(range.end <= memory.imageBytes);
  CHECK(memcmp(image.data() + entry.partials, work[0].partials.data(),
               work[0].partials.size() * sizeof(SaccadePartial)) == 0);
}
