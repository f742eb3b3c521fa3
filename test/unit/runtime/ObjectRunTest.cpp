// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs of objects that a language reads under a lock.
#include "test/unit/runtime/PlainModule.h"

using namespace saccade;
using namespace saccade::test;
using Kind = PlainKernel::Kind;

namespace {
/// A language whose objects are copied into tensors, and what is done to its
/// lock: the order is read, stream, unlock, lock.
struct Language {
  static int read(void *object, DLTensor *tensor) {
    if (!object)
      return -1;
    log += 'r';
    *tensor = *static_cast<DLTensor *>(object);
    return 0;
  }
  static int currentStream(DLDeviceType type, int32_t device, void **stream) {
    log += 's';
    CHECK(type == kDLCPU);
    *stream = nullptr;
    return device;
  }
  static void *unlock() {
    log += 'u';
    return &log;
  }
  static void lock(void *unlocked) { log += unlocked == &log ? 'l' : '?'; }
  static inline std::string log;
};
} // namespace

TEST_CASE("cpu: objects are read under a lock that runs do without") {
  SaccadeModule *module =
      load(manifest("ragged"), PlainKernel::run<Kind::Ragged>);
  SaccadeCapacity capacity = {};
  capacity.requests = 1;
  capacity.query_tokens = 2;
  SaccadePlan *plan = nullptr;
  REQUIRE(saccade_plan_create(module, kHost, &capacity, &plan) == SACCADE_OK);
  int32_t length = 2;
  SaccadeCacheBatch cache = {};
  cache.lengths = &length;
  SaccadeBatch batch = {};
  batch.requests = batch.num_caches = 1;
  batch.q_len = &length;
  batch.caches = &cache;
  REQUIRE(saccade_plan_update(plan, &batch, nullptr) == SACCADE_OK);
  Tensor<float> q({2, 4, 8}), k({2, 2, 8}), v({2, 2, 8}, 3.0f), o({2, 4, 8}),
      lse({2, 4});
  void *objects[] = {&q.view, &k.view, &v.view, &o.view, &lse.view};
  DLTensor read[5] = {};
  DLTensor *tensors[] = {&read[0], &read[1], &read[2], &read[3], &read[4]};
  SaccadeArgument values[] = {asTensor(tensors[0]),
                              asCache(tensors[1], tensors[2]), asReal(0.5),
                              asTensor(tensors[3]), asTensor(tensors[4])};
  SaccadeObjectRun run = {};
  run.plan = plan;
  run.arguments = values;
  run.count = 5;
  run.num_objects = 5;
  run.objects = objects;
  run.tensors = tensors;
  CHECK(failed(saccade_run_objects(&run), SACCADE_INVALID_ARGUMENT,
               "saccade_run_objects: expects read, but got a null pointer"));
  run.read = Language::read;
  REQUIRE(saccade_run_objects(&run) == SACCADE_OK);
  CHECK(o.data[0] == doctest::Approx(3));
  run.unlock = Language::unlock;
  run.lock = Language::lock;
  Language::log.clear();
  REQUIRE(saccade_run_objects(&run) == SACCADE_OK);
  CHECK(Language::log == "rrrrrul");
  run.current_stream = Language::currentStream;
  run.device = kHost;
  Language::log.clear();
  REQUIRE(saccade_run_objects(&run) == SACCADE_OK);
  CHECK(Language::log == "rrrrrsul");

  int64_t runs = saccade_run_count();
  run.count = 4; // a failure that the run finds: locked again all the same
  CHECK(failed(saccade_run_objects(&run), SACCADE_INVALID_ARGUMENT,
               "@sample: expects 3 arguments and 2 results, but got 4 values"));
  CHECK(Language::log == "rrrrrsulrrrrrsul");
  run.device.device_id = 3;
  CHECK(failed(saccade_run_objects(&run), SACCADE_INVALID_ARGUMENT,
               "saccade_run_objects: expects a current stream of cpu, but "
               "got none"));
  objects[3] = nullptr;
  Language::log.clear();
  CHECK(failed(saccade_run_objects(&run), SACCADE_INVALID_ARGUMENT,
               "saccade_run_objects: expects objects that can be read, but "
               "objects[3] cannot"));
  CHECK(Language::log == "rrr");
  run.num_objects = -1;
  CHECK(failed(saccade_run_objects(&run), SACCADE_INVALID_ARGUMENT,
               "saccade_run_objects: expects num_objects of 0 or more, but got "
               "-1"));
  CHECK(failed(saccade_run_objects(nullptr), SACCADE_INVALID_ARGUMENT,
               "saccade_run_objects: expects run, but got a null pointer"));
  CHECK(saccade_run_count() == runs);
  saccade_plan_destroy(plan);
  saccade_module_destroy(module);
}
