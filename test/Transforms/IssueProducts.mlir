// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-issue-products))' | FileCheck %s

#shared = #tile.shared<pitch = 64, swizzle = 8>
!q = !tile.tile<128x64xbf16, #shared>
!k = !tile.tile<80x64xbf16, #shared>
!s = !tile.tile<128x80xf32, #tile.accumulator<warps = 8>>
!o = !tile.tile<128x64xf32, #tile.accumulator<warps = 8>>
!l = !tile.tile<128x1xf32, #tile.rows_of<warps = 8>>
!ks = !tile.pipe<80x64xbf16, #shared, stages = 2>
!p = !tile.tile<128x80xbf16, #tile.operand<warps = 8>>

// CHECK-LABEL: tile.entry @waits_at_once
tile.entry @waits_at_once attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.0 : bf16
  %keys = tile.pipe tma : !ks
  %queries = tile.pipe tma : !tile.pipe<128x64xbf16, #shared, stages = 1>
  tile.roles load 24 {
  } compute 240 {
    %q = tile.get %queries[%c0] : !tile.pipe<128x64xbf16, #shared, stages = 1> -> !q
    %k = tile.get %keys[%c0] : !ks -> !k
    %o0 = tile.fill %zero : f32 -> !o
    %p = tile.fill %half : bf16 -> !p
    // CHECK: %[[A:.*]] = tile.issue_dot %{{.*}}, %{{.*}} transposed
    // CHECK-SAME: -> <128x80xf32, #tile.accumulator<warps = 8>>
    // CHECK-NEXT: %[[S:.*]] = tile.await %[[A]] pending 0
    // CHECK-NEXT: tile.reduce max %[[S]]
    %s = tile.dot %q, %k transposed : !q, !k -> !s
    %m = tile.reduce max %s : !s -> !l
    // CHECK: %[[B:.*]] = tile.issue_dot %{{.*}}, %{{.*}} into %
    // CHECK-NEXT: tile.await %[[B]] pending 0
    // CHECK-NOT: tile.dot
    %o = tile.dot %p, %k into %o0 : !o : !p, !k -> !o
  }
}

// Without roles, products are mma.sync, and done when the next line begins.
// CHECK-LABEL: tile.entry @keeps_products_without_roles
tile.entry @keeps_products_without_roles attend
    #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16> {
^bb0(%words: !tile.words):
  %half = arith.constant 0.0 : bf16
  %p = tile.fill %half : bf16 -> !p
  %base = tile.word %words[4] : !tile.address
  %v = tile.load %base rows {
  ^bb0(%row: i32):
    %offset = arith.constant 0 : i64
    %there = arith.constant true
    tile.yield %offset, %there : i64, i1
  } : !k
  // CHECK: tile.dot
  // CHECK-NOT: tile.issue_dot
  %o = tile.dot %p, %v : !p, !k -> !o
}
