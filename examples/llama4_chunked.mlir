// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Llama 4's local layers: sequences are cut into chunks of 8192 tokens, and a token
// sees the earlier tokens of its own chunk. The chunk is a run-time argument.

attn.variant @chunked(%chunk: i32) {
  attn.mask(query %q, key %k) {
    %mine = arith.divsi %q, %chunk : i32
    %theirs = arith.divsi %k, %chunk : i32
    %same = arith.cmpi eq, %mine, %theirs : i32
    %causal = arith.cmpi sge, %q, %k : i32
    %keep = arith.andi %same, %causal : i1
    attn.yield %keep : i1
  }
}

attn.kernel @llama4_chunked(%q: !attn.ragged<40x128xbf16>, %kv: !attn.paged<8x128xbf16, page = 16>,
                            %chunk: i32) {
  %s = attn.attend @chunked(%chunk : i32) %q, %kv
    : !attn.ragged<40x128xbf16>, !attn.paged<8x128xbf16, page = 16> -> !attn.state<40x128>
  %o, %lse = attn.finish @chunked(%chunk : i32) %s
    : !attn.state<40x128> -> !attn.ragged<40x128xbf16>, !attn.lse<40>
  attn.return %o, %lse : !attn.ragged<40x128xbf16>, !attn.lse<40>
}
