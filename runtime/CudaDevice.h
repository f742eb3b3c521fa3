// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One CUDA device: its primary context (the one that frameworks use too), its
// properties, memory, and the code loaded on it.
#ifndef SACCADE_RUNTIME_CUDADEVICE_H
#define SACCADE_RUNTIME_CUDADEVICE_H

#include "runtime/CudaDriver.h"
#include "runtime/Manifest.h"
#include "saccade/Runtime.h"

#include <memory>
#include <span>
#include <vector>

namespace saccade::rt {

class CudaDevice {
public:
  /// The device of that ordinal. Its context is retained until the process
  /// ends: releasing it from a destructor would race with the driver's own
  /// exit.
  static Status get(int ordinal, CudaDevice *&device);
  static int count();

  const CudaDriver &driver() const { return *cuda; }
  const SaccadeDeviceInfo &info() const { return properties; }
  CUcontext context() const { return primary; }

  Status allocate(size_t bytes, void **memory) const;
  Status free(void *memory) const;
  /// Sets all words of memory, and waits: streams that read it later may be
  /// such as do not wait for the default one. `what` names it for messages.
  Status fill(void *memory, uint32_t word, size_t bytes,
              std::string_view what) const;

private:
  CudaDevice() = default;
  Status open(int ordinal);

  const CudaDriver *cuda = nullptr;
  CUcontext primary = nullptr;
  SaccadeDeviceInfo properties = {};
};

/// Makes the device's context current for a scope.
class CudaScope {
public:
  explicit CudaScope(const CudaDevice &device);
  ~CudaScope();
  CudaScope(const CudaScope &) = delete;
  CudaScope &operator=(const CudaScope &) = delete;

private:
  const CudaDriver &driver;
  bool pushed = false;
};

/// A kernel's code on one device.
class CudaCode {
public:
  struct Function {
    CUfunction handle = nullptr;
    SaccadeEntryInfo info = {};
  };

  /// Loads every entry. PTX goes through the driver's JIT, whose log is kept,
  /// and quoted where it fails.
  static Status load(CudaDevice &device, const Manifest &manifest,
                     std::span<const std::string_view> sections,
                     std::unique_ptr<CudaCode> &result);
  ~CudaCode();

  CudaDevice &device() const { return owner; }
  const Function &function(size_t entry) const { return functions[entry]; }
  const std::string &log() const { return jitLog; }

private:
  explicit CudaCode(CudaDevice &device) : owner(device) {}
  Status loadSection(const Manifest &manifest, const Entry &entry,
                     std::string_view image, CUmodule &module);
  Status loadEntry(const Manifest &manifest, const Entry &entry,
                   CUmodule module);

  CudaDevice &owner;
  std::vector<CUmodule> modules; ///< per section; null where not loaded
  std::vector<Function> functions;
  std::string jitLog;
};

/// Whether code for `target` runs on a device: sm_90a on 9.0 alone, sm_100f on
/// 10.x, PTX for sm_80 on 8.0 and later, a cubin for sm_80 on 8.x.
bool runsOn(std::string_view target, int32_t capability, bool ptx);

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_CUDADEVICE_H
