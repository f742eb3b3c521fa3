// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernels that only move rows do so 16 bytes at a time, both ways.
// RUN: saccade compile %s --kernel merge_states --target sm_80 --emit ptx | FileCheck %s --implicit-check-not=st.global.b16 --implicit-check-not=st.global.b32
// RUN: saccade compile %s --kernel scale_tokens --target sm_90a --emit ptx | FileCheck %s --implicit-check-not=st.global.b16

// CHECK: .entry
// CHECK: cp.async.cg.shared.global
// CHECK: st.global.v4.b32

attn.variant @full() {
}
attn.kernel @merge_states(%a: !attn.ragged<32x128xbf16>, %la: !attn.lse<32>, %b: !attn.ragged<32x128xbf16>, %lb: !attn.lse<32>) {
  %s = attn.resume %a, %la : !attn.ragged<32x128xbf16>, !attn.lse<32> -> !attn.state<32x128>
  %t = attn.resume %b, %lb : !attn.ragged<32x128xbf16>, !attn.lse<32> -> !attn.state<32x128>
  %m = attn.merge %s, %t : !attn.state<32x128>
  %o = attn.finish @full() %m : !attn.state<32x128> -> !attn.ragged<32x128xbf16>
  attn.return %o : !attn.ragged<32x128xbf16>
}

attn.variant @scaled(%by: !attn.table<?xf32>) {
  attn.query(%x: vector<128xf32>, query %q, q_len %n) {
    %token = arith.addi %q, %n : i32
    %f = attn.read %by[%token] : !attn.table<?xf32>
    %b = vector.broadcast %f : f32 to vector<128xf32>
    %y = arith.mulf %x, %b : vector<128xf32>
    attn.yield %y : vector<128xf32>
  }
}
attn.kernel @scale_tokens(%x: !attn.ragged<32x128xbf16>, %by: !attn.table<?xf32>) {
  %y = attn.map_rows @scaled(%by : !attn.table<?xf32>) %x : !attn.ragged<32x128xbf16> -> !attn.ragged<32x128xbf16>
  attn.return %y : !attn.ragged<32x128xbf16>
}
