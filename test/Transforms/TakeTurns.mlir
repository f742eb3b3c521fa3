// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-overlap-products,tile-issue-products,tile-take-turns))' | FileCheck %s

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

// CHECK-LABEL: tile.entry @alternate
tile.entry @alternate attend #tile.items<rows = 192, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 192, keys = 80, warps = 12, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 32, compute_registers = 160, growth = 8>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %zero64 = arith.constant 0 : i64
  %n = tile.word %words[4] : i32
  %base = tile.word %words[5] : !tile.address

  // What stands alone takes no turn.
  // CHECK: compute
  // CHECK-NOT: tile.take_turn
  // CHECK: %[[F:.*]] = tile.issue_dot
  // CHECK-NEXT: tile.await %[[F]] pending 0
  // CHECK: scf.for
  // CHECK: tile.take_turn
  // CHECK-NEXT: tile.issue_dot
  // CHECK: tile.issue_dot
  // CHECK-NEXT: tile.pass_turn
  // CHECK-NOT: tile.take_turn
  %keys = tile.pipe tma : !ks
  %values = tile.pipe tma : !ks
  %queries = tile.pipe tma : !qs
  tile.roles load 32 {
  } compute 160 {
    %q = tile.get %queries[%zero] : !qs -> !q
    %f = arith.constant 0.0 : f32
    %o0 = tile.fill %f : f32 -> !o
    %l0 = tile.fill %f : f32 -> !l
    %r:2 = scf.for %i = %zero to %n step %one iter_args(%o = %o0, %l = %l0) -> (!o, !l) : i32 {
      %k = tile.get %keys[%i] : !ks -> !k
      %s = tile.dot %q, %k transposed : !q, !k -> !s
      tile.release %keys[%i] : !ks
      %v = tile.get %values[%i] : !ks -> !k
      %m = tile.reduce max %s : !s -> !l
      %w = tile.map (%s, %m) {
      ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
        %d = arith.subf %x, %y : f32
        %e = math.exp2 %d : f32
        tile.yield %e : f32
      } : (!s, !l) -> !s
      %o1 = tile.scale_rows %o by %m : !o, !l
      %h = tile.map (%w) {
      ^bb0(%x: f32, %row: i32, %column: i32):
        %t = arith.truncf %x : f32 to bf16
        tile.yield %t : bf16
      } : (!s) -> !tile.tile<192x80xbf16, #tile.accumulator<warps = 12>>
      %p = tile.convert %h : !tile.tile<192x80xbf16, #tile.accumulator<warps = 12>> -> !p
      %o2 = tile.dot %p, %v into %o1 : !o : !p, !k -> !o
      tile.release %values[%i] : !ks
      scf.yield %o2, %m : !o, !l
    }
    tile.store %r#0 to %base rows {
    ^bb0(%row: i32):
      %there = arith.cmpi slt, %row, %n : i32
      tile.yield %zero64, %there : i64, i1
    } : !o
  }
}
