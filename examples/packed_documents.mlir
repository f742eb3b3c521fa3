// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Training on packed documents: several documents share one sequence, and a token
// sees the earlier tokens of its own. The document of every token is a table.

attn.variant @documents(%document: !attn.per_token<i32>) {
  attn.mask(query %q, key %k, request %r) {
    %mine = attn.read %document[%r, %q] : !attn.per_token<i32>
    %theirs = attn.read %document[%r, %k] : !attn.per_token<i32>
    %same = arith.cmpi eq, %mine, %theirs : i32
    %causal = arith.cmpi sge, %q, %k : i32
    %keep = arith.andi %same, %causal : i1
    attn.yield %keep : i1
  }
}

attn.kernel @packed_documents(%q: !attn.ragged<32x128xbf16>, %kv: !attn.ragged<8x128xbf16>,
                              %document: !attn.per_token<i32>) {
  %s = attn.attend @documents(%document : !attn.per_token<i32>) %q, %kv
    : !attn.ragged<32x128xbf16>, !attn.ragged<8x128xbf16> -> !attn.state<32x128>
  %o, %lse = attn.finish @documents(%document : !attn.per_token<i32>) %s
    : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}
