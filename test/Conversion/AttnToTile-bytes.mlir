// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Caches of 8-bit elements, and scales of caches.
// RUN: saccade-opt %s -saccade-attn -convert-attn-to-tile -canonicalize -cse -split-input-file | FileCheck %s

attn.variant @all() {
}

// Scales are read once an item, by its KV head. That of keys joins the scale of
// the logits, that of values multiplies the state after the loop.
// CHECK-LABEL: tile.entry @scales_outside_of_the_loop
// CHECK: ^bb0(%{{.*}}: i32, %[[HEAD:.*]]: i32, %{{.*}}: i32, %{{.*}}: i32, %{{.*}}: i32, %{{.*}}: i32, %{{.*}}: i32):
// CHECK: %[[WIDE:.*]] = arith.extsi %[[HEAD]] : i32 to i64
// CHECK: %[[KEY:.*]] = tile.lookup %{{.*}}[%[[WIDE]]] : f32
// CHECK: %[[VALUE:.*]] = tile.word %{{.*}} : f32
// CHECK: %[[FACTOR:.*]] = arith.mulf %[[KEY]], %{{.*}} : f32
// CHECK: %[[Q:.*]] = tile.load
// CHECK: %[[LOOP:.*]]:3 = scf.for
// CHECK: %[[K:.*]] = tile.load
// CHECK: tile.dot %[[Q]], %[[K]] transposed : <64x64xbf16>, <128x64xf8E4M3FN> -> <64x128xf32>
// CHECK: %[[LOGIT:.*]] = arith.mulf %[[FACTOR]], %{{.*}} : f32
// CHECK: arith.mulf %{{.*}}, %[[LOGIT]]
// CHECK: tile.dot {{.*}} : <64x128xf32>, <128x64xf8E4M3FN> -> <64x64xf32>
// CHECK: scf.yield
// CHECK: tile.map(%[[LOOP]]#2) {
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32
// CHECK-NEXT: arith.mulf %[[X]], %[[VALUE]] : f32
attn.kernel @scales_outside_of_the_loop(%q: !attn.ragged<4x64xbf16>, %kv: !attn.ragged<2x64xf8E4M3FN>,
                                        %ks: !attn.per_head<f32>, %vs: f32) {
  %s = attn.attend @all() %q, %kv key_scale %ks : !attn.per_head<f32> value_scale %vs : f32
    : !attn.ragged<4x64xbf16>, !attn.ragged<2x64xf8E4M3FN> -> !attn.state<4x64>
  %o = attn.finish @all() %s : !attn.state<4x64> -> !attn.ragged<4x64xbf16>
  attn.return %o : !attn.ragged<4x64xbf16>
}

// -----

attn.variant @doubled() {
  attn.key(%x: vector<64xf32>) {
    %y = arith.addf %x, %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}

// Row functions see keys times their scale; the values have no function.
// CHECK-LABEL: tile.entry @row_functions_see_scaled_rows
// CHECK: %[[SCALE:.*]] = tile.word %{{.*}} : f32
// CHECK: tile.map_rows
// CHECK-NEXT: ^bb0(%[[X:.*]]: vector<64xf32>
// CHECK-NEXT: %[[ROW:.*]] = vector.broadcast %[[SCALE]]
// CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[X]], %[[ROW]]
// CHECK-NEXT: arith.addf %[[Y]], %[[Y]]
// CHECK: -> <128x64xf32>
attn.kernel @row_functions_see_scaled_rows(%q: !attn.ragged<4x64xf16>, %kv: !attn.ragged<2x64xf8E5M2>, %scale: f32) {
  %s = attn.attend @doubled() %q, %kv key_scale %scale : f32
    : !attn.ragged<4x64xf16>, !attn.ragged<2x64xf8E5M2> -> !attn.state<4x64>
  %o = attn.finish @doubled() %s : !attn.state<4x64> -> !attn.ragged<4x64xf16>
  attn.return %o : !attn.ragged<4x64xf16>
}

// -----

attn.variant @all() {
}

// Where weights have 16 bits, queries of others are converted to those: both sides
// of a product over 8-bit elements are then widened to one type.
// CHECK-LABEL: tile.entry @queries_in_the_type_of_weights
// CHECK: %[[LOADED:.*]] = tile.load
// CHECK: %[[Q:.*]] = tile.map(%[[LOADED]]) {
// CHECK: arith.extf %{{.*}} : bf16 to f32
// CHECK: arith.truncf %{{.*}} : f32 to f16
// CHECK: scf.for
// CHECK: tile.dot %[[Q]], %{{.*}} transposed : <64x64xf16>, <64x64xf8E4M3FN>
// CHECK: tile.dot {{.*}} : <64x64xf16>, <64x64xf8E4M3FN>
// A cache of 16-bit elements in the same kernel keeps its type.
// CHECK: scf.for
// CHECK: tile.dot %{{.*}} transposed : <64x64xbf16>, <64x64xbf16>
// CHECK: tile.dot {{.*}} : <64x64xbf16>, <64x64xbf16>
attn.kernel @queries_in_the_type_of_weights(%q: !attn.ragged<4x64xbf16>, %a: !attn.ragged<2x64xf8E4M3FN>,
                                            %b: !attn.ragged<2x64xbf16>)
    schedule = #tile.schedule<rows = 64, keys = 64, warps = 4, weights = f16> {
  %s = attn.attend @all() %q, %a : !attn.ragged<4x64xbf16>, !attn.ragged<2x64xf8E4M3FN> -> !attn.state<4x64>
  %t = attn.attend @all() %q, %b : !attn.ragged<4x64xbf16>, !attn.ragged<2x64xbf16> -> !attn.state<4x64>
  %m = attn.merge %s, %t : !attn.state<4x64>
  %o = attn.finish @all() %m : !attn.state<4x64> -> !attn.ragged<4x64xbf16>
  attn.return %o : !attn.ragged<4x64xbf16>
}

// -----

// Wide rows are divided, held within what is finite, and rounded; others are copied.
// CHECK-LABEL: tile.entry @rounds_wide_rows_append
// CHECK: %[[SCALE:.*]] = tile.word %{{.*}} : f32
// CHECK: tile.load
// CHECK: arith.divf %{{.*}}, %[[SCALE]] : f32
// CHECK-NEXT: arith.minimumf
// CHECK-NEXT: arith.maximumf
// CHECK-NEXT: arith.truncf %{{.*}} : f32 to f8E4M3FN
// CHECK: tile.store
// CHECK: %[[V:.*]] = tile.load
// CHECK: tile.store %[[V]] to
// CHECK: : <64x64xf8E4M3FN>
attn.kernel @rounds_wide_rows(%k: !attn.ragged<2x64xf32>, %v: !attn.ragged<2x64xf8E4M3FN>,
                              %kv: !attn.paged<2x64xf8E4M3FN, page = 16>, %scale: f32) {
  %c = attn.append %k, %v into %kv key_scale %scale : f32
    : !attn.ragged<2x64xf32>, !attn.ragged<2x64xf8E4M3FN> into !attn.paged<2x64xf8E4M3FN, page = 16>
  attn.return
}
