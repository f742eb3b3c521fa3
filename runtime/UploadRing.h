// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sends plans to a device without waiting for it: a ring of pinned buffers,
// each guarded by the event of its last copy, so that the host may write the
// next plan while the device still reads the one before.
#ifndef SACCADE_RUNTIME_UPLOADRING_H
#define SACCADE_RUNTIME_UPLOADRING_H

#include "runtime/CudaDevice.h"
#include "runtime/PlanMemory.h"

namespace saccade::rt {

class UploadRing {
public:
  UploadRing(CudaDevice &device, size_t bytes) : device(device), bytes(bytes) {}
  ~UploadRing();
  UploadRing(const UploadRing &) = delete;
  UploadRing &operator=(const UploadRing &) = delete;

  /// The next buffer, once the device has read what was in it.
  Status acquire(char *&buffer);
  /// Copies ranges of the acquired buffer to the same offsets of `to`.
  Status send(std::span<const PlanMemory::Range> ranges, char *to,
              CUstream stream);

private:
  static constexpr int kSlots = 3;
  struct Slot {
    void *buffer = nullptr;
    CUevent copied = nullptr;
    bool inFlight = false;
  };
  CudaDevice &device;
  size_t bytes;
  Slot slots[kSlots];
  int current = kSlots - 1;
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_UPLOADRING_H
