// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(attn.kernel(attn-choose-schedule))' | FileCheck %s --check-prefix=CPU
// RUN: saccade-opt %s -pass-pipeline='builtin.module(attn.kernel(attn-choose-schedule{target=sm_90a}))' | FileCheck %s --check-prefix=GPU
// RUN: saccade-opt %s -pass-pipeline='builtin.module(attn.kernel(attn-choose-schedule{target=sm_80}))' | FileCheck %s --check-prefix=OLD

attn.variant @all() {
}

// CPU-LABEL: attn.kernel @small
// CPU: schedule = #tile.schedule<rows = 64, keys = 128, warps = 1, weights = f32, splits = true>
// GPU-LABEL: attn.kernel @small
// GPU: schedule = #tile.schedule<rows = 192, keys = 80, warps = 12, weights = bf16, pipeline = <stages = 2, copy = tma, load_registers = 32, compute_registers = 160, growth = 8, query_stages = 2>>
// Requests of few rows have a schedule of their own.
// GPU-SAME: attn.few_rows_schedule = #tile.schedule<rows = 8, keys = 16, warps = 8, weights = bf16, pipeline = <{{.*}}deal = keys>, splits = true>
// OLD-LABEL: attn.kernel @small
// OLD: schedule = #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16, splits = true>
// OLD-NOT: attn.few_rows_schedule
attn.kernel @small(%q: !attn.ragged<8x128xbf16>, %kv: !attn.ragged<8x128xbf16>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x128xbf16>, !attn.ragged<8x128xbf16> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xbf16>
  attn.return %o : !attn.ragged<8x128xbf16>
}

// Wide heads leave less room for keys.
// CPU-LABEL: attn.kernel @wide
// CPU: keys = 64
// GPU-LABEL: attn.kernel @wide
// GPU: keys = 16
attn.kernel @wide(%q: !attn.ragged<8x512xf16>, %kv: !attn.ragged<8x512xf16>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x512xf16>, !attn.ragged<8x512xf16> -> !attn.state<8x512>
  %o = attn.finish @all() %s : !attn.state<8x512> -> !attn.ragged<8x512xf16>
  attn.return %o : !attn.ragged<8x512xf16>
}

// CPU-LABEL: attn.kernel @keeps_its_own
// CPU: schedule = #tile.schedule<rows = 16, keys = 32, warps = 1, weights = f32>
// GPU-LABEL: attn.kernel @keeps_its_own
// GPU: schedule = #tile.schedule<rows = 16, keys = 32, warps = 1, weights = f32>
// GPU-NOT: attn.few_rows_schedule
attn.kernel @keeps_its_own(%q: !attn.ragged<8x128xbf16>, %kv: !attn.ragged<8x128xbf16>)
    schedule = #tile.schedule<rows = 16, keys = 32, warps = 1, weights = f32> {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x128xbf16>, !attn.ragged<8x128xbf16> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xbf16>
  attn.return %o : !attn.ragged<8x128xbf16>
}

// Rows lie apart in small pages: they are gathered, 16 bytes at a time.
// GPU-LABEL: attn.kernel @scattered
// GPU: pipeline = <stages = 2, copy = gather
attn.kernel @scattered(%q: !attn.ragged<8x128xf16>, %kv: !attn.paged<8x128xf16, page = 3>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x128xf16>, !attn.paged<8x128xf16, page = 3> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xf16>
  attn.return %o : !attn.ragged<8x128xf16>
}

// Boxes are pages; a tile of a block-sparse cache stays within a block.
// GPU-LABEL: attn.kernel @paged
// GPU: keys = 80, warps = 12, weights = f16, pipeline = <stages = 2, copy = tma
attn.kernel @paged(%q: !attn.ragged<8x128xf16>, %kv: !attn.paged<8x128xf16, page = 16>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x128xf16>, !attn.paged<8x128xf16, page = 16> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xf16>
  attn.return %o : !attn.ragged<8x128xf16>
}

// GPU-LABEL: attn.kernel @blocks
// GPU: rows = 128, keys = 128, warps = 8, weights = f16, pipeline = <stages = 2, copy = tma
// GPU-NOT: attn.few_rows_schedule
attn.kernel @blocks(%q: !attn.ragged<8x128xf16>, %kv: !attn.block_sparse<8x128xf16, block = 128x128>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x128xf16>, !attn.block_sparse<8x128xf16, block = 128x128> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xf16>
  attn.return %o : !attn.ragged<8x128xf16>
}

// A query of one token has too few rows for roles.
// GPU-LABEL: attn.kernel @decodes
// GPU: schedule = #tile.schedule<rows = 8, keys = 16, warps = 8, weights = f16, pipeline = <stages = 8, copy = tma, load_registers = 56, compute_registers = 224, growth = 8, query_stages = 2, deal = keys>, splits = true>
attn.kernel @decodes(%q: !attn.ragged<8x128xf16>, %kv: !attn.ragged<8x128xf16>)
    attributes {attn.query_tokens = 1} {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x128xf16>, !attn.ragged<8x128xf16> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xf16>
  attn.return %o : !attn.ragged<8x128xf16>
}

// Room for the queries of the next item is worth more than larger tiles where
// items are short.
// GPU-LABEL: attn.kernel @short
// GPU: rows = 192, keys = 64,{{.*}}query_stages = 2
attn.kernel @short(%q: !attn.ragged<8x192xf16>, %kv: !attn.ragged<8x192xf16, value = 128>)
    attributes {attn.query_tokens = 512} {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x192xf16>, !attn.ragged<8x192xf16, value = 128> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xf16>
  attn.return %o : !attn.ragged<8x128xf16>
}

// GPU-LABEL: attn.kernel @long
// GPU: rows = 192, keys = 80,{{.*}}growth = 8>>
// GPU-NOT: attn.few_rows_schedule
attn.kernel @long(%q: !attn.ragged<8x192xf16>, %kv: !attn.ragged<8x192xf16, value = 128>)
    attributes {attn.query_tokens = 8192} {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x192xf16>, !attn.ragged<8x192xf16, value = 128> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xf16>
  attn.return %o : !attn.ragged<8x128xf16>
}

// Copies of rows that 128 threads do not share evenly may take more registers.
// GPU-LABEL: attn.kernel @uneven
// GPU: keys = 64,{{.*}}copy = gather, load_registers = 80, compute_registers = 144
attn.kernel @uneven(%q: !attn.ragged<8x192xf16>, %kv: !attn.paged<8x192xf16, page = 1, value = 128>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x192xf16>, !attn.paged<8x192xf16, page = 1, value = 128> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xf16>
  attn.return %o : !attn.ragged<8x128xf16>
}
