// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s | saccade-opt | FileCheck %s

attn.variant @scaled(%by: f32) {
  attn.query(%x: vector<64xf32>) {
    %b = vector.broadcast %by : f32 to vector<64xf32>
    %y = arith.mulf %x, %b : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}

// CHECK-LABEL: attn.kernel @maps_tokens
attn.kernel @maps_tokens(%x: !attn.ragged<8x64xbf16>, %by: f32) {
  // CHECK: attn.map_rows @scaled(%{{.*}} : f32) %{{.*}} : !attn.ragged<8x64xbf16> -> !attn.ragged<8x64xf32, order = HND>
  %y = attn.map_rows @scaled(%by : f32) %x : !attn.ragged<8x64xbf16> -> !attn.ragged<8x64xf32, order = HND>
  attn.return %y : !attn.ragged<8x64xf32, order = HND>
}
