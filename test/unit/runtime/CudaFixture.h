// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The make-believe driver, and a plan of the sample kernel on it, for tests of
// what is launched.
#ifndef SACCADE_TEST_UNIT_RUNTIME_CUDAFIXTURE_H
#define SACCADE_TEST_UNIT_RUNTIME_CUDAFIXTURE_H

#include "test/mock/MockCuda.h"
#include "test/unit/Test.h"
#include "test/unit/runtime/PlainKernel.h"
#include "test/unit/runtime/Samples.h"

#include <cstdlib>
#include <dlfcn.h>
#include <unistd.h>

namespace saccade::test {

inline std::string ownPath() {
  char path[4096];
  ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return std::string(path, size > 0 ? size : 0);
}

/// The mock lies beside this program. Found before any test opens a driver: the
/// runtime keeps the first one.
inline MockCuda *const mock = [] {
  std::string own = ownPath();
  std::string path = own.substr(0, own.rfind('/')) + "/libsaccade-mock-cuda.so";
  void *library = dlopen(path.c_str(), RTLD_NOW);
  if (!library || getenv("SACCADE_LIBCUDA"))
    return static_cast<MockCuda *>(nullptr);
  setenv("SACCADE_LIBCUDA", path.c_str(), 1);
  return reinterpret_cast<MockCuda *(*)()>(dlsym(library, kMockCudaSymbol))();
}();

/// A GPU form of the sample kernel that PlainKernel can stand for.
inline json pagedManifest() {
  return onGpu(manifest("paged"), "sm_90a", 128, 64 * 1024);
}

struct Fixture {
  Fixture() {
    REQUIRE_MESSAGE(mock, "the mock of libcuda.so.1 is missing");
    *mock = MockCuda();
  }
  ~Fixture() {
    saccade_plan_destroy(plan);
    saccade_module_destroy(module);
    // Whatever a test did, nothing is left.
    CHECK(mock->allocated == 0);
    CHECK(mock->pinned == 0);
    CHECK(mock->events == 0);
    CHECK(mock->modules == 0);
    CHECK(mock->contextDepth == 0);
  }

  SaccadeStatus load(const json &object = pagedManifest(),
                     std::string_view code = ".entry attend") {
    std::string bytes = blob(object, code);
    return saccade_module_load(bytes.data(), bytes.size(), nullptr, &module);
  }
  SaccadeStatus create(uint32_t flags = 0, int32_t ctas = 0) {
    SaccadeCapacity capacity = {};
    capacity.requests = 4;
    capacity.query_tokens = 16;
    capacity.indices = 16;
    capacity.ctas = ctas;
    capacity.flags = flags;
    return saccade_plan_create(module, kCuda, &capacity, &plan);
  }
  SaccadeStatus update(int32_t requests = 2, bool deviceTable = false) {
    SaccadeCacheBatch caches[1] = {};
    caches[0].lengths = lengths;
    Tensor<int32_t> table({2, 2});
    table.data = {1, 3, 0, 2};
    table.view.data = table.data.data();
    if (deviceTable) {
      table.view.device = kCuda;
      table.view.data = deviceIds;
    }
    caches[0].indices = table;
    SaccadeBatch batch = {};
    batch.requests = requests;
    batch.num_caches = 1;
    batch.q_len = qLen;
    batch.caches = caches;
    return saccade_plan_update(plan, &batch, stream);
  }
  SaccadeStatus run() {
    for (Tensor<float> *tensor : {&q, &k, &v, &o, &lse}) {
      // 16-byte aligned, as device memory is.
      REQUIRE(reinterpret_cast<uintptr_t>(tensor->view.data) % 16 == 0);
      tensor->view.device = kCuda;
    }
    SaccadeArgument values[] = {asTensor(q), asCache(k, v), asReal(0.5),
                                asTensor(o), asTensor(lse)};
    return saccade_run(plan, values, 5, stream);
  }

  SaccadeModule *module = nullptr;
  SaccadePlan *plan = nullptr;
  void *stream = reinterpret_cast<void *>(0x77);
  int32_t qLen[2] = {1, 2}, lengths[2] = {5, 6};
  int32_t deviceIds[4] = {3, 2, 1, 0};
  Tensor<float> q{{3, 4, 8}, 0.25f}, o{{3, 4, 8}, NAN}, lse{{3, 4}, NAN};
  Tensor<float> k{{4, 4, 2, 8}, 0.5f}, v{{4, 4, 2, 8}, 2.0f};
};

inline const auto kPlain = [](const uint64_t *words, int cta) {
  PlainKernel::run<PlainKernel::Kind::Paged>(words, cta);
};

} // namespace saccade::test
#endif // SACCADE_TEST_UNIT_RUNTIME_CUDAFIXTURE_H
