// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// gpt-oss: each head owns a learned logit, the sink, that joins the softmax's
// denominator and brings no value; every other layer sees a causal window of 128.
// A row that sees no key has output 0, and the sink as its LSE.

attn.variant @sink_window(%window: i32, %sinks: !attn.per_head<f32>) {
  attn.mask(query %q, key %k) {
    %c0 = arith.constant 0 : i32
    %behind = arith.subi %q, %k : i32
    %causal = arith.cmpi sge, %behind, %c0 : i32
    %near = arith.cmpi slt, %behind, %window : i32
    %keep = arith.andi %causal, %near : i1
    attn.yield %keep : i1
  }
  attn.sink(head %h) {
    %sink = attn.read %sinks[%h] : !attn.per_head<f32>
    attn.yield %sink : f32
  }
}

attn.kernel @gpt_oss(%q: !attn.ragged<64x64xbf16>, %kv: !attn.paged<8x64xbf16, page = 16>,
                     %window: i32, %sinks: !attn.per_head<f32>) {
  %s = attn.attend @sink_window(%window, %sinks : i32, !attn.per_head<f32>) %q, %kv
    : !attn.ragged<64x64xbf16>, !attn.paged<8x64xbf16, page = 16> -> !attn.state<64x64>
  %o, %lse = attn.finish @sink_window(%window, %sinks : i32, !attn.per_head<f32>) %s
    : !attn.state<64x64> -> !attn.ragged<64x64xbf16>, !attn.lse<64>
  attn.return %o, %lse : !attn.ragged<64x64xbf16>, !attn.lse<64>
}
