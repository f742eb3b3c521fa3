// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The runtime's own kernels on a device. They are loaded from PTX by the
// driver, like those of users, when the first plan asks for one.
#ifndef SACCADE_RUNTIME_RUNTIMEKERNELS_H
#define SACCADE_RUNTIME_RUNTIMEKERNELS_H

#include "runtime/CudaDevice.h"
#include "runtime/DeviceKernels.h"

namespace saccade::rt {

class RuntimeKernels {
public:
  /// Those of a device, for as long as the process lives.
  static Status get(CudaDevice &device, const RuntimeKernels *&kernels);

  /// Plans up to `records` items and partial states. The scratch memory of the
  /// parameters is used where shared memory is too small.
  Status launch(PlanOnDevice parameters, int64_t records,
                CUstream stream) const;
  Status launch(const CheckPages &parameters, int32_t requests,
                CUstream stream) const {
    return launch(checkPages, CheckPages::kName, requests, CheckPages::kThreads,
                  /*sharedBytes=*/0, &parameters, stream);
  }

private:
  explicit RuntimeKernels(CudaDevice &device) : device(device) {}
  Status load();
  Status launch(CUfunction function, const char *name, int32_t blocks,
                int32_t threads, int32_t sharedBytes, const void *parameters,
                CUstream stream) const;

  CudaDevice &device;
  CUfunction planOnDevice = nullptr, checkPages = nullptr;
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_RUNTIMEKERNELS_H
