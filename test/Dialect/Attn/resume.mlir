// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s | saccade-opt | FileCheck %s

attn.variant @full() {
}

// CHECK-LABEL: attn.kernel @merges_outputs
attn.kernel @merges_outputs(%a: !attn.ragged<8x64xbf16>, %la: !attn.lse<8>, %b: !attn.ragged<8x64xf32>, %lb: !attn.lse<8>) {
  // CHECK: %[[S:.*]] = attn.resume %{{.*}}, %{{.*}} : !attn.ragged<8x64xbf16>, !attn.lse<8> -> !attn.state<8x64>
  %s = attn.resume %a, %la : !attn.ragged<8x64xbf16>, !attn.lse<8> -> !attn.state<8x64>
  %t = attn.resume %b, %lb : !attn.ragged<8x64xf32>, !attn.lse<8> -> !attn.state<8x64>
  %m = attn.merge %s, %t : !attn.state<8x64>
  %o, %lse = attn.finish @full() %m : !attn.state<8x64> -> !attn.ragged<8x64xbf16>, !attn.lse<8>
  attn.return %o, %lse : !attn.ragged<8x64xbf16>, !attn.lse<8>
}

// CHECK-LABEL: attn.kernel @goes_on_from_an_output
attn.kernel @goes_on_from_an_output(%q: !attn.dense<8x64xbf16>, %kv: !attn.paged<8x64xbf16, page = 16>, %a: !attn.dense<8x64xf32>, %la: !attn.lse<8>) {
  %s = attn.attend @full() %q, %kv : !attn.dense<8x64xbf16>, !attn.paged<8x64xbf16, page = 16> -> !attn.state<8x64>
  // CHECK: attn.resume %{{.*}}, %{{.*}} : !attn.dense<8x64xf32>, !attn.lse<8> -> !attn.state<8x64>
  %t = attn.resume %a, %la : !attn.dense<8x64xf32>, !attn.lse<8> -> !attn.state<8x64>
  %m = attn.merge %s, %t : !attn.state<8x64>
  %o = attn.finish @full() %m : !attn.state<8x64> -> !attn.dense<8x64xbf16>
  attn.return %o : !attn.dense<8x64xbf16>
}
