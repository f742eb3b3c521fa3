// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -convert-attn-to-tile -canonicalize -cse -split-input-file | FileCheck %s

attn.variant @all() {
}

// A part stores its state and counts itself; the last one merges all of them.
// CHECK-LABEL: tile.entry @splits
// CHECK-SAME: tile.partial_floats = 1088 : i64
// CHECK: tile.for_each_item
// CHECK-NEXT: ^bb0({{.*}}, %[[PARTIAL:[a-z0-9]+]]: i32):
// What the end of an item needs is looked up at its head.
// CHECK: %[[RECORDS:.*]] = tile.word %{{.*}}[4]
// CHECK: tile.lookup %[[RECORDS]]
// CHECK: %[[COUNT:.*]] = tile.lookup %[[RECORDS]]
// CHECK: %[[OWN:.*]]:3 = scf.for
// CHECK: %[[SPACE:.*]] = tile.word %{{.*}}[3]
// CHECK: %[[IS_PART:.*]] = arith.cmpi sge, %[[PARTIAL]], %c0_i32
// CHECK: %[[STATE:.*]]:4 = scf.if %[[IS_PART]]
// CHECK: tile.store %[[OWN]]#0 to %[[SPACE]]
// CHECK: tile.store %[[OWN]]#1 to %[[SPACE]]
// CHECK: tile.store %[[OWN]]#2 to %[[SPACE]]
// CHECK: %[[COUNTERS:.*]] = tile.word %{{.*}}[5]
// CHECK: %[[LAST:.*]] = tile.arrive %[[COUNTERS]][%{{.*}}] of %[[COUNT]]
// CHECK: scf.if %[[LAST]]
// Narrow outputs twelve parts at a time: all is loaded before any of it is used.
// CHECK: scf.for %{{.*}} = %c0_i32 to %[[COUNT]] step %c12_i32
// CHECK-COUNT-36: tile.load %[[SPACE]]
// CHECK: arith.maximumf
// CHECK-NOT: tile.load
// CHECK: } else {
// CHECK-NEXT: scf.yield %[[OWN]]#0, %[[OWN]]#1, %[[OWN]]#2
// CHECK: } else {
// CHECK-NEXT: scf.yield %[[OWN]]#0, %[[OWN]]#1, %[[OWN]]#2, %true
// CHECK: scf.if %[[STATE]]#3
// CHECK-COUNT-2: tile.store {{.*}} rows
// CHECK-NOT: tile.store
attn.kernel @splits(%q: !attn.ragged<8x64xbf16>, %kv: !attn.ragged<8x64xbf16>)
    schedule = #tile.schedule<rows = 16, keys = 16, warps = 4, weights = bf16, splits = true> {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x64xbf16>, !attn.ragged<8x64xbf16> -> !attn.state<8x64>
  %o, %lse = attn.finish @all() %s : !attn.state<8x64> -> !attn.ragged<8x64xbf16>, !attn.lse<8>
  attn.return %o, %lse : !attn.ragged<8x64xbf16>, !attn.lse<8>
}

// -----

attn.variant @gate() normalizer = sigmoid {
}

// Without softmax states are sums. Both finished states lie in one slot, and an
// item counts itself once.
// CHECK-LABEL: tile.entry @two_states
// CHECK-SAME: tile.partial_floats = 2048 : i64
// CHECK-COUNT-2: tile.store {{.*}} rows
// CHECK: tile.arrive
// CHECK-NOT: tile.arrive
// CHECK-NOT: math.exp2
// CHECK-COUNT-2: scf.for
// CHECK: scf.if
// CHECK-COUNT-2: tile.store {{.*}} rows
attn.kernel @two_states(%q: !attn.dense<8x64xf32>, %kv: !attn.dense<8x64xf32>)
    schedule = #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32, splits = true> {
  %s = attn.attend @gate() %q, %kv : !attn.dense<8x64xf32>, !attn.dense<8x64xf32> -> !attn.state<8x64, sigmoid>
  %t = attn.attend @gate() %q, %kv : !attn.dense<8x64xf32>, !attn.dense<8x64xf32> -> !attn.state<8x64, sigmoid>
  %o = attn.finish @gate() %s : !attn.state<8x64, sigmoid> -> !attn.dense<8x64xf32>
  %p = attn.finish @gate() %t : !attn.state<8x64, sigmoid> -> !attn.dense<8x64xf32>
  attn.return %o, %p : !attn.dense<8x64xf32>, !attn.dense<8x64xf32>
}

// -----

attn.variant @all() {
}

// Each warp has a state of the keys that it took: their common one comes next.
// CHECK-LABEL: tile.entry @deals_keys
// CHECK: %[[OWN:.*]]:3 = scf.for
// CHECK: %[[MAX:.*]] = tile.combine max %[[OWN]]#0
// CHECK: tile.map(%[[OWN]]#0, %[[MAX]])
// CHECK: math.exp2
// CHECK: tile.map(%[[OWN]]#1
// CHECK: %[[SUM:.*]] = tile.combine add
// CHECK: tile.map(%[[OWN]]#2
// CHECK: %[[OUT:.*]] = tile.combine add
// CHECK: tile.map(%[[SUM]])
attn.kernel @deals_keys(%q: !attn.ragged<8x64xbf16>, %kv: !attn.ragged<8x64xbf16>)
    schedule = #tile.schedule<rows = 8, keys = 16, warps = 8, weights = bf16,
        pipeline = <stages = 16, copy = tma, load_registers = 64, compute_registers = 128, growth = 8, deal = keys>> {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x64xbf16>, !attn.ragged<8x64xbf16> -> !attn.state<8x64>
  %o = attn.finish @all() %s : !attn.state<8x64> -> !attn.ragged<8x64xbf16>
  attn.return %o : !attn.ragged<8x64xbf16>
}
