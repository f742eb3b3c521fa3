// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where the parts of a plan lie in its workspace. Offsets depend on the
// capacity alone, so addresses never change and a captured CUDA graph replays
// with a new plan; parts fill from their start, so only what is used is
// uploaded. Behind what is uploaded lies what kernels write themselves:
// counters and partial states.
#ifndef SACCADE_RUNTIME_PLANMEMORY_H
#define SACCADE_RUNTIME_PLANMEMORY_H

#include "runtime/Planner.h"
#include "runtime/RangePlan.h"

#include <span>
#include <vector>

namespace saccade::rt {

struct PlanMemory {
  /// Byte offsets, multiples of 16.
  struct EntryOffsets {
    size_t ctaBegin = 0, items = 0, partials = 0;
    size_t states = 0, counters = 0;
  };
  size_t requests = 0;
  std::vector<size_t> segments; ///< per cache
  std::vector<EntryOffsets> entries;
  size_t blockRows = 0, indices = 0;
  size_t imageBytes = 0; ///< of what is uploaded
  /// Counters of all entries, zero before the first run.
  size_t counters = 0, counterBytes = 0;
  /// Of plans that are made on the device, and what is found wrong there.
  size_t scratch = 0, error = 0;
  size_t bytes = 0; ///< of the whole
  /// Of each entry, the one whose launch it shares: its items lie among those
  /// of that, in order of the launch's ctas. -1: its own.
  std::vector<int32_t> leaders;

  /// Lays out a workspace for launches of at most ctas[e] ctas of entry e.
  /// Without `shared`, entries share no launch, also where they may.
  static Status layOut(const Manifest &manifest, const Limits &limits,
                       std::span<const int32_t> ctas, PlanMemory &memory,
                       bool batchInvariant = false, bool shared = true);

  /// Makes room behind the rest for planning on the device.
  void addScratch(int64_t requests, int32_t ctas);

  /// A piece of the workspace that an update wrote.
  struct Range {
    size_t begin, end;
  };

  /// Writes a plan to an image of the workspace. The ranges that it wrote are
  /// in ascending order; neighbours that a short gap parts are one.
  void write(const Batch &batch, const std::vector<EntryWork> &work, char *to,
             std::vector<Range> &ranges) const;
  std::vector<Range> write(const Batch &batch,
                           const std::vector<EntryWork> &work, char *to) const;
  /// Ranges of a write, at most.
  size_t mostRanges() const { return 3 + segments.size() + 3 * entries.size(); }
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_PLANMEMORY_H
