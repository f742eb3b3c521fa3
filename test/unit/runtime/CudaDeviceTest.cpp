// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The launcher against a real driver and GPU, where there is one: a kernel
// written by hand in PTX walks the plan and writes what it read. It runs in a
// process of its own, because the other tests have opened a make-believe
// driver.
#include "test/unit/Test.h"
#include "test/unit/runtime/Samples.h"

#include <cstdlib>
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;

namespace {

/// Writes lse[token, head] = kv_len of the request for every row of every item.
constexpr std::string_view kWalk = R"(
.version 7.0
.target sm_80
.address_size 64
.visible .entry attend(.param .align 8 .b8 words[232]) {
  .reg .pred %p;
  .reg .b32 %r<16>;
  .reg .b64 %d<8>;
  .reg .f32 %f;
  mov.u32 %r0, %tid.x;
  setp.ne.u32 %p, %r0, 0;
  @%p bra DONE;
  ld.param.u64 %d0, [words];        // items
  ld.param.u64 %d1, [words+8];      // cta_begin
  ld.param.u64 %d2, [words+16];     // requests
  ld.param.u64 %d3, [words+200];    // lse
  mov.u32 %r1, %ctaid.x;
  mul.wide.u32 %d4, %r1, 4;
  add.u64 %d4, %d1, %d4;
  ld.global.u32 %r2, [%d4];
  ld.global.u32 %r3, [%d4+4];
ITEM:
  setp.ge.s32 %p, %r2, %r3;
  @%p bra DONE;
  mul.wide.s32 %d5, %r2, 32;
  add.u64 %d5, %d0, %d5;
  ld.global.u32 %r4, [%d5];         // request
  ld.global.u32 %r5, [%d5+4];       // kv_head
  ld.global.u32 %r6, [%d5+8];       // row_begin
  ld.global.u32 %r7, [%d5+12];      // row_end
  mul.wide.s32 %d6, %r4, 32;
  add.u64 %d6, %d2, %d6;
  ld.global.u32 %r8, [%d6+16];      // q_begin
  ld.global.u32 %r9, [%d6+24];      // kv_len
  cvt.rn.f32.s32 %f, %r9;
ROW:
  setp.ge.s32 %p, %r6, %r7;
  @%p bra NEXT;
  shr.s32 %r10, %r6, 1;             // token = row / group
  add.s32 %r10, %r10, %r8;
  shl.b32 %r10, %r10, 2;            // 4 heads
  and.b32 %r11, %r6, 1;
  shl.b32 %r12, %r5, 1;
  add.s32 %r10, %r10, %r11;
  add.s32 %r10, %r10, %r12;
  mul.wide.s32 %d7, %r10, 4;
  add.u64 %d7, %d3, %d7;
  st.global.f32 [%d7], %f;
  add.s32 %r6, %r6, 1;
  bra ROW;
NEXT:
  add.s32 %r2, %r2, 1;
  bra ITEM;
DONE:
  ret;
}
)";

json deviceManifest() {
  return onGpu(manifest("ragged"), "sm_80", 32, 64 * 1024);
}

bool hasDevice() {
  void *driver = dlopen("libcuda.so.1", RTLD_NOW);
  if (!driver)
    return false;
  auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  auto count =
      reinterpret_cast<int (*)(int *)>(dlsym(driver, "cuDeviceGetCount"));
  int devices = 0;
  return init && count && init(0) == 0 && count(&devices) == 0 && devices > 0;
}

} // namespace

// Run by the last test of this file in a process of its own.
TEST_CASE("gpu: walks plans on a device" * doctest::skip()) {
  REQUIRE(saccade_cuda_device_count() > 0);
  std::string bytes = blob(deviceManifest(), kWalk);
  SaccadeModule *module = nullptr;
  REQUIRE(saccade_module_load(bytes.data(), bytes.size(), nullptr, &module) ==
          SACCADE_OK);
  SaccadeCapacity capacity = {};
  capacity.requests = 64;
  capacity.query_tokens = 512;
  SaccadePlan *plan = nullptr;
  REQUIRE_MESSAGE(saccade_plan_create(module, kCuda, &capacity, &plan) ==
                      SACCADE_OK,
                  saccade_last_error());
  SaccadeEntryInfo info = {};
  REQUIRE(saccade_module_entry_info(module, kCuda, 0, &info) == SACCADE_OK);
  CHECK(info.registers > 0);
  CHECK(info.blocks_per_processor > 0);

  constexpr int64_t kTokens = 512;
  void *memory = nullptr;
  size_t qBytes = kTokens * 4 * 8 * 4, lseBytes = kTokens * 4 * 4;
  REQUIRE(saccade_memory_alloc(kCuda, qBytes, &memory) == SACCADE_OK);
  Tensor<float> q({kTokens, 4, 8}), kv({100000, 2, 8}), lse({kTokens, 4});
  for (Tensor<float> *tensor : {&q, &kv}) {
    tensor->view.device = kCuda;
    tensor->view.data = memory; // never read
  }
  void *results = nullptr;
  REQUIRE(saccade_memory_alloc(kCuda, lseBytes, &results) == SACCADE_OK);
  lse.view.device = kCuda;
  lse.view.data = results;

  SaccadeEvent *begin = nullptr, *end = nullptr;
  REQUIRE(saccade_event_create(kCuda, &begin) == SACCADE_OK);
  REQUIRE(saccade_event_create(kCuda, &end) == SACCADE_OK);
  // More updates than the ring has buffers, without a wait in between but for
  // the check of the results.
  for (int round = 0; round < 20; ++round) {
    std::vector<int32_t> qLen, lengths;
    for (int r = 0; r < 1 + round * 3; ++r) {
      qLen.push_back((r * 5 + round) % 9);
      lengths.push_back((r * 37 + round) % 1000);
    }
    SaccadeCacheBatch caches[1] = {};
    caches[0].lengths = lengths.data();
    SaccadeBatch batch = {};
    batch.requests = static_cast<int32_t>(qLen.size());
    batch.num_caches = 1;
    batch.q_len = qLen.data();
    batch.caches = caches;
    std::fill(lse.data.begin(), lse.data.end(), -1.0f);
    REQUIRE(saccade_memory_copy(results, kCuda, lse.data.data(), kHost,
                                lseBytes, nullptr) == SACCADE_OK);
    saccade_event_record(begin, nullptr);
    SaccadeArgument values[] = {asTensor(q), asCache(kv, kv), asReal(1),
                                asTensor(q), asTensor(lse)};
    for (int again = 0; again < 5; ++again) {
      REQUIRE_MESSAGE(saccade_plan_update(plan, &batch, nullptr) == SACCADE_OK,
                      saccade_last_error());
      REQUIRE_MESSAGE(saccade_run(plan, values, 5, nullptr) == SACCADE_OK,
                      saccade_last_error());
    }
    saccade_event_record(end, nullptr);
    float elapsed = -1;
    REQUIRE(saccade_event_elapsed(begin, end, &elapsed) == SACCADE_OK);
    CHECK(elapsed > 0);
    REQUIRE(saccade_memory_copy(lse.data.data(), kHost, results, kCuda,
                                lseBytes, nullptr) == SACCADE_OK);
    size_t row = 0;
    for (size_t r = 0; r < qLen.size(); ++r)
      for (int i = 0; i < qLen[r] * 4; ++i)
        CHECK(lse.data[row++] == float(lengths[r]));
    for (; row < lse.data.size(); ++row)
      CHECK(lse.data[row] == -1.0f);
  }
  saccade_event_destroy(begin);
  saccade_event_destroy(end);
  saccade_plan_destroy(plan);
  saccade_module_destroy(module);
  CHECK(saccade_memory_free(kCuda, memory) == SACCADE_OK);
  CHECK(saccade_memory_free(kCuda, results) == SACCADE_OK);

  // The log of the driver's compiler is quoted.
  bytes = blob(deviceManifest(), ".version 7.0\n.target sm_80\nnonsense");
  REQUIRE(saccade_module_load(bytes.data(), bytes.size(), nullptr, &module) ==
          SACCADE_OK);
  CHECK(saccade_module_prepare(module, kCuda) == SACCADE_DRIVER_ERROR);
  CHECK(std::string(saccade_last_error()).find("nonsense") !=
        std::string::npos);
  saccade_module_destroy(module);
}

TEST_CASE("gpu: the launcher on a device") {
  pid_t child = fork();
  if (child == 0) {
    // The driver must not be initialised on both sides of a fork.
    if (!hasDevice())
      _exit(77);
    setenv("SACCADE_LIBCUDA", "libcuda.so.1", 1);
    execl("/proc/self/exe", "unit", "--no-skip", "--minimal",
          "--test-case=gpu: walks plans on a device", nullptr);
    _exit(1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    MESSAGE("skipped: no CUDA device");
  else
    CHECK(status == 0);
}
