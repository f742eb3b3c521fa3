// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Opens CUDA devices and loads code on them. Contexts are the primary ones, so
// that streams and pointers of torch, CuPy or JAX are valid in them.
#include "runtime/CudaDevice.h"

#include <charconv>
#include <cstdio>
#include <map>
#include <mutex>

using namespace saccade::rt;

Status CudaDevice::get(int ordinal, CudaDevice *&device) {
  static std::mutex mutex;
  static auto *devices = new std::map<int, CudaDevice *>;
  std::lock_guard lock(mutex);
  if (auto it = devices->find(ordinal); it != devices->end()) {
    device = it->second;
    return device->driver().checkProcess();
  }
  std::unique_ptr<CudaDevice> opened(new CudaDevice);
  SACCADE_TRY(opened->open(ordinal));
  device = (*devices)[ordinal] = opened.release();
  return SACCADE_OK;
}

int CudaDevice::count() {
  const CudaDriver *driver;
  int devices = 0;
  if (getDriver(driver) != SACCADE_OK ||
      driver->cuDeviceGetCount(&devices) != CUDA_SUCCESS)
    return 0;
  return devices;
}

Status CudaDevice::open(int ordinal) {
  SACCADE_TRY(getDriver(cuda));
  int devices = 0;
  SACCADE_TRY(
      cuda->check(cuda->cuDeviceGetCount(&devices), "cuDeviceGetCount"));
  if (ordinal < 0 || ordinal >= devices)
    return fail(SACCADE_NO_DEVICE, "cuda: expects a device below ", devices,
                ", but got cuda:", ordinal);
  CUdevice device;
  SACCADE_TRY(cuda->check(cuda->cuDeviceGet(&device, ordinal), "cuDeviceGet"));
  SACCADE_TRY(cuda->check(
      cuda->cuDeviceGetName(properties.name, sizeof properties.name, device),
      "cuDeviceGetName"));
  int major = 0, minor = 0, shared = 0;
  struct {
    CUdevice_attribute attribute;
    int *value;
  } attributes[] = {
      {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &properties.processors},
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major},
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &shared}};
  for (auto [attribute, value] : attributes)
    SACCADE_TRY(
        cuda->check(cuda->cuDeviceGetAttribute(value, attribute, device),
                    "cuDeviceGetAttribute"));
  size_t memory = 0;
  SACCADE_TRY(
      cuda->check(cuda->cuDeviceTotalMem(&memory, device), "cuDeviceTotalMem"));
  properties.capability = 10 * major + minor;
  properties.driver = cuda->version;
  properties.shared_bytes = shared;
  properties.memory_bytes = static_cast<int64_t>(memory);
  // The architecture-specific target where there is one with matrix
  // instructions of its own (PTX ISA, "target": sm_90a, sm_100a).
  bool specific = major == 9 || major == 10;
  snprintf(properties.target, sizeof properties.target, "sm_%d%s",
           properties.capability, specific ? "a" : "");
  return cuda->check(cuda->cuDevicePrimaryCtxRetain(&primary, device),
                     "cuDevicePrimaryCtxRetain");
}

Status CudaDevice::allocate(size_t bytes, void **memory) const {
  CudaScope scope(*this);
  CUdeviceptr address = 0;
  SACCADE_TRY(cuda->check(cuda->cuMemAlloc(&address, bytes),
                          join("cuMemAlloc of ", bytes, " bytes")));
  *memory = reinterpret_cast<void *>(address);
  return SACCADE_OK;
}

Status CudaDevice::free(void *memory) const {
  CudaScope scope(*this);
  return cuda->check(cuda->cuMemFree(reinterpret_cast<CUdeviceptr>(memory)),
                     "cuMemFree");
}

Status CudaDevice::fill(void *memory, uint32_t word, size_t bytes,
                        std::string_view what) const {
  CudaScope scope(*this);
  SACCADE_TRY(
      cuda->check(cuda->cuMemsetD32(reinterpret_cast<CUdeviceptr>(memory), word,
                                    bytes / sizeof(word)),
                  join("cuMemsetD32 of ", what)));
  return cuda->check(cuda->cuStreamSynchronize(nullptr), "cuStreamSynchronize");
}

CudaScope::CudaScope(const CudaDevice &device) : driver(device.driver()) {
  CUcontext current = nullptr;
  if (driver.cuCtxGetCurrent(&current) == CUDA_SUCCESS &&
      current == device.context())
    return;
  pushed = driver.cuCtxPushCurrent(device.context()) == CUDA_SUCCESS;
}

CudaScope::~CudaScope() {
  CUcontext previous;
  if (pushed)
    driver.cuCtxPopCurrent(&previous);
}

bool saccade::rt::runsOn(std::string_view target, int32_t capability,
                         bool ptx) {
  if (!target.starts_with("sm_"))
    return false;
  target.remove_prefix(3);
  int32_t built = 0;
  auto [rest, error] =
      std::from_chars(target.data(), target.data() + target.size(), built);
  std::string_view suffix(rest, target.data() + target.size() - rest);
  if (error != std::errc() || suffix.size() > 1)
    return false;
  if (suffix == "a")
    return capability == built;
  bool family = capability / 10 == built / 10 && capability >= built;
  if (suffix == "f" || (suffix.empty() && !ptx))
    return family;
  return suffix.empty() && capability >= built;
}

Status CudaCode::load(CudaDevice &device, const Manifest &manifest,
                      std::span<const std::string_view> sections,
                      std::unique_ptr<CudaCode> &result) {
  if (int32_t driver = device.info().driver; driver < manifest.driver)
    return fail(SACCADE_NO_DEVICE, "@", manifest.kernel,
                ": expects a driver for CUDA ", manifest.driver / 1000, ".",
                manifest.driver % 1000 / 10, " or later, but got one for ",
                driver / 1000, ".", driver % 1000 / 10);
  CudaScope scope(device);
  std::unique_ptr<CudaCode> code(new CudaCode(device));
  code->modules.resize(sections.size());
  for (const Entry &entry : manifest.entries) {
    if (!runsOn(manifest.target, device.info().capability,
                entry.format == CodeFormat::Ptx))
      return fail(SACCADE_NO_DEVICE, "@", manifest.kernel,
                  ": expects a device that runs ", manifest.target, ", but ",
                  device.info().name, " is ", device.info().target);
    CUmodule &module = code->modules[entry.binary];
    if (!module)
      SACCADE_TRY(
          code->loadSection(manifest, entry, sections[entry.binary], module));
    SACCADE_TRY(code->loadEntry(manifest, entry, module));
  }
  result = std::move(code);
  return SACCADE_OK;
}

Status CudaCode::loadSection(const Manifest &manifest, const Entry &entry,
                             std::string_view image, CUmodule &module) {
  const CudaDriver &cuda = owner.driver();
  std::string info(8192, '\0'), errors(8192, '\0');
  CUjit_option names[] = {
      CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
      CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
      CU_JIT_LOG_VERBOSE};
  // Numbers travel in the pointers themselves.
  void *values[] = {info.data(), reinterpret_cast<void *>(info.size()),
                    errors.data(), reinterpret_cast<void *>(errors.size()),
                    reinterpret_cast<void *>(uintptr_t(1))};
  bool ptx = entry.format == CodeFormat::Ptx;
  // The zero byte after each section of a blob ends PTX.
  CUresult result = cuda.cuModuleLoadDataEx(
      &module, image.data(), ptx ? std::size(names) : 0, names, values);
  info.resize(info.find('\0') == info.npos ? info.size() : info.find('\0'));
  errors.resize(errors.find('\0') == errors.npos ? errors.size()
                                                 : errors.find('\0'));
  jitLog += info;
  if (result == CUDA_SUCCESS)
    return SACCADE_OK;
  std::string what = join("@", manifest.kernel, ": cuModuleLoadDataEx");
  for (const std::string *log : {&errors, &info})
    if (!log->empty())
      what += join("\n", *log);
  return cuda.check(result, what);
}

Status CudaCode::loadEntry(const Manifest &manifest, const Entry &entry,
                           CUmodule module) {
  if (entry.fusedInto >= 0) {
    functions.push_back(functions[entry.fusedInto]);
    return SACCADE_OK;
  }
  const CudaDriver &cuda = owner.driver();
  Function function;
  SACCADE_TRY(cuda.check(
      cuda.cuModuleGetFunction(&function.handle, module, entry.name.c_str()),
      join("@", manifest.kernel, ": cuModuleGetFunction of '", entry.name,
           "'")));
  if (entry.sharedBytes > owner.info().shared_bytes)
    return fail(SACCADE_NO_DEVICE, "@", manifest.kernel, ": expects ",
                entry.sharedBytes, " bytes of shared memory, but a block of ",
                owner.info().name, " has ", owner.info().shared_bytes);
  // Above 48 KB a kernel has to ask (CUDA C++ Programming Guide, shared memory
  // of compute capability 7.x).
  if (entry.sharedBytes > 48 * 1024)
    SACCADE_TRY(cuda.check(
        cuda.cuFuncSetAttribute(function.handle,
                                CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                entry.sharedBytes),
        join("@", manifest.kernel, ": cuFuncSetAttribute")));
  SACCADE_TRY(cuda.check(cuda.cuFuncGetAttribute(&function.info.registers,
                                                 CU_FUNC_ATTRIBUTE_NUM_REGS,
                                                 function.handle),
                         "cuFuncGetAttribute"));
  SACCADE_TRY(
      cuda.check(cuda.cuFuncGetAttribute(&function.info.local_bytes,
                                         CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES,
                                         function.handle),
                 "cuFuncGetAttribute"));
  SACCADE_TRY(cuda.check(cuda.cuOccupancyMaxActiveBlocksPerMultiprocessor(
                             &function.info.blocks_per_processor,
                             function.handle, entry.threads, entry.sharedBytes),
                         "cuOccupancyMaxActiveBlocksPerMultiprocessor"));
  if (function.info.blocks_per_processor < 1)
    return fail(SACCADE_NO_DEVICE, "@", manifest.kernel,
                ": expects a block of ", entry.threads, " threads, ",
                function.info.registers, " registers and ", entry.sharedBytes,
                " bytes of shared memory to fit on ", owner.info().name);
  functions.push_back(function);
  return SACCADE_OK;
}

CudaCode::~CudaCode() {
  CudaScope scope(owner);
  for (CUmodule module : modules)
    if (module)
      owner.driver().cuModuleUnload(module);
}
