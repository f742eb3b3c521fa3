// RUN: saccade-opt %s | saccade-opt | FileCheck %s
// RUN: saccade-opt -mlir-print-op-generic %s | saccade-opt | FileCheck %s

// CHECK-LABEL: attn.variant @all_visible() {
// CHECK-NEXT: }
attn.variant @all_visible() {
}

// CHECK-LABEL: attn.variant @unnormalized() normalizer = none {
attn.variant @unnormalized() normalizer = none {
}

// CHECK-LABEL: attn.variant @default_is_not_printed() {
attn.variant @default_is_not_printed() normalizer = softmax {
}

// CHECK-LABEL: attn.variant @with_attributes() normalizer = sigmoid attributes {note = "x"} {
attn.variant @with_attributes() normalizer = sigmoid attributes {note = "x"} {
}

// CHECK-LABEL: attn.variant @every_parameter(%{{.*}}: f32, %{{.*}}: i32, %{{.*}}: !attn.per_head<f32>, %{{.*}}: !attn.per_request<i32>, %{{.*}}: !attn.per_token<i32>, %{{.*}}: !attn.bits) {
attn.variant @every_parameter(%f: f32, %i: i32, %h: !attn.per_head<f32>, %r: !attn.per_request<i32>, %t: !attn.per_token<i32>, %b: !attn.bits) {
}
