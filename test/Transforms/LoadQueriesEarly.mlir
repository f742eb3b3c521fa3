// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-load-queries-early))' | FileCheck %s

#shared = #tile.shared<pitch = 64, swizzle = 8>
!ks = !tile.pipe<80x64xbf16, #shared, stages = 2>

// CHECK-LABEL: tile.entry @an_item_ahead
tile.entry @an_item_ahead attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.word %words[4] : i32
  %keys_of = tile.word %words[5] : i32
  %base = tile.word %words[6] : !tile.address
  // CHECK: %[[QUERIES:.*]] = tile.pipe gather
  // CHECK: %[[KEYS:.*]] = tile.pipe tma
  // The first item's, if there is an item.
  // CHECK: load 24 {
  // CHECK: scf.if
  // CHECK: arith.extui
  // CHECK: tile.put %[[QUERIES]][%c0
  // CHECK: scf.for %[[ITEM:.*]] = %
  // CHECK: %[[NEXT:.*]] = arith.addi %[[ITEM]],
  // CHECK: %[[THERE:.*]] = arith.cmpi slt, %[[NEXT]],
  // CHECK-NOT: tile.put %[[QUERIES]]
  // CHECK: scf.for %[[I:.*]] = %
  // CHECK: tile.put %[[KEYS]]
  // After the second tile of keys, where the queries' offsets are those of their item.
  // CHECK: %[[NOW:.*]] = arith.cmpi eq, %[[I]],
  // CHECK: %[[BOTH:.*]] = arith.andi %[[NOW]], %[[THERE]]
  // CHECK: scf.if %[[BOTH]]
  // CHECK: arith.extui %[[NEXT]]
  // CHECK: tile.put %[[QUERIES]][%[[NEXT]]]
  // After the loop, where it has one trip or none.
  // CHECK: %[[FEW:.*]] = arith.cmpi sle,
  // CHECK: %[[LATE:.*]] = arith.andi %[[FEW]], %[[THERE]]
  // CHECK: scf.if %[[LATE]]
  // CHECK: tile.put %[[QUERIES]][%[[NEXT]]]
  // CHECK-NOT: tile.put
  %queries = tile.pipe gather : !tile.pipe<128x64xbf16, #shared, stages = 2>
  %keys = tile.pipe tma : !ks
  tile.roles load 24 {
    scf.for %item = %c0 to %n step %c1 : i32 {
      %here = arith.extui %item : i32 to i64
      tile.put %queries[%item] from %base rows {
      ^bb0(%row: i32):
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %here, %there : i64, i1
      } : !tile.pipe<128x64xbf16, #shared, stages = 2>
      scf.for %i = %c0 to %keys_of step %c1 : i32 {
        tile.put %keys[%i] from %base rows {
        ^bb0(%row: i32):
          %there = arith.cmpi slt, %row, %n : i32
          tile.yield %here, %there : i64, i1
        } box #tile.box<word = 8, heads = 1, tokens = 80> {
        ^bb0(%row: i32):
          tile.yield %c0, %row, %c0 : i32, i32, i32
        } : !ks
      }
    }
  } compute 240 {
  }
}

// The stage would be free only after keys that come later.
// CHECK-LABEL: tile.entry @one_stage_stays
tile.entry @one_stage_stays attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.word %words[4] : i32
  %keys_of = tile.word %words[5] : i32
  %base = tile.word %words[6] : !tile.address
  // CHECK: load 24 {
  // CHECK-NEXT: scf.for
  // CHECK: tile.put
  // CHECK: scf.for
  // CHECK: tile.put
  // CHECK-NOT: tile.put
  %queries = tile.pipe gather : !tile.pipe<128x64xbf16, #shared, stages = 1>
  %keys = tile.pipe tma : !ks
  tile.roles load 24 {
    scf.for %item = %c0 to %n step %c1 : i32 {
      %here = arith.extui %item : i32 to i64
      tile.put %queries[%item] from %base rows {
      ^bb0(%row: i32):
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %here, %there : i64, i1
      } : !tile.pipe<128x64xbf16, #shared, stages = 1>
      scf.for %i = %c0 to %keys_of step %c1 : i32 {
        tile.put %keys[%i] from %base rows {
        ^bb0(%row: i32):
          %there = arith.cmpi slt, %row, %n : i32
          tile.yield %here, %there : i64, i1
        } box #tile.box<word = 8, heads = 1, tokens = 80> {
        ^bb0(%row: i32):
          tile.yield %c0, %row, %c0 : i32, i32, i32
        } : !ks
      }
    }
  } compute 240 {
  }
}

// Where the next item's queries lie is not known before this item has run.
// CHECK-LABEL: tile.entry @what_hangs_on_copies_stays
tile.entry @what_hangs_on_copies_stays attend #tile.items<rows = 128, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 128, keys = 80, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.word %words[4] : i32
  %keys_of = tile.word %words[5] : i32
  %base = tile.word %words[6] : !tile.address
  // CHECK: load 24 {
  // CHECK-NEXT: scf.for
  %queries = tile.pipe gather : !tile.pipe<128x64xbf16, #shared, stages = 2>
  %keys = tile.pipe tma : !ks
  tile.roles load 24 {
    scf.for %item = %c0 to %n step %c1 : i32 {
      %here = arith.extui %item : i32 to i64
      %number = tile.word %words[7] : i32
      %wide = scf.for %j = %c0 to %number step %c1 iter_args(%w = %here) -> (i64) : i32 {
        tile.put %keys[%j] from %base rows {
        ^bb0(%row: i32):
          %there = arith.cmpi slt, %row, %n : i32
          tile.yield %w, %there : i64, i1
        } box #tile.box<word = 8, heads = 1, tokens = 80> {
        ^bb0(%row: i32):
          tile.yield %c0, %row, %c0 : i32, i32, i32
        } : !ks
        scf.yield %w : i64
      }
      tile.put %queries[%item] from %base rows {
      ^bb0(%row: i32):
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %wide, %there : i64, i1
      } : !tile.pipe<128x64xbf16, #shared, stages = 2>
      scf.for %i = %c0 to %keys_of step %c1 : i32 {
        tile.put %keys[%i] from %base rows {
        ^bb0(%row: i32):
          %there = arith.cmpi slt, %row, %n : i32
          tile.yield %here, %there : i64, i1
        } box #tile.box<word = 8, heads = 1, tokens = 80> {
        ^bb0(%row: i32):
          tile.yield %c0, %row, %c0 : i32, i32, i32
        } : !ks
      }
    }
  } compute 240 {
  }
}
