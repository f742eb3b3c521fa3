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
