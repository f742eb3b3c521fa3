// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loads and launches the runtime's own kernels.
#include "runtime/RuntimeKernels.h"

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>

using namespace saccade::rt;

static constexpr char kCode[] =
#include "DeviceKernels.inc"
    ;

Status RuntimeKernels::get(CudaDevice &device, const RuntimeKernels *&kernels) {
  static std::mutex mutex;
  static auto *loaded = new std::map<CudaDevice *, RuntimeKernels *>;
  std::lock_guard lock(mutex);
  if (auto it = loaded->find(&device); it != loaded->end()) {
    kernels = it->second;
    return SACCADE_OK;
  }
  std::unique_ptr<RuntimeKernels> fresh(new RuntimeKernels(device));
  SACCADE_TRY(fresh->load());
  kernels = (*loaded)[&device] = fresh.release();
  return SACCADE_OK;
}

Status RuntimeKernels::load() {
  CudaScope scope(device);
  const CudaDriver &driver = device.driver();
  CUmodule module = nullptr;
  SACCADE_TRY(driver.check(
      driver.cuModuleLoadDataEx(&module, kCode, 0, nullptr, nullptr),
      "cuModuleLoadDataEx of the runtime's kernels"));
  for (auto [function, name] : {std::pair{&planOnDevice, PlanOnDevice::kName},
                                std::pair{&checkPages, CheckPages::kName}})
    SACCADE_TRY(driver.check(driver.cuModuleGetFunction(function, module, name),
                             join("cuModuleGetFunction of '", name, "'")));
  return driver.check(
      driver.cuFuncSetAttribute(planOnDevice,
                                CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                PlanOnDevice::kMostShared),
      join("cuFuncSetAttribute of '", PlanOnDevice::kName, "'"));
}

/// Of a cta: what a warp writes as fast as it starts.
static constexpr int32_t kFewRecords = 128;

Status RuntimeKernels::launch(PlanOnDevice parameters, int64_t records,
                              CUstream stream) const {
  const RangeShape &shape = parameters.shape;
  int32_t ctas = shape.ctas.value();
  int32_t places = std::max(shape.requests, ctas + 1);
  int32_t threads =
      std::clamp((places + 31) / 32 * 32, PlanOnDevice::kLeastThreads,
                 PlanOnDevice::kMostThreads);
  // A warp for each cta, or a block where it has many items. As many again
  // stand by: half as many threads on a processor end sooner.
  parameters.sharers = records <= int64_t(kFewRecords) * ctas ? 32 : threads;
  auto blocks = static_cast<int32_t>(std::bit_ceil(static_cast<uint64_t>(
      std::clamp(2 * ctas * int64_t(parameters.sharers) / threads, int64_t(1),
                 int64_t(PlanOnDevice::kMostBlocks)))));
  size_t shared = RangeScratch::bytes(shape.requests, ctas);
  if (shared <= PlanOnDevice::kMostShared) {
    parameters.scratch = nullptr;
  } else {
    shared = 0;
    blocks = 1;
  }
  return launch(planOnDevice, PlanOnDevice::kName, blocks, threads,
                static_cast<int32_t>(shared), &parameters, stream);
}

Status RuntimeKernels::launch(CUfunction function, const char *name,
                              int32_t blocks, int32_t threads,
                              int32_t sharedBytes, const void *parameters,
                              CUstream stream) const {
  if (blocks == 0)
    return SACCADE_OK;
  CudaScope scope(device);
  const CudaDriver &driver = device.driver();
  void *values[] = {const_cast<void *>(parameters)};
  return driver.check(driver.cuLaunchKernel(function, blocks, 1, 1, threads, 1,
                                            1, sharedBytes, stream, values,
                                            nullptr),
                      join("cuLaunchKernel of '", name, "'"));
}
