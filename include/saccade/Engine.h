/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The engine: spec in, runnable kernel out. It joins compiler and runtime and
 * keeps what they made, in memory and on disk, so that no caller writes the loop
 * of "look up, else compile, load, keep" again.
 *
 * Conventions are those of Compiler.h and Runtime.h. An engine may be used from
 * many threads; its disk cache may be shared by many processes and survives
 * their deaths: entries are written beside and renamed, carry a checksum, and are
 * dropped and rebuilt when damaged or made by another build.
 */
#ifndef SACCADE_ENGINE_H
#define SACCADE_ENGINE_H

#include "saccade/Compiler.h"
#include "saccade/Runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SaccadeEngine SaccadeEngine;

typedef struct SaccadeEngineOptions {
  /* Folder of the disk cache; NULL: $SACCADE_CACHE_DIR, else
   * $XDG_CACHE_HOME/saccade, else ~/.cache/saccade. "": no disk cache. A folder
   * that cannot be written is no error: kernels are then compiled each time.
   * Folders in $SACCADE_KERNELS, with colons between them, are looked at too:
   * caches that were filled ahead and shipped, which are only read. Their entries
   * serve the build of the library that made them; another build compiles. */
  const char *cache_dir;
  const void *reserved[3];
} SaccadeEngineOptions;

/* options may be NULL. */
SACCADE_API SaccadeStatus
saccade_engine_create(const SaccadeEngineOptions *options,
                      SaccadeEngine **engine);

/* Destroys the engine; its kernels stay alive until they are destroyed. */
SACCADE_API void saccade_engine_destroy(SaccadeEngine *engine);

/* The folder in use, "" if there is none; owned by the engine. */
SACCADE_API const char *saccade_engine_cache_dir(const SaccadeEngine *engine);

/* Reads a device's name: "cpu", "cuda", "cuda:1", or "auto", which is the first
 * CUDA device if there is one and the CPU otherwise. */
SACCADE_API SaccadeStatus saccade_device_parse(const char *name,
                                               DLDevice *device);

/* The target to compile for, for a device: the best one that it can run. */
SACCADE_API SaccadeStatus saccade_device_target(DLDevice device,
                                                const char **target);

typedef struct SaccadeKernel SaccadeKernel;

/* Gives the kernel of a spec: the one in memory, the one on disk, or a fresh one.
 * options as for saccade_compile (until and KEEP_STAGES are not allowed).
 * Destroy each kernel once; equal calls share what is behind it. */
SACCADE_API SaccadeStatus saccade_kernel_create(
    SaccadeEngine *engine, const char *spec, size_t bytes,
    const SaccadeCompileOptions *options, SaccadeKernel **kernel);
SACCADE_API void saccade_kernel_destroy(SaccadeKernel *kernel);

/* The kernel for Runtime.h: plan with it and run. Lives as long as the kernel;
 * plans must be destroyed first. */
SACCADE_API SaccadeModule *saccade_kernel_module(const SaccadeKernel *kernel);

/* What was chosen, and why, as a JSON object: the compiler's report
 * (saccade_compilation_report, absent fields where the kernel came from the
 * cache of an older process are filled from it), "cache" ("memory", "disk" or
 * "compiled"), "create_ms", and, for a device that the kernel runs on, for each
 * entry registers, spilled bytes, shared memory and resident blocks. "table" says
 * it for people: rows of a name and a text. device may be NULL. Owned by the
 * kernel, valid until the next call. */
SACCADE_API SaccadeStatus saccade_kernel_explain(SaccadeKernel *kernel,
                                                 const DLDevice *device,
                                                 const char **json);

/*===-- The reference ---------------------------------------------------------*/

/* A kernel in double precision on the CPU, plain and slow: for tests. */
typedef struct SaccadeReference SaccadeReference;

/* kernel: as in SaccadeCompileOptions. */
SACCADE_API SaccadeStatus saccade_reference_create(const char *spec,
                                                   size_t bytes,
                                                   const char *kernel,
                                                   SaccadeReference **reference);
SACCADE_API void saccade_reference_destroy(SaccadeReference *reference);

/* One row of a result: a query token of a request, and a query head. */
typedef struct SaccadeRow {
  int32_t request, token, head;
} SaccadeRow;

/* Evaluates the given rows. batch and arguments as for plans and runs, all on the
 * host; results are not among the arguments. results[i], one for each result of
 * the kernel that is not a cache, gets rows x dim doubles (an LSE: rows). Inputs
 * are not written: appended tokens are seen by this evaluation only. */
SACCADE_API SaccadeStatus saccade_reference_run(
    const SaccadeReference *reference, const SaccadeBatch *batch,
    const SaccadeArgument *arguments, int32_t count, const SaccadeRow *rows,
    int64_t num_rows, double *const *results);

#ifdef __cplusplus
}
#endif
#endif /* SACCADE_ENGINE_H */
