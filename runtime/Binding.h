// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns the values of a call into argument words (KernelABI.h). Every tensor is
// held against the manifest, the batch and the device first: what a kernel is
// given, it may follow.
#ifndef SACCADE_RUNTIME_BINDING_H
#define SACCADE_RUNTIME_BINDING_H

#include "runtime/Batch.h"
#include "saccade/Runtime.h"

#include <span>
#include <vector>

namespace saccade::rt {

/// How far a bound tensor reaches; its address and strides are in its words.
struct TensorExtent {
  int32_t word = 0; ///< its first word
  int64_t heads = 0, tokens = 0;
  int64_t batches = 0; ///< or pages; 1 without that axis

  bool operator==(const TensorExtent &) const = default;
};

/// Fills the words of all arguments and results but a cache's tables, which are
/// the plan's. `words` gets Manifest::words words, `extents` those
/// of every tensor and of the keys and values of every cache.
Status bindArguments(const Manifest &manifest, const Batch &batch,
                     DLDevice device, std::span<const SaccadeArgument> values,
                     std::vector<uint64_t> &words,
                     std::vector<TensorExtent> &extents);

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_BINDING_H
