/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The runtime's C API: load a compiled kernel, plan a batch, run it on the CPU
 * or on a CUDA device. It needs no compiler: kernels may be compiled ahead. The
 * CUDA driver is opened at run time; without one all else works.
 *
 * Conventions
 * - Functions return a SaccadeStatus; saccade_last_error() explains a failure.
 *   A failed call has written nothing through its out parameters (other than
 *   results of kernels that were already launched).
 * - Tensors are DLTensors (DLPack): strides count elements, NULL strides mean
 *   row-major, data + byte_offset is the first element. The callee keeps no
 *   pointer to a DLTensor after the call returns; the memory it describes must
 *   stay alive until the work on the stream is done.
 * - A stream is a CUstream (torch.cuda.current_stream().cuda_stream), NULL for
 *   the default stream; ignored on the CPU, where calls are synchronous.
 * - Modules may be used from many threads at once. A plan may be used from one
 *   thread at a time, and its runs belong to one stream at a time.
 * - Lengths are in tokens, positions and indices below SACCADE_MAX_POSITION.
 * - Structs are cleared to zero before they are filled; fields named reserved
 *   must be zero.
 */
#ifndef SACCADE_RUNTIME_H
#define SACCADE_RUNTIME_H

#include "saccade/KernelABI.h"
#include "saccade/Status.h"

#include <dlpack/dlpack.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*===-- Devices --===*/

typedef struct SaccadeDeviceInfo {
  char name[128];     /* as the driver or the kernel names it */
  char target[32];    /* "sm_90a", "sm_80", ...; "cpu" on the host */
  int32_t processors; /* SMs; CPU: threads that a run uses */
  int32_t capability; /* 10 * major + minor; CPU: 0 */
  int32_t driver;     /* cuDriverGetVersion(), e.g. 12080; CPU: 0 */
  int32_t reserved;
  int64_t shared_bytes; /* largest dynamic shared memory of a block; CPU: 0 */
  int64_t memory_bytes; /* total memory of the device; CPU: 0 */
} SaccadeDeviceInfo;

/* Number of CUDA devices that can be used; 0 without a driver. */
SACCADE_API int32_t saccade_cuda_device_count(void);

/* Describes a device: kDLCPU (id 0) or kDLCUDA. */
SACCADE_API SaccadeStatus saccade_device_info(DLDevice device,
                                              SaccadeDeviceInfo *info);

/* Threads of later CPU runs in this process; 0 restores the default, which is
 * SACCADE_NUM_THREADS or else the CPUs that this process may use. */
SACCADE_API SaccadeStatus saccade_set_num_threads(int32_t threads);

/*===-- Memory and time, for callers without a framework --===*/

/* Allocates device (or 64-byte aligned host) memory; release it with
 * saccade_memory_free on the same device. Zero bytes give a null pointer. */
SACCADE_API SaccadeStatus saccade_memory_alloc(DLDevice device, size_t bytes,
                                               void **memory);
SACCADE_API SaccadeStatus saccade_memory_free(DLDevice device, void *memory);

/* Copies bytes from memory of source to memory of target, any two devices, in
 * stream order, and waits until it is done. */
SACCADE_API SaccadeStatus saccade_memory_copy(void *to, DLDevice target,
                                              const void *from,
                                              DLDevice source,
                                              size_t bytes, void *stream);

/* Waits until the stream has done all of its work. */
SACCADE_API SaccadeStatus saccade_synchronize(DLDevice device, void *stream);

/* Marks a point of a stream. elapsed waits for both and gives milliseconds. */
typedef struct SaccadeEvent SaccadeEvent;
SACCADE_API SaccadeStatus saccade_event_create(DLDevice device,
                                               SaccadeEvent **event);
SACCADE_API SaccadeStatus saccade_event_record(SaccadeEvent *event,
                                               void *stream);
SACCADE_API SaccadeStatus saccade_event_elapsed(SaccadeEvent *begin,
                                                SaccadeEvent *end,
                                                float *milliseconds);
SACCADE_API void saccade_event_destroy(SaccadeEvent *event);

/*===-- Modules: compiled kernels --===*/

typedef struct SaccadeModule SaccadeModule;

/* Turns an object file into callable code: the runtime itself has no loader for
 * CPU code. load returns NULL after it has called saccade_set_error, and may be
 * called from several threads; what it returns stays valid until release (which
 * may be NULL). release is called once: when the module dies, or when loading
 * its blob fails. */
typedef struct SaccadeCpuLoader {
  void *context;
  SaccadeCpuEntry (*load)(void *context, const void *object, size_t bytes,
                          const char *symbol);
  void (*release)(void *context);
} SaccadeCpuLoader;

/* Sets the calling thread's message; for callbacks. */
SACCADE_API void saccade_set_error(const char *message);

/* Reads a blob (Blob.h) and copies it. The code is loaded when it is first
 * planned for or run on a device. loader may be NULL for kernels that are not
 * for the CPU, or that are only planned and described.
 * SACCADE_BAD_BLOB: truncated, damaged, or of another ABI version. */
SACCADE_API SaccadeStatus saccade_module_load(const void *blob, size_t bytes,
                                              const SaccadeCpuLoader *loader,
                                              SaccadeModule **module);

/* Destroys the module; plans made from it must be gone, and launched work must
 * be done. NULL is allowed. */
SACCADE_API void saccade_module_destroy(SaccadeModule *module);

/* The manifest (JSON, see Blob.h); owned by the module. */
SACCADE_API const char *saccade_module_manifest(const SaccadeModule *module);

/* Bytes of an entry's code section; owned by the module. */
SACCADE_API SaccadeStatus saccade_module_code(const SaccadeModule *module,
                                              int32_t entry, const void **code,
                                              size_t *bytes);

/* Loads the code for a device now, rather than at its first use. */
SACCADE_API SaccadeStatus saccade_module_prepare(SaccadeModule *module,
                                                 DLDevice device);

/* What is known of an entry on a device after loading it: registers per thread,
 * bytes of local memory per thread (spills), blocks resident per SM; CUDA only,
 * else 0. */
typedef struct SaccadeEntryInfo {
  int32_t registers;
  int32_t local_bytes;
  int32_t blocks_per_processor;
  int32_t reserved;
} SaccadeEntryInfo;
SACCADE_API SaccadeStatus saccade_module_entry_info(SaccadeModule *module,
                                                    DLDevice device,
                                                    int32_t entry,
                                                    SaccadeEntryInfo *info);

/* What the driver's compiler said while it loaded the module on a device; ""
 * for the CPU and for machine code. Owned by the module. */
SACCADE_API SaccadeStatus saccade_module_log(SaccadeModule *module,
                                             DLDevice device, const char **log);

/*===-- Plans: who computes what --===*/

typedef struct SaccadePlan SaccadePlan;

enum SaccadePlanFlags {
  /* Every run launches as many ctas as the capacity asks for, so that a
   * captured CUDA graph replays with the next plan: all addresses and the grid
   * stay as they are. Update outside of the capture. A replay checks nothing:
   * its batches must fit the tensors of the captured run, and their tables must
   * lie where those of that run lay (in the plan, or at that device address).
   */
  SACCADE_PLAN_FIXED_GRID = 1,
  /* Plan and describe only: no device is touched, and runs are refused. ctas
   * must be given. */
  SACCADE_PLAN_HOST_ONLY = 2,
  /* Requests are cut by their own lengths alone: into tiles of full rows, and
   * keys at places that no other request moves. The same request then gives the
   * same bits in any batch and at any place of it. keys must be given. */
  SACCADE_PLAN_BATCH_INVARIANT = 4,
  /* Batches may be planned on the device (saccade_plan_update_on_device). The
   * grid is fixed. CUDA only. */
  SACCADE_PLAN_ON_DEVICE = 8,
  /* Page ids that lie on the device are tested before each run; see
   * saccade_plan_check. CUDA only. */
  SACCADE_PLAN_CHECKED = 16,
  /* Runs begin while the kernel before them in the stream still runs
   * (programmatic dependent launch; CUDA 12.3, kernels for sm_90 or later), in
   * captured graphs too. Of what a run reads, that kernel may write queries and
   * new tokens (new_key, new_value, and the last q_len keys and values that each
   * request has in each cache); it may read and write all that the run writes.
   * The rest must have been written before that kernel began: older keys and
   * values, tables (of pages too), lengths and tables of an update on the
   * device. The plan itself is in order: runs come behind the update before
   * them. A kernel that begins early itself, as runs with this flag do, counts
   * as begun when the kernel before it has. Kernels that resume outputs are
   * refused. */
  SACCADE_PLAN_DEPENDENT_LAUNCH = 32
};

/* What the largest batch needs. The workspace is allocated once, from this: its
 * size and all addresses in it depend on nothing else. */
typedef struct SaccadeCapacity {
  int32_t requests;     /* requests of a batch */
  int32_t ctas;         /* blocks of a launch; 0: SMs x resident blocks, CPU:
                           four per thread. A launch that two entries share has
                           two at least */
  int64_t query_tokens; /* sum of q_len over a batch */
  int64_t indices;      /* page ids and key blocks that are given on the host,
                           all caches and requests together */
  int64_t row_blocks;   /* row blocks of all block-sparse caches whose table is
                           given on the host */
  int64_t keys;         /* batch-invariant: sum of all lengths of a batch, all
                           caches together; else unused */
  uint32_t flags;       /* SaccadePlanFlags */
  uint32_t reserved;
  void *workspace;        /* memory of the device for the plan, 16-byte
                             aligned, owned by the caller; NULL: allocated */
  size_t workspace_bytes; /* its size, at least saccade_plan_bytes */
} SaccadeCapacity;

/* One cache of a batch. All arrays but the tables are on the host and are read
 * during the call only; r is a request.
 *
 *   paged         indices 1-D: page ids of request r are
 *                 indices[indptr[r] .. indptr[r+1]); last_page_len[r], 1 to
 *                 page, says how full the last is (0 to page if there is
 *                 none), or lengths[r] gives the tokens; if both, they must
 *                 agree. indices 2-D [requests, max_pages], any row stride:
 *                 request r owns the first ceil(lengths[r] / page) ids of its
 *                 row.
 *   ragged        indptr[r] .. indptr[r+1] are rows of the packed tensor;
 *                 without indptr, lengths are laid end to end from row 0. With
 *                 both, lengths[r] may be less than the rows.
 *   dense         lengths[r] tokens of batch r are valid.
 *   block_sparse  as ragged, and: row block b of request r (block[0] query
 *                 tokens, ceil(q_len / block[0]) of them, counted through the
 *                 batch) attends to the key blocks
 *                 indices[block_rows[b] .. block_rows[b+1]), ascending without
 *                 repeats, each of block[1] keys from the start of the
 *                 request's part.
 *
 * Tables are int32, unit last stride, on the host (copied into the plan, and
 * checked) or on the plan's device (used in place: the kernel never follows an
 * id out of bounds; they must stay alive and unchanged until the runs are
 * done). block_rows and indices lie on one device. */
typedef struct SaccadeCacheBatch {
  const int32_t *lengths;       /* [requests] or NULL */
  const int32_t *indptr;        /* [requests + 1] or NULL */
  const int32_t *last_page_len; /* [requests] or NULL */
  const DLTensor *indices;      /* paged, block-sparse */
  const DLTensor *block_rows;   /* block-sparse: 1-D [row blocks + 1] */
  const void *reserved[3];
} SaccadeCacheBatch;

/* A batch. Query tokens come as q_len, or as q_indptr: request r owns rows
 * [q_indptr[r], q_indptr[r+1]) of the packed query. With q_len alone a ragged
 * query is packed end to end. A dense query uses the first q_len rows of each
 * batch entry. An append writes its q_len new tokens at the end of the cache's
 * length, which counts them already. */
typedef struct SaccadeBatch {
  int32_t requests;        /* 0 is a batch: nothing is launched */
  int32_t num_caches;      /* as many as the kernel has cache arguments */
  const int32_t *q_len;    /* [requests] or NULL */
  const int32_t *q_indptr; /* [requests + 1] or NULL */
  const SaccadeCacheBatch *caches; /* [num_caches], in signature order */
  const void *reserved[3];
} SaccadeBatch;

/* Bytes of workspace that a plan of this capacity takes at most, on any device:
 * its tables, and the partial states of tiles whose keys several ctas share.
 * There are at most two such states for each cta, so a number of ctas tightens
 * the bound (SMs x resident blocks; 0 counts with more than any device has). */
SACCADE_API SaccadeStatus saccade_plan_bytes(const SaccadeModule *module,
                                             const SaccadeCapacity *capacity,
                                             size_t *bytes);

/* Makes an empty plan (zero requests) for a device. The module must outlive
 * it. */
SACCADE_API SaccadeStatus saccade_plan_create(SaccadeModule *module,
                                              DLDevice device,
                                              const SaccadeCapacity *capacity,
                                              SaccadePlan **plan);

/* Checks the batch, cuts it into work items and sends them to the device in
 * stream order. The host arrays may be reused at once. On failure the plan
 * keeps the batch it had.
 * SACCADE_OUT_OF_CAPACITY: the batch is larger than the capacity. */
SACCADE_API SaccadeStatus saccade_plan_update(SaccadePlan *plan,
                                              const SaccadeBatch *batch,
                                              void *stream);

/* A batch whose lengths lie on the device, of a kernel with one paged cache. All
 * tensors are int32 on the plan's device with unit last stride, and are read in
 * stream order: those of a run too, so they must stay alive. */
typedef struct SaccadeDeviceBatch {
  int32_t requests;         /* rows of the tables, at most the capacity's; a
                               request of no query tokens does nothing */
  int32_t q_len;            /* query tokens of every request, without q_indptr */
  const DLTensor *q_indptr; /* [requests + 1] or NULL: as in SaccadeBatch */
  const DLTensor *lengths;  /* [requests], keys */
  const DLTensor *indices;  /* [requests, max_pages], page ids, any row stride */
  const void *reserved[4];
} SaccadeDeviceBatch;

/* Plans a batch by a kernel on the stream: lengths never come to the host, and
 * nothing waits. It may be captured, and then be replayed with new lengths in the
 * same memory. The plan was made with SACCADE_PLAN_ON_DEVICE. Masks do not count
 * in how work is shared out. Lengths beyond the page table, and queries beyond
 * the capacity, are cut to what fits; saccade_plan_check finds them. */
SACCADE_API SaccadeStatus saccade_plan_update_on_device(
    SaccadePlan *plan, const SaccadeDeviceBatch *batch, void *stream);

/* Waits for the stream and says what kernels have found wrong since the last
 * check: a length (SACCADE_PLAN_ON_DEVICE) or a page id (SACCADE_PLAN_CHECKED),
 * of the first request that has such. No kernel follows them out of bounds.
 * SACCADE_INVALID_ARGUMENT: something was wrong, and the message says what. */
SACCADE_API SaccadeStatus saccade_plan_check(SaccadePlan *plan, void *stream);

/* The plan as text; owned by the plan, valid until its next update. */
SACCADE_API const char *saccade_plan_describe(SaccadePlan *plan);

/* The plan as an SVG: a chart of the modelled load of every cta; empty for one
 * made on the device. Owned by the plan, valid until its next update. */
SACCADE_API const char *saccade_plan_picture(SaccadePlan *plan);

/* Destroys the plan; launched work that uses it must be done. NULL is
 * allowed. */
SACCADE_API void saccade_plan_destroy(SaccadePlan *plan);

/*===-- Running --===*/

typedef enum SaccadeArgumentKind {
  SACCADE_ARG_TENSOR = 0, /* tensor */
  SACCADE_ARG_CACHE = 1,  /* tensor = keys, values = values; or tensor = both,
                             values = NULL (paged, 5-D) */
  SACCADE_ARG_SCALAR = 2, /* real for f32, integer for i32 */
  SACCADE_ARG_TABLE = 3   /* tensor, 1-D contiguous */
} SaccadeArgumentKind;

/* One argument or result of a run. Shapes (H heads, D dim; HND order swaps the
 * two middle axes as shown):
 *
 *   ragged        [tokens, H, D]        HND [H, tokens, D]
 *   dense         [batch, seq, H, D]    HND [batch, H, seq, D]
 *   paged         [pages, page, H, D]   HND [pages, H, page, D], K and V apart;
 *                 or both in one [pages, 2, page, H, D], HND
 *                 [pages, 2, H, page, D]
 *   block_sparse  as ragged
 *   LSE           float32 [tokens, H] or [batch, seq, H], natural base
 *   tables        per_head [H], per_request [>= requests], per_token [>= sum
 *                 of kv_len] (request after request), bits: uint8, request
 *                 after request, each q_len x kv_len bits row-major, little bit
 *                 order, padded to a byte
 *
 * Floats of 8 bits come as kDLFloat8_e4m3fn and kDLFloat8_e5m2, or as uint8.
 * Tensors may be longer than the batch needs. The last stride of tensors and
 * caches is 1. On a GPU data and all other strides are multiples of 16 bytes. A
 * result must not overlap itself or an argument. A row that attends to nothing
 * gives output 0 and LSE -inf; rows of no request are not written. */
typedef struct SaccadeArgument {
  int32_t kind; /* SaccadeArgumentKind */
  int32_t reserved;
  const DLTensor *tensor;
  const DLTensor *values;
  double real;
  int64_t integer;
} SaccadeArgument;

/* Launches the kernel's entries over the plan's batch, on the plan's device and
 * in stream order; the CPU returns when they are done. arguments: those of the
 * kernel, then its results (without the caches that it returns), count in
 * all. */
SACCADE_API SaccadeStatus saccade_run(SaccadePlan *plan,
                                      const SaccadeArgument *arguments,
                                      int32_t count, void *stream);

/* A run of a language whose arrays are objects, read under a lock. */
typedef struct SaccadeObjectRun {
  /* As for saccade_run. */
  SaccadePlan *plan;
  const SaccadeArgument *arguments;
  void *stream;
  int32_t count;
  /* What is read, and where it goes. */
  int32_t num_objects;
  void *const *objects;     /* [num_objects] */
  DLTensor *const *tensors; /* [num_objects]; arguments point to them */
  /* Fills a tensor from an object; not 0 if that cannot be: the tensor_from_object
   * of a framework's DLPackExchangeAPI (DLPack 1.3). */
  int (*read)(void *object, DLTensor *tensor);
  /* Gives the stream to use instead, of a device; not 0 if it cannot: the
   * current_work_stream of the same API. Null: `stream` is meant. */
  int (*current_stream)(DLDeviceType type, int32_t device, void **stream);
  DLDevice device;
  void *(*unlock)(void); /* null: nothing is locked */
  void (*lock)(void *unlocked);
  const void *reserved[3];
} SaccadeObjectRun;

/* Reads the objects into the tensors, with the lock held, and runs without it: one
 * call for what a binding would do in several. */
SACCADE_API SaccadeStatus saccade_run_objects(const SaccadeObjectRun *run);

/* Runs of this process so far that did not fail. */
SACCADE_API int64_t saccade_run_count(void);

#ifdef __cplusplus
}
#endif
#endif /* SACCADE_RUNTIME_H */
