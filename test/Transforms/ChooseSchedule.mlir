// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(attn.kernel(attn-choose-schedule))' | FileCheck %s --check-prefix=CPU
// RUN: saccade-opt %s -pass-pipeline='builtin.module(attn.kernel(attn-choose-schedule{target=sm_90a}))' | FileCheck %s --check-prefix=GPU

attn.variant @all() {
}

// CPU-LABEL: attn.kernel @small
// CPU: schedule = #tile.schedule<rows = 64, keys = 128, warps = 1, weights = f32>
// GPU-LABEL: attn.kernel @small
// GPU: schedule = #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16>
attn.kernel @small(%q: !attn.ragged<8x128xbf16>, %kv: !attn.ragged<8x128xbf16>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x128xbf16>, !attn.ragged<8x128xbf16> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xbf16>
  attn.return %o : !attn.ragged<8x128xbf16>
}

// Wide heads leave less room for keys.
// CPU-LABEL: attn.kernel @wide
// CPU: keys = 64
// GPU-LABEL: attn.kernel @wide
// GPU: keys = 16
attn.kernel @wide(%q: !attn.ragged<8x512xf16>, %kv: !attn.ragged<8x512xf16>) {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x512xf16>, !attn.ragged<8x512xf16> -> !attn.state<8x512>
  %o = attn.finish @all() %s : !attn.state<8x512> -> !attn.ragged<8x512xf16>
  attn.return %o : !attn.ragged<8x512xf16>
}

// CPU-LABEL: attn.kernel @keeps_its_own
// CPU: schedule = #tile.schedule<rows = 16, keys = 32, warps = 1, weights = f32>
// GPU-LABEL: attn.kernel @keeps_its_own
// GPU: schedule = #tile.schedule<rows = 16, keys = 32, warps = 1, weights = f32>
attn.kernel @keeps_its_own(%q: !attn.ragged<8x128xbf16>, %kv: !attn.ragged<8x128xbf16>)
    schedule = #tile.schedule<rows = 16, keys = 32, warps = 1, weights = f32> {
  %s = attn.attend @all() %q, %kv : !attn.ragged<8x128xbf16>, !attn.ragged<8x128xbf16> -> !attn.state<8x128>
  %o = attn.finish @all() %s : !attn.state<8x128> -> !attn.ragged<8x128xbf16>
  attn.return %o : !attn.ragged<8x128xbf16>
}
