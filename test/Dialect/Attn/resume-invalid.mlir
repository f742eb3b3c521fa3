// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// Rule 1.
attn.variant @v() {
}
attn.kernel @k(%a: !attn.ragged<4x64xf32>, %l: !attn.lse<4>) {
  %z = attn.resume %a, %l : !attn.ragged<4x64xf32>, !attn.lse<4> -> !attn.state<4x64>
  %y, %k = attn.finish @v() %z : !attn.state<4x64> -> !attn.ragged<4x64xf32>, !attn.lse<4>
  // expected-error@+1 {{'attn.resume' op expects output and LSE to be arguments of the kernel}}
  %s = attn.resume %y, %l : !attn.ragged<4x64xf32>, !attn.lse<4> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 2.
attn.variant @v() {
}
attn.kernel @k(%a: !attn.ragged<8x64xf32>, %l: !attn.lse<4>) {
  // expected-error@+1 {{'attn.resume' op expects heads of the output to be 4, but got 8}}
  %s = attn.resume %a, %l : !attn.ragged<8x64xf32>, !attn.lse<4> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 2.
attn.variant @v() {
}
attn.kernel @k(%a: !attn.ragged<4x64xf32>, %l: !attn.lse<8>) {
  // expected-error@+1 {{'attn.resume' op expects heads of the LSE to be 4, but got 8}}
  %s = attn.resume %a, %l : !attn.ragged<4x64xf32>, !attn.lse<8> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 2.
attn.variant @v() {
}
attn.kernel @k(%a: !attn.ragged<4x32xf32>, %l: !attn.lse<4>) {
  // expected-error@+1 {{'attn.resume' op expects head dim of the output to be 64, but got 32}}
  %s = attn.resume %a, %l : !attn.ragged<4x32xf32>, !attn.lse<4> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 3.
attn.variant @v() {
}
attn.kernel @k(%a: !attn.ragged<4x64xf32>, %l: !attn.lse<4>) {
  // expected-error@+1 {{'attn.resume' op expects a state of the normalizer softmax, but got sigmoid}}
  %s = attn.resume %a, %l : !attn.ragged<4x64xf32>, !attn.lse<4> -> !attn.state<4x64, sigmoid>
  %o = attn.finish @v() %s : !attn.state<4x64, sigmoid> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 4.
attn.variant @v() {
}
attn.kernel @k(%a: !attn.ragged<4x64xf32, value = 32>, %l: !attn.lse<4>) {
  // expected-error@+1 {{'attn.resume' op expects the output to have no value dim of its own, but got 32}}
  %s = attn.resume %a, %l : !attn.ragged<4x64xf32, value = 32>, !attn.lse<4> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 5.
attn.variant @v() {
}
attn.kernel @k(%a: !attn.ragged<4x64xf8E4M3FN>, %l: !attn.lse<4>) {
  // expected-error@+1 {{'attn.resume' op expects element type of the output to be f32, bf16 or f16, but got 'f8E4M3FN'}}
  %s = attn.resume %a, %l : !attn.ragged<4x64xf8E4M3FN>, !attn.lse<4> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 6.
attn.variant @v() {
}
attn.kernel @k(%a: !attn.ragged<4x64xf32>, %l: !attn.lse<4>) {
  // expected-error@+1 {{'attn.resume' op expects its state to be used once, but it has 2 uses}}
  %s = attn.resume %a, %l : !attn.ragged<4x64xf32>, !attn.lse<4> -> !attn.state<4x64>
  %m = attn.merge %s, %s : !attn.state<4x64>
  %o = attn.finish @v() %m : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
