// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-watch-keys))' | FileCheck %s

#shared = #tile.shared<pitch = 64, swizzle = 8>
!k = !tile.tile<80x64xbf16, #shared>
!ks = !tile.pipe<80x64xbf16, #shared, stages = 2>

// CHECK-LABEL: tile.entry @looks_for_the_next
tile.entry @looks_for_the_next attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.word %words[4] : i32
  %before = tile.word %words[5] : i32
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.0 : bf16
  %queries = tile.pipe tma : !tile.pipe<128x64xbf16, #shared, stages = 1>
  // CHECK: %[[KEYS:.*]] = tile.pipe tma : <80x
  %keys = tile.pipe tma : !ks
  %values = tile.pipe tma : !ks
  tile.roles load 24 {
  } compute 240 {
    %q = tile.get %queries[%c0] : !tile.pipe<128x64xbf16, #shared, stages = 1> -> !tile.tile<128x64xbf16, #shared>
    %o0 = tile.fill %zero : f32 -> !tile.tile<128x64xf32, #tile.accumulator<warps = 8>>
    %p = tile.fill %half : bf16 -> !tile.tile<128x80xbf16, #tile.operand<warps = 8>>
    // CHECK: scf.for %[[I:.*]] = {{.*}} to %[[END:.*]] step
    // CHECK: tile.await %{{.*}} pending 1
    // CHECK: tile.release %[[KEYS]]
    // CHECK: tile.reduce max
    // CHECK: %[[NEXT:.*]] = arith.addi %[[I]],
    // CHECK: %[[THERE:.*]] = arith.cmpi slt, %[[NEXT]], %[[END]]
    // CHECK: scf.if %[[THERE]] {
    // CHECK-NEXT: %[[M:.*]] = arith.addi %{{.*}}, %[[NEXT]]
    // CHECK-NEXT: tile.get %[[KEYS]][%[[M]]]
    // CHECK-NEXT: }
    // CHECK-NEXT: tile.await %{{.*}} pending 0
    %o = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %o0) -> (!tile.tile<128x64xf32, #tile.accumulator<warps = 8>>) : i32 {
      %m = arith.addi %before, %i : i32
      %k = tile.get %keys[%m] : !ks -> !k
      %a = tile.issue_dot %q, %k transposed : !tile.tile<128x64xbf16, #shared>, !k -> !tile.inflight<128x80xf32, #tile.accumulator<warps = 8>>
      %v = tile.get %values[%m] : !ks -> !k
      %b = tile.issue_dot %p, %v into %acc : !tile.tile<128x64xf32, #tile.accumulator<warps = 8>> : !tile.tile<128x80xbf16, #tile.operand<warps = 8>>, !k -> !tile.inflight<128x64xf32, #tile.accumulator<warps = 8>>
      %s = tile.await %a pending 1 : !tile.inflight<128x80xf32, #tile.accumulator<warps = 8>> -> !tile.tile<128x80xf32, #tile.accumulator<warps = 8>>
      tile.release %keys[%m] : !ks
      %max = tile.reduce max %s : !tile.tile<128x80xf32, #tile.accumulator<warps = 8>> -> !tile.tile<128x1xf32, #tile.rows_of<warps = 8>>
      %next = tile.await %b pending 0 : !tile.inflight<128x64xf32, #tile.accumulator<warps = 8>> -> !tile.tile<128x64xf32, #tile.accumulator<warps = 8>>
      tile.release %values[%m] : !ks
      scf.yield %next : !tile.tile<128x64xf32, #tile.accumulator<warps = 8>>
    }
  }
}

// Three warpgroups keep the matrix units busy without.
// CHECK-LABEL: tile.entry @three_groups_do_without
tile.entry @three_groups_do_without attend #tile.items<rows = 192, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 192, keys = 80, warps = 12, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 32, compute_registers = 160, growth = 8>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.word %words[4] : i32
  %before = tile.word %words[5] : i32
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.0 : bf16
  %queries = tile.pipe tma : !tile.pipe<192x64xbf16, #shared, stages = 1>
  %keys = tile.pipe tma : !ks
  %values = tile.pipe tma : !ks
  tile.roles load 32 {
  } compute 160 {
    %q = tile.get %queries[%c0] : !tile.pipe<192x64xbf16, #shared, stages = 1> -> !tile.tile<192x64xbf16, #shared>
    %o0 = tile.fill %zero : f32 -> !tile.tile<192x64xf32, #tile.accumulator<warps = 12>>
    %p = tile.fill %half : bf16 -> !tile.tile<192x80xbf16, #tile.operand<warps = 12>>
    // CHECK-NOT: scf.if
    %o = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %o0) -> (!tile.tile<192x64xf32, #tile.accumulator<warps = 12>>) : i32 {
      %m = arith.addi %before, %i : i32
      %k = tile.get %keys[%m] : !ks -> !k
      %a = tile.issue_dot %q, %k transposed : !tile.tile<192x64xbf16, #shared>, !k -> !tile.inflight<192x80xf32, #tile.accumulator<warps = 12>>
      %v = tile.get %values[%m] : !ks -> !k
      %b = tile.issue_dot %p, %v into %acc : !tile.tile<192x64xf32, #tile.accumulator<warps = 12>> : !tile.tile<192x80xbf16, #tile.operand<warps = 12>>, !k -> !tile.inflight<192x64xf32, #tile.accumulator<warps = 12>>
      %s = tile.await %a pending 1 : !tile.inflight<192x80xf32, #tile.accumulator<warps = 12>> -> !tile.tile<192x80xf32, #tile.accumulator<warps = 12>>
      tile.release %keys[%m] : !ks
      %max = tile.reduce max %s : !tile.tile<192x80xf32, #tile.accumulator<warps = 12>> -> !tile.tile<192x1xf32, #tile.rows_of<warps = 12>>
      %next = tile.await %b pending 0 : !tile.inflight<192x64xf32, #tile.accumulator<warps = 12>> -> !tile.tile<192x64xf32, #tile.accumulator<warps = 12>>
      tile.release %values[%m] : !ks
      scf.yield %next : !tile.tile<192x64xf32, #tile.accumulator<warps = 12>>
    }
  }
}
