// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Schedules that are given and cannot run on the target.
// RUN: not saccade-opt %s -split-input-file -pass-pipeline='builtin.module(attn.kernel(attn-choose-schedule{target=sm_90a}))' 2>&1 | FileCheck %s
// RUN: not saccade-opt %s -split-input-file -pass-pipeline='builtin.module(attn.kernel(attn-choose-schedule{target=sm_80}))' 2>&1 | FileCheck %s --check-prefix=OLD
// RUN: not saccade-opt %s -split-input-file -pass-pipeline='builtin.module(attn.kernel(attn-choose-schedule))' 2>&1 | FileCheck %s --check-prefix=CPU

// Half of 192 registers of logits, a quarter of weights, half of 128 of results.
// CHECK: error: 'attn.kernel' op expects tiles that fit in 160 registers a thread, but those of 192 keys and 128 columns of values take 208
// OLD: error: 'attn.kernel' op expects sm_90a for a pipeline, but the target is sm_80
// CPU: error: 'attn.kernel' op expects sm_90a for a pipeline, but the target is cpu
attn.variant @all() {
}
attn.kernel @wide(%q: !attn.ragged<8x64xbf16>, %kv: !attn.ragged<8x64xbf16, value = 128>)
    schedule = #tile.schedule<rows = 192, keys = 192, warps = 12, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 32, compute_registers = 160, growth = 8>> {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x64xbf16>, !attn.ragged<8x64xbf16, value = 128> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xbf16>
  attn.return %o : !attn.ragged<8x128xbf16>
}

// -----

// CHECK: error: 'attn.kernel' op expects 'attn.query_tokens' to be a positive integer, but got 0 : i64
attn.variant @all() {
}
attn.kernel @no_tokens(%q: !attn.ragged<8x64xbf16>, %kv: !attn.ragged<8x64xbf16>)
    attributes {attn.query_tokens = 0} {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x64xbf16>, !attn.ragged<8x64xbf16> -> !attn.state<8x64>
  %o = attn.finish @all() %s : !attn.state<8x64> -> !attn.ragged<8x64xbf16>
  attn.return %o : !attn.ragged<8x64xbf16>
}

// -----

// CHECK: error: 'attn.kernel' op expects caches whose keys lie in the order of their positions to split them, but got a block-sparse one
attn.variant @all() {
}
attn.kernel @lists(%q: !attn.ragged<8x64xbf16>, %kv: !attn.block_sparse<8x64xbf16, block = 16x16>)
    schedule = #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16, splits = true> {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x64xbf16>, !attn.block_sparse<8x64xbf16, block = 16x16> -> !attn.state<8x64>
  %o = attn.finish @all() %s : !attn.state<8x64> -> !attn.ragged<8x64xbf16>
  attn.return %o : !attn.ragged<8x64xbf16>
}

// -----

// Results, logits and weights of eight times eight rows.
// CHECK: error: 'attn.kernel' op expects tiles that fit in 208 registers a thread, but those of 64 rows, 16 keys and 128 columns of values take 304
attn.variant @all() {
}
attn.kernel @many_rows(%q: !attn.ragged<8x128xbf16>, %kv: !attn.ragged<8x128xbf16>)
    schedule = #tile.schedule<rows = 64, keys = 16, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 8, copy = tma, load_registers = 56, compute_registers = 208, growth = 8, deal = keys>> {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x128xbf16>, !attn.ragged<8x128xbf16> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xbf16>
  attn.return %o : !attn.ragged<8x128xbf16>
}

// -----

// CHECK: error: 'attn.kernel' op expects rows for the 16 query heads of a KV head, but got 8
attn.variant @all() {
}
attn.kernel @large_group(%q: !attn.ragged<16x128xbf16>, %kv: !attn.ragged<1x128xbf16>)
    schedule = #tile.schedule<rows = 8, keys = 16, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 8, copy = tma, load_registers = 56, compute_registers = 208, growth = 8, deal = keys>> {
  %s = attn.attend @all() %q, %kv : !attn.ragged<16x128xbf16>, !attn.ragged<1x128xbf16> -> !attn.state<16x128>
  %o = attn.finish @all() %s : !attn.state<16x128> -> !attn.ragged<16x128xbf16>
  attn.return %o : !attn.ragged<16x128xbf16>
}

// -----

// CHECK: error: 'attn.kernel' op expects caches of 16-bit elements on the GPU, but argument #1 is '!attn.paged<8x64xf8E4M3FN, page = 16>'; 8 bits take a schedule of few rows that deals keys to warps, with weights of f16, and no attn.append
attn.variant @all() {
}
attn.kernel @bytes(%q: !attn.ragged<8x64xbf16>, %kv: !attn.paged<8x64xf8E4M3FN, page = 16>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x64xbf16>, !attn.paged<8x64xf8E4M3FN, page = 16> -> !attn.state<8x64>
  %o = attn.finish @all() %s : !attn.state<8x64> -> !attn.ragged<8x64xbf16>
  attn.return %o : !attn.ragged<8x64xbf16>
}

// -----

// CHECK: error: 'attn.kernel' op expects a schedule beside 'attn.few_rows_schedule' #tile.schedule<rows = 8
attn.variant @all() {
}
attn.kernel @second_alone(%q: !attn.ragged<8x64xbf16>, %kv: !attn.ragged<8x64xbf16>)
    attributes {attn.few_rows_schedule = #tile.schedule<rows = 8, keys = 16, warps = 1, weights = bf16>} {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x64xbf16>, !attn.ragged<8x64xbf16> -> !attn.state<8x64>
  %o = attn.finish @all() %s : !attn.state<8x64> -> !attn.ragged<8x64xbf16>
  attn.return %o : !attn.ragged<8x64xbf16>
}

// -----

// CHECK: error: 'attn.kernel' op expects caches of 16-bit elements on the GPU, but argument #1 is '!attn.ragged<8x128xf8E5M2>'; 8 bits take
attn.variant @all() {
}
attn.kernel @weights(%q: !attn.ragged<8x128xbf16>, %kv: !attn.ragged<8x128xf8E5M2>)
    schedule = #tile.schedule<rows = 8, keys = 32, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 8, copy = tma, load_registers = 56, compute_registers = 208, growth = 8, deal = keys>> {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x128xbf16>, !attn.ragged<8x128xf8E5M2> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xbf16>
  attn.return %o : !attn.ragged<8x128xbf16>
}
