/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The compiler's C API: the text of a spec in, a compiled kernel (Blob.h) out.
 * It needs no device, no driver and no toolkit, and it launches nothing: what it
 * makes is loaded with saccade_module_load (Runtime.h) or kept in a file.
 *
 * Conventions
 * - Functions return a SaccadeStatus; saccade_last_error() explains a failure. A
 *   malformed spec is SACCADE_BAD_SPEC, and the message holds the diagnostics,
 *   one a line, each with line and column of the spec.
 * - Every function may be called from any thread. Compilations share nothing,
 *   start no threads, and leave no global state behind.
 * - Strings and bytes that a function gives out belong to the object that gave
 *   them and live as long as it does.
 */
#ifndef SACCADE_COMPILER_H
#define SACCADE_COMPILER_H

#include "saccade/Status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum SaccadeCompileFlags {
  /* Keep the text of every stage, for saccade_compilation_stage. */
  SACCADE_COMPILE_KEEP_STAGES = 1,
  /* Assemble PTX into machine code with ptxas, which is then looked for on the
   * machine: the least start-up time, for one architecture. Without this flag
   * the driver does it when the kernel is loaded. */
  SACCADE_COMPILE_ASSEMBLE = 2
};

/* What to compile and how. Cleared to zero, it compiles the only kernel of the
 * spec for this machine's CPU. Nothing here changes results, only speed. */
typedef struct SaccadeCompileOptions {
  const char *target;   /* a name of saccade_target_name; NULL: "cpu"          */
  const char *kernel;   /* which attn.kernel; NULL: the only one               */
  const char *name;     /* of the text, in diagnostics; NULL: "spec"           */
  const char *schedule; /* text of a #tile.schedule; NULL: what the spec says,
                           or else what the cost model chooses                 */
  const char *disabled; /* passes to leave out: names of saccade_pass_name,
                           separated by commas; NULL: none                     */
  const char *until;    /* stop after this stage, without a blob; NULL: go on  */
  uint32_t flags;       /* SaccadeCompileFlags                                 */
  uint32_t query_tokens; /* tokens of a request's query that the kernel is to be
                            fast for, 1 for decode; 0: what the spec says, or
                            else many                                          */
} SaccadeCompileOptions;

/* Targets that this library can compile for: "cpu", "sm_80", ... */
SACCADE_API int32_t saccade_target_count(void);
SACCADE_API const char *saccade_target_name(int32_t index);

/* Names of the kernels of a spec, in its order, separated by line ends ("": it has
 * none). name stands in diagnostics, NULL: "spec". *names belongs to the thread and
 * is valid until its next call of this function. */
SACCADE_API SaccadeStatus saccade_spec_kernels(const char *spec, size_t bytes,
                                               const char *name,
                                               const char **names);

/* Passes that may be left out: results stay right, speed does not. */
SACCADE_API int32_t saccade_pass_count(void);
SACCADE_API const char *saccade_pass_name(int32_t index);

/* Names this build of the library: kernels made by another build are other
 * kernels. */
SACCADE_API const char *saccade_build_id(void);

typedef struct SaccadeCompilation SaccadeCompilation;

/* Compiles `bytes` bytes of spec. options may be NULL.
 * SACCADE_BAD_SPEC: the spec does not parse, breaks a rule of the dialect, holds
 * no kernel of that name, or asks for what the target cannot do.
 * SACCADE_INVALID_ARGUMENT: an unknown target, pass, stage or schedule. */
SACCADE_API SaccadeStatus saccade_compile(const char *spec, size_t bytes,
                                          const SaccadeCompileOptions *options,
                                          SaccadeCompilation **compilation);
SACCADE_API void saccade_compilation_destroy(SaccadeCompilation *compilation);

/* The compiled kernel; NULL and 0 bytes after `until`. */
SACCADE_API const void *
saccade_compilation_blob(const SaccadeCompilation *compilation, size_t *bytes);

/* The content of a stage, followed by a zero byte; NULL where the target has no
 * such stage or SACCADE_COMPILE_KEEP_STAGES was not given.
 *
 *   "spec"   the spec as the compiler understood it: one kernel, its variants
 *   "mlir"   the attn dialect, after its passes
 *   "tile"   the tile dialect, after its passes
 *   "llvm"   LLVM IR, as the code generator gets it
 *   "ptx"    GPU: PTX
 *   "cubin"  GPU, with SACCADE_COMPILE_ASSEMBLE: machine code
 *   "obj"    CPU: an ELF object */
SACCADE_API const char *
saccade_compilation_stage(const SaccadeCompilation *compilation,
                          const char *stage, size_t *bytes);

/* What was done, as a JSON object: kernel, target, schedule, disabled, key (the
 * content key of the kernel), stages_ms (milliseconds by stage), masks (the
 * bounds that were derived), remarks (what
 * was given up, and why), arguments, results and entries (as in the manifest). */
SACCADE_API const char *
saccade_compilation_report(const SaccadeCompilation *compilation);

#ifdef __cplusplus
}
#endif
#endif /* SACCADE_COMPILER_H */
