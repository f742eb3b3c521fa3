// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A prefix language model (PaliGemma): the prefix, an image and a question, sees
// itself both ways; what is generated after it is causal. 8 query heads share one KV
// head of 256.

attn.variant @prefix(%prefix: !attn.per_request<i32>) {
  attn.mask(query %q, key %k, request %r) {
    %length = attn.read %prefix[%r] : !attn.per_request<i32>
    %in_prefix = arith.cmpi slt, %k, %length : i32
    %causal = arith.cmpi sge, %q, %k : i32
    %keep = arith.ori %in_prefix, %causal : i1
    attn.yield %keep : i1
  }
}

attn.kernel @prefix_lm(%q: !attn.ragged<8x256xbf16>, %kv: !attn.ragged<1x256xbf16>,
                       %prefix: !attn.per_request<i32>) {
  %s = attn.attend @prefix(%prefix : !attn.per_request<i32>) %q, %kv
    : !attn.ragged<8x256xbf16>, !attn.ragged<1x256xbf16> -> !attn.state<8x256>
  %o, %lse = attn.finish @prefix(%prefix : !attn.per_request<i32>) %s
    : !attn.state<8x256> -> !attn.ragged<8x256xbf16>, !attn.lse<8>
  attn.return %o, %lse : !attn.ragged<8x256xbf16>, !attn.lse<8>
}
