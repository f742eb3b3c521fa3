// RUN: saccade-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: attn.variant @erases_bodies_that_say_nothing
// CHECK-NEXT: }
attn.variant @erases_bodies_that_say_nothing() {
  attn.logits(%s, query %q) {
    %c0 = arith.constant -0.0 : f32
    %0 = arith.addf %s, %c0 : f32
    attn.yield %0 : f32
  }
  attn.mask(query %q) {
    %keep = arith.cmpi sge, %q, %q : i32
    attn.yield %keep : i1
  }
  attn.query(%x: vector<64xf32>) {
    attn.yield %x : vector<64xf32>
  }
  attn.key(%x: vector<64xf32>, key %k) {
    attn.yield %x : vector<64xf32>
  }
  attn.value(%x: vector<64xf32>) {
    attn.yield %x : vector<64xf32>
  }
  attn.output(%x: vector<64xf32>) {
    attn.yield %x : vector<64xf32>
  }
  attn.sink(head %h) {
    %none = arith.constant 0xFF800000 : f32
    attn.yield %none : f32
  }
}

// CHECK-LABEL: attn.variant @keeps_bodies_that_say_something
attn.variant @keeps_bodies_that_say_something(%p: f32) {
  // CHECK-NEXT: attn.logits(%{{.*}}) {
  attn.logits(%s) {
    // CHECK-NEXT: attn.yield %p
    attn.yield %p : f32
  }
  // CHECK: attn.mask() {
  // CHECK-NEXT: %false = arith.constant false
  // CHECK-NEXT: attn.yield %false
  attn.mask(query %q) {
    %keep = arith.cmpi sgt, %q, %q : i32
    attn.yield %keep : i1
  }
  // CHECK: attn.sink() {
  attn.sink() {
    // CHECK-NEXT: arith.constant 0.000000e+00
    %c0 = arith.constant 0.0 : f32
    attn.yield %c0 : f32
  }
}

// CHECK-LABEL: attn.variant @asks_for_no_position_it_does_not_read
attn.variant @asks_for_no_position_it_does_not_read(%w: i32) {
  // CHECK-NEXT: attn.mask(key %[[K:.*]]) {
  attn.mask(query %q, key %k, head %h, slot %slot) {
    // CHECK-NEXT: arith.cmpi slt, %[[K]], %w
    %keep = arith.cmpi slt, %k, %w : i32
    attn.yield %keep : i1
  }
}

// CHECK-LABEL: attn.variant @keeps_constants_in_their_body
attn.variant @keeps_constants_in_their_body() {
  // CHECK-NEXT: attn.mask
  attn.mask(query %q, key %k) {
    // CHECK-NEXT: %[[C:.*]] = arith.constant 3 : i32
    %c1 = arith.constant 1 : i32
    %c2 = arith.constant 2 : i32
    %c3 = arith.addi %c1, %c2 : i32
    %d = arith.subi %q, %k : i32
    // CHECK: arith.cmpi slt, %{{.*}}, %[[C]]
    %keep = arith.cmpi slt, %d, %c3 : i32
    attn.yield %keep : i1
  }
}

// CHECK-LABEL: attn.variant @stays_within_the_admitted_operations
attn.variant @stays_within_the_admitted_operations() {
  attn.key(%x: vector<4xf32>) {
    %a = vector.extract_strided_slice %x {offsets = [0], sizes = [2], strides = [1]} : vector<4xf32> to vector<2xf32>
    %b = vector.extract_strided_slice %x {offsets = [2], sizes = [2], strides = [1]} : vector<4xf32> to vector<2xf32>
    // CHECK: vector.interleave
    %y = vector.shuffle %a, %b [0, 2, 1, 3] : vector<2xf32>, vector<2xf32>
    attn.yield %y : vector<4xf32>
  }
  attn.value(%x: vector<2xf32>) {
    %a = vector.extract %x[0] : f32 from vector<2xf32>
    %b = vector.extract %x[1] : f32 from vector<2xf32>
    // CHECK: vector.from_elements
    %y = vector.insert %b, %x[0] : f32 into vector<2xf32>
    %z = vector.insert %a, %y[1] : f32 into vector<2xf32>
    attn.yield %z : vector<2xf32>
  }
}

// CHECK-LABEL: attn.kernel @drops_the_default_scale
attn.kernel @drops_the_default_scale(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %scale = arith.constant 0.125 : f32
  // CHECK-NEXT: attn.attend @keeps_constants_in_their_body() %q, %kv :
  %s = attn.attend @keeps_constants_in_their_body() %q, %kv scale %scale
    : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @keeps_constants_in_their_body() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}

// CHECK-LABEL: attn.kernel @keeps_a_scale_of_its_own
attn.kernel @keeps_a_scale_of_its_own(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %scale = arith.constant 0.5 : f32
  // CHECK: attn.attend @keeps_constants_in_their_body() %q, %kv scale %cst :
  %s = attn.attend @keeps_constants_in_their_body() %q, %kv scale %scale
    : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @keeps_constants_in_their_body() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
