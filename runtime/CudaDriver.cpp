// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Opens the CUDA driver with dlopen. Functions whose semantics changed carry a
// suffix in the library (cuMemAlloc_v2); cuda.h hides it with macros, and the
// table below does so here.
#include "runtime/CudaDriver.h"

#include <cstdlib>
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

using namespace saccade::rt;

namespace {

struct Opened {
  CudaDriver driver = {};
  SaccadeStatus status = SACCADE_OK;
  std::string message;
};

/// Finds every function; gives the name of the first that is missing and that
/// no supported driver lacks.
const char *bindAll(void *library, CudaDriver &driver) {
  const char *missing = nullptr;
  auto bindIfPresent = [&](auto &function, const char *symbol) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
        dlsym(library, symbol));
  };
  auto bind = [&](auto &function, const char *symbol) {
    bindIfPresent(function, symbol);
    if (!function && !missing)
      missing = symbol;
  };
#define SACCADE_BIND(name, suffix) bind(driver.name, #name suffix)
  SACCADE_BIND(cuInit, "");
  SACCADE_BIND(cuDriverGetVersion, "");
  SACCADE_BIND(cuGetErrorName, "");
  SACCADE_BIND(cuGetErrorString, "");
  SACCADE_BIND(cuDeviceGetCount, "");
  SACCADE_BIND(cuDeviceGet, "");
  SACCADE_BIND(cuDeviceGetName, "");
  SACCADE_BIND(cuDeviceGetAttribute, "");
  SACCADE_BIND(cuDeviceTotalMem, "_v2");
  SACCADE_BIND(cuDevicePrimaryCtxRetain, "");
  SACCADE_BIND(cuCtxGetCurrent, "");
  SACCADE_BIND(cuCtxPushCurrent, "_v2");
  SACCADE_BIND(cuCtxPopCurrent, "_v2");
  SACCADE_BIND(cuModuleLoadDataEx, "");
  SACCADE_BIND(cuModuleUnload, "");
  SACCADE_BIND(cuModuleGetFunction, "");
  SACCADE_BIND(cuFuncGetAttribute, "");
  SACCADE_BIND(cuFuncSetAttribute, "");
  SACCADE_BIND(cuOccupancyMaxActiveBlocksPerMultiprocessor, "");
  SACCADE_BIND(cuLaunchKernel, "");
  SACCADE_BIND(cuMemAlloc, "_v2");
  SACCADE_BIND(cuMemFree, "_v2");
  SACCADE_BIND(cuMemHostAlloc, "");
  SACCADE_BIND(cuMemFreeHost, "");
  SACCADE_BIND(cuMemcpyAsync, "");
  SACCADE_BIND(cuMemsetD32, "_v2");
  SACCADE_BIND(cuStreamSynchronize, "");
  SACCADE_BIND(cuStreamIsCapturing, "");
  SACCADE_BIND(cuEventCreate, "");
  SACCADE_BIND(cuEventDestroy, "_v2");
  SACCADE_BIND(cuEventRecord, "");
  SACCADE_BIND(cuEventSynchronize, "");
  SACCADE_BIND(cuEventElapsedTime, "");
#undef SACCADE_BIND
  bindIfPresent(driver.cuLaunchKernelEx, "cuLaunchKernelEx");
  bindIfPresent(driver.cuTensorMapEncodeTiled, "cuTensorMapEncodeTiled");
  return missing;
}

Opened open() {
  Opened opened;
  auto failed = [&](SaccadeStatus status, auto... parts) {
    opened.status = status;
    opened.message = join(parts...);
    return opened;
  };
  const char *path = getenv("SACCADE_LIBCUDA");
  if (!path || !*path)
    path = "libcuda.so.1";
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    return failed(SACCADE_NO_DEVICE, "cuda: expects the driver's library, but ",
                  reason ? reason : "it does not open");
  }
  if (const char *missing = bindAll(library, opened.driver))
    return failed(SACCADE_NO_DEVICE, "cuda: expects a driver with ", missing,
                  ", but '", path, "' has none");
  CudaDriver &driver = opened.driver;
  CUresult result = driver.cuInit(0);
  if (result == CUDA_SUCCESS)
    result = driver.cuDriverGetVersion(&driver.version);
  if (result != CUDA_SUCCESS) {
    const char *text = nullptr;
    driver.cuGetErrorString(result, &text);
    return failed(SACCADE_NO_DEVICE, "cuda: expects a working driver, but got ",
                  text ? text : "an unknown error");
  }
  driver.process = getpid();
  // A call of getpid costs each run as much as all its checks.
  if (pthread_atfork(nullptr, nullptr, [] { CudaDriver::isForked = true; }) !=
      0)
    return failed(SACCADE_OUT_OF_MEMORY,
                  "cuda: expects memory to take note of forks");
  return opened;
}

} // namespace

Status CudaDriver::check(CUresult result, std::string_view what) const {
  if (result == CUDA_SUCCESS)
    return SACCADE_OK;
  const char *name = nullptr, *text = nullptr;
  if (cuGetErrorName(result, &name) != CUDA_SUCCESS || !name)
    name = "unknown";
  if (cuGetErrorString(result, &text) != CUDA_SUCCESS || !text)
    text = "no description";
  return fail(result == CUDA_ERROR_OUT_OF_MEMORY ? SACCADE_OUT_OF_MEMORY
                                                 : SACCADE_DRIVER_ERROR,
              "cuda: ", what, ": ", name, " (", result, "): ", text);
}

bool CudaDriver::isForked = false;

Status CudaDriver::refuseProcess() const {
  return fail(SACCADE_NO_DEVICE, "cuda: expects process ", process,
              ", which opened the driver, but got ", getpid(),
              ", which was forked from it; start processes that use a GPU anew "
              "(spawn)");
}

Status saccade::rt::getDriver(const CudaDriver *&driver) {
  static const Opened opened = open();
  if (opened.status != SACCADE_OK)
    return fail(opened.status, opened.message);
  driver = &opened.driver;
  return driver->checkProcess();
}
