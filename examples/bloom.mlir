// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// BLOOM: ALiBi adds slope[head] * (key - query) to the logit, so far keys fade. The
// slopes are data: a table with one entry for each query head.

attn.variant @alibi(%slopes: !attn.per_head<f32>) {
  attn.logits(%s, query %q, key %k, head %h) {
    %slope = attn.read %slopes[%h] : !attn.per_head<f32>
    %ahead = arith.subi %k, %q : i32
    %distance = arith.sitofp %ahead : i32 to f32
    %bias = arith.mulf %slope, %distance : f32
    %biased = arith.addf %s, %bias : f32
    attn.yield %biased : f32
  }
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}

attn.kernel @bloom(%q: !attn.ragged<32x128xf16>, %kv: !attn.ragged<32x128xf16>,
                   %slopes: !attn.per_head<f32>) {
  %s = attn.attend @alibi(%slopes : !attn.per_head<f32>) %q, %kv
    : !attn.ragged<32x128xf16>, !attn.ragged<32x128xf16> -> !attn.state<32x128>
  %o, %lse = attn.finish @alibi(%slopes : !attn.per_head<f32>) %s
    : !attn.state<32x128> -> !attn.ragged<32x128xf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xf16>, !attn.lse<32>
}
