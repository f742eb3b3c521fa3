// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-skip-idle-groups))' | FileCheck %s

#shared = #tile.shared<pitch = 64, swizzle = 8>
!k = !tile.tile<80x64xbf16, #shared>
!ks = !tile.pipe<80x64xbf16, #shared, stages = 2>

// CHECK-LABEL: tile.entry @keeps_step
tile.entry @keeps_step attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.word %words[4] : i32
  %rows = tile.word %words[5] : i32
  %base = tile.word %words[6] : !tile.address
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.0 : bf16
  %values = tile.pipe tma : !ks
  tile.roles load 24 {
  } compute 240 {
    // CHECK: compute 240 {
    // CHECK: scf.for
    // CHECK: %[[LEFT:.*]] = arith.subi
    // The first row of this group is asked for as the store asks for rows.
    // CHECK: %[[GROUP:.*]] = tile.group
    // CHECK: %[[FIRST:.*]] = arith.muli %[[GROUP]], %c64
    // CHECK: %[[THERE:.*]] = arith.cmpi slt, %[[FIRST]], %[[LEFT]]
    // CHECK: scf.if %[[THERE]] {
    // CHECK: tile.issue_dot
    // CHECK: tile.store
    // CHECK: } else {
    // CHECK-NOT: tile.fill
    // CHECK: scf.for
    // CHECK-NOT: iter_args
    // CHECK: tile.get
    // CHECK-NEXT: tile.take_turn
    // CHECK-NEXT: tile.pass_turn
    // CHECK-NEXT: tile.release
    // CHECK-NOT: tile.store
    scf.for %item = %c0 to %n step %c1 : i32 {
      %left = arith.subi %rows, %item : i32
      %o0 = tile.fill %zero : f32 -> !tile.tile<128x64xf32, #tile.accumulator<warps = 8>>
      %p = tile.fill %half : bf16 -> !tile.tile<128x80xbf16, #tile.operand<warps = 8>>
      %o = scf.for %i = %c0 to %n step %c1 iter_args(%a = %o0) -> (!tile.tile<128x64xf32, #tile.accumulator<warps = 8>>) : i32 {
        %v = tile.get %values[%i] : !ks -> !k
        tile.take_turn
        %f = tile.issue_dot %p, %v into %a : !tile.tile<128x64xf32, #tile.accumulator<warps = 8>> : !tile.tile<128x80xbf16, #tile.operand<warps = 8>>, !k -> !tile.inflight<128x64xf32, #tile.accumulator<warps = 8>>
        tile.pass_turn
        %b = tile.await %f pending 0 : !tile.inflight<128x64xf32, #tile.accumulator<warps = 8>> -> !tile.tile<128x64xf32, #tile.accumulator<warps = 8>>
        tile.release %values[%i] : !ks
        scf.yield %b : !tile.tile<128x64xf32, #tile.accumulator<warps = 8>>
      }
      tile.store %o to %base rows {
      ^bb0(%row: i32):
        %offset = arith.extui %row : i32 to i64
        %there = arith.cmpi slt, %row, %left : i32
        tile.yield %offset, %there : i64, i1
      } : !tile.tile<128x64xf32, #tile.accumulator<warps = 8>>
    }
  }
}

// A warpgroup that computes alone has the rows of every item.
// CHECK-LABEL: tile.entry @one_group_is_never_idle
tile.entry @one_group_is_never_idle attend #tile.items<rows = 64, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 64, keys = 80, warps = 4, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.word %words[4] : i32
  %rows = tile.word %words[5] : i32
  %base = tile.word %words[6] : !tile.address
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.0 : bf16
  %values = tile.pipe tma : !ks
  tile.roles load 24 {
  } compute 240 {
    // CHECK-NOT: tile.group
    scf.for %item = %c0 to %n step %c1 : i32 {
      %left = arith.subi %rows, %item : i32
      %o0 = tile.fill %zero : f32 -> !tile.tile<64x64xf32, #tile.accumulator<warps = 4>>
      %p = tile.fill %half : bf16 -> !tile.tile<64x80xbf16, #tile.operand<warps = 4>>
      %o = scf.for %i = %c0 to %n step %c1 iter_args(%a = %o0) -> (!tile.tile<64x64xf32, #tile.accumulator<warps = 4>>) : i32 {
        %v = tile.get %values[%i] : !ks -> !k
        tile.take_turn
        %f = tile.issue_dot %p, %v into %a : !tile.tile<64x64xf32, #tile.accumulator<warps = 4>> : !tile.tile<64x80xbf16, #tile.operand<warps = 4>>, !k -> !tile.inflight<64x64xf32, #tile.accumulator<warps = 4>>
        tile.pass_turn
        %b = tile.await %f pending 0 : !tile.inflight<64x64xf32, #tile.accumulator<warps = 4>> -> !tile.tile<64x64xf32, #tile.accumulator<warps = 4>>
        tile.release %values[%i] : !ks
        scf.yield %b : !tile.tile<64x64xf32, #tile.accumulator<warps = 4>>
      }
      tile.store %o to %base rows {
      ^bb0(%row: i32):
        %offset = arith.extui %row : i32 to i64
        %there = arith.cmpi slt, %row, %left : i32
        tile.yield %offset, %there : i64, i1
      } : !tile.tile<64x64xf32, #tile.accumulator<warps = 4>>
    }
  }
}
