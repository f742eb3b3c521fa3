// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-skip-rescales))' | FileCheck %s

// CHECK-LABEL: tile.entry @rescales
tile.entry @rescales attend #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = bf16> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %n = tile.word %words[4] : i32
  %f = arith.constant 1.0 : f32
  %o = tile.fill %f : f32 -> !tile.tile<16x16xf32>
  %c = tile.fill %f : f32 -> !tile.tile<16x1xf32>
  // CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %
  // CHECK-NEXT: %[[R:.*]] = tile.scale_rows %[[A]] by %
  // CHECK-NEXT: scf.yield %[[R]]
  %r = scf.for %i = %zero to %n step %one iter_args(%a = %o) -> (!tile.tile<16x16xf32>) : i32 {
    %b = tile.map (%a, %c) {
    ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
      %d = arith.mulf %x, %y : f32
      tile.yield %d : f32
    } : (!tile.tile<16x16xf32>, !tile.tile<16x1xf32>) -> !tile.tile<16x16xf32>
    scf.yield %b : !tile.tile<16x16xf32>
  }
  // What happens once is worth no test.
  // CHECK: tile.map
  %e = tile.map (%r, %c) {
  ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
    %d = arith.mulf %x, %y : f32
    tile.yield %d : f32
  } : (!tile.tile<16x16xf32>, !tile.tile<16x1xf32>) -> !tile.tile<16x16xf32>
  %m = tile.reduce max %e : !tile.tile<16x16xf32> -> !tile.tile<16x1xf32>
}
