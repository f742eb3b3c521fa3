// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -convert-attn-to-tile -split-input-file -verify-diagnostics | FileCheck %s

attn.variant @all() {
}

// Requests of at most two tiles of the second schedule are the second entry's;
// its tile holds two tokens of 3 rows each.
// CHECK-LABEL: tile.entry @both attend
// CHECK-SAME: rows = 64, group = 3
// CHECK-SAME: <rows = 64
// CHECK-SAME: tile.least_rows = 13 : i64
// CHECK-COUNT-2: tile.dot
// CHECK-NOT: tile.dot
// CHECK-LABEL: tile.entry @both_few attend
// CHECK-SAME: rows = 6, group = 3
// CHECK-SAME: <rows = 8
// CHECK-SAME: tile.beside = @both, tile.most_rows = 12 : i64
// CHECK-COUNT-2: tile.dot
// CHECK-NOT: tile.dot
attn.kernel @both(%q: !attn.ragged<6x64xbf16>, %kv: !attn.ragged<2x64xbf16>)
    schedule = #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16, splits = true>
    attributes {attn.few_rows_schedule = #tile.schedule<rows = 8, keys = 16, warps = 8, weights = bf16,
        pipeline = <stages = 16, copy = tma, load_registers = 64, compute_registers = 128, growth = 8, deal = keys>,
        splits = true>} {
  %s = attn.attend @all() %q, %kv : !attn.ragged<6x64xbf16>, !attn.ragged<2x64xbf16> -> !attn.state<6x64>
  %o = attn.finish @all() %s : !attn.state<6x64> -> !attn.ragged<6x64xbf16>
  attn.return %o : !attn.ragged<6x64xbf16>
}

// -----

attn.variant @all() {
}

// expected-error @+1 {{expects 'attn.few_rows_schedule' to be a #tile.schedule, but got 3 : i64}}
attn.kernel @no_number(%q: !attn.ragged<8x64xf32>, %kv: !attn.ragged<8x64xf32>)
    schedule = #tile.schedule<rows = 64, keys = 64, warps = 1, weights = f32>
    attributes {attn.few_rows_schedule = 3} {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x64xf32>, !attn.ragged<8x64xf32> -> !attn.state<8x64>
  %o = attn.finish @all() %s : !attn.state<8x64> -> !attn.ragged<8x64xf32>
  attn.return %o : !attn.ragged<8x64xf32>
}
