// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A bidirectional encoder in f32: every token sees every token of its own sentence;
// sentences shorter than the batch's rectangle are padding, neither read nor written.

attn.variant @all() {}

attn.kernel @encoder(%q: !attn.dense<12x64xf32>, %kv: !attn.dense<12x64xf32>) {
  %s = attn.attend @all() %q, %kv
    : !attn.dense<12x64xf32>, !attn.dense<12x64xf32> -> !attn.state<12x64>
  %o, %lse = attn.finish @all() %s
    : !attn.state<12x64> -> !attn.dense<12x64xf32>, !attn.lse<12>
  attn.return %o, %lse : !attn.dense<12x64xf32>, !attn.lse<12>
}
