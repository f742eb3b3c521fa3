// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One step of a model over a cache of 8-bit floats: the new keys and values, f16 as
// the model has them, are rounded on their way into the pages. One scale a tensor.

attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}

attn.kernel @append_fp8(%q: !attn.ragged<16x64xf16>, %k: !attn.ragged<4x64xf16>,
                        %v: !attn.ragged<4x64xf16>, %kv: !attn.paged<4x64xf8E5M2, page = 16>,
                        %key_scale: f32, %value_scale: f32) {
  %cache = attn.append %k, %v into %kv key_scale %key_scale : f32 value_scale %value_scale : f32
    : !attn.ragged<4x64xf16>, !attn.ragged<4x64xf16> into !attn.paged<4x64xf8E5M2, page = 16>
  %s = attn.attend @causal() %q, %cache key_scale %key_scale : f32 value_scale %value_scale : f32
    : !attn.ragged<16x64xf16>, !attn.paged<4x64xf8E5M2, page = 16> -> !attn.state<16x64>
  %o, %lse = attn.finish @causal() %s
    : !attn.state<16x64> -> !attn.ragged<16x64xf16>, !attn.lse<16>
  attn.return %o, %lse : !attn.ragged<16x64xf16>, !attn.lse<16>
}
