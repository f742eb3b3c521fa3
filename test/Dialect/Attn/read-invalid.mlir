// RUN: saccade-opt %s -split-input-file -verify-diagnostics

attn.variant @v(%t: !attn.per_head<f32>) {
  attn.logits(%s, head %h) {
    // expected-error@+1 {{'attn.read' op expects 1 indices into '!attn.per_head<f32>', but got 2}}
    %0 = attn.read %t[%h, %h] : !attn.per_head<f32>
    attn.yield %0 : f32
  }
}
// -----
attn.variant @v(%t: !attn.per_token<f32>) {
  attn.logits(%s, key %k) {
    // expected-error@+1 {{'attn.read' op expects 2 indices into '!attn.per_token<f32>', but got 1}}
    %0 = attn.read %t[%k] : !attn.per_token<f32>
    attn.yield %0 : f32
  }
}
// -----
attn.variant @v(%t: !attn.bits) {
  attn.mask(key %k) {
    // expected-error@+1 {{'attn.read' op expects 3 indices into '!attn.bits', but got 0}}
    %0 = attn.read %t[] : !attn.bits
    attn.yield %0 : i1
  }
}
// -----
attn.variant @v(%t: f32) {
  attn.logits(%s, key %k) {
    // expected-error@+1 {{expects a table to read, but got 'f32'}}
    %0 = attn.read %t[%k] : f32
    attn.yield %0 : f32
  }
}
// -----
attn.variant @v(%t: !attn.table<?x?xf32>) {
  attn.logits(%s, key %k) {
    // expected-error@+1 {{'attn.read' op expects 2 indices into '!attn.table<?x?xf32>', but got 3}}
    %0 = attn.read %t[%k, %k, %k] : !attn.table<?x?xf32>
    attn.yield %0 : f32
  }
}
