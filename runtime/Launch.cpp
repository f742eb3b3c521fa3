// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Launches an entry of a plan on a GPU.
#include "runtime/Plan.h"

using namespace saccade::rt;

/// Captures know of them since CUDA 12.3.
Status SaccadePlan::checkDependentLaunch() const {
  constexpr int least = 12030;
  if (int driver = cuda->device().driver().version; driver < least)
    return fail(SACCADE_NO_DEVICE, "@", module.manifest().kernel,
                ": expects a driver for CUDA 12.3 or later for dependent "
                "launches, but got one for ",
                driver / 1000, ".", driver % 1000 / 10);
  return SACCADE_OK;
}

/// A kernel that made the plan must have ended before it is read, so only later
/// launches may begin early. A copy always has.
Status SaccadePlan::launch(size_t e, int32_t grid, void *stream) {
  const Manifest &manifest = module.manifest();
  const Entry &entry = manifest.entries[e];
  CudaScope scope(cuda->device());
  const CudaDriver &driver = cuda->device().driver();
  if (!entry.maps.empty())
    SACCADE_TRY(
        maps[e].put(driver, manifest, entry, extents, workspace, words));
  void *parameters[] = {words.data()};
  CUfunction function = cuda->function(e).handle;
  bool early = flags & SACCADE_PLAN_DEPENDENT_LAUNCH && !isFresh;
  isFresh = false;
  auto launched = [&](CUresult result, std::string_view with) -> Status {
    if (result == CUDA_SUCCESS)
      return SACCADE_OK;
    return driver.check(result, join("@", manifest.kernel, ": ", with, " of '",
                                     entry.name, "'"));
  };
  if (!early)
    return launched(driver.cuLaunchKernel(function, grid, 1, 1, entry.threads,
                                          1, 1, entry.sharedBytes,
                                          static_cast<CUstream>(stream),
                                          parameters, nullptr),
                    "cuLaunchKernel");
  CUlaunchAttribute attribute = {};
  attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  attribute.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config = {};
  config.gridDimX = grid;
  config.blockDimX = entry.threads;
  config.gridDimY = config.gridDimZ = config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = entry.sharedBytes;
  config.hStream = static_cast<CUstream>(stream);
  config.attrs = &attribute;
  config.numAttrs = 1;
  return launched(
      driver.cuLaunchKernelEx(&config, function, parameters, nullptr),
      "cuLaunchKernelEx");
}
