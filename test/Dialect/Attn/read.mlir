// RUN: saccade-opt %s | saccade-opt | FileCheck %s
// RUN: saccade-opt -cse %s | FileCheck %s --check-prefix=CSE

// CHECK-LABEL: attn.variant @every_table
// CSE-LABEL: attn.variant @every_table
attn.variant @every_table(%h: !attn.per_head<f32>, %r: !attn.per_request<i32>, %t: !attn.per_token<f32>, %b: !attn.bits) {
  attn.mask(query %q, key %k, head %head, request %req) {
    // CHECK: attn.read %{{.*}}[%{{.*}}] : !attn.per_head<f32>
    %0 = attn.read %h[%head] : !attn.per_head<f32>
    // CHECK: attn.read %{{.*}}[%{{.*}}] : !attn.per_request<i32>
    %1 = attn.read %r[%req] : !attn.per_request<i32>
    // CHECK: attn.read %{{.*}}[%{{.*}}, %{{.*}}] : !attn.per_token<f32>
    %2 = attn.read %t[%req, %k] : !attn.per_token<f32>
    // CHECK: %[[BIT:.*]] = attn.read %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : !attn.bits
    %3 = attn.read %b[%req, %q, %k] : !attn.bits
    // CHECK: attn.yield %[[BIT]] : i1
    attn.yield %3 : i1
  }
  // CSE: attn.logits
  attn.logits(%s, head %head) {
    // CSE-NEXT: %[[A:.*]] = attn.read
    // CSE-NEXT: arith.addf %[[A]], %[[A]]
    %a = attn.read %h[%head] : !attn.per_head<f32>
    %c = attn.read %h[%head] : !attn.per_head<f32>
    %x = arith.addf %a, %c : f32
    attn.yield %x : f32
  }
}

// CHECK-LABEL: attn.variant @reads_of_tables_give_three_types
attn.variant @reads_of_tables_give_three_types(%f: !attn.table<?x?xbf16>, %i: !attn.table<?xi64>, %b: !attn.table<?x?x?xi1>) {
  attn.mask(query %q, key %k, head %h) {
    // CHECK: %[[F:.*]] = attn.read %{{.*}}[%{{.*}}, %{{.*}}] : !attn.table<?x?xbf16>
    // CHECK: arith.fptosi %[[F]] : f32 to i32
    %0 = attn.read %f[%q, %k] : !attn.table<?x?xbf16>
    %1 = arith.fptosi %0 : f32 to i32
    // CHECK: %[[I:.*]] = attn.read %{{.*}}[%{{.*}}] : !attn.table<?xi64>
    // CHECK: attn.read %{{.*}}[%{{.*}}, %[[I]], %{{.*}}] : !attn.table<?x?x?xi1>
    %2 = attn.read %i[%1] : !attn.table<?xi64>
    %3 = attn.read %b[%h, %2, %k] : !attn.table<?x?x?xi1>
    attn.yield %3 : i1
  }
}
