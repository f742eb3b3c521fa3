// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-lower-item-loop))' | FileCheck %s

// CHECK-LABEL: tile.entry @loops
tile.entry @loops attend #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: !tile.words):
  // CHECK: %[[TABLE:.*]] = tile.word %{{.*}}[1] : !tile.address
  // CHECK: tile.cta
  // CHECK: %[[BEGIN:.*]] = tile.lookup %[[TABLE]]
  // CHECK: %[[END:.*]] = tile.lookup %[[TABLE]]
  // CHECK: %[[ITEMS:.*]] = tile.word %{{.*}}[0] : !tile.address
  // CHECK: scf.for %{{.*}} = %[[BEGIN]] to %[[END]]
  // CHECK-COUNT-6: tile.lookup %[[ITEMS]]
  // CHECK-NOT: tile.for_each_item
  tile.for_each_item %words {
  ^bb1(%request: i32, %head: i32, %row_begin: i32, %row_end: i32, %kv_begin: i32, %kv_end: i32, %partial: i32):
    %x = arith.sitofp %row_end : i32 to f32
    // CHECK: tile.fill
    %t = tile.fill %x : f32 -> !tile.tile<16x16xf32>
  }
}
