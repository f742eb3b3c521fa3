// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Schedules for caches of 8-bit floats, where a GPU takes them.
// RUN: saccade-opt %s -pass-pipeline='builtin.module(attn.kernel(attn-choose-schedule{target=sm_90a}))' | FileCheck %s --check-prefix=GPU

attn.variant @all() {
}

// Twice as many keys make a tile of as many bytes, where registers hold them.
// GPU-LABEL: attn.kernel @decodes_bytes
// GPU: schedule = #tile.schedule<rows = 8, keys = 32, warps = 8, weights = f16, pipeline = <stages = 8, copy = tma, load_registers = 56, compute_registers = 224, growth = 8, query_stages = 2, deal = keys>, splits = true>
attn.kernel @decodes_bytes(%q: !attn.ragged<8x128xbf16>, %kv: !attn.ragged<8x128xf8E4M3FN>)
    attributes {attn.query_tokens = 1} {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x128xbf16>, !attn.ragged<8x128xf8E4M3FN> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xbf16>
  attn.return %o : !attn.ragged<8x128xbf16>
}

// GPU-LABEL: attn.kernel @decodes_bytes_for_many
// GPU: schedule = #tile.schedule<rows = 32, keys = 16, warps = 8, weights = f16
attn.kernel @decodes_bytes_for_many(%q: !attn.ragged<32x128xf16>, %kv: !attn.ragged<1x128xf8E5M2>)
    attributes {attn.query_tokens = 1} {
  %s = attn.attend @all() %q, %kv : !attn.ragged<32x128xf16>, !attn.ragged<1x128xf8E5M2> -> !attn.state<32x128>
  %o = attn.finish @all() %s : !attn.state<32x128> -> !attn.ragged<32x128xf16>
  attn.return %o : !attn.ragged<32x128xf16>
}
