// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A system prompt shared by many requests: one cache holds the prefix, whose pages all
// tables name, another holds what is each request's own. Two attends give two partial
// states; merging them is exact. Keys count through both caches: the suffix starts
// where the prefix ends.

attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}

attn.kernel @shared_prefix(%q: !attn.ragged<32x128xbf16>,
                           %prefix: !attn.paged<8x128xbf16, page = 16>,
                           %suffix: !attn.paged<8x128xbf16, page = 16>) {
  %s0 = attn.attend @causal() %q, %prefix
    : !attn.ragged<32x128xbf16>, !attn.paged<8x128xbf16, page = 16> -> !attn.state<32x128>
  %s1 = attn.attend @causal() %q, %suffix
    : !attn.ragged<32x128xbf16>, !attn.paged<8x128xbf16, page = 16> -> !attn.state<32x128>
  %s = attn.merge %s0, %s1 : !attn.state<32x128>
  %o, %lse = attn.finish @causal() %s
    : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}
