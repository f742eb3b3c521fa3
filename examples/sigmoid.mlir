// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Causal sigmoid attention: each weight is sigmoid(logit + bias), by itself, with no
// softmax over the row; the usual bias is -log(kv_len). States merge by addition, and
// there is no LSE.

attn.variant @shifted_sigmoid(%bias: f32) normalizer = sigmoid {
  attn.logits(%s) {
    %shifted = arith.addf %s, %bias : f32
    attn.yield %shifted : f32
  }
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}

attn.kernel @sigmoid(%q: !attn.dense<16x64xf16>, %kv: !attn.dense<16x64xf16>, %bias: f32) {
  %s = attn.attend @shifted_sigmoid(%bias : f32) %q, %kv
    : !attn.dense<16x64xf16>, !attn.dense<16x64xf16> -> !attn.state<16x64, sigmoid>
  %o = attn.finish @shifted_sigmoid(%bias : f32) %s
    : !attn.state<16x64, sigmoid> -> !attn.dense<16x64xf16>
  attn.return %o : !attn.dense<16x64xf16>
}
