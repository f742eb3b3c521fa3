// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decoding over a cache of 8-bit floats, half the bytes of bf16: each KV head's keys
// and values are stored in units of a scale of their own, which calibration found.

attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}

attn.kernel @decode_fp8(%q: !attn.ragged<32x128xbf16>, %kv: !attn.paged<8x128xf8E4M3FN, page = 16>,
                        %key_scale: !attn.per_head<f32>, %value_scale: !attn.per_head<f32>)
    attributes {attn.query_tokens = 1} {
  %s = attn.attend @causal() %q, %kv
    key_scale %key_scale : !attn.per_head<f32> value_scale %value_scale : !attn.per_head<f32>
    : !attn.ragged<32x128xbf16>, !attn.paged<8x128xf8E4M3FN, page = 16> -> !attn.state<32x128>
  %o, %lse = attn.finish @causal() %s
    : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}
