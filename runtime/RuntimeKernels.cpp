// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loads and launches the runtime's own kernels.
#include "runtime/RuntimeKernels.h"

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
  return SACCADE_OK;
}

Status RuntimeKernels::launch(CUfunction function, const char *name,
                              int32_t blocks, int32_t threads,
                              const void *parameters, CUstream stream) const {
  if (blocks == 0)
    return SACCADE_OK;
  CudaScope scope(device);
  const CudaDriver &driver = device.driver();
  void *values[] = {const_cast<void *>(parameters)};
  return driver.check(driver.cuLaunchKernel(function, blocks, 1, 1, threads, 1,
                                            1, /*sharedBytes=*/0, stream,
                                            values, nullptr),
                      join("cuLaunchKernel of '", name, "'"));
}
