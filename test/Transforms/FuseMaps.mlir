// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-fuse-maps))' | FileCheck %s

// CHECK-LABEL: tile.entry @into_the_reader
tile.entry @into_the_reader attend #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: !tile.words):
  %x = tile.word %words[4] : f32
  %out = tile.word %words[5] : !tile.address
  %s = tile.fill %x : f32 -> !tile.tile<16x16xf32>
  %m = tile.fill %x : f32 -> !tile.tile<16x1xf32>
  // CHECK: tile.map(%[[M:.*]], %[[S:.*]]) {
  // CHECK-NEXT: ^bb0(%[[B:.*]]: f32, %[[A:.*]]: f32,
  // CHECK: %[[P:.*]] = arith.mulf %[[A]], %[[A]]
  // CHECK: arith.subf %[[P]], %[[B]]
  // CHECK-NOT: tile.map
  // CHECK: tile.reduce
  %p = tile.map (%s) {
  ^bb0(%a: f32, %row: i32, %column: i32):
    %0 = arith.mulf %a, %a : f32
    tile.yield %0 : f32
  } : (!tile.tile<16x16xf32>) -> !tile.tile<16x16xf32>
  %d = tile.map (%p, %m) {
  ^bb0(%a: f32, %b: f32, %row: i32, %column: i32):
    %0 = arith.subf %a, %b : f32
    tile.yield %0 : f32
  } : (!tile.tile<16x16xf32>, !tile.tile<16x1xf32>) -> !tile.tile<16x16xf32>
  %r = tile.reduce add %d : !tile.tile<16x16xf32> -> !tile.tile<16x1xf32>
  tile.store %r to %out rows {
  ^bb0(%row: i32):
    %wide = arith.extsi %row : i32 to i64
    %there = arith.constant true
    tile.yield %wide, %there : i64, i1
  } : !tile.tile<16x1xf32>
}

// A column vector would be computed once an element of the tile.
// CHECK-LABEL: tile.entry @not_columns_into_tiles
tile.entry @not_columns_into_tiles attend #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: !tile.words):
  %x = tile.word %words[4] : f32
  %out = tile.word %words[5] : !tile.address
  %s = tile.fill %x : f32 -> !tile.tile<16x16xf32>
  %m = tile.fill %x : f32 -> !tile.tile<16x1xf32>
  // CHECK-COUNT-2: tile.map
  %p = tile.map (%m) {
  ^bb0(%a: f32, %row: i32, %column: i32):
    %0 = arith.mulf %a, %a : f32
    tile.yield %0 : f32
  } : (!tile.tile<16x1xf32>) -> !tile.tile<16x1xf32>
  %d = tile.map (%s, %p) {
  ^bb0(%a: f32, %b: f32, %row: i32, %column: i32):
    %0 = arith.subf %a, %b : f32
    tile.yield %0 : f32
  } : (!tile.tile<16x16xf32>, !tile.tile<16x1xf32>) -> !tile.tile<16x16xf32>
  %r = tile.reduce add %d : !tile.tile<16x16xf32> -> !tile.tile<16x1xf32>
  tile.store %r to %out rows {
  ^bb0(%row: i32):
    %wide = arith.extsi %row : i32 to i64
    %there = arith.constant true
    tile.yield %wide, %there : i64, i1
  } : !tile.tile<16x1xf32>
}

// A tile that two operations read is computed once.
// CHECK-LABEL: tile.entry @not_what_two_read
tile.entry @not_what_two_read attend #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: !tile.words):
  %x = tile.word %words[4] : f32
  %out = tile.word %words[5] : !tile.address
  %s = tile.fill %x : f32 -> !tile.tile<16x16xf32>
  // CHECK-COUNT-2: tile.map
  %p = tile.map (%s) {
  ^bb0(%a: f32, %row: i32, %column: i32):
    %0 = arith.mulf %a, %a : f32
    tile.yield %0 : f32
  } : (!tile.tile<16x16xf32>) -> !tile.tile<16x16xf32>
  %d = tile.map (%p) {
  ^bb0(%a: f32, %row: i32, %column: i32):
    %0 = arith.negf %a : f32
    tile.yield %0 : f32
  } : (!tile.tile<16x16xf32>) -> !tile.tile<16x16xf32>
  %r = tile.reduce add %p : !tile.tile<16x16xf32> -> !tile.tile<16x1xf32>
  tile.store %r to %out rows {
  ^bb0(%row: i32):
    %wide = arith.extsi %row : i32 to i64
    %there = arith.constant true
    tile.yield %wide, %there : i64, i1
  } : !tile.tile<16x1xf32>
  %t = tile.reduce add %d : !tile.tile<16x16xf32> -> !tile.tile<16x1xf32>
  tile.store %t to %out rows {
  ^bb0(%row: i32):
    %wide = arith.extsi %row : i32 to i64
    %there = arith.constant true
    tile.yield %wide, %there : i64, i1
  } : !tile.tile<16x1xf32>
}
