// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Block-sparse prefill: each block of 64 query tokens lists the blocks of 64 keys that
// it attends to, as selected by whatever scored them; the causal mask still cuts the
// blocks on the diagonal.

attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}

attn.kernel @block_sparse(%q: !attn.ragged<32x128xbf16>,
                          %kv: !attn.block_sparse<8x128xbf16, block = 64x64>) {
  %s = attn.attend @causal() %q, %kv
    : !attn.ragged<32x128xbf16>, !attn.block_sparse<8x128xbf16, block = 64x64> -> !attn.state<32x128>
  %o, %lse = attn.finish @causal() %s
    : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}
