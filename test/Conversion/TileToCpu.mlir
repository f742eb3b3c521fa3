// RUN: saccade-opt %s -convert-tile-to-cpu=lanes=16 -split-input-file | FileCheck %s

#items = #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32>

// What depends on the row alone stays scalar, ahead of the loop over columns; the
// map overwrites its input, so there is one buffer.
// CHECK-LABEL: func.func @maps_in_vectors
// CHECK-SAME: (%[[WORDS:.*]]: !llvm.ptr, %{{.*}}: i32)
tile.entry @maps_in_vectors attend #items #schedule {
^bb0(%words: !tile.words):
  %one = arith.constant 1.0 : f32
  // CHECK: llvm.alloca
  // CHECK-NOT: llvm.alloca
  %x = tile.fill %one : f32 -> !tile.tile<16x64xf32>
  // CHECK: scf.for
  // CHECK: %[[REAL:.*]] = arith.sitofp %{{.*}} : i32 to f32
  // CHECK: scf.for
  // CHECK: llvm.load {{.*}} -> vector<16xf32>
  // CHECK: vector.broadcast %[[REAL]]
  // CHECK: arith.addf {{.*}} fastmath<contract> : vector<16xf32>
  // CHECK: llvm.store {{.*}} : vector<16xf32>
  %y = tile.map (%x) {
  ^bb0(%e: f32, %row: i32, %column: i32):
    %real = arith.sitofp %row : i32 to f32
    %s = arith.addf %e, %real : f32
    tile.yield %s : f32
  } : (!tile.tile<16x64xf32>) -> !tile.tile<16x64xf32>
}

// -----

#items = #tile.items<rows = 64, group = 1, heads = 1, keys = 64, row_block = 0>
#schedule = #tile.schedule<rows = 64, keys = 64, warps = 1, weights = f32>

// Keys are transposed while they are gathered, and the product is a loop over k of
// register blocks. The count of rows is that of the rows that the store writes.
// CHECK-LABEL: func.func @multiplies_live_rows
tile.entry @multiplies_live_rows attend #items #schedule {
^bb0(%words: !tile.words):
  %n = tile.word %words[0] : i32
  %q = tile.word %words[1] : !tile.address
  %k = tile.word %words[2] : !tile.address
  %o = tile.word %words[3] : !tile.address
  %c64 = arith.constant 64 : i64
  // CHECK: %[[LIVE:.*]] = scf.for {{.*}} iter_args
  // CHECK: arith.cmpi slt
  // CHECK: scf.for {{.*}} to %[[LIVE]]
  %a = tile.load %q rows {
  ^bb0(%row: i32):
    %wide = arith.extsi %row : i32 to i64
    %offset = arith.muli %wide, %c64 : i64
    %there = arith.cmpi slt, %row, %n : i32
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<64x64xbf16>
  // CHECK: vector.shuffle {{.*}} : vector<16xf32>, vector<16xf32>
  %b = tile.load %k rows {
  ^bb0(%row: i32):
    %wide = arith.extsi %row : i32 to i64
    %offset = arith.muli %wide, %c64 : i64
    %there = arith.constant true
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<64x64xbf16>
  // CHECK: %[[WHOLE:.*]] = arith.divui %[[LIVE]]
  // CHECK-COUNT-16: vector.fma
  // CHECK-COUNT-16: vector.fma
  // CHECK-NOT: vector.fma
  %s = tile.dot %a, %b transposed : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16> -> !tile.tile<64x64xf32>
  // CHECK: scf.for {{.*}} to %[[LIVE]]
  // CHECK: scf.if
  tile.store %s to %o rows {
  ^bb0(%row: i32):
    %wide = arith.extsi %row : i32 to i64
    %offset = arith.muli %wide, %c64 : i64
    %there = arith.cmpi slt, %row, %n : i32
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<64x64xf32>
}

// -----

// CHECK-LABEL: func.func @rows_are_scaled
tile.entry @rows_are_scaled attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: !tile.words):
  %x = tile.word %words[4] : f32
  %to = tile.word %words[5] : !tile.address
  %c0 = arith.constant 0 : i64
  %there = arith.constant true
  %a = tile.fill %x : f32 -> !tile.tile<16x16xf32>
  %f = tile.fill %x : f32 -> !tile.tile<16x1xf32>
  // CHECK: arith.mulf {{.*}} : vector<16xf32>
  %b = tile.scale_rows %a by %f : !tile.tile<16x16xf32>, !tile.tile<16x1xf32>
  tile.store %b to %to rows {
  ^bb0(%row: i32):
    tile.yield %c0, %there : i64, i1
  } : !tile.tile<16x16xf32>
}

// -----

// The last of `count` CTAs finds the highest number, and leaves 0.
// CHECK-LABEL: func.func @parts_arrive
tile.entry @parts_arrive attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: !tile.words):
  %counters = tile.word %words[5] : !tile.address
  %count = tile.word %words[8] : i32
  %to = tile.word %words[9] : !tile.address
  %c3 = arith.constant 3 : i32
  %c0 = arith.constant 0 : i64
  %x = arith.constant 1.0 : f32
  // CHECK: %[[COUNTER:.*]] = llvm.getelementptr {{.*}}[%c3_i32]
  // CHECK: %[[HIGHEST:.*]] = arith.subi
  // CHECK: %[[BEFORE:.*]] = llvm.atomicrmw uinc_wrap %[[COUNTER]], %[[HIGHEST]] seq_cst
  // CHECK: %[[LAST:.*]] = arith.cmpi eq, %[[BEFORE]], %[[HIGHEST]]
  // CHECK: arith.select %[[LAST]]
  %last = tile.arrive %counters[%c3] of %count
  %a = tile.fill %x : f32 -> !tile.tile<16x1xf32>
  tile.store %a to %to rows {
  ^bb0(%row: i32):
    %at = arith.extsi %row : i32 to i64
    tile.yield %at, %last : i64, i1
  } : !tile.tile<16x1xf32>
}

// -----

#items = #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32>

// Floats of 8 bits are bytes in memory, and f16 on the way to f32: the exponent is
// brought into place, the difference of biases is a factor.
// CHECK-LABEL: func.func @widens_and_rounds_bytes
tile.entry @widens_and_rounds_bytes attend #items #schedule {
^bb0(%words: !tile.words):
  %from = tile.word %words[0] : !tile.address
  %to = tile.word %words[1] : !tile.address
  // CHECK: %[[BYTES:.*]] = llvm.load {{.*}} {alignment = 1 : i64} : !llvm.ptr -> vector<16xi8>
  // CHECK: arith.extui %[[BYTES]] : vector<16xi8> to vector<16xi16>
  // CHECK: %[[HALF:.*]] = arith.bitcast %{{.*}} : vector<16xi16> to vector<16xf16>
  // CHECK: %[[WIDE:.*]] = arith.extf %[[HALF]] : vector<16xf16> to vector<16xf32>
  // CHECK: arith.mulf %[[WIDE]], %{{.*}} : vector<16xf32>
  %a = tile.load %from rows {
  ^bb0(%row: i32):
    %offset = arith.extsi %row : i32 to i64
    %there = arith.constant true
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<16x64xf8E4M3FN>
  // CHECK: arith.trunci %{{.*}} : vector<16xi32> to vector<16xi8>
  // CHECK: llvm.store {{.*}} : vector<16xi8>, !llvm.ptr
  tile.store %a to %to rows {
  ^bb0(%row: i32):
    %offset = arith.extsi %row : i32 to i64
    %there = arith.constant true
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<16x64xf8E4M3FN>
}
