// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-defer-sums))' | FileCheck %s

!s = !tile.tile<128x80xf32, #tile.accumulator<warps = 8>>
!l = !tile.tile<128x1xf32, #tile.rows_of<warps = 8>>

// CHECK-LABEL: tile.entry @carries_parts
tile.entry @carries_parts attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %n = tile.word %words[4] : i32
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %p = tile.fill %one : f32 -> !s
  %f = tile.fill %one : f32 -> !l
  // CHECK: %[[INIT:.*]] = tile.fill {{.*}} -> <128x1xf32, #tile.parts_of<warps = 8>>
  // CHECK: %[[LOOP:.*]] = scf.for {{.*}} iter_args(%[[CARRIED:.*]] = %[[INIT]])
  // CHECK-NEXT: %[[SUM:.*]] = tile.reduce add {{.*}} -> <128x1xf32, #tile.parts_of<warps = 8>>
  // CHECK-NEXT: %[[NEXT:.*]] = tile.map(%[[CARRIED]], %{{.*}}, %[[SUM]])
  // CHECK: scf.yield %[[NEXT]]
  // What comes after the loop reads whole sums.
  // CHECK: %[[WHOLE:.*]] = tile.convert %[[LOOP]] : <128x1xf32, #tile.parts_of<warps = 8>> -> <128x1xf32, #tile.rows_of<warps = 8>>
  // CHECK: tile.map(%[[WHOLE]])
  %l0 = tile.fill %zero : f32 -> !l
  %l = scf.for %i = %c0 to %n step %c1 iter_args(%carried = %l0) -> (!l) : i32 {
    %s = tile.reduce add %p : !s -> !l
    %next = tile.map (%carried, %f, %s) {
    ^bb0(%x: f32, %y: f32, %z: f32, %row: i32, %column: i32):
      %scaled = arith.mulf %x, %y : f32
      %sum = arith.addf %scaled, %z : f32
      tile.yield %sum : f32
    } : (!l, !l, !l) -> !l
    scf.yield %next : !l
  }
  %m = tile.map (%l) {
  ^bb0(%x: f32, %row: i32, %column: i32):
    tile.yield %x : f32
  } : (!l) -> !l
}

// A maximum of parts is not linear.
// CHECK-LABEL: tile.entry @keeps_maxima
tile.entry @keeps_maxima attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %n = tile.word %words[4] : i32
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %p = tile.fill %one : f32 -> !s
  %f = tile.fill %one : f32 -> !l
  // CHECK-NOT: tile.parts_of
  %l0 = tile.fill %zero : f32 -> !l
  %l = scf.for %i = %c0 to %n step %c1 iter_args(%carried = %l0) -> (!l) : i32 {
    %s = tile.reduce max %p : !s -> !l
    %next = tile.map (%carried, %f, %s) {
    ^bb0(%x: f32, %y: f32, %z: f32, %row: i32, %column: i32):
      %scaled = arith.mulf %x, %y : f32
      %sum = arith.addf %scaled, %z : f32
      tile.yield %sum : f32
    } : (!l, !l, !l) -> !l
    scf.yield %next : !l
  }
  %m = tile.map (%l) {
  ^bb0(%x: f32, %row: i32, %column: i32):
    tile.yield %x : f32
  } : (!l) -> !l
}

// What a row begins with would be added once for each lane that shares it.
// CHECK-LABEL: tile.entry @keeps_what_begins_at_one
tile.entry @keeps_what_begins_at_one attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %n = tile.word %words[4] : i32
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %p = tile.fill %one : f32 -> !s
  %f = tile.fill %one : f32 -> !l
  // CHECK-NOT: tile.parts_of
  %l0 = tile.fill %one : f32 -> !l
  %l = scf.for %i = %c0 to %n step %c1 iter_args(%carried = %l0) -> (!l) : i32 {
    %s = tile.reduce add %p : !s -> !l
    %next = tile.map (%carried, %f, %s) {
    ^bb0(%x: f32, %y: f32, %z: f32, %row: i32, %column: i32):
      %scaled = arith.mulf %x, %y : f32
      %sum = arith.addf %scaled, %z : f32
      tile.yield %sum : f32
    } : (!l, !l, !l) -> !l
    scf.yield %next : !l
  }
  %m = tile.map (%l) {
  ^bb0(%x: f32, %row: i32, %column: i32):
    tile.yield %x : f32
  } : (!l) -> !l
}

// Each trip reads the whole sum.
// CHECK-LABEL: tile.entry @keeps_what_trips_read
tile.entry @keeps_what_trips_read attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %n = tile.word %words[4] : i32
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %p = tile.fill %one : f32 -> !s
  %f = tile.fill %one : f32 -> !l
  // CHECK-NOT: tile.parts_of
  %l0 = tile.fill %zero : f32 -> !l
  %l = scf.for %i = %c0 to %n step %c1 iter_args(%carried = %l0) -> (!l) : i32 {
    %s = tile.reduce add %p : !s -> !l
    %next = tile.map (%carried, %f, %s) {
    ^bb0(%x: f32, %y: f32, %z: f32, %row: i32, %column: i32):
      %scaled = arith.mulf %x, %y : f32
      %sum = arith.addf %scaled, %z : f32
      tile.yield %sum : f32
    } : (!l, !l, !l) -> !l
    %read = tile.map (%carried) {
    ^bb0(%x: f32, %row: i32, %column: i32):
      tile.yield %x : f32
    } : (!l) -> !l
    scf.yield %next : !l
  }
  %m = tile.map (%l) {
  ^bb0(%x: f32, %row: i32, %column: i32):
    tile.yield %x : f32
  } : (!l) -> !l
}
