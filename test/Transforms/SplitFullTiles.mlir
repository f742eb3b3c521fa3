// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-split-full-tiles))' | FileCheck %s

// CHECK-LABEL: tile.entry @branches
tile.entry @branches attend #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: !tile.words):
  %inf = arith.constant 0xFF800000 : f32
  %n = tile.word %words[4] : i32
  %zero = arith.constant 0 : i32
  %full = arith.cmpi eq, %n, %zero : i32
  %s = tile.fill %inf : f32 -> !tile.tile<16x16xf32>
  // CHECK: %[[R:.*]] = scf.if %[[FULL:.*]] -> (!tile.tile<16x16xf32>)
  // CHECK-NEXT: scf.yield %[[S:.*]] :
  // CHECK: else
  // CHECK: tile.mask %[[S]] unless %false
  // CHECK: tile.reduce max %[[R]]
  %r = tile.mask %s unless %full fill %inf {
  ^bb0(%row: i32, %column: i32):
    %keep = arith.cmpi sge, %row, %column : i32
    tile.yield %keep : i1
  } : !tile.tile<16x16xf32>
  %m = tile.reduce max %r : !tile.tile<16x16xf32> -> !tile.tile<16x1xf32>
}

// A mask of which nothing is known stays.
// CHECK-LABEL: tile.entry @keeps_unknown
tile.entry @keeps_unknown attend #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: !tile.words):
  %inf = arith.constant 0xFF800000 : f32
  %never = arith.constant false
  %s = tile.fill %inf : f32 -> !tile.tile<16x16xf32>
  // CHECK-NOT: scf.if
  // CHECK: tile.mask
  %r = tile.mask %s unless %never fill %inf {
  ^bb0(%row: i32, %column: i32):
    %keep = arith.cmpi sge, %row, %column : i32
    tile.yield %keep : i1
  } : !tile.tile<16x16xf32>
}
