// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -convert-attn-to-tile -verify-diagnostics

attn.variant @all() {
}

// expected-error @+1 {{expects a schedule; run -attn-choose-schedule first}}
attn.kernel @no_schedule(%q: !attn.ragged<8x64xf32>, %kv: !attn.ragged<8x64xf32>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x64xf32>, !attn.ragged<8x64xf32> -> !attn.state<8x64>
  %o = attn.finish @all() %s : !attn.state<8x64> -> !attn.ragged<8x64xf32>
  attn.return %o : !attn.ragged<8x64xf32>
}
