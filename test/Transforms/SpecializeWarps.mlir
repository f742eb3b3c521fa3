// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-specialize-warps))' | FileCheck %s

#shared = #tile.shared<pitch = 64, swizzle = 8>
#registers = #tile.accumulator<warps = 12>
!q = !tile.tile<192x128xbf16, #shared>
!k = !tile.tile<80x128xbf16, #shared>
!s = !tile.tile<192x80xf32, #registers>
!p = !tile.tile<192x80xbf16, #tile.operand<warps = 12>>
!o = !tile.tile<192x128xf32, #registers>
!l = !tile.tile<192x1xf32, #tile.rows_of<warps = 12>>
!qs = !tile.pipe<192x128xbf16, #shared, stages = 1>
!ks = !tile.pipe<80x128xbf16, #shared, stages = 2>
#box = #tile.box<word = 8, heads = 1, tokens = 80>

// CHECK-LABEL: tile.entry @partitions
tile.entry @partitions attend #tile.items<rows = 192, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 192, keys = 80, warps = 12, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 32, compute_registers = 160, growth = 8>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %zero64 = arith.constant 0 : i64
  %n = tile.word %words[4] : i32
  %base = tile.word %words[5] : !tile.address

  // CHECK: %[[KEYS:.*]] = tile.pipe tma
  %keys = tile.pipe tma : !ks
  // CHECK: tile.roles load 32 {
  // CHECK: scf.for
  // CHECK-NOT: iter_args
  // CHECK: tile.put %[[KEYS]]
  // CHECK-NOT: tile.get
  // CHECK: } compute 160 {
  // CHECK-NOT: tile.put
  // CHECK: scf.for {{.*}} iter_args(
  // CHECK: tile.get %[[KEYS]]
  // CHECK: tile.release %[[KEYS]]
  %f = arith.constant 0.0 : f32
  %w = arith.constant 0.0 : bf16
  %o = tile.fill %f : f32 -> !o
  %p = tile.fill %w : bf16 -> !p
  %r = scf.for %i = %zero to %n step %one iter_args(%a = %o) -> (!o) : i32 {
    tile.put %keys[%i] from %base rows {
      ^bb0(%row: i32):
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %zero64, %there : i64, i1
      } box #box {
      ^bb0(%row: i32):
        tile.yield %zero, %row, %zero : i32, i32, i32
      } : !ks
    %v = tile.get %keys[%i] : !ks -> !k
    %b = tile.dot %p, %v into %a : !o : !p, !k -> !o
    tile.release %keys[%i] : !ks
    scf.yield %b : !o
  }
  tile.store %r to %base rows {
  ^bb0(%row: i32):
    %there = arith.cmpi slt, %row, %n : i32
    tile.yield %zero64, %there : i64, i1
  } : !o
}
