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

/// Fills the words of all arguments and results but a cache's tables, which are
/// the plan's. `words` gets Manifest::words words.
Status bindArguments(const Manifest &manifest, const Batch &batch,
                     DLDevice device, std::span<const SaccadeArgument> values,
                     std::vector<uint64_t> &words);

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_BINDING_H
