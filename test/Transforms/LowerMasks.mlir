// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-lower-masks))' | FileCheck %s

// CHECK-LABEL: tile.entry @selects
tile.entry @selects attend #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: !tile.words):
  // CHECK: %[[INF:.*]] = arith.constant 0xFF800000
  %inf = arith.constant 0xFF800000 : f32
  %full = arith.constant false
  %s = tile.fill %inf : f32 -> !tile.tile<16x16xf32>
  // CHECK: tile.map(%{{.*}}) {
  // CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[ROW:.*]]: i32, %[[COLUMN:.*]]: i32):
  // CHECK: %[[KEEP:.*]] = arith.cmpi sge, %[[ROW]], %[[COLUMN]]
  // CHECK: arith.select %[[KEEP]], %[[X]], %[[INF]]
  %r = tile.mask %s unless %full fill %inf {
  ^bb0(%row: i32, %column: i32):
    %keep = arith.cmpi sge, %row, %column : i32
    tile.yield %keep : i1
  } : !tile.tile<16x16xf32>
}
