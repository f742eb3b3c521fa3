// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// Rule 1.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %t = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.merge' op requires the same type for all operands and results}}
  %m = "attn.merge"(%s, %t) : (!attn.state<4x64>, !attn.state<4x64>) -> !attn.state<4x32>
  %o = attn.finish @v() %m : !attn.state<4x32> -> !attn.ragged<4x32xf32>
  attn.return %o : !attn.ragged<4x32xf32>
}
// -----
// Rule 2.
attn.variant @v() {
}
attn.variant @w() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %t = attn.attend @w() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.merge' op expects both states to be of variant @v, but got @w}}
  %m = attn.merge %s, %t : !attn.state<4x64>
  %o = attn.finish @v() %m : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 3.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>, %p: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %t = attn.attend @v() %p, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.merge' op expects both states to be of the same queries}}
  %m = attn.merge %s, %t : !attn.state<4x64>
  %o = attn.finish @v() %m : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 4.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %t = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.merge' op expects its state to be used once, but it has 0 uses}}
  %m = attn.merge %s, %t : !attn.state<4x64>
  attn.return
}
// -----
// States out of order.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.merge' op expects states made by attn.attend or attn.resume}}
  %m = "attn.merge"(%n, %n) : (!attn.state<4x64>, !attn.state<4x64>) -> !attn.state<4x64>
  %n = "attn.merge"(%m, %m) : (!attn.state<4x64>, !attn.state<4x64>) -> !attn.state<4x64>
  attn.return
}
