// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Llama-3 prefill: causal attention over packed prompts, 32 query heads that share
// 8 KV heads in groups of 4. A query's position is its place in the whole sequence,
// so chunked prefill over a longer cache is the same spec.

attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}

attn.kernel @llama3_prefill(%q: !attn.ragged<32x128xbf16>, %kv: !attn.ragged<8x128xbf16>) {
  %s = attn.attend @causal() %q, %kv
    : !attn.ragged<32x128xbf16>, !attn.ragged<8x128xbf16> -> !attn.state<32x128>
  %o, %lse = attn.finish @causal() %s
    : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}
