// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What layouts change: where a row lies, which position it has, where items end.
// RUN: saccade-opt %s -saccade-attn -convert-attn-to-tile -canonicalize -cse -split-input-file | FileCheck %s

attn.variant @all() {
}

// CHECK-LABEL: tile.entry @paged
// CHECK: scf.for
// The page comes from the table at j / 16, clamped to the pages there are.
// CHECK: tile.load
// CHECK: arith.divui %{{.*}}, %c16_i32
// CHECK: tile.lookup
// CHECK: arith.maxsi
// CHECK: arith.minsi
// CHECK: arith.remui %{{.*}}, %c16_i32
attn.kernel @paged(%q: !attn.ragged<8x64xf32>, %kv: !attn.paged<8x64xf32, page = 16>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x64xf32>, !attn.paged<8x64xf32, page = 16> -> !attn.state<8x64>
  %o = attn.finish @all() %s : !attn.state<8x64> -> !attn.ragged<8x64xf32>
  attn.return %o : !attn.ragged<8x64xf32>
}

// -----

attn.variant @all() {
}

// Row blocks of 48 tokens are 96 packed rows.
// CHECK-LABEL: tile.entry @block_sparse
// CHECK-SAME: group = 2, heads = 4, keys = 128, row_block = 96
attn.kernel @block_sparse(%q: !attn.ragged<8x64xf32>, %kv: !attn.block_sparse<4x64xf32, block = 48x32>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x64xf32>, !attn.block_sparse<4x64xf32, block = 48x32> -> !attn.state<8x64>
  %o = attn.finish @all() %s : !attn.state<8x64> -> !attn.ragged<8x64xf32>
  attn.return %o : !attn.ragged<8x64xf32>
}

// -----

attn.variant @all() {
}

// Two caches are two loops and a merge, in one entry.
// CHECK-LABEL: tile.entry @composed
// CHECK: %[[A:.*]]:3 = scf.for
// CHECK: %[[B:.*]]:3 = scf.for
// CHECK: tile.map(%[[A]]#0, %[[B]]#0)
// CHECK: arith.maximumf
attn.kernel @composed(%q: !attn.ragged<8x64xf32>, %a: !attn.ragged<8x64xf32>, %b: !attn.dense<8x64xf32>) {
  %s0 = attn.attend @all() %q, %a : !attn.ragged<8x64xf32>, !attn.ragged<8x64xf32> -> !attn.state<8x64>
  %s1 = attn.attend @all() %q, %b : !attn.ragged<8x64xf32>, !attn.dense<8x64xf32> -> !attn.state<8x64>
  %s = attn.merge %s0, %s1 : !attn.state<8x64>
  %o = attn.finish @all() %s : !attn.state<8x64> -> !attn.ragged<8x64xf32>
  attn.return %o : !attn.ragged<8x64xf32>
}
