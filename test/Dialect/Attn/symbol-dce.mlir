// RUN: saccade-opt %s -symbol-dce | FileCheck %s

// Variants are private to their module, kernels are not.

// CHECK-NOT: @unused
attn.variant @unused() {
}

// CHECK: attn.variant @used
attn.variant @used() {
}

// CHECK: attn.kernel @kernel
attn.kernel @kernel(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @used() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @used() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
