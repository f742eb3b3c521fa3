// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Speculative decoding: the q_len draft tokens of a request form a tree. All see the
// sequence before them; among themselves a packed mask says who descends from whom:
// bit [row, key] of the request, little bit order.

attn.variant @tree(%visible: !attn.bits) {
  attn.mask(query %q, key %k, request %r, q_len %m, kv_len %n) {
    %first = arith.subi %n, %m : i32
    %row = arith.subi %q, %first : i32
    %keep = attn.read %visible[%r, %row, %k] : !attn.bits
    attn.yield %keep : i1
  }
}

attn.kernel @speculative_tree(%q: !attn.ragged<32x128xbf16>,
                              %kv: !attn.paged<8x128xbf16, page = 16>,
                              %visible: !attn.bits)
    attributes {attn.query_tokens = 8} {
  %s = attn.attend @tree(%visible : !attn.bits) %q, %kv
    : !attn.ragged<32x128xbf16>, !attn.paged<8x128xbf16, page = 16> -> !attn.state<32x128>
  %o, %lse = attn.finish @tree(%visible : !attn.bits) %s
    : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}
