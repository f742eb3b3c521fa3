// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-deal-keys))' | FileCheck %s

#shared = #tile.shared<pitch = 64, swizzle = 8>
!k = !tile.tile<16x128xbf16, #shared>
!ks = !tile.pipe<16x128xbf16, #shared, stages = 16>
#box = #tile.box<word = 8, heads = 1, tokens = 16>

// CHECK-LABEL: tile.entry @two_of_eight
tile.entry @two_of_eight attend #tile.items<rows = 8, group = 8, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 8, keys = 16, warps = 8, weights = bf16,
    pipeline = <stages = 16, copy = tma, load_registers = 56, compute_registers = 208, growth = 8,
                query_stages = 2, deal = keys>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %zero64 = arith.constant 0 : i64
  %n = tile.word %words[4] : i32
  %base = tile.word %words[5] : !tile.address
  // CHECK: %[[KEYS:.*]] = tile.pipe tma {dealt}
  %keys = tile.pipe tma {dealt} : !ks
  // A loading warp serves two computing warps in turn, each with a count.
  // CHECK: tile.roles load 56 {
  tile.roles load 56 {
    // CHECK: %[[LOADS:.*]] = tile.group
    // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %[[A:.*]] = %{{.*}}, %[[B:.*]] = %{{.*}}) -> (i32, i32, i32)
    %r = scf.for %item = %zero to %n step %one iter_args(%first = %zero) -> (i32) : i32 {
      // CHECK: scf.for %[[I:.*]] = %[[LOADS]] to %[[COUNT:.*]] step %c4
      scf.for %i = %zero to %n step %one : i32 {
        // CHECK: %[[TRIP:.*]] = arith.divui %[[I]], %c4
        // CHECK: %[[WHICH:.*]] = arith.remui %[[TRIP]], %c2
        // CHECK: %[[IS:.*]] = arith.cmpi eq, %[[WHICH]], %c1
        // CHECK: %[[OWN:.*]] = arith.select %[[IS]], %[[B]], %[[A]]
        // CHECK: %[[N:.*]] = arith.addi %[[OWN]], %[[I]]
        // CHECK: tile.put %[[KEYS]][%[[N]]]
        %t = arith.addi %first, %i : i32
        tile.put %keys[%t] from %base rows {
        ^bb0(%row: i32):
          %there = arith.cmpi slt, %row, %n : i32
          tile.yield %zero64, %there : i64, i1
        } box #box {
        ^bb0(%row: i32):
          tile.yield %zero, %row, %zero : i32, i32, i32
        } : !ks
      }
      // CHECK: %[[NEXT_A:.*]] = arith.addi %[[A]],
      // CHECK: %[[NEXT_B:.*]] = arith.addi %[[B]],
      // CHECK: scf.yield %{{.*}}, %[[NEXT_A]], %[[NEXT_B]]
      %next = arith.addi %first, %n : i32
      scf.yield %next : i32
    }
  // CHECK: } compute 208 {
  } compute 208 {
    // CHECK: %[[WARP:.*]] = tile.group
    // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %[[MINE:.*]] = %{{.*}}) -> (i32, i32)
    %r = scf.for %item = %zero to %n step %one iter_args(%first = %zero) -> (i32) : i32 {
      // CHECK: scf.for %[[I:.*]] = %[[WARP]] to %[[COUNT:.*]] step %c8
      // CHECK: %[[N:.*]] = arith.addi %[[MINE]], %[[I]]
      // CHECK: tile.get %[[KEYS]][%[[N]]]
      // CHECK: tile.release %[[KEYS]][%[[N]]]
      scf.for %i = %zero to %n step %one : i32 {
        %t = arith.addi %first, %i : i32
        %k = tile.get %keys[%t] : !ks -> !k
        tile.release %keys[%t] : !ks
      }
      // The tiles of this warp, a multiple of eight on.
      // CHECK: %[[LEFT:.*]] = arith.subi %[[COUNT]], %[[WARP]]
      // CHECK: %[[SOME:.*]] = arith.maxsi %[[LEFT]], %c0
      // CHECK: %[[UP:.*]] = arith.addi %[[SOME]], %c7
      // CHECK: %[[TRIPS:.*]] = arith.divui %[[UP]], %c8
      // CHECK: %[[TAKEN:.*]] = arith.muli %[[TRIPS]], %c8
      // CHECK: %[[NEXT:.*]] = arith.addi %[[MINE]], %[[TAKEN]]
      // CHECK: scf.yield %{{.*}}, %[[NEXT]]
      %next = arith.addi %first, %n : i32
      scf.yield %next : i32
    }
  }
}

// Warpgroups that own rows see all keys.
// CHECK-LABEL: tile.entry @rows
tile.entry @rows attend #tile.items<rows = 64, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 64, keys = 16, warps = 4, weights = bf16,
    pipeline = <stages = 16, copy = tma, load_registers = 32, compute_registers = 160, growth = 8>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %keys = tile.pipe tma : !ks
  tile.roles load 32 {
  } compute 160 {
    // CHECK-NOT: tile.group
    // CHECK: scf.for
    scf.for %item = %zero to %one step %one : i32 {
      // CHECK: scf.for %{{.*}} = %c0{{.*}} to %{{.*}} step %c1
      scf.for %i = %zero to %one step %one : i32 {
        %k = tile.get %keys[%i] : !ks -> !k
        tile.release %keys[%i] : !ks
      }
    }
  }
}
