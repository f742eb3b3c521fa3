// RUN: saccade-opt -attn-derive-tile-bounds -canonicalize -cse -verify-diagnostics %s | FileCheck %s

// CHECK-LABEL: attn.variant @causal
attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
  // CHECK: attn.bounds(query_last %[[LAST:.*]], query_first %[[FIRST:.*]]) {
  // CHECK-DAG: %[[C0:.*]] = arith.constant 0
  // CHECK-DAG: %[[C1:.*]] = arith.constant 1
  // CHECK-DAG: %[[HI:.*]] = arith.addi %[[LAST]], %[[C1]]
  // CHECK-DAG: %[[FULL:.*]] = arith.addi %[[FIRST]], %[[C1]]
  // CHECK: attn.yield %[[C0]], %[[HI]], %[[C0]], %[[FULL]] :
}

// CHECK-LABEL: attn.variant @run_time_prefix
attn.variant @run_time_prefix(%prefixes: !attn.per_request<i32>) {
  attn.mask(query %q, key %k, request %r) {
    %prefix = attn.read %prefixes[%r] : !attn.per_request<i32>
    %behind = arith.cmpi sge, %q, %k : i32
    %early = arith.cmpi slt, %k, %prefix : i32
    %keep = arith.ori %behind, %early : i1
    attn.yield %keep : i1
  }
  // CHECK: attn.bounds
  // CHECK: %[[PREFIX:.*]] = attn.read
  // CHECK: %[[HI:.*]] = arith.maxsi %{{.*}}, %[[PREFIX]]
  // CHECK: %[[FULL:.*]] = arith.maxsi %{{.*}}, %[[PREFIX]]
  // CHECK: attn.yield %[[C0:.*]], %[[HI]], %[[C0]], %[[FULL]] :
}

// CHECK-LABEL: attn.variant @prefix_in_a_table_by_request
attn.variant @prefix_in_a_table_by_request(%prefixes: !attn.table<?xi64>) {
  attn.mask(key %k, request %r) {
    %prefix = attn.read %prefixes[%r] : !attn.table<?xi64>
    %early = arith.cmpi slt, %k, %prefix : i32
    attn.yield %early : i1
  }
  // CHECK: attn.bounds(request %[[R:.*]]) {
  // CHECK: %[[PREFIX:.*]] = attn.read %{{.*}}[%[[R]]] : !attn.table<?xi64>
  // CHECK: attn.yield %{{.*}}, %[[PREFIX]], %{{.*}}, %[[PREFIX]] :
}

// A window of no keys is seen by nobody, hence the select.
// CHECK-LABEL: attn.variant @window
// CHECK-SAME: (%[[WINDOW:.*]]: i32)
attn.variant @window(%window: i32) {
  attn.mask(query %q, key %k) {
    %c0 = arith.constant 0 : i32
    %behind = arith.subi %q, %k : i32
    %causal = arith.cmpi sge, %behind, %c0 : i32
    %near = arith.cmpi slt, %behind, %window : i32
    %keep = arith.andi %causal, %near : i1
    attn.yield %keep : i1
  }
  // CHECK: attn.bounds(query_first %[[FIRST:.*]], query_last %[[LAST:.*]]) {
  // CHECK: %[[LO0:.*]] = arith.subi %[[FIRST]], %[[WINDOW]]
  // CHECK: %[[LO:.*]] = arith.addi %[[LO0]],
  // CHECK: %[[HI:.*]] = arith.select %{{.*}}, %{{.*}}, %[[LO]]
  // CHECK: %[[FULL0:.*]] = arith.subi %[[LAST]], %[[WINDOW]]
  // CHECK: %[[FULL:.*]] = arith.addi %[[FULL0]],
  // CHECK: attn.yield %[[LO]], %[[HI]], %[[FULL]], %{{.*}} :
}

// What is not affine leaves the rest of the mask its bounds, and no full part.
// CHECK-LABEL: attn.variant @dilated_causal
attn.variant @dilated_causal(%step: i32) {
  attn.mask(query %q, key %k) {
    %c0 = arith.constant 0 : i32
    %distance = arith.subi %q, %k : i32
    // expected-remark @below {{tests the mask per element: 'arith.remsi' is not affine here}}
    %phase = arith.remsi %distance, %step : i32
    %hit = arith.cmpi eq, %phase, %c0 : i32
    %causal = arith.cmpi sge, %distance, %c0 : i32
    %keep = arith.andi %hit, %causal : i1
    attn.yield %keep : i1
  }
  // CHECK: attn.bounds(query_last %[[LAST:.*]]) {
  // CHECK: %[[HI:.*]] = arith.addi %[[LAST]],
  // CHECK: attn.yield %[[C0:.*]], %[[HI]], %[[C0]], %[[C0]] :
}

// Three terms of 2^30 do not fit: the sum is i64 and saturates.
// CHECK-LABEL: attn.variant @distant_sum
attn.variant @distant_sum(%a: i32, %b: i32) {
  attn.mask(query %q, key %k) {
    %left = arith.addi %q, %a : i32
    %right = arith.subi %k, %b : i32
    %keep = arith.cmpi sge, %left, %right : i32
    attn.yield %keep : i1
  }
  // CHECK: attn.bounds
  // CHECK: arith.addi %{{.*}} : i64
  // CHECK: arith.trunci %{{.*}} : i64 to i32
}

// CHECK-LABEL: attn.variant @has_bounds
attn.variant @has_bounds() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
  // CHECK: attn.bounds(kv_len
  // CHECK-NOT: attn.bounds
  attn.bounds(kv_len %n) {
    %c0 = arith.constant 0 : i32
    attn.yield %c0, %n, %c0, %c0 : i32, i32, i32, i32
  }
}
