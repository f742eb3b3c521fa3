// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A plan on a device: its workspace, the batch that is in it, and the launch of
// a kernel over that batch.
#ifndef SACCADE_RUNTIME_PLAN_H
#define SACCADE_RUNTIME_PLAN_H

#include "runtime/Module.h"
#include "runtime/PlanMemory.h"
#include "runtime/RuntimeKernels.h"
#include "runtime/TensorMaps.h"
#include "runtime/UploadRing.h"

#include <optional>
#include <span>

struct SaccadePlan {
  using Status = saccade::rt::Status;

  static Status create(SaccadeModule &module, DLDevice device,
                       const SaccadeCapacity &capacity,
                       std::unique_ptr<SaccadePlan> &result);
  /// Workspace bytes for any device.
  static Status bytes(const SaccadeModule &module,
                      const SaccadeCapacity &capacity, size_t &bytes);
  ~SaccadePlan();

  Status update(const SaccadeBatch &source, void *stream);
  /// runtime/PlanOnDevice.cpp
  Status updateOnDevice(const SaccadeDeviceBatch &source, void *stream);
  Status check(void *stream);
  Status run(std::span<const SaccadeArgument> values, void *stream);
  const std::string &describe();
  const std::string &picture();

private:
  SaccadePlan(SaccadeModule &module, DLDevice device, uint32_t flags)
      : module(module), device(device), flags(flags),
        planner(flags & SACCADE_PLAN_BATCH_INVARIANT) {}
  void reserve();
  Status clearCounters();
  Status allocate(const SaccadeCapacity &capacity);
  Status upload(void *stream);
  void putTables(size_t entry);
  int32_t gridOf(size_t entry) const {
    if (isOnDevice)
      return ctas[entry];
    int32_t shared = work[entry].grid.ctas();
    return shared ? shared : work[entry].ctas();
  }
  /// runtime/Launch.cpp
  Status checkDependentLaunch() const;
  Status launch(size_t entry, int32_t grid, void *stream);
  /// Whether entries share launches. What is planned on the device is planned
  /// entry by entry, and graphs must hold the same launches whoever plans.
  bool sharesLaunches() const { return !(flags & SACCADE_PLAN_ON_DEVICE); }
  Status prepareDevice();
  Status checkDeviceBatch(const SaccadeDeviceBatch &source) const;
  Status launchChecks(void *stream);
  uint64_t *errorWord() const {
    return reinterpret_cast<uint64_t *>(workspace + memory.error);
  }

  SaccadeModule &module;
  const DLDevice device;
  const uint32_t flags;
  saccade::rt::Limits limits;
  std::vector<int32_t> ctas; ///< per entry, at most
  saccade::rt::PlanMemory memory;
  char *workspace = nullptr; ///< of the device
  bool ownsWorkspace = false;
  saccade::rt::CudaCode *cuda = nullptr;
  const std::vector<SaccadeCpuEntry> *cpu = nullptr;
  std::optional<saccade::rt::UploadRing> ring;

  /// Of a plan that is made or checked on the device; else null.
  const saccade::rt::RuntimeKernels *kernels = nullptr;
  bool isOnDevice = false; ///< whether the batch was planned there
  /// Whether nothing was launched since then.
  bool isFresh = false;

  saccade::rt::Batch batch;
  saccade::rt::Planner planner;
  std::vector<saccade::rt::EntryWork> work; ///< per entry
  /// Of the plan before, or of one that failed: kept for their memory.
  saccade::rt::Batch spareBatch;
  std::vector<saccade::rt::EntryWork> spareWork;
  std::vector<saccade::rt::PlanMemory::Range> uploaded;
  /// Of a run, kept for their memory.
  std::vector<uint64_t> words;
  std::vector<saccade::rt::TensorExtent> extents;
  std::vector<saccade::rt::TensorMaps> maps; ///< per entry
  std::string text, svg; ///< of describe and picture; "" when out of date
};

#endif // SACCADE_RUNTIME_PLAN_H
