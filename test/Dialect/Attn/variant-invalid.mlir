// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// Rule 1.
// expected-error@+1 {{expects parameters to be f32, i32 or tables, but #1 is 'i64'}}
attn.variant @v(%a: f32, %b: i64) {
}
// -----
// expected-error@+1 {{expects parameters to be f32, i32 or tables, but #0 is '!attn.ragged<8x128xbf16>'}}
attn.variant @v(%a: !attn.ragged<8x128xbf16>) {
}
// -----
// Rule 2.
attn.variant @v() {
  // expected-note@+1 {{the other one is here}}
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
  // expected-error@+1 {{'attn.mask' op expects to be the only one of its kind in the variant}}
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}
// -----
// Rule 3.
attn.variant @v(%sink: f32) normalizer = sigmoid {
  // expected-error@+1 {{'attn.sink' op expects the normalizer softmax, but got sigmoid}}
  attn.sink() {
    attn.yield %sink : f32
  }
}
// -----
// Rule 4.
// expected-note@+1 {{variant is here}}
attn.variant @v() {
  // expected-error@+1 {{expects only bodies in a variant, but got arith.constant}}
  %0 = arith.constant 0 : i32
}
// -----
// Rule 5.
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.logits(%s) {
    // expected-error@+1 {{expects an operation admitted in attn.logits, but got math.atan}}
    %0 = math.atan %s : f32
    attn.yield %0 : f32
  }
}
// -----
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.mask(query %q) {
    // expected-error@+1 {{expects an operation admitted in attn.mask, but got arith.index_cast}}
    %0 = arith.index_cast %q : i32 to index
    %keep = arith.cmpi sge, %q, %q : i32
    attn.yield %keep : i1
  }
}
// -----
attn.variant @v() {
  // expected-note@+1 {{body is here}}
  attn.logits(%s) {
    // expected-error@+1 {{expects an operation admitted in attn.logits, but got vector.broadcast}}
    %0 = vector.broadcast %s : f32 to vector<4xf32>
    attn.yield %s : f32
  }
}
// -----
// Rule 6.
attn.variant @v() {
  attn.logits(%s, query %q) {
    // expected-error@+1 {{expects values to be i1, i32 or f32, but got 'i64'}}
    %0 = arith.extsi %q : i32 to i64
    attn.yield %s : f32
  }
}
// -----
attn.variant @v() {
  attn.logits(%s) {
    // expected-error@+1 {{expects values to be i1, i32 or f32, but got 'f64'}}
    %0 = arith.constant 0.0 : f64
    attn.yield %s : f32
  }
}
// -----
attn.variant @v() {
  attn.logits(%s) {
    // expected-error@+1 {{expects values to be i1, i32 or f32, but got 'vector<4xf32>'}}
    %0 = arith.constant dense<0.0> : vector<4xf32>
    attn.yield %s : f32
  }
}
// -----
attn.variant @v() {
  attn.query(%x: vector<128xf32>) {
    // expected-error@+1 {{expects vectors of one dimension and 1 to 576 elements, but got 'vector<2x64xf32>'}}
    %0 = arith.constant dense<0.0> : vector<2x64xf32>
    attn.yield %x : vector<128xf32>
  }
}
// -----
attn.variant @v() {
  attn.query(%x: vector<128xf32>) {
    // expected-error@+1 {{expects vectors of one dimension and 1 to 576 elements, but got 'vector<1000000000xf32>'}}
    %0 = arith.constant dense<0.0> : vector<1000000000xf32>
    attn.yield %x : vector<128xf32>
  }
}
// -----
attn.variant @v() {
  attn.query(%x: vector<128xf32>) {
    // expected-error@+1 {{expects values to be i1, i32 or f32, or vectors of them, but got 'vector<128xbf16>'}}
    %0 = arith.constant dense<0.0> : vector<128xbf16>
    attn.yield %x : vector<128xf32>
  }
}
// -----
// Rule 7.
attn.variant @v() {
  // expected-error@+1 {{'attn.mask' op expects to ask for query once}}
  attn.mask(query %a, query %b) {
    %keep = arith.cmpi sge, %a, %b : i32
    attn.yield %keep : i1
  }
}
// -----
// Rule 8.
attn.variant @v() {
  // expected-error@+1 {{'attn.mask' op expects an argument for each of 2 positions, but got 1}}
  "attn.mask"() <{positions = [#attn.position<query>, #attn.position<key>]}> ({
  ^bb0(%q: i32):
    %keep = arith.cmpi sge, %q, %q : i32
    attn.yield %keep : i1
  }) : () -> ()
}
// -----
attn.variant @v() {
  // expected-error@+1 {{'attn.mask' op expects positions to be i32, but got 'i64'}}
  "attn.mask"() <{positions = [#attn.position<query>]}> ({
  ^bb0(%q: i64):
    %keep = arith.constant true
    attn.yield %keep : i1
  }) : () -> ()
}
// -----
// Rule 9.
attn.variant @v() {
  attn.query(%x: vector<128xf32>) {
    // expected-error@+1 {{expects a number or dense elements, but got dense_resource<blob> : vector<128xf32>}}
    %0 = arith.constant dense_resource<blob> : vector<128xf32>
    attn.yield %x : vector<128xf32>
  }
}
{-# dialect_resources: { builtin: { blob: "0x08000000010000000000000002000000000000000300000000000000" } } #-}
// -----
// Text.
// expected-error@+1 {{expects normalizer to be softmax, sigmoid or none, but got relu}}
attn.variant @v() normalizer = relu {
}
// -----
module {
  func.func @f() {
    // expected-error@+1 {{'attn.variant' op expects parent op 'builtin.module'}}
    attn.variant @v() {
    }
    return
  }
}
