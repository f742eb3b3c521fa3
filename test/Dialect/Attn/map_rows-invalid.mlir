// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// Rule 1.
// expected-note@+1 {{variant is here}}
attn.variant @v() {
}
attn.kernel @k(%x: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.map_rows' op expects @v to have an attn.query}}
  %y = attn.map_rows @v() %x : !attn.ragged<4x64xf32> -> !attn.ragged<4x64xf32>
  attn.return %y : !attn.ragged<4x64xf32>
}
// -----
// Rule 1.
attn.variant @v() {
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}
attn.kernel @k(%x: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.map_rows' op expects @w to be a variant}}
  %y = attn.map_rows @w() %x : !attn.ragged<4x64xf32> -> !attn.ragged<4x64xf32>
  attn.return %y : !attn.ragged<4x64xf32>
}
// -----
// Rule 2.
attn.variant @v() {
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}
attn.kernel @k(%x: !attn.ragged<4x64xf32>) {
  %y = attn.map_rows @v() %x : !attn.ragged<4x64xf32> -> !attn.ragged<4x64xf32>
  // expected-error@+1 {{'attn.map_rows' op expects tokens to be an argument of the kernel}}
  %z = attn.map_rows @v() %y : !attn.ragged<4x64xf32> -> !attn.ragged<4x64xf32>
  attn.return %y : !attn.ragged<4x64xf32>
}
// -----
// Rule 3.
attn.variant @v() {
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}
attn.kernel @k(%x: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.map_rows' op expects heads of the output to be 4, but got 8}}
  %y = attn.map_rows @v() %x : !attn.ragged<4x64xf32> -> !attn.ragged<8x64xf32>
  attn.return %y : !attn.ragged<8x64xf32>
}
// -----
// Rule 3.
attn.variant @v() {
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}
attn.kernel @k(%x: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.map_rows' op expects head dim of the output to be 64, but got 32}}
  %y = attn.map_rows @v() %x : !attn.ragged<4x64xf32> -> !attn.ragged<4x32xf32>
  attn.return %y : !attn.ragged<4x32xf32>
}
// -----
// Rule 3.
attn.variant @v() {
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}
attn.kernel @k(%x: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.map_rows' op expects tokens and output both ragged or both dense, but got '!attn.ragged<4x64xf32>' and '!attn.dense<4x64xf32>'}}
  %y = attn.map_rows @v() %x : !attn.ragged<4x64xf32> -> !attn.dense<4x64xf32>
  attn.return %y : !attn.dense<4x64xf32>
}
// -----
// Rule 3.
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}
attn.kernel @k(%x: !attn.ragged<4x32xf32>) {
  // expected-error@+1 {{'attn.map_rows' op expects attn.query to take rows of 32 elements, but got 'vector<64xf32>'}}
  %y = attn.map_rows @v() %x : !attn.ragged<4x32xf32> -> !attn.ragged<4x32xf32>
  attn.return %y : !attn.ragged<4x32xf32>
}
// -----
// Rule 4.
attn.variant @v() {
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}
attn.kernel @k(%x: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.map_rows' op expects element type of the output to be f32, bf16 or f16, but got 'f8E5M2'}}
  %y = attn.map_rows @v() %x : !attn.ragged<4x64xf32> -> !attn.ragged<4x64xf8E5M2>
  attn.return %y : !attn.ragged<4x64xf8E5M2>
}
// -----
// Rule 4.
attn.variant @v() {
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}
attn.kernel @k(%x: !attn.ragged<4x64xf32, value = 32>) {
  // expected-error@+1 {{'attn.map_rows' op expects the tokens to have no value dim of its own, but got 32}}
  %y = attn.map_rows @v() %x : !attn.ragged<4x64xf32, value = 32> -> !attn.ragged<4x64xf32>
  attn.return %y : !attn.ragged<4x64xf32>
}
// -----
// Rule 5.
attn.variant @v() {
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}
attn.kernel @k(%x: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.map_rows' op expects its output to be returned}}
  %y = attn.map_rows @v() %x : !attn.ragged<4x64xf32> -> !attn.ragged<4x64xf32>
  %z = attn.map_rows @v() %x : !attn.ragged<4x64xf32> -> !attn.ragged<4x64xf32>
  attn.return %z : !attn.ragged<4x64xf32>
}
