// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gemma-2 27B: logits softly capped by cap * tanh(s / cap), then a causal window that
// keeps the query itself and the `window - 1` keys before it. Layers without a window
// pass one that no sequence reaches. The model's scale is 1 / sqrt(144), cap 50,
// window 4096.

attn.variant @soft_cap_window(%cap: f32, %window: i32) {
  attn.logits(%s) {
    %ratio = arith.divf %s, %cap : f32
    %bent = math.tanh %ratio : f32
    %capped = arith.mulf %bent, %cap : f32
    attn.yield %capped : f32
  }
  attn.mask(query %q, key %k) {
    %c0 = arith.constant 0 : i32
    %behind = arith.subi %q, %k : i32
    %causal = arith.cmpi sge, %behind, %c0 : i32
    %near = arith.cmpi slt, %behind, %window : i32
    %keep = arith.andi %causal, %near : i1
    attn.yield %keep : i1
  }
}

attn.kernel @gemma2(%q: !attn.ragged<32x128xbf16>, %kv: !attn.paged<16x128xbf16, page = 16>,
                    %scale: f32, %cap: f32, %window: i32) {
  %s = attn.attend @soft_cap_window(%cap, %window : f32, i32) %q, %kv scale %scale
    : !attn.ragged<32x128xbf16>, !attn.paged<16x128xbf16, page = 16> -> !attn.state<32x128>
  %o, %lse = attn.finish @soft_cap_window(%cap, %window : f32, i32) %s
    : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}
