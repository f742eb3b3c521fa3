// RUN: saccade-opt %s -tile-issue-loads-early | FileCheck %s

// CHECK-LABEL: tile.entry @values_follow_keys
tile.entry @values_follow_keys attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = bf16> {
^bb0(%words: !tile.words):
  %q = tile.word %words[4] : !tile.address
  %there = arith.constant true
  // CHECK: %[[K:.*]] = tile.load
  %k = tile.load %q rows {
  ^bb0(%row: i32):
    %offset = arith.constant 0 : i64
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<16x16xbf16>
  // What the second load needs comes with it.
  // CHECK: %[[BASE:.*]] = tile.word %{{.*}}[5] : !tile.address
  // CHECK: %[[STRIDE:.*]] = tile.word %{{.*}}[6] : i64
  // CHECK: %[[V:.*]] = tile.load %[[BASE]]
  // CHECK: tile.dot %[[K]], %[[K]] transposed
  %s = tile.dot %k, %k transposed
      : !tile.tile<16x16xbf16>, !tile.tile<16x16xbf16> -> !tile.tile<16x16xf32>
  %base = tile.word %words[5] : !tile.address
  %stride = tile.word %words[6] : i64
  %v = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %stride, %there : i64, i1
  } : !tile.tile<16x16xbf16>
  tile.store %s to %q rows {
  ^bb0(%row: i32):
    tile.yield %stride, %there : i64, i1
  } : !tile.tile<16x16xf32>
  // A load stays behind a store that may write what it reads.
  // CHECK: tile.store
  // CHECK: tile.load
  %again = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %stride, %there : i64, i1
  } : !tile.tile<16x16xbf16>
  tile.store %again to %q rows {
  ^bb0(%row: i32):
    tile.yield %stride, %there : i64, i1
  } : !tile.tile<16x16xbf16>
  tile.store %v to %q rows {
  ^bb0(%row: i32):
    tile.yield %stride, %there : i64, i1
  } : !tile.tile<16x16xbf16>
}
