// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// Logits.
attn.variant @v() {
  // expected-error@+1 {{'attn.logits' op expects 1 data arguments before the positions, but got 0}}
  attn.logits(query %q) {
    %0 = arith.constant 0.0 : f32
    attn.yield %0 : f32
  }
}
// -----
attn.variant @v() {
  // expected-error@+1 {{'attn.logits' op expects the logit to be f32, but got 'f16'}}
  attn.logits(%s: f16) {
    attn.yield %s : f16
  }
}
// -----
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.logits(%s, query %q) {
    // expected-error@+1 {{'attn.yield' op expects one value of f32, but got ('i32')}}
    attn.yield %q : i32
  }
}
// -----
attn.variant @v() {
  // expected-error@+1 {{'attn.logits' op expects positions among query, key, head, request, q_len, kv_len, slot, but got query_first}}
  attn.logits(%s, query_first %q) {
    attn.yield %s : f32
  }
}
// -----
// Mask.
attn.variant @v() {
  // expected-error@+1 {{'attn.mask' op expects 0 data arguments before the positions, but got 1}}
  attn.mask(%s) {
    %keep = arith.constant true
    attn.yield %keep : i1
  }
}
// -----
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.mask(query %q) {
    // expected-error@+1 {{'attn.yield' op expects one value of i1, but got ('i32', 'i32')}}
    attn.yield %q, %q : i32, i32
  }
}
// -----
attn.variant @v() {
  // expected-error@+1 {{'attn.mask' op expects positions among query, key, head, request, q_len, kv_len, slot, but got query_last}}
  attn.mask(query_last %q) {
    %keep = arith.constant true
    attn.yield %keep : i1
  }
}
// -----
// Sink.
attn.variant @v() {
  // expected-error@+1 {{'attn.sink' op expects positions among query, head, request, q_len, kv_len, but got key}}
  attn.sink(key %k) {
    %0 = arith.constant 0.0 : f32
    attn.yield %0 : f32
  }
}
// -----
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.sink() {
    // expected-error@+1 {{'attn.yield' op expects one value of f32, but got ()}}
    attn.yield
  }
}
// -----
// Query.
attn.variant @v() {
  // expected-error@+1 {{'attn.query' op expects a row, a vector of 1 to 576 f32, but got 'f32'}}
  attn.query(%x) {
    attn.yield %x : f32
  }
}
// -----
attn.variant @v() {
  // expected-error@+1 {{'attn.query' op expects a row, a vector of 1 to 576 f32, but got 'vector<2x64xf32>'}}
  attn.query(%x: vector<2x64xf32>) {
    attn.yield %x : vector<2x64xf32>
  }
}
// -----
attn.variant @v() {
  // expected-error@+1 {{'attn.query' op expects a row, a vector of 1 to 576 f32, but got 'vector<[4]xf32>'}}
  attn.query(%x: vector<[4]xf32>) {
    attn.yield %x : vector<[4]xf32>
  }
}
// -----
attn.variant @v() {
  // expected-error@+1 {{'attn.query' op expects positions among query, head, request, q_len, kv_len, but got slot}}
  attn.query(%x: vector<64xf32>, slot %s) {
    attn.yield %x : vector<64xf32>
  }
}
// -----
// Key.
attn.variant @v() {
  // expected-error@+1 {{'attn.key' op expects a row, a vector of 1 to 576 f32, but got 'vector<577xf32>'}}
  attn.key(%x: vector<577xf32>) {
    attn.yield %x : vector<577xf32>
  }
}
// -----
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.key(%x: vector<64xf32>) {
    %0 = vector.extract_strided_slice %x {offsets = [0], sizes = [32], strides = [1]} : vector<64xf32> to vector<32xf32>
    // expected-error@+1 {{'attn.yield' op expects one value of vector<64xf32>, but got ('vector<32xf32>')}}
    attn.yield %0 : vector<32xf32>
  }
}
// -----
attn.variant @v() {
  // expected-error@+1 {{'attn.key' op expects positions among key, head, request, q_len, kv_len, slot, but got query}}
  attn.key(%x: vector<64xf32>, query %s) {
    attn.yield %x : vector<64xf32>
  }
}
// -----
// Value.
attn.variant @v() {
  // expected-error@+1 {{'attn.value' op expects a row, a vector of 1 to 576 f32, but got 'vector<64xf16>'}}
  attn.value(%x: vector<64xf16>) {
    attn.yield %x : vector<64xf16>
  }
}
// -----
attn.variant @v() {
  // expected-error@+1 {{'attn.value' op expects positions among key, head, request, q_len, kv_len, slot, but got query}}
  attn.value(%x: vector<64xf32>, query %s) {
    attn.yield %x : vector<64xf32>
  }
}
// -----
// Output.
attn.variant @v() {
  // expected-error@+1 {{'attn.output' op expects 1 data arguments before the positions, but got 2}}
  attn.output(%x: vector<64xf32>, %y: vector<64xf32>) {
    attn.yield %x : vector<64xf32>
  }
}
// -----
attn.variant @v() {
  // expected-error@+1 {{'attn.output' op expects positions among query, head, request, q_len, kv_len, but got key}}
  attn.output(%x: vector<64xf32>, key %s) {
    attn.yield %x : vector<64xf32>
  }
}
// -----
// Bounds.
attn.variant @v() {
  // expected-error@+1 {{'attn.bounds' op expects positions among head, request, q_len, kv_len, query_first, query_last, but got query}}
  attn.bounds(query %q) {
    attn.yield %q, %q, %q, %q : i32, i32, i32, i32
  }
}
// -----
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.bounds(query_first %q) {
    // expected-error@+1 {{'attn.yield' op expects 4, 8, 12 or 16 values of i32, but got ('i32', 'i32')}}
    attn.yield %q, %q : i32, i32
  }
}
// -----
// Text.
attn.variant @v() {
  // expected-error@+1 {{expects a position, but got row}}
  attn.logits(%s, row %r) {
    attn.yield %s : f32
  }
}
// -----
attn.variant @v() {
  // expected-error@+1 {{expects data before positions}}
  attn.logits(query %q, %s) {
    attn.yield %s : f32
  }
}
// -----
attn.variant @v() {
  // expected-error@+1 {{'attn.logits' op expects region #0 to have 0 or 1 blocks}}
  attn.logits(%s) {
    attn.yield %s : f32
  ^next:
    attn.yield %s : f32
  }
}
// -----
module {
  // expected-error@+1 {{'attn.logits' op expects parent op 'attn.variant'}}
  attn.logits(%s) {
    attn.yield %s : f32
  }
}
