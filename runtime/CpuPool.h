// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs the ctas of a CPU entry on all cores. Threads start with the first run
// that can use them, sleep in between, and are started anew in a forked child,
// which inherits none.
#ifndef SACCADE_RUNTIME_CPUPOOL_H
#define SACCADE_RUNTIME_CPUPOOL_H

#include "saccade/KernelABI.h"

#include <cstdint>

namespace saccade::rt {

/// Threads that a run uses, the calling one among them: what was set, else
/// SACCADE_NUM_THREADS, else the CPUs of the process's affinity mask.
int32_t cpuThreads();

/// Sets it for later runs; 0 restores the default.
void setCpuThreads(int32_t threads);

/// Runs entry(words, cta) once for each cta below `ctas`, in parallel, and
/// returns when all are done. Safe from many threads at once, which share the
/// workers.
void runOnCpu(SaccadeCpuEntry entry, const uint64_t *words, int32_t ctas);

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_CPUPOOL_H
