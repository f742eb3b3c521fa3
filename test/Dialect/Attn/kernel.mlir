// RUN: saccade-opt %s | saccade-opt | FileCheck %s
// RUN: saccade-opt -mlir-print-op-generic -mlir-print-debuginfo %s | saccade-opt | FileCheck %s

attn.variant @causal(%slope: f32) {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}
attn.variant @sigmoid() normalizer = sigmoid {
}

// CHECK-LABEL: attn.kernel @prefill(%q: !attn.ragged<32x128xbf16>, %kv: !attn.ragged<8x128xbf16>, %slope: f32, %scale: f32) {
attn.kernel @prefill(%q: !attn.ragged<32x128xbf16>, %kv: !attn.ragged<8x128xbf16>, %slope: f32, %scale: f32) {
  // CHECK-NEXT: %[[S:.*]] = attn.attend @causal(%slope : f32) %q, %kv scale %scale : !attn.ragged<32x128xbf16>, !attn.ragged<8x128xbf16> -> !attn.state<32x128>
  %s = attn.attend @causal(%slope : f32) %q, %kv scale %scale
    : !attn.ragged<32x128xbf16>, !attn.ragged<8x128xbf16> -> !attn.state<32x128>
  // CHECK-NEXT: %[[O:.*]], %[[L:.*]] = attn.finish @causal(%slope : f32) %[[S]] : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  %o, %lse = attn.finish @causal(%slope : f32) %s
    : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  // CHECK-NEXT: attn.return %[[O]], %[[L]] : !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}

// CHECK-LABEL: attn.kernel @dense_and_f32_output(
attn.kernel @dense_and_f32_output(%q: !attn.dense<4x64xf16>, %kv: !attn.dense<4x64xf16, order = HND>) {
  // CHECK: attn.attend @sigmoid() %q, %kv : {{.*}} -> !attn.state<4x64, sigmoid>
  %s = attn.attend @sigmoid() %q, %kv
    : !attn.dense<4x64xf16>, !attn.dense<4x64xf16, order = HND> -> !attn.state<4x64, sigmoid>
  // CHECK: attn.finish @sigmoid() %{{.*}} : !attn.state<4x64, sigmoid> -> !attn.dense<4x64xf32>
  %o = attn.finish @sigmoid() %s : !attn.state<4x64, sigmoid> -> !attn.dense<4x64xf32>
  attn.return %o : !attn.dense<4x64xf32>
}

// CHECK-LABEL: attn.kernel @shared_prefix(
attn.kernel @shared_prefix(%q: !attn.ragged<4x64xf32>, %a: !attn.ragged<2x64xf32>, %b: !attn.paged<2x64xf32, page = 16>, %slope: f32) {
  %s = attn.attend @causal(%slope : f32) %q, %a : !attn.ragged<4x64xf32>, !attn.ragged<2x64xf32> -> !attn.state<4x64>
  %t = attn.attend @causal(%slope : f32) %q, %b : !attn.ragged<4x64xf32>, !attn.paged<2x64xf32, page = 16> -> !attn.state<4x64>
  // CHECK: attn.merge %{{.*}}, %{{.*}} : !attn.state<4x64>
  %m = attn.merge %s, %t : !attn.state<4x64>
  %o = attn.finish @causal(%slope : f32) %m : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}

// CHECK-LABEL: attn.kernel @append_only(%k: !attn.ragged<2x192xf32>, %v: !attn.ragged<2x128xf32>, %kv: !attn.paged<2x192xf32, value = 128, page = 16>) {
attn.kernel @append_only(%k: !attn.ragged<2x192xf32>, %v: !attn.ragged<2x128xf32>, %kv: !attn.paged<2x192xf32, value = 128, page = 16>) {
  // CHECK-NEXT: %{{.*}} = attn.append %k, %v into %kv : !attn.ragged<2x192xf32>, !attn.ragged<2x128xf32> into !attn.paged<2x192xf32, value = 128, page = 16>
  %0 = attn.append %k, %v into %kv : !attn.ragged<2x192xf32>, !attn.ragged<2x128xf32> into !attn.paged<2x192xf32, value = 128, page = 16>
  // CHECK-NEXT: attn.return
  attn.return
}

// CHECK-LABEL: attn.kernel @constants_for_scalars(
attn.kernel @constants_for_scalars(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) schedule = "by hand" attributes {note} {
  %c = arith.constant 2.0 : f32
  %s = attn.attend @causal(%c : f32) %q, %kv scale %c : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @causal(%c : f32) %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}

// CHECK-LABEL: attn.kernel @scaled_cache(
attn.kernel @scaled_cache(%k: !attn.ragged<2x64xbf16>, %v: !attn.ragged<2x64xf8E4M3FN>, %q: !attn.ragged<4x64xbf16>, %kv: !attn.paged<2x64xf8E4M3FN, page = 16>, %ks: !attn.per_head<f32>, %vs: f32) {
  // CHECK: attn.append %k, %v into %kv key_scale %ks : !attn.per_head<f32> : !attn.ragged<2x64xbf16>, !attn.ragged<2x64xf8E4M3FN> into !attn.paged<2x64xf8E4M3FN, page = 16>
  %c = attn.append %k, %v into %kv key_scale %ks : !attn.per_head<f32>
    : !attn.ragged<2x64xbf16>, !attn.ragged<2x64xf8E4M3FN> into !attn.paged<2x64xf8E4M3FN, page = 16>
  // CHECK: attn.attend @sigmoid() %q, %{{.*}} key_scale %ks : !attn.per_head<f32> value_scale %vs : f32 : !attn.ragged<4x64xbf16>, !attn.paged<2x64xf8E4M3FN, page = 16> -> !attn.state<4x64, sigmoid>
  %s = attn.attend @sigmoid() %q, %c key_scale %ks : !attn.per_head<f32> value_scale %vs : f32
    : !attn.ragged<4x64xbf16>, !attn.paged<2x64xf8E4M3FN, page = 16> -> !attn.state<4x64, sigmoid>
  %o = attn.finish @sigmoid() %s : !attn.state<4x64, sigmoid> -> !attn.ragged<4x64xbf16>
  attn.return %o : !attn.ragged<4x64xbf16>
}
