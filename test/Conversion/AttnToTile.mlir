// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -saccade-attn -convert-attn-to-tile -canonicalize -cse -split-input-file | FileCheck %s

attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}

// CHECK-LABEL: tile.entry @prefill
// CHECK-SAME: attend <rows = 64, group = 4, heads = 8
// CHECK: tile.for_each_item
// CHECK: %[[Q:.*]] = tile.load
// CHECK: scf.for {{.*}} iter_args
// CHECK: %[[K:.*]] = tile.load
// CHECK: tile.dot %[[Q]], %[[K]] transposed
// CHECK: tile.mask
// CHECK: %[[V:.*]] = tile.load
// CHECK: tile.reduce max
// CHECK: math.exp2
// CHECK: tile.reduce add
// CHECK: tile.dot %{{.*}}, %[[V]] into
// CHECK: scf.yield
// CHECK: math.log2
// CHECK: tile.store
// CHECK: } : <64x1xf32>
// CHECK: tile.store
// CHECK: } : <64x128xbf16>
attn.kernel @prefill(%q: !attn.ragged<32x128xbf16>, %kv: !attn.ragged<8x128xbf16>) {
  %s = attn.attend @causal() %q, %kv : !attn.ragged<32x128xbf16>, !attn.ragged<8x128xbf16> -> !attn.state<32x128>
  %o, %lse = attn.finish @causal() %s : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}

// -----

attn.variant @all() {
}

// Appends are launches of their own, before the attends that see them.
// CHECK-LABEL: tile.entry @step_append
// CHECK-SAME: append <rows = 64, group = 1, heads = 8
// CHECK-COUNT-2: tile.store {{.*}} rows
// CHECK-LABEL: tile.entry @step
// CHECK-SAME: attend
attn.kernel @step(%q: !attn.ragged<32x64xbf16>, %k: !attn.ragged<8x64xbf16>, %v: !attn.ragged<8x64xbf16>,
                  %kv: !attn.paged<8x64xbf16, page = 16>) {
  %c = attn.append %k, %v into %kv : !attn.ragged<8x64xbf16>, !attn.ragged<8x64xbf16> into !attn.paged<8x64xbf16, page = 16>
  %s = attn.attend @all() %q, %c : !attn.ragged<32x64xbf16>, !attn.paged<8x64xbf16, page = 16> -> !attn.state<32x64>
  %o = attn.finish @all() %s : !attn.state<32x64> -> !attn.ragged<32x64xbf16>
  attn.return %o : !attn.ragged<32x64xbf16>
}

// -----

attn.variant @gate() normalizer = sigmoid {
}

// Without softmax there is no maximum, no sum, and no rescaling.
// CHECK-LABEL: tile.entry @sigmoid
// CHECK-NOT: tile.reduce
// CHECK: scf.for
// CHECK-SAME: -> (!tile.tile<64x64xf32>)
attn.kernel @sigmoid(%q: !attn.dense<8x64xf32>, %kv: !attn.dense<8x64xf32>) {
  %s = attn.attend @gate() %q, %kv : !attn.dense<8x64xf32>, !attn.dense<8x64xf32> -> !attn.state<8x64, sigmoid>
  %o = attn.finish @gate() %s : !attn.state<8x64, sigmoid> -> !attn.dense<8x64xf32>
  attn.return %o : !attn.dense<8x64xf32>
}
