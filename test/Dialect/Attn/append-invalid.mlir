// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// Rule 1.
attn.kernel @k(%k: !attn.ragged<4x64xf32>, %v: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.append' op expects the cache to be paged and an argument of the kernel}}
  %c = attn.append %k, %v into %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> into !attn.ragged<4x64xf32>
  attn.return
}
// -----
attn.kernel @k(%k: !attn.ragged<4x64xf32>, %v: !attn.ragged<4x64xf32>, %kv: !attn.paged<4x64xf32, page = 16>) {
  %c = attn.append %k, %v into %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> into !attn.paged<4x64xf32, page = 16>
  // expected-error@+1 {{'attn.append' op expects the cache to be paged and an argument of the kernel}}
  %d = attn.append %k, %v into %c : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> into !attn.paged<4x64xf32, page = 16>
  attn.return
}
// -----
// Rule 2.
attn.kernel @k(%k: !attn.ragged<2x64xf32>, %v: !attn.ragged<4x64xf32>, %kv: !attn.paged<4x64xf32, page = 16>) {
  // expected-error@+1 {{'attn.append' op expects heads of the keys to be 4, but got 2}}
  %c = attn.append %k, %v into %kv : !attn.ragged<2x64xf32>, !attn.ragged<4x64xf32> into !attn.paged<4x64xf32, page = 16>
  attn.return
}
// -----
attn.kernel @k(%k: !attn.ragged<4x64xf32>, %v: !attn.ragged<4x32xf32>, %kv: !attn.paged<4x64xf32, page = 16>) {
  // expected-error@+1 {{'attn.append' op expects head dim of the values to be 64, but got 32}}
  %c = attn.append %k, %v into %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x32xf32> into !attn.paged<4x64xf32, page = 16>
  attn.return
}
// -----
attn.kernel @k(%k: !attn.ragged<4x64xf16>, %v: !attn.ragged<4x64xf32>, %kv: !attn.paged<4x64xf32, page = 16>) {
  // expected-error@+1 {{'attn.append' op expects element type of the keys to be 'f32', but got 'f16'}}
  %c = attn.append %k, %v into %kv : !attn.ragged<4x64xf16>, !attn.ragged<4x64xf32> into !attn.paged<4x64xf32, page = 16>
  attn.return
}
// -----
attn.kernel @k(%k: !attn.ragged<4x64xf32, value = 32>, %v: !attn.ragged<4x64xf32>, %kv: !attn.paged<4x64xf32, page = 16>) {
  // expected-error@+1 {{'attn.append' op expects keys to have no value dim of its own, but got 32}}
  %c = attn.append %k, %v into %kv : !attn.ragged<4x64xf32, value = 32>, !attn.ragged<4x64xf32> into !attn.paged<4x64xf32, page = 16>
  attn.return
}
// -----
attn.variant @v() {
}
attn.kernel @k(%k: !attn.ragged<4x64xf32>, %q: !attn.ragged<4x64xf32>, %a: !attn.ragged<4x64xf32>, %kv: !attn.paged<4x64xf32, page = 16>) {
  %s = attn.attend @v() %q, %a : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  // expected-error@+1 {{'attn.append' op expects values to be an argument of the kernel}}
  %c = attn.append %k, %o into %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> into !attn.paged<4x64xf32, page = 16>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 3.
attn.variant @v() {
}
attn.kernel @k(%k: !attn.ragged<4x64xf32>, %v: !attn.ragged<4x64xf32>, %kv: !attn.paged<4x64xf32, page = 16>, %q: !attn.ragged<4x64xf32>, %b: !attn.paged<4x64xf32, page = 16>) {
  // expected-error@+1 {{'attn.append' op expects its cache to be the last of the kernel's, but argument #4 is a later one}}
  %c = attn.append %k, %v into %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> into !attn.paged<4x64xf32, page = 16>
  %s = attn.attend @v() %q, %b : !attn.ragged<4x64xf32>, !attn.paged<4x64xf32, page = 16> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 4.
attn.variant @v() {
}
attn.kernel @k(%k: !attn.ragged<4x64xf32>, %v: !attn.ragged<4x64xf32>, %kv: !attn.paged<4x64xf32, page = 16>, %q: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.append' op expects its cache to have no other use; attend over the result instead}}
  %c = attn.append %k, %v into %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> into !attn.paged<4x64xf32, page = 16>
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.paged<4x64xf32, page = 16> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 5.
attn.kernel @k(%k: !attn.dense<4x64xf32>, %v: !attn.ragged<4x64xf32>, %kv: !attn.paged<4x64xf32, page = 16>) {
  // expected-error@+1 {{'attn.append' op expects keys and values both ragged or both dense, but got '!attn.dense<4x64xf32>' and '!attn.ragged<4x64xf32>'}}
  %c = attn.append %k, %v into %kv : !attn.dense<4x64xf32>, !attn.ragged<4x64xf32> into !attn.paged<4x64xf32, page = 16>
  attn.return
}
// -----
// Rule 2, of 8 bits.
attn.kernel @k(%k: !attn.ragged<4x64xf8E5M2>, %v: !attn.ragged<4x64xf8E5M2>, %kv: !attn.paged<4x64xf8E4M3FN, page = 16>) {
  // expected-error@+1 {{'attn.append' op expects element type of the keys to be 'f8E4M3FN', f32, bf16 or f16, but got 'f8E5M2'}}
  %c = attn.append %k, %v into %kv : !attn.ragged<4x64xf8E5M2>, !attn.ragged<4x64xf8E5M2> into !attn.paged<4x64xf8E4M3FN, page = 16>
  attn.return
}
// -----
// Rule 6.
attn.kernel @k(%k: !attn.ragged<4x64xf16>, %v: !attn.ragged<4x64xf8E5M2>, %kv: !attn.paged<4x64xf8E5M2, page = 16>, %scale: f32) {
  // expected-error@+1 {{'attn.append' op expects a scale of values that are wider than the cache's 'f8E5M2', but got 'f8E5M2'}}
  %c = attn.append %k, %v into %kv key_scale %scale : f32 value_scale %scale : f32 : !attn.ragged<4x64xf16>, !attn.ragged<4x64xf8E5M2> into !attn.paged<4x64xf8E5M2, page = 16>
  attn.return
}
// -----
// Rule 7.
attn.kernel @k(%k: !attn.ragged<4x64xf16>, %v: !attn.ragged<4x64xf16>, %kv: !attn.paged<4x64xf8E5M2, page = 16>, %scale: !attn.per_head<i32>) {
  // expected-error@+1 {{'attn.append' op expects tables of scales to hold f32, but got '!attn.per_head<i32>'}}
  %c = attn.append %k, %v into %kv key_scale %scale : !attn.per_head<i32> : !attn.ragged<4x64xf16>, !attn.ragged<4x64xf16> into !attn.paged<4x64xf8E5M2, page = 16>
  attn.return
}
