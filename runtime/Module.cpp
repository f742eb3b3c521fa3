// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loads compiled kernels: the blob at once, its code when a device first asks.
#include "runtime/Module.h"

#include "runtime/Tensor.h"

using namespace saccade::rt;

Status SaccadeModule::load(std::string_view blob,
                           const SaccadeCpuLoader *loader,
                           std::unique_ptr<SaccadeModule> &result) {
  std::unique_ptr<SaccadeModule> module(new SaccadeModule);
  // First: the loader is released whatever happens next.
  if (loader)
    module->loader = *loader;
  module->blob = blob;
  SACCADE_TRY(readBlob(module->blob, module->view));
  SACCADE_TRY(parseManifest(module->view.manifest, module->view.sections.size(),
                            module->contents));
  module->text = module->view.manifest;
  result = std::move(module);
  return SACCADE_OK;
}

SaccadeModule::~SaccadeModule() {
  if (loader.release)
    loader.release(loader.context);
}

Status SaccadeModule::cudaCode(int device, CudaCode *&code) {
  std::lock_guard lock(mutex);
  std::unique_ptr<CudaCode> &loaded = cuda[device];
  if (!loaded) {
    CudaDevice *owner;
    SACCADE_TRY(CudaDevice::get(device, owner));
    SACCADE_TRY(CudaCode::load(*owner, contents, view.sections, loaded));
  }
  code = loaded.get();
  return SACCADE_OK;
}

Status SaccadeModule::cpuCode(const std::vector<SaccadeCpuEntry> *&code) {
  std::lock_guard lock(mutex);
  if (cpu.empty()) {
    if (!loader.load)
      return invalid("@", contents.kernel,
                     ": expects a loader for CPU code, but got none");
    std::vector<SaccadeCpuEntry> entries;
    for (const Entry &entry : contents.entries) {
      std::string_view object = view.sections[entry.binary];
      SaccadeCpuEntry function = loader.load(loader.context, object.data(),
                                             object.size(), entry.name.c_str());
      if (!function)
        return SACCADE_INTERNAL_ERROR;
      entries.push_back(function);
    }
    cpu = std::move(entries);
  }
  code = &cpu;
  return SACCADE_OK;
}

Status SaccadeModule::prepare(DLDevice device) {
  if (contents.isCpu() != (device.device_type == kDLCPU) ||
      (device.device_type != kDLCPU && device.device_type != kDLCUDA))
    return fail(SACCADE_NO_DEVICE, "@", contents.kernel,
                ": expects a device that runs ", contents.target, ", but got ",
                nameOf(device));
  const std::vector<SaccadeCpuEntry> *entries;
  CudaCode *code;
  if (contents.isCpu())
    return cpuCode(entries);
  return cudaCode(device.device_id, code);
}
