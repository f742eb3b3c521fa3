// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Llama-3 decode over pages of one token: the table names every token's row, as
// SGLang's token pool does.

attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}

attn.kernel @llama3_decode_page1(%q: !attn.ragged<32x128xbf16>,
                                 %kv: !attn.paged<8x128xbf16, page = 1>)
    attributes {attn.query_tokens = 1} {
  %s = attn.attend @causal() %q, %kv
    : !attn.ragged<32x128xbf16>, !attn.paged<8x128xbf16, page = 1> -> !attn.state<32x128>
  %o, %lse = attn.finish @causal() %s
    : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}
