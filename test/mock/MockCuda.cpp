// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A make-believe libcuda.so.1: the functions that the runtime binds, doing on
// the host what the driver would do on a device, and failing where a test says
// so.
#include "test/mock/MockCuda.h"

#include "runtime/CudaDriver.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace saccade::rt;

namespace {
MockCuda &mock() {
  static MockCuda instance;
  return instance;
}

/// Notes the call; gives the failure that the test wants, or success.
CUresult note(const char *call) {
  mock().calls.push_back(call);
  auto it = mock().failures.find(call);
  return it == mock().failures.end() ? 0 : it->second;
}

struct Module {
  std::string image;
};
struct Function {
  std::string name;
  int maxShared = 48 * 1024;
};

void later(std::function<void()> action) {
  if (mock().stalled)
    mock().pending.push_back(std::move(action));
  else
    action();
}

char contextObject;
CUcontext primary() { return reinterpret_cast<CUcontext>(&contextObject); }
} // namespace

#define MOCK(name)                                                             \
  if (CUresult result = note(#name))                                           \
  return result

#pragma GCC visibility push(default)
extern "C" {

MockCuda *saccade_mock_cuda() { return &mock(); }

CUresult cuInit(unsigned) {
  MOCK(cuInit);
  return 0;
}
CUresult cuDriverGetVersion(int *version) {
  *version = mock().driver;
  return 0;
}
CUresult cuGetErrorName(CUresult error, const char **name) {
  *name = error == 218 ? "CUDA_ERROR_INVALID_PTX" : "CUDA_ERROR_MOCK";
  return 0;
}
CUresult cuGetErrorString(CUresult, const char **text) {
  *text = "made to fail";
  return 0;
}
CUresult cuDeviceGetCount(int *count) {
  *count = 1;
  return 0;
}
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  *device = ordinal;
  return 0;
}
CUresult cuDeviceGetName(char *name, int length, CUdevice) {
  strncpy(name, "Mock GPU", length);
  return 0;
}
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute,
                              CUdevice) {
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    *value = 3;
    return 0;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
    *value = mock().capability / 10;
    return 0;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    *value = mock().capability % 10;
    return 0;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
    *value = 232448;
    return 0;
  }
  return 1;
}
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice) {
  *bytes = size_t(1) << 30;
  return 0;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) {
  *context = primary();
  return 0;
}
CUresult cuCtxGetCurrent(CUcontext *context) {
  *context = mock().contextDepth ? primary() : nullptr;
  return 0;
}
CUresult cuCtxPushCurrent_v2(CUcontext) {
  ++mock().contextDepth;
  return 0;
}
CUresult cuCtxPopCurrent_v2(CUcontext *context) {
  *context = primary();
  --mock().contextDepth;
  return 0;
}
CUresult cuModuleLoadDataEx(CUmodule *module, const void *image,
                            unsigned options, CUjit_option *names,
                            void **values) {
  for (unsigned i = 0; i < options; ++i) {
    const std::string *log =
        names[i] == CU_JIT_INFO_LOG_BUFFER    ? &mock().jitInfo
        : names[i] == CU_JIT_ERROR_LOG_BUFFER ? &mock().jitErrors
                                              : nullptr;
    if (log)
      memcpy(values[i], log->c_str(), log->size() + 1);
  }
  MOCK(cuModuleLoadDataEx);
  ++mock().modules;
  *module =
      reinterpret_cast<CUmodule>(new Module{static_cast<const char *>(image)});
  return 0;
}
CUresult cuModuleUnload(CUmodule module) {
  MOCK(cuModuleUnload);
  --mock().modules;
  delete reinterpret_cast<Module *>(module);
  return 0;
}
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module,
                             const char *name) {
  MOCK(cuModuleGetFunction);
  if (reinterpret_cast<Module *>(module)->image.find(name) == std::string::npos)
    return 500; // CUDA_ERROR_NOT_FOUND
  static std::map<std::string, Function> functions;
  Function &found = functions[name];
  found = {name};
  *function = reinterpret_cast<CUfunction>(&found);
  return 0;
}
CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute,
                            CUfunction) {
  *value = attribute == CU_FUNC_ATTRIBUTE_NUM_REGS ? 168 : 16;
  return 0;
}
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute,
                            int value) {
  MOCK(cuFuncSetAttribute);
  reinterpret_cast<Function *>(function)->maxShared = value;
  return 0;
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction,
                                                     int, size_t) {
  *blocks = mock().blocksPerProcessor;
  return 0;
}
CUresult cuLaunchKernel(CUfunction handle, unsigned gridX, unsigned gridY,
                        unsigned gridZ, unsigned blockX, unsigned, unsigned,
                        unsigned shared, CUstream stream, void **parameters,
                        void **) {
  MOCK(cuLaunchKernel);
  Function &function = *reinterpret_cast<Function *>(handle);
  if (gridX == 0 || gridY != 1 || gridZ != 1 ||
      int(shared) > function.maxShared)
    return 1; // CUDA_ERROR_INVALID_VALUE
  mock().launches.push_back({function.name, gridX, blockX, shared, stream});
  auto it = mock().kernels.find(function.name);
  const auto *words = static_cast<const uint64_t *>(parameters[0]);
  for (unsigned cta = 0; cta < gridX && it != mock().kernels.end(); ++cta)
    it->second(words, static_cast<int>(cta));
  return 0;
}
CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function,
                          void **parameters, void **extra) {
  MOCK(cuLaunchKernelEx);
  if (config->numAttrs != 1 ||
      config->attrs->id !=
          CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION ||
      config->attrs->value.programmaticStreamSerializationAllowed != 1)
    return 1; // CUDA_ERROR_INVALID_VALUE
  CUresult result = cuLaunchKernel(
      function, config->gridDimX, config->gridDimY, config->gridDimZ,
      config->blockDimX, config->blockDimY, config->blockDimZ,
      config->sharedMemBytes, config->hStream, parameters, extra);
  if (result == 0)
    mock().launches.back().early = true;
  return result;
}
CUresult cuMemAlloc_v2(CUdeviceptr *memory, size_t bytes) {
  MOCK(cuMemAlloc);
  ++mock().allocated;
  *memory = reinterpret_cast<CUdeviceptr>(
      aligned_alloc(256, (bytes + 255) & ~size_t(255)));
  return 0;
}
CUresult cuMemFree_v2(CUdeviceptr memory) {
  MOCK(cuMemFree);
  --mock().allocated;
  free(reinterpret_cast<void *>(memory));
  return 0;
}
CUresult cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
  MOCK(cuMemHostAlloc);
  ++mock().pinned;
  *memory = malloc(bytes);
  return 0;
}
CUresult cuMemFreeHost(void *memory) {
  MOCK(cuMemFreeHost);
  --mock().pinned;
  free(memory);
  return 0;
}
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                       CUstream) {
  MOCK(cuMemcpyAsync);
  later([=] {
    memcpy(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from), bytes);
  });
  return 0;
}
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  MOCK(cuMemsetD32);
  std::fill_n(reinterpret_cast<unsigned *>(to), count, value);
  return 0;
}
CUresult cuStreamSynchronize(CUstream) {
  MOCK(cuStreamSynchronize);
  mock().drain();
  return 0;
}
CUresult cuStreamIsCapturing(CUstream, CUstreamCaptureStatus *status) {
  *status = static_cast<CUstreamCaptureStatus>(mock().capturing);
  return 0;
}
CUresult cuEventCreate(CUevent *event, unsigned) {
  MOCK(cuEventCreate);
  ++mock().events;
  *event = reinterpret_cast<CUevent>(new char);
  return 0;
}
CUresult cuEventDestroy_v2(CUevent event) {
  --mock().events;
  delete reinterpret_cast<char *>(event);
  return 0;
}
CUresult cuEventRecord(CUevent, CUstream) {
  MOCK(cuEventRecord);
  return 0;
}
CUresult cuEventSynchronize(CUevent) {
  MOCK(cuEventSynchronize);
  mock().drain();
  return 0;
}
CUresult cuTensorMapEncodeTiled(
    CUtensorMap *map, CUtensorMapDataType type, uint32_t rank, void *address,
    const uint64_t *sizes, const uint64_t *strides, const uint32_t *box,
    const uint32_t *elementStrides, CUtensorMapInterleave interleave,
    CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
    CUtensorMapFloatOOBfill fill) {
  MOCK(cuTensorMapEncodeTiled);
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0 || rank < 1 || rank > 5)
    return 1; // CUDA_ERROR_INVALID_VALUE
  mock().tensorMaps.push_back({type,
                               address,
                               {sizes, sizes + rank},
                               {strides, strides + rank - 1},
                               {box, box + rank},
                               {elementStrides, elementStrides + rank},
                               interleave,
                               swizzle,
                               promotion,
                               fill});
  *map = {};
  map->opaque[0] = mock().tensorMaps.size();
  return 0;
}
CUresult cuEventElapsedTime(float *milliseconds, CUevent, CUevent) {
  *milliseconds = 1.5f;
  return 0;
}

} // extern "C"
#pragma GCC visibility pop
