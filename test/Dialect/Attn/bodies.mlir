// RUN: saccade-opt %s | saccade-opt | FileCheck %s
// RUN: saccade-opt -mlir-print-op-generic %s | saccade-opt | FileCheck %s

// CHECK-LABEL: attn.variant @every_body
attn.variant @every_body(%p: f32) {
  // CHECK: attn.query(%[[X:.*]]: vector<128xf32>, query %{{.*}}, head %{{.*}}, request %{{.*}}, q_len %{{.*}}, kv_len %{{.*}}) {
  // CHECK-NEXT: attn.yield %[[X]] : vector<128xf32>
  attn.query(%x: vector<128xf32>, query %q, head %h, request %r, q_len %ql, kv_len %kl) {
    attn.yield %x : vector<128xf32>
  }
  // CHECK: attn.key(%{{.*}}: vector<128xf32>, key %{{.*}}, slot %{{.*}}) {
  attn.key(%x: vector<128xf32>, key %k, slot %s) {
    attn.yield %x : vector<128xf32>
  }
  // CHECK: attn.value(%{{.*}}: vector<64xf32>, head %{{.*}}) {
  attn.value(%x: vector<64xf32>, head %h) {
    attn.yield %x : vector<64xf32>
  }
  // CHECK: attn.logits(%[[S:.*]], slot %[[SLOT:.*]]) {
  attn.logits(%s, slot %slot) {
    // CHECK: arith.sitofp %[[SLOT]]
    %f = arith.sitofp %slot : i32 to f32
    // CHECK: arith.addf %[[S]],
    %r = arith.addf %s, %f : f32
    attn.yield %r : f32
  }
  // CHECK: attn.mask(query %[[Q:.*]], key %[[K:.*]]) {
  attn.mask(query %q, key %k) {
    // CHECK: arith.cmpi sge, %[[Q]], %[[K]]
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
  // CHECK: attn.sink(head %{{.*}}, query %{{.*}}) {
  attn.sink(head %h, query %q) {
    attn.yield %p : f32
  }
  // CHECK: attn.output(%{{.*}}: vector<64xf32>) {
  // CHECK: attn.bounds(query_first %[[F:.*]], query_last %[[L:.*]], kv_len %{{.*}}) {
  attn.output(%x: vector<64xf32>) {
    attn.yield %x : vector<64xf32>
  }
  attn.bounds(query_first %f, query_last %l, kv_len %n) {
    %c0 = arith.constant 0 : i32
    %c1 = arith.constant 1 : i32
    %hi = arith.addi %l, %c1 : i32
    // CHECK: attn.yield %{{.*}}, %{{.*}}, %{{.*}}, %[[F]] : i32, i32, i32, i32
    attn.yield %c0, %hi, %c0, %f : i32, i32, i32, i32
  }
}

// CHECK-LABEL: attn.variant @row_operations
attn.variant @row_operations() {
  attn.key(%x: vector<64xf32>, key %k) {
    %even = vector.extract_strided_slice %x {offsets = [0], sizes = [32], strides = [1]} : vector<64xf32> to vector<32xf32>
    %odd = vector.shuffle %even, %even [31, 0, 1, 2] : vector<32xf32>, vector<32xf32>
    %sum = vector.reduction <add>, %odd : vector<4xf32> into f32
    %first = vector.extract %x[0] : f32 from vector<64xf32>
    %both = arith.addf %sum, %first : f32
    %y = vector.insert %both, %x[1] : f32 into vector<64xf32>
    %all = vector.broadcast %both : f32 to vector<32xf32>
    %z = vector.insert_strided_slice %all, %y {offsets = [32], strides = [1]} : vector<32xf32> into vector<64xf32>
    // CHECK: attn.yield %{{.*}} : vector<64xf32>
    attn.yield %z : vector<64xf32>
  }
}
