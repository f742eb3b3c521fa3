// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -saccade-attn -convert-attn-to-tile -canonicalize -cse -split-input-file 2>/dev/null | FileCheck %s
// RUN: saccade-opt %s -saccade-attn=target=sm_90a -convert-attn-to-tile -canonicalize -cse -split-input-file 2>/dev/null | FileCheck %s --check-prefix=ROLES

attn.variant @full() {
}

// Items are tokens of one head; there are no keys.
// CHECK-LABEL: tile.entry @merges_outputs rows
// CHECK-SAME: group = 1, heads = 8
// CHECK: ^bb0(%[[WORDS:.*]]: !tile.words)
// CHECK-NOT: scf.for
// CHECK: %[[LSES:.*]] = tile.word %[[WORDS]][12] : !tile.address
// CHECK: tile.map
// CHECK: tile.lookup %[[LSES]]
// CHECK: %[[A:.*]] = tile.load
// CHECK: %[[B:.*]] = tile.load
// CHECK: tile.store
// CHECK: tile.store
// CHECK-NOT: tile.store
attn.kernel @merges_outputs(%a: !attn.ragged<8x64xbf16>, %la: !attn.lse<8>, %b: !attn.ragged<8x64xbf16>, %lb: !attn.lse<8>) {
  %s = attn.resume %a, %la : !attn.ragged<8x64xbf16>, !attn.lse<8> -> !attn.state<8x64>
  %t = attn.resume %b, %lb : !attn.ragged<8x64xbf16>, !attn.lse<8> -> !attn.state<8x64>
  %m = attn.merge %s, %t : !attn.state<8x64>
  %o, %lse = attn.finish @full() %m : !attn.state<8x64> -> !attn.ragged<8x64xbf16>, !attn.lse<8>
  attn.return %o, %lse : !attn.ragged<8x64xbf16>, !attn.lse<8>
}

// -----

attn.variant @full() {
}

// Only the first part of a tile whose keys are cut goes on from the output, and
// it is read behind the fold.
// CHECK-LABEL: tile.entry @goes_on attend
// CHECK: ^bb0({{.*}}, %[[PARTIAL:[a-z0-9]+]]: i32):
// CHECK: tile.lookup
// CHECK: scf.for
// CHECK: tile.dot
// CHECK: scf.yield
// CHECK: %[[WHOLE:.*]] = arith.cmpi slt, %[[PARTIAL]], %c0_i32
// CHECK: %[[FIRST:.*]] = arith.cmpi sle, %[[PARTIAL]], %{{.*}}
// CHECK: %[[COUNTS:.*]] = arith.ori %[[WHOLE]], %[[FIRST]]
// CHECK: arith.select %[[COUNTS]]
// CHECK: tile.arrive
// ROLES-LABEL: tile.entry @goes_on attend
// ROLES: scf.for
// ROLES: tile.dot
// ROLES: scf.yield
// ROLES-NOT: tile.load
// ROLES: tile.store
attn.kernel @goes_on(%q: !attn.ragged<8x64xbf16>, %kv: !attn.ragged<8x64xbf16>, %a: !attn.ragged<8x64xbf16>, %la: !attn.lse<8>) {
  %s = attn.resume %a, %la : !attn.ragged<8x64xbf16>, !attn.lse<8> -> !attn.state<8x64>
  %t = attn.attend @full() %q, %kv : !attn.ragged<8x64xbf16>, !attn.ragged<8x64xbf16> -> !attn.state<8x64>
  %m = attn.merge %s, %t : !attn.state<8x64>
  %o = attn.finish @full() %m : !attn.state<8x64> -> !attn.ragged<8x64xbf16>
  attn.return %o : !attn.ragged<8x64xbf16>
}

// -----

attn.variant @negated() {
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}

// CHECK-LABEL: tile.entry @maps_tokens rows
// CHECK: %[[X:.*]] = tile.load
// CHECK: %[[Y:.*]] = tile.map_rows %[[X]]
// CHECK: tile.store %[[Y]]
attn.kernel @maps_tokens(%x: !attn.ragged<8x64xbf16>) {
  %y = attn.map_rows @negated() %x : !attn.ragged<8x64xbf16> -> !attn.ragged<8x64xbf16>
  attn.return %y : !attn.ragged<8x64xbf16>
}
