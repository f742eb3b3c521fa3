// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// saccade/Engine.h: handles, and devices by name.

#include "lib/CAPI/CompileOptions.h"
#include "lib/Engine/Kernel.h"

using namespace llvm;
using namespace saccade;

//===----------------------------------------------------------------------===//
// Engine and kernels
//===----------------------------------------------------------------------===//

SaccadeStatus saccade_engine_create(const SaccadeEngineOptions *options,
                                    SaccadeEngine **engine) {
  if (!engine)
    return fail(SACCADE_INVALID_ARGUMENT, "expects a place for the engine");
  *engine = new SaccadeEngine(options && options->cache_dir
                                  ? std::string(options->cache_dir)
                                  : rt::KernelCache::defaultDirectory());
  return SACCADE_OK;
}

void saccade_engine_destroy(SaccadeEngine *engine) { delete engine; }

const char *saccade_engine_cache_dir(const SaccadeEngine *engine) {
  return engine ? engine->folder().c_str() : "";
}

SaccadeStatus saccade_kernel_create(SaccadeEngine *engine, const char *spec,
                                    size_t bytes,
                                    const SaccadeCompileOptions *given,
                                    SaccadeKernel **kernel) {
  if (!engine || !spec || !kernel)
    return fail(SACCADE_INVALID_ARGUMENT,
                "expects an engine, a spec and a place for the kernel");
  CompileOptions options;
  if (SaccadeStatus status = readOptions(given, options); status != SACCADE_OK)
    return status;
  if (!options.until.empty() || options.keepStages)
    return fail(SACCADE_INVALID_ARGUMENT,
                "expects a whole compilation without its stages: "
                "saccade_compile gives those");
  auto made = std::make_unique<SaccadeKernel>();
  if (SaccadeStatus status =
          engine->create(StringRef(spec, bytes), options, *made);
      status != SACCADE_OK)
    return status;
  *kernel = made.release();
  return SACCADE_OK;
}

void saccade_kernel_destroy(SaccadeKernel *kernel) { delete kernel; }

SaccadeModule *saccade_kernel_module(const SaccadeKernel *kernel) {
  return kernel ? kernel->loaded->module : nullptr;
}

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

SaccadeStatus saccade_device_parse(const char *text, DLDevice *device) {
  if (!text || !device)
    return fail(SACCADE_INVALID_ARGUMENT,
                "expects a device's name and a place for the device");
  StringRef name(text);
  if (name == "cpu") {
    *device = {kDLCPU, 0};
    return SACCADE_OK;
  }
  if (name == "auto") {
    *device = saccade_cuda_device_count() > 0 ? DLDevice{kDLCUDA, 0}
                                              : DLDevice{kDLCPU, 0};
    return SACCADE_OK;
  }
  int32_t id = 0;
  if (!name.consume_front("cuda") ||
      (!name.empty() &&
       (!name.consume_front(":") || name.getAsInteger(10, id))))
    return fail(SACCADE_INVALID_ARGUMENT,
                "expects a device to be cpu, cuda, cuda:N or auto, but got '" +
                    StringRef(text) + "'");
  int32_t count = saccade_cuda_device_count();
  if (id < 0 || id >= count)
    return fail(SACCADE_NO_DEVICE, Twine("expects one of ") + Twine(count) +
                                       " CUDA devices, but got '" + text + "'");
  *device = {kDLCUDA, id};
  return SACCADE_OK;
}

SaccadeStatus saccade_device_target(DLDevice device, const char **target) {
  if (!target)
    return fail(SACCADE_INVALID_ARGUMENT, "expects a place for the target");
  if (device.device_type == kDLCPU) {
    *target = "cpu";
    return SACCADE_OK;
  }
  SaccadeDeviceInfo info = {};
  if (SaccadeStatus status = saccade_device_info(device, &info);
      status != SACCADE_OK)
    return status;
  // PTX for sm_N runs on what is newer than N; with an "a" on N alone.
  const char *best = nullptr;
  for (int32_t i = 0; i < saccade_target_count(); ++i) {
    StringRef name = saccade_target_name(i);
    int32_t least = 0;
    bool exact = name.ends_with("a");
    if (!name.consume_front("sm_") ||
        name.substr(0, name.size() - exact).getAsInteger(10, least))
      continue;
    if (exact ? info.capability == least : info.capability >= least)
      best = saccade_target_name(i);
  }
  if (!best)
    return fail(SACCADE_NO_DEVICE,
                Twine("expects a device of compute capability 8.0 or above, "
                      "but got ") +
                    info.name);
  *target = best;
  return SACCADE_OK;
}
