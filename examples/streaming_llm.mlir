// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// StreamingLLM: every query sees the first `sinks` tokens and the last `window`
// ones, and keys are cached before their rotary embedding. Tokens between the two
// count as gone: positions close up over them, so that a token turns by its place in
// what is left of the cache. Rotary pairs are half-split (NeoX), theta is run-time.

#lanes = dense<[
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
  16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
  32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
  48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63
]> : vector<64xi32>

attn.variant @streaming(%theta: f32, %sinks: i32, %window: i32) {
  attn.query(%x: vector<128xf32>, query %q, kv_len %n) {
    %c0 = arith.constant 0 : i32
    %held = arith.addi %sinks, %window : i32
    %over = arith.subi %n, %held : i32
    %gone = arith.maxsi %over, %c0 : i32
    %p = arith.subi %q, %gone : i32

    // Pair i of (x[i], x[64 + i]) turns by position * theta^(-i / 64).
    %lanes = arith.constant #lanes
    %lane = arith.sitofp %lanes : vector<64xi32> to vector<64xf32>
    %per_lane = arith.constant -0.015625 : f32
    %log_theta = math.log2 %theta : f32
    %step = arith.mulf %log_theta, %per_lane : f32
    %steps = vector.broadcast %step : f32 to vector<64xf32>
    %exponent = arith.mulf %lane, %steps : vector<64xf32>
    %frequency = math.exp2 %exponent : vector<64xf32>
    %place = arith.sitofp %p : i32 to f32
    %places = vector.broadcast %place : f32 to vector<64xf32>
    %angle = arith.mulf %places, %frequency : vector<64xf32>
    %cos = math.cos %angle : vector<64xf32>
    %sin = math.sin %angle : vector<64xf32>
    %a = vector.extract_strided_slice %x {offsets = [0], sizes = [64], strides = [1]}
      : vector<128xf32> to vector<64xf32>
    %b = vector.extract_strided_slice %x {offsets = [64], sizes = [64], strides = [1]}
      : vector<128xf32> to vector<64xf32>
    %a_cos = arith.mulf %a, %cos : vector<64xf32>
    %b_sin = arith.mulf %b, %sin : vector<64xf32>
    %low = arith.subf %a_cos, %b_sin : vector<64xf32>
    %b_cos = arith.mulf %b, %cos : vector<64xf32>
    %a_sin = arith.mulf %a, %sin : vector<64xf32>
    %high = arith.addf %b_cos, %a_sin : vector<64xf32>
    %half = vector.insert_strided_slice %low, %x {offsets = [0], strides = [1]}
      : vector<64xf32> into vector<128xf32>
    %turned = vector.insert_strided_slice %high, %half {offsets = [64], strides = [1]}
      : vector<64xf32> into vector<128xf32>
    attn.yield %turned : vector<128xf32>
  }
  attn.key(%x: vector<128xf32>, key %k, kv_len %n) {
    %c0 = arith.constant 0 : i32
    %held = arith.addi %sinks, %window : i32
    %over = arith.subi %n, %held : i32
    %gone = arith.maxsi %over, %c0 : i32
    %closed = arith.subi %k, %gone : i32
    %is_sink = arith.cmpi slt, %k, %sinks : i32
    %p = arith.select %is_sink, %k, %closed : i32

    // Pair i of (x[i], x[64 + i]) turns by position * theta^(-i / 64).
    %lanes = arith.constant #lanes
    %lane = arith.sitofp %lanes : vector<64xi32> to vector<64xf32>
    %per_lane = arith.constant -0.015625 : f32
    %log_theta = math.log2 %theta : f32
    %step = arith.mulf %log_theta, %per_lane : f32
    %steps = vector.broadcast %step : f32 to vector<64xf32>
    %exponent = arith.mulf %lane, %steps : vector<64xf32>
    %frequency = math.exp2 %exponent : vector<64xf32>
    %place = arith.sitofp %p : i32 to f32
    %places = vector.broadcast %place : f32 to vector<64xf32>
    %angle = arith.mulf %places, %frequency : vector<64xf32>
    %cos = math.cos %angle : vector<64xf32>
    %sin = math.sin %angle : vector<64xf32>
    %a = vector.extract_strided_slice %x {offsets = [0], sizes = [64], strides = [1]}
      : vector<128xf32> to vector<64xf32>
    %b = vector.extract_strided_slice %x {offsets = [64], sizes = [64], strides = [1]}
      : vector<128xf32> to vector<64xf32>
    %a_cos = arith.mulf %a, %cos : vector<64xf32>
    %b_sin = arith.mulf %b, %sin : vector<64xf32>
    %low = arith.subf %a_cos, %b_sin : vector<64xf32>
    %b_cos = arith.mulf %b, %cos : vector<64xf32>
    %a_sin = arith.mulf %a, %sin : vector<64xf32>
    %high = arith.addf %b_cos, %a_sin : vector<64xf32>
    %half = vector.insert_strided_slice %low, %x {offsets = [0], strides = [1]}
      : vector<64xf32> into vector<128xf32>
    %turned = vector.insert_strided_slice %high, %half {offsets = [64], strides = [1]}
      : vector<64xf32> into vector<128xf32>
    attn.yield %turned : vector<128xf32>
  }
  attn.mask(query %q, key %k) {
    %behind = arith.subi %q, %k : i32
    %causal = arith.cmpi sge, %q, %k : i32
    %near = arith.cmpi slt, %behind, %window : i32
    %is_sink = arith.cmpi slt, %k, %sinks : i32
    %held = arith.ori %near, %is_sink : i1
    %keep = arith.andi %causal, %held : i1
    attn.yield %keep : i1
  }
}

attn.kernel @streaming_llm(%q: !attn.ragged<32x128xbf16>, %kv: !attn.paged<32x128xbf16, page = 16>,
                           %theta: f32, %sinks: i32, %window: i32) {
  %s = attn.attend @streaming(%theta, %sinks, %window : f32, i32, i32) %q, %kv
    : !attn.ragged<32x128xbf16>, !attn.paged<32x128xbf16, page = 16> -> !attn.state<32x128>
  %o, %lse = attn.finish @streaming(%theta, %sinks, %window : f32, i32, i32) %s
    : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}
