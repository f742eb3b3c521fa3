// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// Rule 1.
// expected-note@+1 {{variant is here}}
attn.variant @v(%w: i32) {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>, %i: i32) {
  %s = attn.attend @v(%i : i32) %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.finish' op expects 1 parameters of @v, but got 0}}
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 2.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.finish' op expects heads of the output to be 4, but got 8}}
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<8x64xf32>
  attn.return %o : !attn.ragged<8x64xf32>
}
// -----
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.finish' op expects head dim of the output to be 64, but got 32}}
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x32xf32>
  attn.return %o : !attn.ragged<4x32xf32>
}
// -----
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.finish' op expects heads of the LSE to be 4, but got 5}}
  %o, %l = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>, !attn.lse<5>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 3.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.finish' op expects the output to be ragged as the queries are, but got '!attn.dense<4x64xf32>'}}
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.dense<4x64xf32>
  attn.return %o : !attn.dense<4x64xf32>
}
// -----
// Rule 4: here because a finish alone cannot differ from its attend.
// expected-note@+1 {{variant is here}}
attn.variant @v() normalizer = none {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expects the state's normalizer to be none, but got softmax}}
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 5.
attn.variant @v() normalizer = sigmoid {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64, sigmoid>
  // expected-error@+1 {{'attn.finish' op expects an LSE of the normalizer softmax only, but got sigmoid}}
  %o, %l = attn.finish @v() %s : !attn.state<4x64, sigmoid> -> !attn.ragged<4x64xf32>, !attn.lse<4>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 6.
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.output(%x: vector<32xf32>) {
    attn.yield %x : vector<32xf32>
  }
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.finish' op expects attn.output to take rows of 64 elements, but got 'vector<32xf32>'}}
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 7.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.finish' op expects the output to have no value dim of its own, but got 32}}
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32, value = 32>
  attn.return %o : !attn.ragged<4x64xf32, value = 32>
}
// -----
// Rule 8.
attn.variant @v() {
}
attn.variant @w() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.finish' op expects variant @v of the state, but got @w}}
  %o = attn.finish @w() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 9.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.finish' op expects one of its results to be returned}}
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return
}
// -----
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.finish' op expects a state made by attn.attend or attn.resume}}
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  %s = "attn.attend"(%q, %kv) <{variant = @v, operandSegmentSizes = array<i32: 0, 1, 1, 0, 0, 0>}> : (!attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>) -> !attn.state<4x64>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 10.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf16>, %kv: !attn.ragged<4x64xf8E5M2>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf16>, !attn.ragged<4x64xf8E5M2> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.finish' op expects element type of the output to be f32, bf16 or f16, but got 'f8E5M2'}}
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf8E5M2>
  attn.return %o : !attn.ragged<4x64xf8E5M2>
}
