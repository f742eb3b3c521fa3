// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C API of devices, their memory and their clocks: what a caller without a
// framework needs to run and time a kernel.
#include "runtime/CpuPool.h"
#include "runtime/CudaDevice.h"
#include "runtime/NotNull.h"
#include "runtime/Tensor.h"
#include "saccade/Runtime.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sys/utsname.h>

using namespace saccade::rt;

struct SaccadeEvent {
  CudaDevice *device = nullptr; ///< null: the CPU
  CUevent handle = nullptr;
  std::chrono::steady_clock::time_point time;
  bool recorded = false;
};

namespace {

/// The CUDA device behind a DLDevice; null for the CPU.
Status deviceOf(DLDevice device, CudaDevice *&result) {
  result = nullptr;
  if (device.device_type == kDLCPU && device.device_id == 0)
    return SACCADE_OK;
  if (device.device_type == kDLCUDA)
    return CudaDevice::get(device.device_id, result);
  return fail(SACCADE_NO_DEVICE, "expects cpu or cuda, but got ",
              nameOf(device), " number ", device.device_id);
}

CUdeviceptr address(const void *pointer) {
  return static_cast<CUdeviceptr>(reinterpret_cast<uintptr_t>(pointer));
}

} // namespace

int32_t saccade_cuda_device_count(void) { return CudaDevice::count(); }

SaccadeStatus saccade_device_info(DLDevice device, SaccadeDeviceInfo *info) {
  SACCADE_TRY(notNull("saccade_device_info", {{"info", info}}));
  CudaDevice *cuda;
  SACCADE_TRY(deviceOf(device, cuda));
  if (cuda) {
    *info = cuda->info();
    return SACCADE_OK;
  }
  SaccadeDeviceInfo host = {};
  utsname names;
  const char *machine = uname(&names) == 0 ? names.machine : "cpu";
  strncpy(host.name, machine, sizeof host.name - 1);
  strncpy(host.target, "cpu", sizeof host.target - 1);
  host.processors = cpuThreads();
  *info = host;
  return SACCADE_OK;
}

SaccadeStatus saccade_set_num_threads(int32_t threads) {
  if (threads < 0)
    return invalid(
        "saccade_set_num_threads: expects 0 threads or more, but got ",
        threads);
  setCpuThreads(threads);
  return SACCADE_OK;
}

SaccadeStatus saccade_memory_alloc(DLDevice device, size_t bytes,
                                   void **memory) {
  SACCADE_TRY(notNull("saccade_memory_alloc", {{"memory", memory}}));
  CudaDevice *cuda;
  SACCADE_TRY(deviceOf(device, cuda));
  if (bytes == 0) {
    *memory = nullptr;
    return SACCADE_OK;
  }
  if (cuda)
    return cuda->allocate(bytes, memory);
  void *fresh = nullptr;
  if (posix_memalign(&fresh, 64, bytes) != 0)
    return fail(SACCADE_OUT_OF_MEMORY, "expects ", bytes,
                " bytes of host memory");
  *memory = fresh;
  return SACCADE_OK;
}

SaccadeStatus saccade_memory_free(DLDevice device, void *memory) {
  CudaDevice *cuda;
  SACCADE_TRY(deviceOf(device, cuda));
  if (!memory)
    return SACCADE_OK;
  if (cuda)
    return cuda->free(memory);
  free(memory);
  return SACCADE_OK;
}

SaccadeStatus saccade_memory_copy(void *to, DLDevice target, const void *from,
                                  DLDevice source, size_t bytes, void *stream) {
  CudaDevice *cudaTarget, *cudaSource;
  SACCADE_TRY(deviceOf(target, cudaTarget));
  SACCADE_TRY(deviceOf(source, cudaSource));
  if (bytes == 0)
    return SACCADE_OK;
  SACCADE_TRY(notNull("saccade_memory_copy", {{"to", to}, {"from", from}}));
  CudaDevice *cuda = cudaTarget ? cudaTarget : cudaSource;
  if (!cuda) {
    memmove(to, from, bytes);
    return SACCADE_OK;
  }
  CudaScope scope(*cuda);
  const CudaDriver &driver = cuda->driver();
  CUstream cudaStream = static_cast<CUstream>(stream);
  SACCADE_TRY(driver.check(
      driver.cuMemcpyAsync(address(to), address(from), bytes, cudaStream),
      join("cuMemcpyAsync of ", bytes, " bytes")));
  return driver.check(driver.cuStreamSynchronize(cudaStream),
                      "cuStreamSynchronize");
}

SaccadeStatus saccade_synchronize(DLDevice device, void *stream) {
  CudaDevice *cuda;
  SACCADE_TRY(deviceOf(device, cuda));
  if (!cuda)
    return SACCADE_OK;
  CudaScope scope(*cuda);
  return cuda->driver().check(
      cuda->driver().cuStreamSynchronize(static_cast<CUstream>(stream)),
      "cuStreamSynchronize");
}

SaccadeStatus saccade_event_create(DLDevice device, SaccadeEvent **event) {
  SACCADE_TRY(notNull("saccade_event_create", {{"event", event}}));
  auto made = std::make_unique<SaccadeEvent>();
  SACCADE_TRY(deviceOf(device, made->device));
  if (made->device) {
    CudaScope scope(*made->device);
    const CudaDriver &driver = made->device->driver();
    SACCADE_TRY(
        driver.check(driver.cuEventCreate(&made->handle, CU_EVENT_DEFAULT),
                     "cuEventCreate"));
  }
  *event = made.release();
  return SACCADE_OK;
}

SaccadeStatus saccade_event_record(SaccadeEvent *event, void *stream) {
  SACCADE_TRY(notNull("saccade_event_record", {{"event", event}}));
  if (event->device) {
    CudaScope scope(*event->device);
    const CudaDriver &driver = event->device->driver();
    SACCADE_TRY(driver.check(
        driver.cuEventRecord(event->handle, static_cast<CUstream>(stream)),
        "cuEventRecord"));
  }
  event->time = std::chrono::steady_clock::now();
  event->recorded = true;
  return SACCADE_OK;
}

SaccadeStatus saccade_event_elapsed(SaccadeEvent *begin, SaccadeEvent *end,
                                    float *milliseconds) {
  SACCADE_TRY(notNull(
      "saccade_event_elapsed",
      {{"begin", begin}, {"end", end}, {"milliseconds", milliseconds}}));
  if (!begin->recorded || !end->recorded || begin->device != end->device)
    return invalid("saccade_event_elapsed: expects two recorded events of one "
                   "device");
  if (!begin->device) {
    *milliseconds =
        std::chrono::duration<float, std::milli>(end->time - begin->time)
            .count();
    return SACCADE_OK;
  }
  CudaScope scope(*begin->device);
  const CudaDriver &driver = begin->device->driver();
  for (SaccadeEvent *event : {begin, end})
    SACCADE_TRY(driver.check(driver.cuEventSynchronize(event->handle),
                             "cuEventSynchronize"));
  return driver.check(
      driver.cuEventElapsedTime(milliseconds, begin->handle, end->handle),
      "cuEventElapsedTime");
}

void saccade_event_destroy(SaccadeEvent *event) {
  if (event && event->handle) {
    CudaScope scope(*event->device);
    event->device->driver().cuEventDestroy(event->handle);
  }
  delete event;
}
