// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-make-pipes))' | FileCheck %s

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

// CHECK-LABEL: tile.entry @counts
tile.entry @counts attend #tile.items<rows = 192, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 192, keys = 80, warps = 12, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 32, compute_registers = 160, growth = 8>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %zero64 = arith.constant 0 : i64
  %n = tile.word %words[4] : i32
  %base = tile.word %words[5] : !tile.address

  // CHECK-DAG: %[[KEYS:.*]] = tile.pipe tma : <80x128xbf16, {{.*}}, stages = 2>
  // CHECK-DAG: %[[QUERIES:.*]] = tile.pipe gather : <192x128xbf16, {{.*}}, stages = 1>
  // CHECK: scf.for %[[ITEM:.*]] = {{.*}} iter_args(%[[FIRST:.*]] = %{{.*}})
  scf.for %item = %one to %n step %one : i32 {
    // CHECK: %[[M:.*]] = arith.subi %[[ITEM]],
    // CHECK: tile.put %[[QUERIES]][%[[M]]]
    // No other item reads them.
    // CHECK: tile.once
    // CHECK: tile.get %[[QUERIES]][%[[M]]]
    // CHECK-NOT: tile.once
    %q = tile.load %base rows {
    ^bb0(%row: i32):
      %there = arith.cmpi slt, %row, %n : i32
      tile.yield %zero64, %there : i64, i1
    } : !q
    // CHECK: scf.for %[[I:.*]] =
    scf.for %i = %zero to %n step %one : i32 {
      // CHECK: %[[N:.*]] = arith.addi %[[FIRST]], %[[I]]
      // CHECK: tile.put %[[KEYS]][%[[N]]]
      // CHECK: tile.get %[[KEYS]][%[[N]]]
      %k = tile.load %base rows {
      ^bb0(%row: i32):
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %zero64, %there : i64, i1
      } box #box {
      ^bb0(%row: i32):
        tile.yield %zero, %row, %zero : i32, i32, i32
      } : !k
      // CHECK: tile.dot
      // CHECK-NEXT: tile.release %[[KEYS]][%[[N]]]
      %s = tile.dot %q, %k transposed : !q, !k -> !s
    }
    // CHECK: tile.release %[[QUERIES]][%[[M]]]
    // CHECK: %[[NEXT:.*]] = arith.addi %[[FIRST]], %
    // CHECK: scf.yield %[[NEXT]]
  }
}

// Rows that are not there are cleared once, in the tile that may have such, and
// only where they are summed.
// CHECK-LABEL: tile.entry @clears
tile.entry @clears attend #tile.items<rows = 192, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 192, keys = 80, warps = 12, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 32, compute_registers = 160, growth = 8>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %zero64 = arith.constant 0 : i64
  %n = tile.word %words[4] : i32
  %base = tile.word %words[5] : !tile.address

  %w = arith.constant 0.0 : bf16
  %q = tile.fill %w : bf16 -> !p
  scf.for %item = %zero to %n step %one : i32 {
    // CHECK: scf.if
    // CHECK: scf.if
    // CHECK: %[[V:.*]] = tile.get
    // CHECK: tile.clear_rows %[[V]] from
    // CHECK: scf.for
    // CHECK-NOT: tile.clear_rows
    scf.for %i = %zero to %n step %one : i32 {
      %first = arith.muli %i, %one : i32
      %limit = arith.subi %n, %first : i32
      %v = tile.load %base rows {
      ^bb0(%row: i32):
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %zero64, %there : i64, i1
      } box #box {
      ^bb0(%row: i32):
        tile.yield %zero, %row, %zero : i32, i32, i32
      } limit %limit tail : !k
      %s = tile.dot %q, %v : !p, !k -> !o
    }
  }
}

// Where keys are dealt, so are their pipes, and one warp clears what it has got.
// CHECK-LABEL: tile.entry @deals
tile.entry @deals attend #tile.items<rows = 8, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 8, keys = 16, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 8, copy = tma, load_registers = 56, compute_registers = 208, growth = 8, query_stages = 2, deal = keys>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %zero64 = arith.constant 0 : i64
  %n = tile.word %words[4] : i32
  %base = tile.word %words[5] : !tile.address

  // CHECK-DAG: %[[VALUES:.*]] = tile.pipe tma {dealt} : <16x128xbf16, {{.*}}, stages = 8>
  // CHECK-DAG: tile.pipe gather : <16x16xbf16, {{.*}}, stages = 2>
  scf.for %item = %zero to %n step %one : i32 {
    %q = tile.load %base rows {
    ^bb0(%row: i32):
      %there = arith.cmpi slt, %row, %n : i32
      tile.yield %zero64, %there : i64, i1
    } : !tile.tile<16x16xbf16, #shared>
    // CHECK: scf.for
    scf.for %i = %zero to %n step %one : i32 {
      %limit = arith.subi %n, %i : i32
      // CHECK: scf.if
      // CHECK: %[[V:.*]] = tile.get %[[VALUES]]
      // CHECK: tile.clear_rows %[[V]] from
      // CHECK: tile.get %[[VALUES]]
      %v = tile.load %base rows {
      ^bb0(%row: i32):
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %zero64, %there : i64, i1
      } box #tile.box<word = 8, heads = 1, tokens = 16> {
      ^bb0(%row: i32):
        tile.yield %zero, %row, %zero : i32, i32, i32
      } limit %limit tail : !tile.tile<16x128xbf16, #shared>
      // CHECK: tile.dot
      // CHECK-NEXT: tile.release %[[VALUES]]
      %s = tile.dot %q, %v : !tile.tile<16x16xbf16, #shared>, !tile.tile<16x128xbf16, #shared> -> !tile.tile<16x128xf32, #tile.accumulator<warps = 1>>
    }
  }
}
