// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Every operation and type of the dialect survives a round trip.
// RUN: saccade-opt %s | saccade-opt | FileCheck %s

// CHECK-LABEL: tile.entry @copies
// CHECK-SAME: attend <rows = 16, group = 2, heads = 4, keys = 32, row_block = 0>
// CHECK-SAME: <rows = 16, keys = 32, warps = 1, weights = bf16>
tile.entry @copies attend #tile.items<rows = 16, group = 2, heads = 4, keys = 32, row_block = 0>
    #tile.schedule<rows = 16, keys = 32, warps = 1, weights = bf16> {
^bb0(%words: !tile.words):
  // CHECK: tile.cta
  %cta = tile.cta
  // CHECK: tile.for_each_item
  tile.for_each_item %words {
  ^bb1(%request: i32, %head: i32, %row_begin: i32, %row_end: i32, %kv_begin: i32, %kv_end: i32, %partial: i32):
    // CHECK: tile.word %{{.*}}[4] : !tile.address
    %base = tile.word %words[4] : !tile.address
    %zero = arith.constant 0 : i64
    // CHECK: tile.lookup %{{.*}}[%{{.*}}] : i32
    %n = tile.lookup %base[%zero] : i32
    // CHECK: tile.load %{{.*}} rows
    %t = tile.load %base rows {
    ^bb2(%row: i32):
      %wide = arith.extsi %row : i32 to i64
      %there = arith.cmpi slt, %row, %n : i32
      tile.yield %wide, %there : i64, i1
    } : !tile.tile<16x64xbf16>
    // CHECK: tile.store %{{.*}} to %{{.*}} rows
    tile.store %t to %base rows {
    ^bb2(%row: i32):
      %wide = arith.extsi %row : i32 to i64
      %there = arith.cmpi slt, %row, %n : i32
      tile.yield %wide, %there : i64, i1
    } : !tile.tile<16x64xbf16>
  }
}

// CHECK-LABEL: func @computes
func.func @computes(%q: !tile.tile<16x64xbf16>, %k: !tile.tile<32x64xbf16>, %full: i1) -> !tile.tile<16x1xf32> {
  // CHECK: tile.dot %{{.*}}, %{{.*}} transposed : <16x64xbf16>, <32x64xbf16> -> <16x32xf32>
  %s = tile.dot %q, %k transposed : !tile.tile<16x64xbf16>, !tile.tile<32x64xbf16> -> !tile.tile<16x32xf32>
  %x = arith.constant 0xFF800000 : f32
  // CHECK: tile.fill
  %acc = tile.fill %x : f32 -> !tile.tile<16x64xf32>
  // CHECK: tile.mask %{{.*}} unless %{{.*}} fill
  %m = tile.mask %s unless %full fill %x {
  ^bb0(%row: i32, %column: i32):
    %keep = arith.cmpi sge, %row, %column : i32
    tile.yield %keep : i1
  } : !tile.tile<16x32xf32>
  // CHECK: tile.map_rows
  %rows = tile.map_rows %m {
  ^bb0(%v: vector<32xf32>, %row: i32):
    tile.yield %v : vector<32xf32>
  } : !tile.tile<16x32xf32> -> !tile.tile<16x32xf32>
  // CHECK: tile.map(
  %w = tile.map (%rows) {
  ^bb0(%e: f32, %row: i32, %column: i32):
    %d = arith.addf %e, %e : f32
    tile.yield %d : f32
  } : (!tile.tile<16x32xf32>) -> !tile.tile<16x32xf32>
  // CHECK: tile.dot %{{.*}}, %{{.*}} into
  %o = tile.dot %w, %k into %acc : !tile.tile<16x64xf32> : !tile.tile<16x32xf32>, !tile.tile<32x64xbf16> -> !tile.tile<16x64xf32>
  // CHECK: tile.reduce max
  %r = tile.reduce max %o : !tile.tile<16x64xf32> -> !tile.tile<16x1xf32>
  return %r : !tile.tile<16x1xf32>
}

// CHECK-LABEL: func @lives
// CHECK-SAME: !tile.tile<16x32xf32, #tile.accumulator<warps = 1>>
func.func @lives(%a: !tile.tile<16x32xf32, #tile.accumulator<warps = 1>>) {
  // CHECK: tile.convert
  %b = tile.convert %a : !tile.tile<16x32xf32, #tile.accumulator<warps = 1>> -> !tile.tile<16x32xf32, #tile.operand<warps = 1>>
  return
}
