/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The contract between compiled kernels and whoever launches them: the work
 * items, the per-request records and the argument words that a kernel reads.
 * This header is all that the compiler and the runtime share; a change of any
 * layout here raises SACCADE_ABI_VERSION, and blobs of another version are
 * refused (and rebuilt by the cache).
 */
#ifndef SACCADE_KERNELABI_H
#define SACCADE_KERNELABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SACCADE_ABI_VERSION 3

/* Positions, lengths and run-time integers stay below this magnitude. */
#define SACCADE_MAX_POSITION (1 << 30)

/*
 * One unit of work: a query tile of one request and one KV head, folded over a
 * range of the request's sequence.
 *
 * Query rows are packed: packed row = token_in_request * group + head_in_group,
 * where group = query heads / KV heads, so the query heads that share a KV head
 * lie in one tile. Entries that append or only compute rows use token rows
 * instead (group = 1); the latter have an item's head for its KV head.
 */
typedef struct SaccadeWorkItem {
  int32_t request;   /* index of the request in the batch                     */
  int32_t kv_head;   /* KV head                                               */
  int32_t row_begin; /* first packed row; at most rows_per_item rows follow   */
  int32_t row_end;   /* one past the last packed row                          */
  int32_t kv_begin;  /* first position of the sequence to fold                */
  int32_t kv_end;    /* one past the last position (clamped to kv_len)        */
  int32_t partial;   /* -1: write results; else the slot of the partial state */
  int32_t format;    /* which body of the kernel: one for all items of a CTA  */
} SaccadeWorkItem;

/*
 * A slot of partial states. Where the keys of a query tile are split, each part
 * is an item with a slot of its own: it writes its state there, counts itself,
 * and the last to do so merges all of them, in the order of slots. The parts of
 * a tile have consecutive slots in the order of their keys, and one counter.
 *
 * A state is the manifest's partial_floats floats from float
 * slot * partial_floats of the workspace on, in an order that is the kernel's.
 */
typedef struct SaccadePartial {
  int32_t first;    /* slot of the first part of the tile                     */
  int32_t count;    /* parts of the tile, 2 or more                           */
  int32_t counter;  /* index of its counter: 0 before a run and after it      */
  int32_t reserved; /* 0                                                      */
} SaccadePartial;

/* One request of the batch. */
typedef struct SaccadeRequest {
  int64_t kv_offset;   /* sum of kv_len of the requests before: row of
                          per-token tables                                     */
  int64_t bits_offset; /* first byte of the request's packed mask              */
  int32_t q_begin;     /* ragged queries: first token of the request in the
                          packed tensor; dense: 0                              */
  int32_t q_len;       /* query tokens                                         */
  int32_t kv_len;      /* length of the whole sequence, all caches together    */
  int32_t reserved;    /* 0                                                    */
} SaccadeRequest;

/* One request's part of one cache. */
typedef struct SaccadeSegment {
  int64_t base;   /* paged: index of the request's first entry in the page list;
                     ragged, block-sparse: first token row of the request;
                     dense: 0 (the request selects by the batch stride)        */
  int64_t blocks; /* block-sparse: index of the request's first row block in the
                     block row pointers; else 0                                */
  int32_t len;    /* tokens of the request in this cache                       */
  int32_t start;  /* position of the first of them in the request's sequence   */
} SaccadeSegment;

/*
 * Argument words. An entry receives one block of 64-bit words: the header, then
 * the words of every argument and result of the attn.kernel in signature order
 * (arguments, then results of attn.return). Pointers are device or host
 * addresses as the target requires; strides are in elements; the innermost
 * stride of what is not a table is 1. A GPU entry receives the block by value, a CPU entry by address.
 *
 * Behind the words of a GPU entry may lie tensor maps (PTX ISA, "Tensor-map"),
 * of SACCADE_TENSOR_MAP_WORDS words each, from a word on that is a multiple of
 * eight: the driver then puts the block at a multiple of 64 bytes, as maps need.
 * Which tensors they describe, and in what boxes, says the manifest (Blob.h). A
 * map has four dimensions: column, head, token, batch (of a paged cache: page).
 */
enum SaccadeHeaderWord {
  SACCADE_WORD_ITEMS = 0,     /* const SaccadeWorkItem *                       */
  SACCADE_WORD_CTA_BEGIN = 1, /* const int32_t *, [ctas + 1] into items        */
  SACCADE_WORD_REQUESTS = 2,  /* const SaccadeRequest *                        */
  SACCADE_WORD_WORKSPACE = 3, /* float *, partial states                       */
  SACCADE_WORD_PARTIALS = 4,  /* const SaccadePartial *, by slot; one at least */
  SACCADE_WORD_COUNTERS = 5,  /* int32_t *, parts that are written             */
  SACCADE_WORD_PLAN_BYTES = 6, /* bytes from the requests on that hold the plan:
                                 kernels may read all of them ahead            */
  SACCADE_WORD_FORMAT = 7,    /* number that is added to the format of all
                                 items                                         */
  SACCADE_HEADER_WORDS = 8
};

/* A tensor (query, output, LSE, new keys or values). Dense: batch stride used;
 * ragged: batch stride 0 and the token index is q_begin + token. */
enum SaccadeTensorWord {
  SACCADE_TENSOR_DATA = 0,
  SACCADE_TENSOR_STRIDE_BATCH = 1,
  SACCADE_TENSOR_STRIDE_TOKEN = 2,
  SACCADE_TENSOR_STRIDE_HEAD = 3,
  SACCADE_TENSOR_WORDS = 4
};

/* A cache: keys and values with their own strides, and its tables. BATCH is the
 * page stride of a paged cache and the batch stride of a dense one, else 0. */
enum SaccadeCacheWord {
  SACCADE_CACHE_K_DATA = 0,
  SACCADE_CACHE_K_STRIDE_BATCH = 1,
  SACCADE_CACHE_K_STRIDE_TOKEN = 2,
  SACCADE_CACHE_K_STRIDE_HEAD = 3,
  SACCADE_CACHE_V_DATA = 4,
  SACCADE_CACHE_V_STRIDE_BATCH = 5,
  SACCADE_CACHE_V_STRIDE_TOKEN = 6,
  SACCADE_CACHE_V_STRIDE_HEAD = 7,
  SACCADE_CACHE_SEGMENTS = 8, /* const SaccadeSegment *, [requests]            */
  SACCADE_CACHE_INDICES = 9,  /* const int32_t *: page ids, or key blocks      */
  SACCADE_CACHE_BLOCK_ROWS = 10, /* const int32_t *: block-sparse row pointers
                                    into indices, [row blocks + 1]             */
  SACCADE_CACHE_LIMIT = 11, /* paged: pages in the tensor. Ids outside
                               [0, limit) are clamped on reads and dropped on
                               writes, so no id reaches foreign memory         */
  SACCADE_CACHE_WORDS = 12
};

/* A tensor map, as cuTensorMapEncodeTiled writes it: 128 bytes. */
enum { SACCADE_TENSOR_MAP_WORDS = 16 };

/* A scalar: f32 bits or i32 in the low half. */
enum { SACCADE_SCALAR_WORDS = 1 };

/* A table (per-head, per-request, per-token, packed bits): its address. A general
 * table of some rank: its address, then for each dimension the last index (its
 * extent - 1, at most 2^31 - 1) and the stride. Indices are clamped to the last,
 * and offsets counted in 64 bits. */
enum {
  SACCADE_TABLE_WORDS = 1,
  SACCADE_TABLE_LAST = 0,   /* of the words of a dimension */
  SACCADE_TABLE_STRIDE = 1,
  SACCADE_TABLE_DIMENSION_WORDS = 2
};

/* A CPU entry: runs the items of one cta, [cta_begin[cta], cta_begin[cta+1]).
 * Entries are re-entrant; ctas may run in parallel. */
typedef void (*SaccadeCpuEntry)(const uint64_t *words, int32_t cta);

#ifdef __cplusplus
}
#endif
#endif /* SACCADE_KERNELABI_H */
