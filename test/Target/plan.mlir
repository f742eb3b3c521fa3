// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What planners are told of masks, and the tiles that they count: with a
// constant window, with one that only the call knows, and without a mask.

// RUN: saccade explain %s --kernel narrow --device cpu --json | %python -c "import json, sys; print(json.load(sys.stdin)['entries'][0]['folds'])" | FileCheck %s --check-prefix=DATA
// RUN: saccade plan %s --kernel narrow --target sm_80 --schedule '#tile.schedule<rows = 64, keys = 32, warps = 4, weights = bf16>' --batch 40:400 --ctas 1 | FileCheck %s --check-prefix=NARROW
// RUN: saccade plan %s --kernel wide --target sm_80 --schedule '#tile.schedule<rows = 64, keys = 32, warps = 4, weights = bf16>' --batch 40:400 --ctas 1 | FileCheck %s --check-prefix=WIDE
// RUN: saccade plan %s --kernel all --target sm_80 --schedule '#tile.schedule<rows = 64, keys = 32, warps = 4, weights = bf16>' --batch 40:400 --ctas 1 | FileCheck %s --check-prefix=ALL
// RUN: saccade plan %s --kernel all --target sm_90a --batch "9:400, 8:64, 1:32, 0:5" --ctas 1 | FileCheck %s --check-prefix=BOTH

// DATA: 'code': ['query_first', 100, ['sub', 0, 1], 1, ['add', 2, 3], ['le', 3, 1], 'query_last', ['add', 6, 3], ['select', 5, 7, 4]], 'keys': {{\[\[}}4, 8]]}
// DATA-SAME: 'cache': 1

// Queries 368..399 see keys from 269 on, queries 360..367 from 261 on.
// NARROW: 2 items on 1 ctas, 64 rows at most, tiles of 32 keys, group 2
// NARROW: rows [16, 80) keys [0, 400) in 5 tiles
// NARROW: rows [0, 16) keys [0, 400) in 4 tiles

// WIDE: rows [16, 80) keys [0, 400) in 13 tiles
// WIDE: rows [0, 16) keys [0, 400) in 12 tiles

// ALL: rows [16, 80) keys [0, 400) in 13 tiles
// ALL: rows [0, 16) keys [0, 400) in 13 tiles

// Requests of more than 16 packed rows go to one entry, the others to another.
// BOTH: entry @all attend: 1 items on 1 ctas, {{[0-9]+}} rows at most, requests of 17 rows or more
// BOTH: request 0 head 0 rows [0, 18) keys [0, 400)
// BOTH: entry @all_few attend: 3 items on 1 ctas, 8 rows at most, requests of 16 rows or less
// BOTH-DAG: request 1 head 0 rows [0, 8) keys [0, 64)
// BOTH-DAG: request 1 head 0 rows [8, 16) keys [0, 64)
// BOTH-DAG: request 2 head 0 rows [0, 2) keys [0, 32)
// BOTH-NOT: head

attn.variant @window(%width: i32) {
  attn.mask(query %q, key %k) {
    %d = arith.subi %q, %k : i32
    %zero = arith.constant 0 : i32
    %behind = arith.cmpi sge, %d, %zero : i32
    %near = arith.cmpi slt, %d, %width : i32
    %keep = arith.andi %behind, %near : i1
    attn.yield %keep : i1
  }
}
attn.variant @plain() {}

attn.kernel @narrow(%q: !attn.ragged<2x64xbf16>, %kv: !attn.ragged<1x64xbf16>) {
  %width = arith.constant 100 : i32
  %s = attn.attend @window(%width : i32) %q, %kv
    : !attn.ragged<2x64xbf16>, !attn.ragged<1x64xbf16> -> !attn.state<2x64>
  %o, %lse = attn.finish @window(%width : i32) %s
    : !attn.state<2x64> -> !attn.ragged<2x64xbf16>, !attn.lse<2>
  attn.return %o : !attn.ragged<2x64xbf16>
}
attn.kernel @wide(%q: !attn.ragged<2x64xbf16>, %kv: !attn.ragged<1x64xbf16>, %width: i32) {
  %s = attn.attend @window(%width : i32) %q, %kv
    : !attn.ragged<2x64xbf16>, !attn.ragged<1x64xbf16> -> !attn.state<2x64>
  %o, %lse = attn.finish @window(%width : i32) %s
    : !attn.state<2x64> -> !attn.ragged<2x64xbf16>, !attn.lse<2>
  attn.return %o : !attn.ragged<2x64xbf16>
}
attn.kernel @all(%q: !attn.ragged<2x64xbf16>, %kv: !attn.ragged<1x64xbf16>) {
  %s = attn.attend @plain() %q, %kv
    : !attn.ragged<2x64xbf16>, !attn.ragged<1x64xbf16> -> !attn.state<2x64>
  %o, %lse = attn.finish @plain() %s
    : !attn.state<2x64> -> !attn.ragged<2x64xbf16>, !attn.lse<2>
  attn.return %o : !attn.ragged<2x64xbf16>
}
