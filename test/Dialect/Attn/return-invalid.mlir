// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// Rule 1.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  // expected-error@+1 {{'attn.return' op expects results made by attn.finish or attn.map_rows, but #1 is not}}
  attn.return %o, %q : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>
}
// -----
// Rule 2.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  // expected-error@+1 {{'attn.return' op expects at most 16 results, but got 17}}
  attn.return %o, %o, %o, %o, %o, %o, %o, %o, %o, %o, %o, %o, %o, %o, %o, %o, %o : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>
}
// -----
// Rule 3.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  // expected-error@+1 {{'attn.return' op expects to return each result once, but #1 repeats another}}
  attn.return %o, %o : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>
}
