// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -saccade-attn -convert-attn-to-tile -canonicalize -cse -split-input-file | FileCheck %s

// Words: 8 of the header, 4 of the queries, 12 of the cache; then the table's
// address, and the last index and the stride of each of its dimensions.
attn.variant @bias(%t: !attn.table<?x?xbf16>) {
  attn.logits(%s, head %h, key %k) {
    %b = attn.read %t[%h, %k] : !attn.table<?x?xbf16>
    %y = arith.addf %s, %b : f32
    attn.yield %y : f32
  }
}

// CHECK-LABEL: tile.entry @clamps_each_index
// CHECK: ^bb0(%[[WORDS:.*]]: !tile.words)
// CHECK: %[[BASE:.*]] = tile.word %[[WORDS]][24] : !tile.address
// CHECK: tile.dot
// CHECK: tile.map
// CHECK: %[[LAST0:.*]] = tile.word %[[WORDS]][25] : i32
// CHECK: %[[STRIDE0:.*]] = tile.word %[[WORDS]][26] : i64
// CHECK: %[[MIN:.*]] = arith.minsi %{{.*}}, %[[LAST0]] : i32
// CHECK: %[[AT:.*]] = arith.maxsi %[[MIN]], %{{.*}} : i32
// CHECK: %[[WIDE:.*]] = arith.extsi %[[AT]] : i32 to i64
// CHECK: %[[ROW:.*]] = arith.muli %[[WIDE]], %[[STRIDE0]] : i64
// CHECK: tile.word %[[WORDS]][27] : i32
// CHECK: tile.word %[[WORDS]][28] : i64
// CHECK: %[[OFFSET:.*]] = arith.addi %{{.*}}, %[[ROW]] : i64
// CHECK: %[[HALF:.*]] = tile.lookup %[[BASE]][%[[OFFSET]]] : i16
// CHECK: %[[LOW:.*]] = arith.extui %[[HALF]] : i16 to i32
// CHECK: %[[BITS:.*]] = arith.shli %[[LOW]], %{{.*}} : i32
// CHECK: arith.bitcast %[[BITS]] : i32 to f32
attn.kernel @clamps_each_index(%q: !attn.ragged<8x64xbf16>, %kv: !attn.ragged<8x64xbf16>, %t: !attn.table<?x?xbf16>) {
  %s = attn.attend @bias(%t : !attn.table<?x?xbf16>) %q, %kv : !attn.ragged<8x64xbf16>, !attn.ragged<8x64xbf16> -> !attn.state<8x64>
  %o = attn.finish @bias(%t : !attn.table<?x?xbf16>) %s : !attn.state<8x64> -> !attn.ragged<8x64xbf16>
  attn.return %o : !attn.ragged<8x64xbf16>
}

// -----

attn.variant @entries(%half: !attn.table<?xf16>, %long: !attn.table<?xi64>, %byte: !attn.table<?xi8>, %truth: !attn.table<?xi1>) {
  attn.mask(key %k) {
    %a = attn.read %half[%k] : !attn.table<?xf16>
    %b = attn.read %long[%k] : !attn.table<?xi64>
    %c = attn.read %byte[%k] : !attn.table<?xi8>
    %d = attn.read %truth[%k] : !attn.table<?xi1>
    %i = arith.fptosi %a : f32 to i32
    %e = arith.cmpi eq, %i, %b : i32
    %f = arith.cmpi ne, %b, %c : i32
    %g = arith.andi %e, %f : i1
    %keep = arith.andi %g, %d : i1
    attn.yield %keep : i1
  }
}

// CHECK-LABEL: tile.entry @widens_entries
// CHECK: tile.mask
// CHECK: %[[HALF:.*]] = tile.lookup %{{.*}} : i16
// CHECK: %[[FLOAT:.*]] = arith.bitcast %[[HALF]] : i16 to f16
// CHECK: arith.extf %[[FLOAT]] : f16 to f32
// CHECK: %[[LONG:.*]] = tile.lookup %{{.*}} : i64
// CHECK: arith.trunci %[[LONG]] : i64 to i32
// CHECK: %[[BYTE:.*]] = tile.lookup %{{.*}} : i8
// CHECK: arith.extsi %[[BYTE]] : i8 to i32
// CHECK: %[[TRUTH:.*]] = tile.lookup %{{.*}} : i8
// CHECK: arith.cmpi ne, %[[TRUTH]], %{{.*}} : i8
attn.kernel @widens_entries(%q: !attn.ragged<8x64xbf16>, %kv: !attn.ragged<8x64xbf16>, %half: !attn.table<?xf16>, %long: !attn.table<?xi64>, %byte: !attn.table<?xi8>, %truth: !attn.table<?xi1>) {
  %s = attn.attend @entries(%half, %long, %byte, %truth : !attn.table<?xf16>, !attn.table<?xi64>, !attn.table<?xi8>, !attn.table<?xi1>) %q, %kv : !attn.ragged<8x64xbf16>, !attn.ragged<8x64xbf16> -> !attn.state<8x64>
  %o = attn.finish @entries(%half, %long, %byte, %truth : !attn.table<?xf16>, !attn.table<?xi64>, !attn.table<?xi8>, !attn.table<?xi1>) %s : !attn.state<8x64> -> !attn.ragged<8x64xbf16>
  attn.return %o : !attn.ragged<8x64xbf16>
}
