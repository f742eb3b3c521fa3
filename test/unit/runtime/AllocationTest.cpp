// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plans allocate when they are made and never again: updates come between the
// kernels of a server's every step. operator new is counted here, for the whole
// program of the unit tests.
#include "test/unit/Test.h"
#include "test/unit/runtime/PlainKernel.h"
#include "test/unit/runtime/Samples.h"

#include <cstdlib>
#include <new>
#include <random>

using namespace saccade;
using namespace saccade::test;

namespace {
thread_local int64_t allocations = 0;
} // namespace

void *operator new(size_t bytes) {
  ++allocations;
  if (void *memory = malloc(bytes ? bytes : 1))
    return memory;
  abort();
}
void *operator new[](size_t bytes) { return operator new(bytes); }
void operator delete(void *memory) noexcept { free(memory); }
void operator delete(void *memory, size_t) noexcept { free(memory); }
void operator delete[](void *memory) noexcept { free(memory); }
void operator delete[](void *memory, size_t) noexcept { free(memory); }

namespace {

/// `shared`: of two entries that share a launch.
void checkUpdates(const char *layout, const char *policy, uint32_t flags,
                  bool shared) {
  json object = manifest(layout);
  json &entry = object["entries"][0];
  if (*policy) {
    entry["partial_floats"] = PlainKernel::kPartialFloats;
    entry["cost"] = {{"alpha", 1}, {"beta", 1}, {"policy", policy}};
    entry["cost"]["groups"] = {{"rows", 2}, {"keys", {0.8, 1.0}}};
  }
  if (shared) {
    for (json *slot : {&object["arguments"][0], &object["arguments"][1],
                       &object["results"][0]})
      (*slot)["dtype"] = "bf16";
    object["target"] = "sm_90a";
    entry["format"] = "ptx";
    object["entries"].insert(object["entries"].begin(), entry);
    json &many = object["entries"][0];
    many.erase("partial_floats");
    many["rows"] = {{"least", 9}};
    object["entries"][1]["rows"] = {{"most", 8}};
    object["entries"][1]["fused_into"] = 0;
  }
  std::string bytes = blob(object);
  SaccadeModule *module = nullptr;
  REQUIRE(saccade_module_load(bytes.data(), bytes.size(), nullptr, &module) ==
          SACCADE_OK);
  constexpr int kRequests = 40, kPages = 700;
  SaccadeCapacity capacity = {};
  capacity.requests = kRequests;
  capacity.query_tokens = 10 * kRequests;
  capacity.indices = kRequests * kPages;
  capacity.row_blocks = 10 * kRequests;
  capacity.keys = 4 * kRequests * kPages;
  capacity.ctas = 50;
  capacity.flags = flags | SACCADE_PLAN_HOST_ONLY;
  SaccadePlan *plan = nullptr;
  REQUIRE(saccade_plan_create(module, kHost, &capacity, &plan) == SACCADE_OK);

  std::mt19937 random(5);
  std::vector<int32_t> qLen(kRequests), lengths(kRequests);
  Tensor<int32_t> table({kRequests, kPages});
  SaccadeCacheBatch caches[1] = {};
  caches[0].lengths = lengths.data();
  if (std::string_view(layout) == "paged")
    caches[0].indices = table;
  SaccadeBatch batch = {};
  batch.num_caches = 1;
  batch.q_len = qLen.data();
  batch.caches = caches;
  for (int round = 0; round < 100; ++round) {
    batch.requests = round == 0 ? kRequests : int32_t(random() % kRequests);
    for (int r = 0; r < kRequests; ++r) {
      qLen[r] = int32_t(random() % 11);
      lengths[r] = int32_t(random() % (4 * kPages + 1));
    }
    int64_t before = allocations;
    SaccadeStatus status = saccade_plan_update(plan, &batch, nullptr);
    CHECK(allocations == before);
    REQUIRE(status == SACCADE_OK);
  }
  saccade_plan_destroy(plan);
  saccade_module_destroy(module);
}

} // namespace

TEST_CASE("plan: updates allocate nothing") {
  for (const char *layout : {"paged", "ragged", "dense"})
    for (const char *policy : {"", "heaviest_first", "ranges"})
      for (uint32_t flags : {0u, uint32_t(SACCADE_PLAN_FIXED_GRID),
                             uint32_t(SACCADE_PLAN_BATCH_INVARIANT)}) {
        CAPTURE(flags);
        checkUpdates(layout, policy, flags, false);
        checkUpdates(layout, policy, flags, true);
      }
}
