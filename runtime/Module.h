// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A compiled kernel in memory, and its code on each device that has used it.
#ifndef SACCADE_RUNTIME_MODULE_H
#define SACCADE_RUNTIME_MODULE_H

#include "runtime/CudaDevice.h"
#include "runtime/Manifest.h"
#include "saccade/Runtime.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

struct SaccadeModule {
  using Status = saccade::rt::Status;

  static Status load(std::string_view blob, const SaccadeCpuLoader *loader,
                     std::unique_ptr<SaccadeModule> &result);
  ~SaccadeModule();

  const saccade::rt::Manifest &manifest() const { return contents; }
  const std::string &manifestText() const { return text; }
  const std::vector<std::string_view> &sections() const {
    return view.sections;
  }

  /// The code of all entries on a device; loaded by the first call.
  Status cudaCode(int device, saccade::rt::CudaCode *&code);
  Status cpuCode(const std::vector<SaccadeCpuEntry> *&code);
  /// Loads the code for either kind of device.
  Status prepare(DLDevice device);

private:
  SaccadeModule() = default;

  std::string blob;
  std::string text;
  saccade::rt::BlobView view; ///< into blob
  saccade::rt::Manifest contents;
  SaccadeCpuLoader loader = {};
  std::mutex mutex; ///< of what follows
  std::map<int, std::unique_ptr<saccade::rt::CudaCode>> cuda;
  std::vector<SaccadeCpuEntry> cpu;
};

#endif // SACCADE_RUNTIME_MODULE_H
