// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// Rule 1.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<6x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects query heads to be a multiple of the cache's 4, but got 6}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<6x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<6x64>
  %o = attn.finish @v() %s : !attn.state<6x64> -> !attn.ragged<6x64xf32>
  attn.return %o : !attn.ragged<6x64xf32>
}
// -----
// Rule 2.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x72xf32>) {
  // expected-error@+1 {{'attn.attend' op expects head dim of the cache to be 64, but got 72}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x72xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 3.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xbf16>) {
  // expected-error@+1 {{'attn.attend' op expects element type of the cache to be 'f32', f8E4M3FN or f8E5M2, but got 'bf16'}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xbf16> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf8E4M3FN>, %kv: !attn.ragged<4x64xf8E4M3FN>) {
  // expected-error@+1 {{'attn.attend' op expects element type of the queries to be f32, bf16 or f16, but got 'f8E4M3FN'}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf8E4M3FN>, !attn.ragged<4x64xf8E4M3FN> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 4.
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects @v to be a variant}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
func.func private @v()
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects @v to be a variant}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// expected-note@+1 {{variant is here}}
attn.variant @v(%w: i32) {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects 1 parameters of @v, but got 0}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// expected-note@+1 {{variant is here}}
attn.variant @v(%w: i32) {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>, %f: f32) {
  // expected-error@+1 {{'attn.attend' op expects parameter #0 of @v to be 'i32', but got 'f32'}}
  %s = attn.attend @v(%f : f32) %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v(%f : f32) %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 5.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects heads of the state to be 4, but got 8}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<8x64>
  %o = attn.finish @v() %s : !attn.state<8x64> -> !attn.ragged<8x64xf32>
  attn.return %o : !attn.ragged<8x64xf32>
}
// -----
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects value dim of the state to be 64, but got 32}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x32>
  %o = attn.finish @v() %s : !attn.state<4x32> -> !attn.ragged<4x32xf32>
  attn.return %o : !attn.ragged<4x32xf32>
}
// -----
// expected-note@+1 {{variant is here}}
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects the state's normalizer to be softmax, but got none}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64, none>
  %o = attn.finish @v() %s : !attn.state<4x64, none> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 6.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32, value = 32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects queries to have no value dim of its own, but got 32}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32, value = 32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 7.
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.query(%x: vector<32xf32>) {
    attn.yield %x : vector<32xf32>
  }
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32, value = 32>) {
  // expected-error@+1 {{'attn.attend' op expects attn.query to take rows of 64 elements, but got 'vector<32xf32>'}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32, value = 32> -> !attn.state<4x32>
  %o = attn.finish @v() %s : !attn.state<4x32> -> !attn.ragged<4x32xf32>
  attn.return %o : !attn.ragged<4x32xf32>
}
// -----
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.key(%x: vector<128xf32>) {
    attn.yield %x : vector<128xf32>
  }
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32, value = 32>) {
  // expected-error@+1 {{'attn.attend' op expects attn.key to take rows of 64 elements, but got 'vector<128xf32>'}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32, value = 32> -> !attn.state<4x32>
  %o = attn.finish @v() %s : !attn.state<4x32> -> !attn.ragged<4x32xf32>
  attn.return %o : !attn.ragged<4x32xf32>
}
// -----
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.value(%x: vector<64xf32>) {
    attn.yield %x : vector<64xf32>
  }
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32, value = 32>) {
  // expected-error@+1 {{'attn.attend' op expects attn.value to take rows of 32 elements, but got 'vector<64xf32>'}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32, value = 32> -> !attn.state<4x32>
  %o = attn.finish @v() %s : !attn.state<4x32> -> !attn.ragged<4x32xf32>
  attn.return %o : !attn.ragged<4x32xf32>
}
// -----
// Rule 8.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  // expected-error@+1 {{'attn.attend' op expects queries to be an argument of the kernel}}
  %t = attn.attend @v() %o, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %r = attn.finish @v() %t : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %r : !attn.ragged<4x64xf32>
}
// -----
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  // expected-error@+1 {{'attn.attend' op expects the cache to be an argument of the kernel or the result of attn.append}}
  %t = attn.attend @v() %q, %o : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %r = attn.finish @v() %t : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %r : !attn.ragged<4x64xf32>
}
// -----
// Rule 9.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects its state to be used once, but it has 2 uses}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  %r = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o, %r : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>
}
// -----
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects its state to be used once, but it has 0 uses}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  attn.return
}
// -----
// Parent.
func.func @f(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects parent op 'attn.kernel'}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  return
}
// -----
// Rule 10.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf8E4M3FN>, %scales: !attn.per_head<i32>) {
  // expected-error@+1 {{'attn.attend' op expects tables of scales to hold f32, but got '!attn.per_head<i32>'}}
  %s = attn.attend @v() %q, %kv value_scale %scales : !attn.per_head<i32> : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf8E4M3FN> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
