// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The ring of pinned buffers behind plan updates. Buffers are made when the
// ring first reaches them: a plan that is updated once pays for one.
#include "runtime/UploadRing.h"

using namespace saccade::rt;

UploadRing::~UploadRing() {
  CudaScope scope(device);
  const CudaDriver &cuda = device.driver();
  for (Slot &slot : slots) {
    if (slot.inFlight)
      cuda.cuEventSynchronize(slot.copied);
    if (slot.copied)
      cuda.cuEventDestroy(slot.copied);
    if (slot.buffer)
      cuda.cuMemFreeHost(slot.buffer);
  }
}

Status UploadRing::acquire(char *&buffer) {
  CudaScope scope(device);
  const CudaDriver &cuda = device.driver();
  int next = (current + 1) % kSlots;
  Slot &slot = slots[next];
  if (!slot.buffer)
    SACCADE_TRY(cuda.check(cuda.cuMemHostAlloc(&slot.buffer, bytes, 0),
                           join("cuMemHostAlloc of ", bytes, " bytes")));
  if (!slot.copied)
    SACCADE_TRY(
        cuda.check(cuda.cuEventCreate(&slot.copied, CU_EVENT_DISABLE_TIMING),
                   "cuEventCreate"));
  if (slot.inFlight)
    SACCADE_TRY(
        cuda.check(cuda.cuEventSynchronize(slot.copied), "cuEventSynchronize"));
  slot.inFlight = false;
  current = next;
  buffer = static_cast<char *>(slot.buffer);
  return SACCADE_OK;
}

Status UploadRing::send(std::span<const PlanMemory::Range> ranges, char *to,
                        CUstream stream) {
  CudaScope scope(device);
  const CudaDriver &cuda = device.driver();
  Slot &slot = slots[current];
  const char *from = static_cast<const char *>(slot.buffer);
  auto address = [](const char *pointer) {
    return static_cast<CUdeviceptr>(reinterpret_cast<uintptr_t>(pointer));
  };
  for (auto [begin, end] : ranges)
    SACCADE_TRY(cuda.check(cuda.cuMemcpyAsync(address(to + begin),
                                              address(from + begin),
                                              end - begin, stream),
                           "cuMemcpyAsync of a plan"));
  SACCADE_TRY(
      cuda.check(cuda.cuEventRecord(slot.copied, stream), "cuEventRecord"));
  slot.inFlight = true;
  return SACCADE_OK;
}
