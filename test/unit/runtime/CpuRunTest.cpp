// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From blob to results on the CPU, through the C API alone: a kernel written by
// hand computes attention with what the runtime hands it, for every layout, on
// poisoned outputs.
#include "runtime/CpuPool.h"
#include "test/unit/Test.h"
#include "test/unit/runtime/PlainModule.h"

#include <atomic>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;
using Kind = PlainKernel::Kind;

namespace {

/// Plans with parts, so far.
int cutPlans = 0;

/// Random requests, their keys and values as plain rows, and the right answer.
struct Problem {
  std::vector<int32_t> qLen, lengths;
  int32_t tokens = 0, rows = 0;
  std::vector<std::vector<std::vector<int32_t>>>
      keyBlocks; ///< [request][block]

  Problem(int seed, bool sparse, int longest = 30, int tokensBelow = 7) {
    std::mt19937 random(seed);
    for (int r = 0; r < 6; ++r) {
      qLen.push_back(random() % 4 == 0 ? 0 : random() % tokensBelow);
      lengths.push_back(random() % 4 == 0 ? 0 : random() % longest);
      tokens += qLen[r];
      rows += lengths[r];
      auto &blocks = keyBlocks.emplace_back((qLen[r] + 1) / 2);
      for (auto &ids : blocks)
        for (int32_t b = 0; b < (lengths[r] + 3) / 4; ++b)
          if (!sparse || random() % 2)
            ids.push_back(b);
    }
  }
};

/// Attention of one row over the given keys; k and v are packed [rows, 2, 8].
double expected(const Problem &p, const Tensor<float> &q,
                const Tensor<float> &k, const Tensor<float> &v, int r,
                int token, int32_t first, int32_t qRow, int head, double *out) {
  double sum = 0;
  std::fill(out, out + 8, 0.0);
  for (int32_t block : p.keyBlocks[r][token / 2])
    for (int32_t key = 4 * block; key < std::min(4 * block + 4, p.lengths[r]);
         ++key) {
      double s = 0;
      for (int d = 0; d < 8; ++d)
        s += double(q.data[(qRow * 4 + head) * 8 + d]) *
             k.data[((first + key) * 2 + head / 2) * 8 + d];
      double e = std::exp(0.5 * s);
      sum += e;
      for (int d = 0; d < 8; ++d)
        out[d] += e * v.data[((first + key) * 2 + head / 2) * 8 + d];
    }
  for (int d = 0; d < 8; ++d)
    out[d] = sum > 0 ? out[d] / sum : 0;
  return std::log(sum);
}

void randomise(Tensor<float> &tensor, std::mt19937 &random) {
  for (float &x : tensor.data)
    x = float(random() % 2001) / 1000 - 1;
}

/// How tiles may be cut by keys.
enum class Cut { Never, HeaviestFirst, Ranges, Invariant };

template <Kind kind>
void checkLayout(const char *layout, int seed, int32_t ctas,
                 Cut cut = Cut::Never) {
  // Batch-invariant plans cut single tiles of rows, far apart.
  bool far = cut == Cut::Invariant;
  int32_t longest = cut == Cut::Never ? 30 : far ? 9000 : 200;
  Problem p(seed, kind == Kind::BlockSparse, longest, far ? 3 : 7);
  std::mt19937 random(seed);
  Tensor<float> q({p.tokens + 1, 4, 8}), k({p.rows + 1, 2, 8}),
      v({p.rows + 1, 2, 8});
  for (Tensor<float> *tensor : {&q, &k, &v})
    randomise(*tensor, random);
  Tensor<float> o({p.tokens + 1, 4, 8}, NAN), lse({p.tokens + 1, 4}, NAN);

  // Pages in random order in a pool of [pages, 2, page, heads, dim].
  SaccadeCacheBatch cacheBatch = {};
  std::vector<int32_t> indptr = {0}, order;
  for (int32_t length : p.lengths)
    indptr.push_back(indptr.back() + (length + 3) / 4);
  int32_t pages = indptr.back();
  for (int32_t i = 0; i < pages; ++i)
    order.push_back(i);
  std::shuffle(order.begin(), order.end(), random);
  Tensor<float> pool({pages + 1, 2, 4, 2, 8}, NAN),
      denseK({6, longest, 2, 8}, NAN), denseV({6, longest, 2, 8}, NAN);
  Tensor<int32_t> ids(std::vector<int64_t>{pages});
  ids.data = order;
  ids.view.data = ids.data.data();
  std::vector<int32_t> rowPointers = {0}, blockIds;
  for (auto &request : p.keyBlocks)
    for (auto &row : request) {
      blockIds.insert(blockIds.end(), row.begin(), row.end());
      rowPointers.push_back(int32_t(blockIds.size()));
    }
  Tensor<int32_t> blockRows(std::vector<int64_t>{int64_t(rowPointers.size())});
  Tensor<int32_t> blocks(std::vector<int64_t>{int64_t(blockIds.size())});
  blockRows.data = rowPointers;
  blockRows.view.data = blockRows.data.data();
  blocks.data = blockIds;
  blocks.view.data = blocks.data.data();

  SaccadeArgument cacheValue = asCache(k, v);
  cacheBatch.lengths = p.lengths.data();
  for (int32_t r = 0, row = 0; r < 6; ++r)
    for (int32_t key = 0; key < p.lengths[r]; ++key, ++row)
      for (int h = 0; h < 2; ++h)
        for (int d = 0; d < 8; ++d) {
          int32_t page = order[indptr[r] + key / 4];
          for (int half = 0; half < 2; ++half)
            pool.data[(((page * 2 + half) * 4 + key % 4) * 2 + h) * 8 + d] =
                (half ? v : k).data[(row * 2 + h) * 8 + d];
          denseK.data[((r * longest + key) * 2 + h) * 8 + d] =
              k.data[(row * 2 + h) * 8 + d];
          denseV.data[((r * longest + key) * 2 + h) * 8 + d] =
              v.data[(row * 2 + h) * 8 + d];
        }
  if (kind == Kind::Paged) {
    cacheBatch.indptr = indptr.data();
    cacheBatch.indices = ids;
    cacheValue = asCache(pool, nullptr);
  } else if (kind == Kind::Dense) {
    cacheValue = asCache(denseK, denseV);
  } else if (kind == Kind::BlockSparse) {
    cacheBatch.indices = blocks;
    cacheBatch.block_rows = blockRows;
  }

  json object = manifest(layout);
  if (kind == Kind::BlockSparse)
    object["entries"][0]["row_block"] = 4;
  if (cut != Cut::Never) {
    json &entry = object["entries"][0];
    entry["partial_floats"] = PlainKernel::kPartialFloats;
    entry["kv_tile"] = 2;
    entry["cost"] = {
        {"alpha", 0},
        {"beta", 1},
        {"policy", cut == Cut::Ranges ? "ranges" : "heaviest_first"}};
  }
  SaccadeModule *module = load(object, PlainKernel::run<kind>);
  REQUIRE(module);
  SaccadeCapacity capacity = {};
  if (cut == Cut::Invariant)
    capacity.flags = SACCADE_PLAN_BATCH_INVARIANT;
  capacity.keys = std::max(p.rows, 1);
  capacity.requests = 6;
  capacity.ctas = ctas;
  capacity.query_tokens = p.tokens;
  capacity.indices = std::max<int64_t>(pages, int64_t(blockIds.size()));
  capacity.row_blocks = int64_t(rowPointers.size());
  SaccadePlan *plan = nullptr;
  REQUIRE(saccade_plan_create(module, kHost, &capacity, &plan) == SACCADE_OK);
  SaccadeBatch batch = {};
  batch.requests = 6;
  batch.num_caches = 1;
  batch.q_len = p.qLen.data();
  batch.caches = &cacheBatch;
  REQUIRE(saccade_plan_update(plan, &batch, nullptr) == SACCADE_OK);
  SaccadeArgument values[] = {asTensor(q), cacheValue, asReal(0.5), asTensor(o),
                              asTensor(lse)};
  // Counters are as they were after a run, so another one is as good.
  for (int again = 0; again < (cut == Cut::Never ? 1 : 2); ++again) {
    std::ranges::fill(o.data, NAN);
    std::ranges::fill(lse.data, NAN);
    int64_t runs = saccade_run_count();
    REQUIRE(saccade_run(plan, values, 5, nullptr) == SACCADE_OK);
    CHECK(saccade_run_count() == runs + 1);
  }
  if (std::string(saccade_plan_describe(plan)).find(" part 2 of ") !=
      std::string::npos)
    ++cutPlans;

  for (int32_t r = 0, row = 0, first = 0; r < 6; first += p.lengths[r], ++r)
    for (int32_t t = 0; t < p.qLen[r]; ++t, ++row)
      for (int head = 0; head < 4; ++head) {
        double want[8];
        double wantLse = expected(p, q, k, v, r, t, first, row, head, want);
        for (int d = 0; d < 8; ++d)
          CHECK(o.data[(row * 4 + head) * 8 + d] ==
                doctest::Approx(want[d]).epsilon(1e-5));
        float gotLse = lse.data[row * 4 + head];
        if (std::isinf(wantLse))
          CHECK(gotLse == wantLse);
        else
          CHECK(gotLse == doctest::Approx(wantLse).epsilon(1e-5));
      }
  // The row after the last belongs to nobody.
  CHECK(std::isnan(o.data.back()));
  CHECK(std::isnan(lse.data.back()));
  saccade_plan_destroy(plan);
  saccade_module_destroy(module);
}

} // namespace

TEST_CASE("cpu: a plain kernel computes attention over every layout") {
  for (int seed = 0; seed < 8; ++seed)
    for (int32_t ctas : {0, 1, 5}) {
      checkLayout<Kind::Ragged>("ragged", seed, ctas);
      checkLayout<Kind::Dense>("dense", seed, ctas);
      checkLayout<Kind::Paged>("paged", seed, ctas);
      checkLayout<Kind::BlockSparse>("block_sparse", seed, ctas);
    }
}

TEST_CASE("cpu: parts of tiles are merged into the same attention") {
  for (Cut cut : {Cut::HeaviestFirst, Cut::Ranges, Cut::Invariant}) {
    cutPlans = 0;
    for (int seed = 0; seed < 8; ++seed)
      for (int32_t ctas : {0, 2, 5, 40}) {
        checkLayout<Kind::Ragged>("ragged", seed, ctas, cut);
        checkLayout<Kind::Dense>("dense", seed, ctas, cut);
        checkLayout<Kind::Paged>("paged", seed, ctas, cut);
        checkLayout<Kind::BlockSparse>("block_sparse", seed, ctas, cut);
      }
    CAPTURE(int(cut));
    CHECK(cutPlans > 10);
  }
}

TEST_CASE("cpu: the C API refuses null pointers and wrong devices") {
  CHECK(failed(saccade_module_load(nullptr, 0, nullptr, nullptr),
               SACCADE_INVALID_ARGUMENT,
               "saccade_module_load: expects blob, but got a null pointer"));
  CHECK(failed(saccade_plan_update(nullptr, nullptr, nullptr),
               SACCADE_INVALID_ARGUMENT,
               "saccade_plan_update: expects plan, but got a null pointer"));
  CHECK(failed(saccade_run(nullptr, nullptr, 0, nullptr),
               SACCADE_INVALID_ARGUMENT,
               "saccade_run: expects plan, but got a null pointer"));
  saccade_module_destroy(nullptr);
  saccade_plan_destroy(nullptr);

  int before = releases;
  SaccadeModule *module = nullptr;
  CHECK(saccade_module_load("x", 1, &kLoader, &module) == SACCADE_BAD_BLOB);
  CHECK(releases == before + 1);
  module = load(manifest("ragged"), PlainKernel::run<Kind::Ragged>);
  REQUIRE(module);
  SaccadePlan *plan = nullptr;
  SaccadeCapacity capacity = {};
  CHECK(failed(saccade_plan_create(module, kCuda, &capacity, &plan),
               SACCADE_NO_DEVICE,
               "@sample: expects a device that runs cpu:test, but got cuda:0"));
  capacity.requests = -1;
  CHECK(
      failed(saccade_plan_create(module, kHost, &capacity, &plan),
             SACCADE_INVALID_ARGUMENT,
             "@sample: expects a capacity of 0..2^30-1 requests, but got -1"));
  capacity.requests = 1 << 29;
  capacity.query_tokens = 1 << 29;
  CHECK(failed(saccade_plan_create(module, kHost, &capacity, &plan),
               SACCADE_INVALID_ARGUMENT,
               "@sample: expects a capacity of fewer than 2^30 work items, but "
               "got 1610612736"));
  const void *code;
  size_t bytes;
  CHECK(failed(saccade_module_code(module, 1, &code, &bytes),
               SACCADE_INVALID_ARGUMENT,
               "@sample: expects an entry below 1, but got 1"));
  saccade_module_destroy(module);
  CHECK(releases == before + 2);
}

TEST_CASE("cpu: a loader that is missing, and one that fails") {
  std::string bytes = blob(manifest("ragged"));
  SaccadeModule *module = nullptr;
  REQUIRE(saccade_module_load(bytes.data(), bytes.size(), nullptr, &module) ==
          SACCADE_OK);
  CHECK(failed(saccade_module_prepare(module, kHost), SACCADE_INVALID_ARGUMENT,
               "@sample: expects a loader for CPU code, but got none"));
  saccade_module_destroy(module);
  REQUIRE(saccade_module_load(bytes.data(), bytes.size(), &kLoader, &module) ==
          SACCADE_OK);
  CHECK(failed(saccade_module_prepare(module, kHost), SACCADE_INTERNAL_ERROR,
               "expects a function"));
  saccade_module_destroy(module);
}

TEST_CASE("cpu: plans without a device, and workspaces of the caller") {
  SaccadeModule *module =
      load(manifest("ragged"), PlainKernel::run<Kind::Ragged>);
  SaccadeCapacity capacity = {};
  capacity.requests = 2;
  capacity.query_tokens = 8;
  capacity.flags = SACCADE_PLAN_HOST_ONLY;
  SaccadePlan *plan = nullptr;
  CHECK(
      failed(saccade_plan_create(module, kHost, &capacity, &plan),
             SACCADE_INVALID_ARGUMENT,
             "@sample: expects a capacity of 1 cta or more for a plan without "
             "a device"));
  capacity.ctas = 2;
  REQUIRE(saccade_plan_create(module, kCuda, &capacity, &plan) == SACCADE_OK);
  CHECK(std::string(saccade_plan_describe(plan))
            .starts_with("plan @sample: 0 requests, 0 query tokens, 0 keys\n"));
  CHECK(
      failed(saccade_run(plan, nullptr, 0, nullptr), SACCADE_INVALID_ARGUMENT,
             "@sample: expects a plan for a device, but got a host-only one"));
  int32_t qLen[] = {3}, lengths[] = {9};
  SaccadeCacheBatch caches[1] = {};
  caches[0].lengths = lengths;
  SaccadeBatch batch = {};
  batch.requests = batch.num_caches = 1;
  batch.q_len = qLen;
  batch.caches = caches;
  REQUIRE(saccade_plan_update(plan, &batch, nullptr) == SACCADE_OK);
  std::string text = saccade_plan_describe(plan);
  CHECK(text.starts_with("plan @sample: 1 requests, 3 query tokens, 9 keys\n"));
  // A refused batch leaves the plan as it was.
  qLen[0] = 9;
  CHECK(saccade_plan_update(plan, &batch, nullptr) == SACCADE_OUT_OF_CAPACITY);
  CHECK(text == saccade_plan_describe(plan));
  saccade_plan_destroy(plan);

  capacity.flags = 0;
  size_t bytes = 0;
  REQUIRE(saccade_plan_bytes(module, &capacity, &bytes) == SACCADE_OK);
  alignas(16) static char workspace[4096];
  REQUIRE(bytes < sizeof workspace);
  capacity.workspace = workspace;
  capacity.workspace_bytes = bytes - 1;
  CHECK(failed(saccade_plan_create(module, kHost, &capacity, &plan),
               SACCADE_OUT_OF_CAPACITY,
               join("@sample: expects a workspace of ", bytes,
                    " bytes, but got ", bytes - 1)));
  capacity.workspace = workspace + 4;
  capacity.workspace_bytes = bytes;
  CHECK(failed(saccade_plan_create(module, kHost, &capacity, &plan),
               SACCADE_INVALID_ARGUMENT,
               "@sample: expects a workspace aligned to 16 bytes"));
  capacity.workspace = workspace;
  REQUIRE(saccade_plan_create(module, kHost, &capacity, &plan) == SACCADE_OK);
  qLen[0] = 3;
  memset(workspace, 0x5a, sizeof workspace);
  REQUIRE(saccade_plan_update(plan, &batch, nullptr) == SACCADE_OK);
  for (size_t i = bytes; i < sizeof workspace; ++i)
    CHECK(workspace[i] == 0x5a);
  saccade_plan_destroy(plan);
  saccade_module_destroy(module);
}

namespace {
std::atomic<int32_t> visits[64];
void visit(const uint64_t *words, int32_t cta) {
  visits[cta] += static_cast<int32_t>(words[0]);
}
} // namespace

TEST_CASE("cpu: every cta runs once, from many threads, and after a fork") {
  auto check = [](int32_t times) {
    bool good = true;
    for (std::atomic<int32_t> &count : visits)
      good &= count.exchange(0) == times;
    return good;
  };
  uint64_t words[] = {1};
  for (int32_t threads : {1, 2, 7}) {
    REQUIRE(saccade_set_num_threads(threads) == SACCADE_OK);
    for (int round = 0; round < 50; ++round) {
      runOnCpu(visit, words, 64);
      CHECK(check(1));
    }
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller)
      callers.emplace_back([&] {
        for (int round = 0; round < 50; ++round)
          runOnCpu(visit, words, 64);
      });
    for (std::thread &caller : callers)
      caller.join();
    CHECK(check(200));
    pid_t child = fork();
    if (child == 0) {
      alarm(20); // a child that waits for its parent's threads would hang
      runOnCpu(visit, words, 64);
      _exit(check(1) ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  CHECK(
      failed(saccade_set_num_threads(-1), SACCADE_INVALID_ARGUMENT,
             "saccade_set_num_threads: expects 0 threads or more, but got -1"));
  saccade_set_num_threads(0);
  runOnCpu(visit, words, 0);
  CHECK(check(0));
}

TEST_CASE("cpu: memory, copies and clocks") {
  void *a = nullptr, *b = nullptr;
  REQUIRE(saccade_memory_alloc(kHost, 100, &a) == SACCADE_OK);
  REQUIRE(saccade_memory_alloc(kHost, 0, &b) == SACCADE_OK);
  CHECK(reinterpret_cast<uintptr_t>(a) % 64 == 0);
  CHECK(b == nullptr);
  char text[] = "text", back[5] = {};
  CHECK(saccade_memory_copy(a, kHost, text, kHost, 5, nullptr) == SACCADE_OK);
  CHECK(saccade_memory_copy(back, kHost, a, kHost, 5, nullptr) == SACCADE_OK);
  CHECK(std::string(back) == "text");
  CHECK(failed(saccade_memory_copy(nullptr, kHost, a, kHost, 5, nullptr),
               SACCADE_INVALID_ARGUMENT,
               "saccade_memory_copy: expects to, but got a null pointer"));
  CHECK(saccade_memory_free(kHost, a) == SACCADE_OK);
  CHECK(saccade_memory_free(kHost, b) == SACCADE_OK);
  CHECK(failed(saccade_memory_alloc({kDLMetal, 3}, 1, &a), SACCADE_NO_DEVICE,
               "expects cpu or cuda, but got device type 8 number 3"));
  CHECK(saccade_synchronize(kHost, nullptr) == SACCADE_OK);
  SaccadeDeviceInfo info;
  REQUIRE(saccade_device_info(kHost, &info) == SACCADE_OK);
  CHECK(std::string(info.target) == "cpu");
  CHECK(info.processors >= 1);
  SaccadeEvent *begin = nullptr, *end = nullptr;
  REQUIRE(saccade_event_create(kHost, &begin) == SACCADE_OK);
  REQUIRE(saccade_event_create(kHost, &end) == SACCADE_OK);
  float elapsed = -1;
  CHECK(failed(saccade_event_elapsed(begin, end, &elapsed),
               SACCADE_INVALID_ARGUMENT,
               "saccade_event_elapsed: expects two recorded events of one "
               "device"));
  saccade_event_record(begin, nullptr);
  saccade_event_record(end, nullptr);
  CHECK(saccade_event_elapsed(begin, end, &elapsed) == SACCADE_OK);
  CHECK(elapsed >= 0);
  saccade_event_destroy(begin);
  saccade_event_destroy(end);
}
