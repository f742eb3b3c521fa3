/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The file form of a compiled kernel: a header, a manifest in JSON that says
 * how to call the kernel, and its binaries. The compiler writes it, the runtime
 * and the disk cache read it; with KernelABI.h it is all that they share.
 *
 * Layout, little endian, offsets in bytes:
 *
 *     0  char[8]   magic "SACCADE\n"
 *     8  uint32    SACCADE_ABI_VERSION
 *    12  uint32    number of sections
 *    16  uint64    size of the whole blob
 *    24  uint64    checksum of all other bytes in order: FNV-1a, 64 bit
 *    32  uint64    size of the manifest
 *    40  {uint64 offset, uint64 size}[sections]
 *     .  manifest (UTF-8 JSON)
 *     .  sections, each at a multiple of 16 and followed by at least one zero
 *        byte, so that PTX is a C string in place
 *
 * The manifest is one JSON object. Fields marked ? may be absent; unknown
 * fields are ignored.
 *
 *     abi        SACCADE_ABI_VERSION
 *     build      id of the compiler's build; a cache drops blobs of another
 *     kernel     name of the attn.kernel; errors quote it
 *     target     "sm_90a", "sm_80", ... or "cpu:<llvm cpu>"
 *     driver?    least cuDriverGetVersion() that can load it, e.g. 12030
 *     query      index of the query in arguments; else of the first of role
 *                "rows"; -1 for a kernel that only appends
 *     arguments  in the order of the kernel's signature, each one of
 *       {"kind": "tensor", "name": "q",
 *        "role": "query" | "new_key" | "new_value"
 *                | "rows"   (an output that is resumed, tokens that are mapped)
 *        "layout": "ragged" | "dense", "heads": 32, "dim": 128,
 *        "dtype": "bf16" | "f16" | "f32" | "f8e4m3" | "f8e5m2",
 *        "order"?: "NHD" | "HND"}
 *       {"kind": "lse", ...}   of an output that is resumed; as among results
 *       {"kind": "cache", "name": "kv", "heads": 8, "key_dim": 128,
 *        "layout": "paged" | "ragged" | "dense" | "block_sparse",
 *        "value_dim": 128, "dtype": ..., "order"?: ...,
 *        "page": 16            (paged),
 *        "block": [128, 128]   (block_sparse: query tokens x keys)}
 *       {"kind": "scalar", "name": "scale", "dtype": "f32" | "i32"}
 *       {"kind": "table", "name": "slopes",
 *        "table": "per_head" | "per_request" | "per_token" | "bits",
 *        "dtype": "f32" | "i32" | "u8",
 *        "heads"?: 32   (per_head: query heads, or KV heads for scales)}
 *       {"kind": "table", "name": "bias", "table": "strided",
 *        "rank": 1..4,
 *        "dtype": "f32" | "f16" | "bf16" | "i32" | "i64" | "i8" | "bool"}
 *     results    in the order of attn.return, each one of
 *       {"kind": "tensor", "name": "o", "layout", "heads", "dim", "dtype",
 *        "order"?}
 *       {"kind": "lse", "name": "lse", "layout": "ragged" | "dense",
 *        "heads": 32}   float32 [tokens, heads] or [batch, seq, heads]
 *       {"kind": "cache", "argument": 1}   the cache that an append returns:
 *        the memory of that argument; no words, and no value is passed for it
 *     entries    functions to launch, in this order, each
 *       name           symbol
 *       kind           "attend" | "append" | "rows" (of tokens, without keys)
 *       rows_per_item  rows of one work item at most; attend: packed rows,
 *                      others: tokens
 *       group          query heads / KV heads; others: 1
 *       kv_heads       work items are made for each KV head; rows: for each head
 *       kv_tile        keys per step (the planner's text and cost)
 *       row_block?     packed rows of a block-sparse row block, block[0] *
 *                      group (the greatest common divisor where several caches
 *                      differ): items are cut at its multiples; 0: none
 *       rows?          attend: {"least"?: 17, "most"?: 16}: the requests that
 *                      the entry takes, by their packed rows; absent: all. The
 *                      entries that say so take each request once together
 *       fused_into?    attend: index of an earlier attend, of other requests
 *                      (rows), whose function computes the items of both in one
 *                      launch: this entry's have format 1, and a cta has items
 *                      of one entry. Code, threads and shared_bytes are those of
 *                      that entry; one of the two leaves partial states at most
 *       caches         arguments that the entry folds or writes, e.g. [1]; rows:
 *                      none
 *       folds?         attend: what an item folds, one for each attend of the
 *                      kernel: {"cache": 1, "bounds"?: ...}, see below; absent:
 *                      all of each of caches
 *       threads        threads of a block; CPU: 1
 *       shared_bytes   dynamic shared memory of a block; CPU: 0
 *       binary         index of the section that holds the code
 *       format         "ptx" | "cubin" | "elf"
 *       tensor_maps?   {"first_word": 32, "maps": [{"word": 8, "heads": 1,
 *                      "tokens": 80}, ...]}: the tensor maps behind the words,
 *                      the first at first_word, a multiple of 8. Each describes
 *                      the tensor of 8- or 16-bit elements whose words begin at word
 *                      (a tensor, the keys or the values of a cache) in boxes of
 *                      128 bytes x heads x tokens x 1, each side 256 at most,
 *                      with the 128-byte swizzle; what lies outside reads as 0
 *       waits?         true: it may be launched to begin while the kernel
 *                      before still runs, and waits by itself for the end of that
 *       partial_floats?  floats of a partial state, a multiple of 4, so that
 *                      states are aligned to 16 bytes; absent: items fold whole
 *                      tiles, none is partial. Tiles of block-sparse caches are
 *                      never cut
 *       cost?          {"item"?: 0.0, "alpha": 1.0, "beta": 1.0}: an item costs
 *                      item + alpha * rows + beta * keys, in any unit; keys are
 *                      those of all visited tiles of kv_tile keys.
 *                      "groups"?: {"rows": 64, "keys": [0.7, 0.75, 1.0]}: rows
 *                      are computed so many at a time, side by side, and keys
 *                      cost an item with 1, 2, ... such groups at work so much
 *                      of what they cost a full one.
 *                      "policy"?: "heaviest_first" (absent: this) or "ranges":
 *                      how items are dealt, see runtime/Planner.h.
 *                      "merge"?: what it costs a launch, at its end, that tiles
 *                      were cut: their states are left and merged; absent: the
 *                      time to write a state and to read it.
 *                      "rush"?: how many times as fast a cta works when most
 *                      others are done, as they share what limits them; absent: 1
 *
 * The bounds of a fold say which keys a tile of queries may see, so that planners
 * know what items cost: {"code": [...], "keys": [[lo, hi], ...]}. Code is a list
 * of at most SACCADE_BOUNDS_STEPS steps, each an integer (7), a position ("query_first", "query_last": of the
 * tile's queries in the sequence, both included; "request", "q_len", "kv_len"),
 * "unknown" (any integer), or [name, places of earlier steps...] with the names
 * add, sub, mul, min, max, floordiv, lt, le, eq, ne, and, or (two operands) and
 * select (condition, then, else). Keys are intervals of positions by the places
 * of their ends; keys in none of them are not seen. Without bounds all keys may
 * be seen; of a block-sparse cache those of its listed blocks are, whatever the
 * bounds. A causal mask:
 *
 *     {"code": [0, "query_last", 1, ["add", 1, 2]], "keys": [[0, 3]]}
 *
 * Words (KernelABI.h): the header's, then those of the arguments in order, then
 * those of the results: tensor and lse SACCADE_TENSOR_WORDS, cache
 * SACCADE_CACHE_WORDS, scalar and table one, a strided table
 * SACCADE_TABLE_DIMENSION_WORDS more for each dimension, a cache result none.
 */
#ifndef SACCADE_BLOB_H
#define SACCADE_BLOB_H

#include "saccade/KernelABI.h"

#define SACCADE_BLOB_MAGIC "SACCADE\n"

enum {
  SACCADE_BLOB_CHECKSUM_OFFSET = 24,
  SACCADE_BLOB_HEADER_BYTES = 40,
  SACCADE_BLOB_SECTION_ALIGNMENT = 16,
  SACCADE_BOUNDS_STEPS = 256 /* of the code of bounds, at most */
};

#ifdef __cplusplus

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace saccade {

/// The checksum of a whole blob: FNV-1a, 64 bit (Fowler, Noll, Vo), of all
/// bytes but its own. It finds damage, not malice.
inline uint64_t blobChecksum(std::string_view blob) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < blob.size(); ++i)
    if (i < SACCADE_BLOB_CHECKSUM_OFFSET ||
        i >= SACCADE_BLOB_CHECKSUM_OFFSET + 8)
      hash = (hash ^ static_cast<unsigned char>(blob[i])) * 0x100000001b3u;
  return hash;
}

/// Puts manifest and sections together in the layout above.
inline std::string writeBlob(std::string_view manifest,
                             const std::vector<std::string_view> &sections) {
  std::string blob(SACCADE_BLOB_MAGIC, 8);
  auto put = [&](uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i)
      blob.push_back(static_cast<char>(value >> (8 * i)));
  };
  auto align = [](uint64_t offset) {
    constexpr uint64_t mask = SACCADE_BLOB_SECTION_ALIGNMENT - 1;
    return (offset + mask) & ~mask;
  };
  std::vector<uint64_t> offsets;
  uint64_t end =
      SACCADE_BLOB_HEADER_BYTES + 16 * sections.size() + manifest.size();
  for (std::string_view section : sections) {
    offsets.push_back(align(end));
    end = offsets.back() + section.size() + 1;
  }
  put(SACCADE_ABI_VERSION, 4);
  put(sections.size(), 4);
  put(end, 8);
  put(0, 8); // the checksum, below
  put(manifest.size(), 8);
  for (size_t i = 0; i < sections.size(); ++i) {
    put(offsets[i], 8);
    put(sections[i].size(), 8);
  }
  blob += manifest;
  for (size_t i = 0; i < sections.size(); ++i) {
    blob.resize(offsets[i]);
    blob += sections[i];
    blob.push_back('\0');
  }
  uint64_t checksum = blobChecksum(blob);
  for (int i = 0; i < 8; ++i)
    blob[SACCADE_BLOB_CHECKSUM_OFFSET + i] =
        static_cast<char>(checksum >> (8 * i));
  return blob;
}

} // namespace saccade
#endif /* __cplusplus */
#endif /* SACCADE_BLOB_H */
