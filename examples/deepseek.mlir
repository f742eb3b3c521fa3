// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DeepSeek-V2 prefill: latent attention expanded to heads, whose queries and keys are
// 192 wide (128 + 64 rotary) and whose values are 128 wide. The scale carries YaRN's
// correction, so it is an argument.

attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}

attn.kernel @deepseek(%q: !attn.ragged<16x192xbf16>, %kv: !attn.ragged<16x192xbf16, value = 128>,
                      %scale: f32) {
  %s = attn.attend @causal() %q, %kv scale %scale
    : !attn.ragged<16x192xbf16>, !attn.ragged<16x192xbf16, value = 128> -> !attn.state<16x128>
  %o, %lse = attn.finish @causal() %s
    : !attn.state<16x128> -> !attn.ragged<16x128xbf16>, !attn.lse<16>
  attn.return %o, %lse : !attn.ragged<16x128xbf16>, !attn.lse<16>
}
