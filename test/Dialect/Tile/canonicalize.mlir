// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What every level may rely on being gone.
// RUN: saccade-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: func @drops_identity
func.func @drops_identity(%t: !tile.tile<16x16xf32>) -> !tile.tile<16x16xf32> {
  // CHECK-NOT: tile.map
  // CHECK: return %arg0
  %0 = tile.map (%t) {
  ^bb0(%x: f32, %row: i32, %column: i32):
    tile.yield %x : f32
  } : (!tile.tile<16x16xf32>) -> !tile.tile<16x16xf32>
  return %0 : !tile.tile<16x16xf32>
}

// CHECK-LABEL: func @keeps_broadcast
func.func @keeps_broadcast(%t: !tile.tile<16x1xf32>) -> !tile.tile<16x16xf32> {
  // CHECK: tile.map
  %0 = tile.map (%t) {
  ^bb0(%x: f32, %row: i32, %column: i32):
    tile.yield %x : f32
  } : (!tile.tile<16x1xf32>) -> !tile.tile<16x16xf32>
  return %0 : !tile.tile<16x16xf32>
}

// CHECK-LABEL: func @names_an_input_once
func.func @names_an_input_once(%t: !tile.tile<16x16xf32>, %u: !tile.tile<16x16xf32>) -> !tile.tile<16x16xf32> {
  // CHECK: tile.map(%arg0) {
  // CHECK: arith.mulf %[[X:.*]], %[[X]]
  %0 = tile.map (%t, %u, %t) {
  ^bb0(%x: f32, %unread: f32, %y: f32, %row: i32, %column: i32):
    %p = arith.mulf %x, %y : f32
    tile.yield %p : f32
  } : (!tile.tile<16x16xf32>, !tile.tile<16x16xf32>, !tile.tile<16x16xf32>) -> !tile.tile<16x16xf32>
  return %0 : !tile.tile<16x16xf32>
}

// CHECK-LABEL: func @folds_convert_to_itself
func.func @folds_convert_to_itself(%t: !tile.tile<16x16xf32>) -> !tile.tile<16x16xf32> {
  // CHECK: return %arg0
  %0 = tile.convert %t : !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
  return %0 : !tile.tile<16x16xf32>
}
