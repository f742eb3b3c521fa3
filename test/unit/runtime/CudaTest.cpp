// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The CUDA launcher against the make-believe driver of test/mock: what is
// loaded, allocated, copied, launched and released, and what is said when the
// driver refuses. Without that library, or without any driver, the tests say
// so.
#include "runtime/CudaDevice.h"
#include "test/unit/runtime/CudaFixture.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;

TEST_CASE("cuda: loads, plans, launches and releases") {
  Fixture f;
  CHECK(saccade_cuda_device_count() == 1);
  mock->jitInfo = "0 bytes spill stores";
  mock->kernels["attend"] = kPlain;
  REQUIRE(f.load() == SACCADE_OK);
  CHECK(mock->count("cuModuleLoadDataEx") == 0); // nothing yet
  REQUIRE(f.create() == SACCADE_OK);
  CHECK(mock->count("cuFuncSetAttribute") == 1); // 64 KB of shared memory
  REQUIRE(f.update() == SACCADE_OK);
  CHECK(mock->count("cuMemcpyAsync") == 1); // the whole plan at once
  REQUIRE(f.run() == SACCADE_OK);
  REQUIRE(mock->launches.size() == 1);
  const MockCuda::Launch &launch = mock->launches[0];
  CHECK(launch.kernel == "attend");
  CHECK(launch.grid == 4); // 2 query tiles x 2 KV heads on 3 SMs x 2 blocks
  CHECK(launch.threads == 128);
  CHECK(launch.shared == 64 * 1024);
  CHECK(launch.stream == f.stream);
  // All values are alike, so is their mean; 5 and 6 equal logits of 0.5.
  for (float x : f.o.data)
    CHECK(x == doctest::Approx(2.0));
  CHECK(f.lse.data.front() == doctest::Approx(0.5 + std::log(5)));
  CHECK(f.lse.data.back() == doctest::Approx(0.5 + std::log(6)));
  const char *log = nullptr;
  REQUIRE(saccade_module_log(f.module, kCuda, &log) == SACCADE_OK);
  CHECK(std::string(log) == "0 bytes spill stores");
  SaccadeEntryInfo info = {};
  REQUIRE(saccade_module_entry_info(f.module, kCuda, 0, &info) == SACCADE_OK);
  CHECK(info.registers == 168);
  CHECK(info.local_bytes == 16);
  CHECK(info.blocks_per_processor == 2);
  CHECK(mock->count("cuModuleLoadDataEx") == 1);
}

TEST_CASE("cuda: a forked process is refused before the driver is asked") {
  Fixture f;
  mock->kernels["attend"] = kPlain;
  REQUIRE(f.load() == SACCADE_OK);
  REQUIRE(f.create() == SACCADE_OK);
  REQUIRE(f.update() == SACCADE_OK);
  pid_t child = fork();
  if (child == 0) {
    size_t launches = mock->launches.size();
    bool refused =
        f.run() == SACCADE_NO_DEVICE &&
        std::string(saccade_last_error()).find("forked") != std::string::npos &&
        f.update() == SACCADE_NO_DEVICE;
    _exit(refused && mock->launches.size() == launches ? 0 : 1);
  }
  int status = 1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(f.run() == SACCADE_OK);
}

TEST_CASE("cuda: a page table on the device is read in place") {
  Fixture f;
  std::vector<int32_t> seen;
  mock->kernels["attend"] = [&](const uint64_t *words, int cta) {
    if (cta == 0)
      CHECK(words[12 + SACCADE_CACHE_INDICES] ==
            reinterpret_cast<uintptr_t>(f.deviceIds));
    kPlain(words, cta);
  };
  REQUIRE(f.load() == SACCADE_OK);
  REQUIRE(f.create() == SACCADE_OK);
  REQUIRE(f.update(2, true) == SACCADE_OK);
  REQUIRE(f.run() == SACCADE_OK);
  for (float x : f.o.data)
    CHECK(x == doctest::Approx(2.0));
}

TEST_CASE("cuda: an empty batch launches nothing, a fixed grid all of it") {
  Fixture f;
  REQUIRE(f.load() == SACCADE_OK);
  REQUIRE(f.create() == SACCADE_OK);
  REQUIRE(f.run() == SACCADE_OK); // before any update
  REQUIRE(f.update(0) == SACCADE_OK);
  REQUIRE(f.run() == SACCADE_OK);
  CHECK(mock->launches.empty());
  saccade_plan_destroy(f.plan);
  f.plan = nullptr;
  REQUIRE(f.create(SACCADE_PLAN_FIXED_GRID, 7) == SACCADE_OK);
  REQUIRE(f.update(0) == SACCADE_OK);
  REQUIRE(f.run() == SACCADE_OK);
  REQUIRE(f.update(2) == SACCADE_OK);
  REQUIRE(f.run() == SACCADE_OK);
  REQUIRE(mock->launches.size() == 2);
  CHECK(mock->launches[0].grid == 7);
  CHECK(mock->launches[1].grid == 7);
}

TEST_CASE("cuda: each of two entries runs over its own requests") {
  Fixture f;
  mock->kernels["attend"] = mock->kernels["attend_few"] = kPlain;
  json object = pagedManifest();
  object["entries"].push_back(object["entries"][0]);
  object["entries"][0]["rows"] = {{"least", 3}};
  object["entries"][1]["rows"] = {{"most", 2}};
  object["entries"][1]["name"] = "attend_few";
  REQUIRE(f.load(object, ".entry attend .entry attend_few") == SACCADE_OK);
  REQUIRE(f.create() == SACCADE_OK);
  REQUIRE(f.update(2) == SACCADE_OK);
  REQUIRE(f.run() == SACCADE_OK);
  REQUIRE(mock->launches.size() == 2);
  CHECK(mock->launches[0].kernel == "attend");
  CHECK(mock->launches[0].grid == 2); // the second request, on 2 KV heads
  CHECK(mock->launches[1].kernel == "attend_few");
  CHECK(mock->launches[1].grid == 2);
  for (float x : f.o.data)
    CHECK(x == doctest::Approx(2.0));
  // Without requests for it an entry launches nothing.
  REQUIRE(f.update(1) == SACCADE_OK);
  REQUIRE(f.run() == SACCADE_OK);
  REQUIRE(mock->launches.size() == 3);
  CHECK(mock->launches[2].kernel == "attend_few");
}

TEST_CASE("cuda: two entries of one function share a launch") {
  json object = pagedManifest();
  object["entries"].push_back(object["entries"][0]);
  object["entries"][0]["rows"] = {{"least", 3}};
  object["entries"][1]["rows"] = {{"most", 2}};
  object["entries"][1]["name"] = "attend_few";
  object["entries"][1]["fused_into"] = 0;
  std::vector<std::vector<int>> formats; // of launches, by ctas
  auto kernel = [&](const uint64_t *words, int cta) {
    if (cta == 0)
      formats.emplace_back();
    auto *begin =
        reinterpret_cast<const int32_t *>(words[SACCADE_WORD_CTA_BEGIN]);
    auto *items =
        reinterpret_cast<const SaccadeWorkItem *>(words[SACCADE_WORD_ITEMS]);
    int format = -1;
    for (int i = begin[cta]; i < begin[cta + 1]; ++i) {
      int of = items[i].format + int(words[SACCADE_WORD_FORMAT]);
      CHECK((format < 0 || format == of));
      CHECK(of == (items[i].request == 0)); // one token: few rows
      format = of;
    }
    formats.back().push_back(format);
    kPlain(words, cta);
  };
  {
    Fixture f;
    mock->kernels["attend"] = kernel;
    REQUIRE(f.load(object) == SACCADE_OK);
    REQUIRE(f.create(SACCADE_PLAN_FIXED_GRID, 4) == SACCADE_OK);
    REQUIRE(f.update(2) == SACCADE_OK);
    REQUIRE(f.run() == SACCADE_OK);
    for (float x : f.o.data)
      CHECK(x == doctest::Approx(2.0));
    // All ctas are for one kind where the other has no work; the grid stays.
    REQUIRE(f.update(1) == SACCADE_OK);
    REQUIRE(f.run() == SACCADE_OK);
    REQUIRE(f.update(0) == SACCADE_OK);
    REQUIRE(f.run() == SACCADE_OK);
    CHECK(mock->launches.size() == 3);
    for (const auto &launch : mock->launches) {
      CHECK(launch.kernel == "attend");
      CHECK(launch.grid == 4);
    }
    REQUIRE(formats.size() == 3);
    for (int format : {0, 1})
      CHECK(std::ranges::count(formats[0], format) == 2);
    CHECK(std::ranges::count(formats[1], 1) == 2);
    CHECK(std::ranges::count(formats[1], -1) == 2);
    CHECK(std::ranges::count(formats[2], -1) == 4);
  }
  { // One cta is not enough for two kinds.
    Fixture f;
    formats.clear();
    mock->kernels["attend"] = kernel;
    REQUIRE(f.load(object) == SACCADE_OK);
    REQUIRE(f.create(0, 1) == SACCADE_OK);
    REQUIRE(f.update(2) == SACCADE_OK);
    REQUIRE(f.run() == SACCADE_OK);
    CHECK(formats == std::vector<std::vector<int>>{{0, 1}});
  }
  { // The device plans entry by entry, so they are launched so.
    Fixture f;
    formats.clear();
    mock->kernels["attend"] = kernel;
    REQUIRE(f.load(object) == SACCADE_OK);
    REQUIRE(f.create(SACCADE_PLAN_ON_DEVICE, 2) == SACCADE_OK);
    mock->modules = 1; // the runtime's own kernels stay
    REQUIRE(f.update(2) == SACCADE_OK);
    REQUIRE(f.run() == SACCADE_OK);
    CHECK(formats == std::vector<std::vector<int>>{{0, 0}, {1, 1}});
    for (float x : f.o.data)
      CHECK(x == doctest::Approx(2.0));
  }
}

TEST_CASE("cuda: a replayed launch computes the next plan") {
  Fixture f;
  // What a graph keeps: the words of the launch.
  std::vector<uint64_t> captured;
  mock->kernels["attend"] = [&](const uint64_t *words, int) {
    captured.assign(words, words + 33);
  };
  REQUIRE(f.load() == SACCADE_OK);
  REQUIRE(f.create(SACCADE_PLAN_FIXED_GRID, 5) == SACCADE_OK);
  REQUIRE(f.update() == SACCADE_OK);
  REQUIRE(f.run() == SACCADE_OK);
  f.qLen[0] = 2;
  f.qLen[1] = 1;
  f.lengths[0] = 3;
  REQUIRE(f.update() == SACCADE_OK);
  for (int cta = 0; cta < 5; ++cta)
    kPlain(captured.data(), cta);
  CHECK(f.lse.data[0] == doctest::Approx(0.5 + std::log(3)));
  CHECK(f.lse.data[7] == doctest::Approx(0.5 + std::log(3)));
  CHECK(f.lse.data[8] == doctest::Approx(0.5 + std::log(6)));
}

TEST_CASE("cuda: counters of parts are cleared once, before any run") {
  Fixture f;
  json object = pagedManifest();
  object["entries"][0]["partial_floats"] = PlainKernel::kPartialFloats;
  std::vector<uint64_t> seen;
  mock->kernels["attend"] = [&](const uint64_t *words, int cta) {
    seen.assign(words, words + SACCADE_HEADER_WORDS);
    kPlain(words, cta);
  };
  REQUIRE(f.load(object) == SACCADE_OK);
  mock->failures["cuMemsetD32"] = 719;
  CHECK(failed(f.create(SACCADE_PLAN_FIXED_GRID, 7), SACCADE_DRIVER_ERROR,
               "cuda: cuMemsetD32 of a plan's counters: CUDA_ERROR_MOCK "
               "(719): made to fail"));
  mock->failures.clear();
  REQUIRE(f.create(SACCADE_PLAN_FIXED_GRID, 7) == SACCADE_OK);
  CHECK(mock->count("cuStreamSynchronize") == 1);
  REQUIRE(f.update() == SACCADE_OK);
  REQUIRE(f.run() == SACCADE_OK);
  REQUIRE(f.update() == SACCADE_OK);
  REQUIRE(f.run() == SACCADE_OK);
  CHECK(mock->count("cuMemsetD32") == 2);
  CHECK(mock->count("cuStreamSynchronize") == 1); // updates do not wait
  REQUIRE(seen.size() == SACCADE_HEADER_WORDS);
  auto *counters =
      reinterpret_cast<const int32_t *>(seen[SACCADE_WORD_COUNTERS]);
  CHECK(std::all_of(counters, counters + 6, [](int32_t n) { return n == 0; }));
  CHECK(seen[SACCADE_WORD_WORKSPACE] % 16 == 0);
  CHECK(seen[SACCADE_WORD_PARTIALS] % 16 == 0);
  for (float x : f.o.data)
    CHECK(x == doctest::Approx(2.0));
}

TEST_CASE("cuda: a launch carries tensor maps behind its words") {
  Fixture f;
  json object = gpuManifest();
  object["entries"].push_back(object["entries"][0]);
  object["entries"][0]["tensor_maps"] = {
      {"first_word", 48},
      {"maps",
       {{{"word", 12}, {"heads", 1}, {"tokens", 16}},
        {{"word", 16}, {"heads", 1}, {"tokens", 16}}}}};
  object["entries"][1]["tensor_maps"] = {
      {"first_word", 40},
      {"maps", {{{"word", 8}, {"heads", 2}, {"tokens", 64}}}}};
  std::vector<uint64_t> seen;
  mock->kernels["attend"] = [&](const uint64_t *words, int cta) {
    if (cta == 0)
      seen.insert(seen.end(), {words[40], words[48], words[64]});
  };
  REQUIRE(f.load(object) == SACCADE_OK);
  REQUIRE(f.create() == SACCADE_OK);
  REQUIRE(f.update() == SACCADE_OK);
  // 16-bit elements, in the memory of the fixture's f32 ones.
  for (Tensor<float> *tensor : {&f.q, &f.k, &f.v, &f.o})
    tensor->view.dtype = {kDLBfloat, 16, 1};
  REQUIRE(f.run() == SACCADE_OK);
  REQUIRE(mock->tensorMaps.size() == 3);
  CHECK(mock->tensorMaps[0].address == f.k.data.data());
  CHECK(mock->tensorMaps[0].sizes == std::vector<uint64_t>{8, 2, 4, 4});
  CHECK(mock->tensorMaps[0].strides == std::vector<uint64_t>{16, 32, 128});
  CHECK(mock->tensorMaps[0].box == std::vector<uint32_t>{64, 1, 16, 1});
  CHECK(mock->tensorMaps[0].swizzle == 3);
  CHECK(mock->tensorMaps[1].address == f.v.data.data());
  CHECK(mock->tensorMaps[2].sizes == std::vector<uint64_t>{8, 4, 3, 1});
  REQUIRE(seen.size() == 6);
  CHECK(seen[1] == 1);
  CHECK(seen[2] == 2);
  CHECK(seen[3] == 3);
  REQUIRE(f.run() == SACCADE_OK);
  CHECK(mock->tensorMaps.size() == 3); // made once
  mock->failures["cuTensorMapEncodeTiled"] = 1;
  REQUIRE(f.run() == SACCADE_OK);
  f.q.data.resize(200);
  f.q.view.data = &f.q.data[100];
  CHECK(failed(f.run(), SACCADE_DRIVER_ERROR,
               "cuda: @sample: cuTensorMapEncodeTiled of 'q' with sizes [8, 4, "
               "3, 1], strides of [16, 64, 192] bytes and box [64, 2, 64, 1]: "
               "CUDA_ERROR_MOCK (1): made to fail"));
}

TEST_CASE("cuda: plans are not overwritten before the device has read them") {
  Fixture f;
  REQUIRE(f.load() == SACCADE_OK);
  REQUIRE(f.create() == SACCADE_OK);
  mock->stalled = true;
  for (int i = 0; i < 3; ++i)
    REQUIRE(f.update() == SACCADE_OK);
  CHECK(mock->count("cuEventSynchronize") == 0);
  CHECK(mock->pending.size() == 3);
  REQUIRE(f.update() == SACCADE_OK); // the ring is full: this one waits
  CHECK(mock->count("cuEventSynchronize") == 1);
  CHECK(mock->pending.size() == 1);
  CHECK(mock->pinned == 3);
}

TEST_CASE("cuda: plans are not updated within a capture") {
  Fixture f;
  REQUIRE(f.load() == SACCADE_OK);
  REQUIRE(f.create() == SACCADE_OK);
  mock->capturing = true;
  CHECK(failed(f.update(), SACCADE_INVALID_ARGUMENT,
               "@sample: expects plans to be updated outside of a stream "
               "capture"));
}

TEST_CASE("cuda: runs begin early behind all but what made their plan") {
  Fixture f;
  json object = pagedManifest();
  object["entries"][0]["waits"] = true;
  REQUIRE(f.load(object) == SACCADE_OK);
  REQUIRE(f.create(SACCADE_PLAN_DEPENDENT_LAUNCH | SACCADE_PLAN_ON_DEVICE) ==
          SACCADE_OK);
  mock->modules = 1; // the runtime's own kernels stay
  REQUIRE(f.update() == SACCADE_OK);
  REQUIRE(f.run() == SACCADE_OK); // a copy made the plan
  Tensor<int32_t> lengths({2}), table({2, 2});
  lengths.view.device = table.view.device = kCuda;
  lengths.view.data = f.lengths;
  table.view.data = f.deviceIds;
  SaccadeDeviceBatch batch = {};
  batch.requests = 2;
  batch.q_len = 1;
  batch.lengths = lengths;
  batch.indices = table;
  REQUIRE(saccade_plan_update_on_device(f.plan, &batch, f.stream) ==
          SACCADE_OK);
  for (int i = 0; i < 2; ++i)
    REQUIRE(f.run() == SACCADE_OK);
  std::vector<std::pair<std::string, bool>> launches;
  for (const MockCuda::Launch &launch : mock->launches) {
    launches.emplace_back(launch.kernel, launch.early);
    CHECK(launch.stream == f.stream);
  }
  CHECK(launches == std::vector<std::pair<std::string, bool>>{
                        {"attend", true},
                        {"saccade_plan_on_device", false},
                        {"attend", false},
                        {"attend", true}});
  CHECK(mock->launches[0].shared == 64 * 1024);
  CHECK(mock->launches[0].threads == 128);
}

TEST_CASE("cuda: runs that begin early need kernels that wait") {
  Fixture f;
  REQUIRE(f.load() == SACCADE_OK);
  CHECK(
      failed(f.create(SACCADE_PLAN_DEPENDENT_LAUNCH), SACCADE_INVALID_ARGUMENT,
             "@sample: expects kernels that wait for the one before, as those "
             "for sm_90 and later do, for dependent launches, but 'attend' "
             "for sm_90a does not"));
}

TEST_CASE("cuda: refuses what the device cannot run") {
  json object = pagedManifest();
  {
    Fixture f;
    object["target"] = "sm_100a";
    REQUIRE(f.load(object) == SACCADE_OK);
    CHECK(failed(f.create(), SACCADE_NO_DEVICE,
                 "@sample: expects a device that runs sm_100a, but Mock GPU is "
                 "sm_90a"));
  }
  {
    Fixture f;
    object = pagedManifest();
    object["driver"] = 13010;
    REQUIRE(f.load(object) == SACCADE_OK);
    CHECK(
        failed(f.create(), SACCADE_NO_DEVICE,
               "@sample: expects a driver for CUDA 13.1 or later, but got one "
               "for 12.8"));
  }
  {
    Fixture f;
    object = pagedManifest();
    object["entries"][0]["shared_bytes"] = 240000;
    REQUIRE(f.load(object) == SACCADE_OK);
    CHECK(
        failed(f.create(), SACCADE_NO_DEVICE,
               "@sample: expects 240000 bytes of shared memory, but a block of "
               "Mock GPU has 232448"));
  }
  {
    Fixture f;
    mock->blocksPerProcessor = 0;
    REQUIRE(f.load() == SACCADE_OK);
    CHECK(failed(f.create(), SACCADE_NO_DEVICE,
                 "@sample: expects a block of 128 threads, 168 registers and "
                 "65536 bytes of shared memory to fit on Mock GPU"));
  }
  {
    Fixture f;
    SaccadeDeviceInfo info;
    CHECK(failed(saccade_device_info({kDLCUDA, 1}, &info), SACCADE_NO_DEVICE,
                 "cuda: expects a device below 1, but got cuda:1"));
    REQUIRE(saccade_device_info(kCuda, &info) == SACCADE_OK);
    CHECK(std::string(info.target) == "sm_90a");
    CHECK(info.processors == 3);
  }
}

TEST_CASE("cuda: which target runs where") {
  CHECK(runsOn("sm_90a", 90, true));
  CHECK(!runsOn("sm_90a", 100, true));
  CHECK(runsOn("sm_80", 90, true));
  CHECK(!runsOn("sm_80", 90, false)); // machine code of another generation
  CHECK(runsOn("sm_80", 86, false));
  CHECK(!runsOn("sm_89", 86, false));
  CHECK(runsOn("sm_100f", 103, true));
  CHECK(!runsOn("sm_100f", 120, true));
  CHECK(!runsOn("sm_120", 90, true));
  for (const char *wrong : {"cpu", "sm_", "sm_x", "sm_90ab", "sm_90x"})
    CHECK(!runsOn(wrong, 90, true));
}

TEST_CASE("cuda: the driver's refusals are quoted") {
  {
    Fixture f;
    mock->failures["cuModuleLoadDataEx"] = 218;
    mock->jitErrors = "ptxas fatal: line 7, unknown instruction";
    REQUIRE(f.load() == SACCADE_OK);
    CHECK(failed(
        f.create(), SACCADE_DRIVER_ERROR,
        "cuda: @sample: cuModuleLoadDataEx\nptxas fatal: line 7, unknown "
        "instruction: CUDA_ERROR_INVALID_PTX (218): made to fail"));
  }
  {
    Fixture f;
    REQUIRE(f.load(pagedManifest(), ".entry other") == SACCADE_OK);
    CHECK(failed(
        f.create(), SACCADE_DRIVER_ERROR,
        "cuda: @sample: cuModuleGetFunction of 'attend': CUDA_ERROR_MOCK "
        "(500): made to fail"));
  }
  for (const char *call : {"cuMemAlloc", "cuFuncSetAttribute"}) {
    Fixture f;
    mock->failures[call] = 2;
    REQUIRE(f.load() == SACCADE_OK);
    CHECK(f.create() == SACCADE_OUT_OF_MEMORY);
  }
  for (const char *call :
       {"cuMemHostAlloc", "cuEventCreate", "cuMemcpyAsync", "cuEventRecord"}) {
    Fixture f;
    REQUIRE(f.load() == SACCADE_OK);
    REQUIRE(f.create() == SACCADE_OK);
    mock->failures[call] = 2;
    CHECK(f.update() == SACCADE_OUT_OF_MEMORY);
    mock->failures.clear();
    CHECK(f.update() == SACCADE_OK);
  }
  Fixture f;
  REQUIRE(f.load() == SACCADE_OK);
  REQUIRE(f.create() == SACCADE_OK);
  REQUIRE(f.update() == SACCADE_OK);
  mock->failures["cuLaunchKernel"] = 719;
  CHECK(failed(
      f.run(), SACCADE_DRIVER_ERROR,
      "cuda: @sample: cuLaunchKernel of 'attend': CUDA_ERROR_MOCK (719): "
      "made to fail"));
}

TEST_CASE("cuda: memory, copies and clocks") {
  Fixture f;
  void *memory = nullptr;
  REQUIRE(saccade_memory_alloc(kCuda, 64, &memory) == SACCADE_OK);
  char back[5] = {};
  CHECK(saccade_memory_copy(memory, kCuda, "text", kHost, 5, nullptr) ==
        SACCADE_OK);
  CHECK(saccade_memory_copy(back, kHost, memory, kCuda, 5, nullptr) ==
        SACCADE_OK);
  CHECK(std::string(back) == "text");
  CHECK(mock->count("cuStreamSynchronize") == 2);
  CHECK(saccade_memory_free(kCuda, memory) == SACCADE_OK);
  SaccadeEvent *begin = nullptr, *end = nullptr;
  REQUIRE(saccade_event_create(kCuda, &begin) == SACCADE_OK);
  REQUIRE(saccade_event_create(kCuda, &end) == SACCADE_OK);
  CHECK(saccade_event_record(begin, f.stream) == SACCADE_OK);
  CHECK(saccade_event_record(end, f.stream) == SACCADE_OK);
  float elapsed = 0;
  CHECK(saccade_event_elapsed(begin, end, &elapsed) == SACCADE_OK);
  CHECK(elapsed == 1.5f);
  saccade_event_destroy(begin);
  saccade_event_destroy(end);
}

// Run by the next test in a process of its own, where no driver is open yet.
TEST_CASE("cuda: without a driver" * doctest::skip()) {
  CHECK(saccade_cuda_device_count() == 0);
  SaccadeDeviceInfo info;
  CHECK(saccade_device_info(kCuda, &info) == SACCADE_NO_DEVICE);
  CHECK(std::string(saccade_last_error())
            .starts_with("cuda: expects the driver's library, but "));
  CHECK(saccade_device_info(kHost, &info) == SACCADE_OK);
  std::string bytes = blob(pagedManifest());
  SaccadeModule *module = nullptr;
  REQUIRE(saccade_module_load(bytes.data(), bytes.size(), nullptr, &module) ==
          SACCADE_OK);
  CHECK(saccade_module_prepare(module, kCuda) == SACCADE_NO_DEVICE);
  saccade_module_destroy(module);
}

TEST_CASE("cuda: all but CUDA works without a driver") {
  pid_t child = fork();
  if (child == 0) {
    setenv("SACCADE_LIBCUDA", "/nonexistent.so", 1);
    execl(ownPath().c_str(), "unit", "--no-skip", "--minimal",
          "--test-case=cuda: without a driver", nullptr);
    _exit(1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}
