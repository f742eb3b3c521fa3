// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One step of a model in one kernel: the new keys and values go into their pages,
// then the queries attend over the cache that holds them.

attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}

attn.kernel @append_attend(%q: !attn.ragged<32x128xbf16>, %k: !attn.ragged<8x128xbf16>,
                           %v: !attn.ragged<8x128xbf16>, %kv: !attn.paged<8x128xbf16, page = 16>) {
  %cache = attn.append %k, %v into %kv
    : !attn.ragged<8x128xbf16>, !attn.ragged<8x128xbf16> into !attn.paged<8x128xbf16, page = 16>
  %s = attn.attend @causal() %q, %cache
    : !attn.ragged<32x128xbf16>, !attn.paged<8x128xbf16, page = 16> -> !attn.state<32x128>
  %o, %lse = attn.finish @causal() %s
    : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}
