// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-stage-outputs))' | FileCheck %s

#shared = #tile.shared<pitch = 64, swizzle = 8>
!q = !tile.tile<128x64xbf16, #shared>
!o = !tile.tile<128x64xf32, #tile.accumulator<warps = 8>>
!h = !tile.tile<128x64xbf16, #tile.accumulator<warps = 8>>

// CHECK-LABEL: tile.entry @leaves_by_the_place_of_queries
tile.entry @leaves_by_the_place_of_queries attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.word %words[4] : i32
  %base = tile.word %words[5] : !tile.address
  %zero = arith.constant 0.0 : bf16
  %queries = tile.pipe tma : !tile.pipe<128x64xbf16, #shared, stages = 2>
  tile.roles load 24 {
  } compute 240 {
    scf.for %item = %c0 to %n step %c1 : i32 {
      %q = tile.get %queries[%item] : !tile.pipe<128x64xbf16, #shared, stages = 2> -> !q
      // CHECK: %[[Q:.*]] = tile.get %[[QUERIES:.*]][%[[ITEM:.*]]]
      // CHECK: %[[O:.*]] = tile.fill
      // CHECK-NEXT: %[[MOVED:.*]] = tile.overwrite %[[Q]] with %[[O]]
      // CHECK-SAME: -> <128x64xbf16, #tile.shared<pitch = 64, swizzle = 8>>
      // CHECK-NEXT: tile.store %[[MOVED]]
      // The next queries must wait until the result has been read.
      // CHECK: tile.release %[[QUERIES]][%[[ITEM]]]
      %o = tile.fill %zero : bf16 -> !h
      tile.release %queries[%item] : !tile.pipe<128x64xbf16, #shared, stages = 2>
      tile.store %o to %base rows {
      ^bb0(%row: i32):
        %offset = arith.extui %row : i32 to i64
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %offset, %there : i64, i1
      } : !h
    }
  }
}

// With one stage the next queries wait for the result.
// CHECK-LABEL: tile.entry @one_stage_is_lent_too
tile.entry @one_stage_is_lent_too attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.word %words[4] : i32
  %base = tile.word %words[5] : !tile.address
  %zero = arith.constant 0.0 : bf16
  %queries = tile.pipe tma : !tile.pipe<128x64xbf16, #shared, stages = 1>
  tile.roles load 24 {
  } compute 240 {
    scf.for %item = %c0 to %n step %c1 : i32 {
      %q = tile.get %queries[%item] : !tile.pipe<128x64xbf16, #shared, stages = 1> -> !q
      // CHECK: tile.overwrite
      // CHECK-NEXT: tile.store
      // CHECK: tile.release
      %o = tile.fill %zero : bf16 -> !h
      tile.release %queries[%item] : !tile.pipe<128x64xbf16, #shared, stages = 1>
      tile.store %o to %base rows {
      ^bb0(%row: i32):
        %offset = arith.extui %row : i32 to i64
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %offset, %there : i64, i1
      } : !h
    }
  }
}

// Elements of 32 bits take twice the bytes.
// CHECK-LABEL: tile.entry @wide_results_stay
tile.entry @wide_results_stay attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.word %words[4] : i32
  %base = tile.word %words[5] : !tile.address
  %zero = arith.constant 0.0 : f32
  %queries = tile.pipe tma : !tile.pipe<128x64xbf16, #shared, stages = 2>
  tile.roles load 24 {
  } compute 240 {
    scf.for %item = %c0 to %n step %c1 : i32 {
      %q = tile.get %queries[%item] : !tile.pipe<128x64xbf16, #shared, stages = 2> -> !q
      // CHECK-NOT: tile.overwrite
      %o = tile.fill %zero : f32 -> !o
      tile.release %queries[%item] : !tile.pipe<128x64xbf16, #shared, stages = 2>
      tile.store %o to %base rows {
      ^bb0(%row: i32):
        %offset = arith.extui %row : i32 to i64
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %offset, %there : i64, i1
      } : !o
    }
  }
}
