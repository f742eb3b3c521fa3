// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-order-launches))' | FileCheck %s

#shared = #tile.shared<pitch = 64, swizzle = 8>
!q = !tile.tile<8x128xbf16, #shared>
!qs = !tile.pipe<8x128xbf16, #shared, stages = 2>
!k = !tile.tile<16x128xbf16, #shared>
!ks = !tile.pipe<16x128xbf16, #shared, stages = 8>
#queries = #tile.box<word = 8, heads = 4, tokens = 2>
#keys = #tile.box<word = 16, heads = 1, tokens = 16>

// CHECK-LABEL: tile.entry @older_keys_come_before_the_wait
tile.entry @older_keys_come_before_the_wait attend #tile.items<rows = 8, group = 4, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 8, keys = 16, warps = 8, weights = bf16,
    pipeline = <stages = 8, copy = tma, load_registers = 56, compute_registers = 208, growth = 8,
                query_stages = 2, deal = keys>> {
^bb0(%words: !tile.words):
  // CHECK: nvvm.griddepcontrol launch_dependents
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %four = arith.constant 4 : i32
  %zero64 = arith.constant 0 : i64
  %no = arith.constant false
  %n = tile.word %words[4] : i32
  %base = tile.word %words[5] : !tile.address
  // CHECK: %[[QUERIES:.*]] = tile.pipe
  %queries = tile.pipe tma : !qs
  // CHECK: %[[KEYS:.*]] = tile.pipe tma {dealt}
  %keys = tile.pipe tma {dealt} : !ks
  // CHECK: tile.roles load
  tile.roles load 56 {
    %warp = tile.group
    // Boxes of queries are copied by the first warp, which waits alone.
    // CHECK: scf.for %[[ITEM:.*]] = {{.*}} {
    scf.for %item = %zero to %n step %one : i32 {
      // CHECK-NOT: griddepcontrol
      // CHECK: %[[WARP:.*]] = tile.group
      // CHECK: %[[COPIES:.*]] = arith.cmpi eq, %[[WARP]], %{{.*}}
      // CHECK-NEXT: scf.if %[[COPIES]] {
      // CHECK-NEXT: nvvm.griddepcontrol wait
      // CHECK-NEXT: }
      // CHECK-NEXT: tile.put %[[QUERIES]]
      tile.put %queries[%item] from %base rows {
      ^bb0(%row: i32):
        tile.yield %zero64, %no : i64, i1
      } box #queries {
      ^bb0(%row: i32):
        tile.yield %zero, %zero, %zero : i32, i32, i32
      } : !qs
      // Tile i from the end has new keys only if 16 * i < q_len + 15.
      // CHECK: %[[LENGTH:.*]] = tile.lookup {{.*}} : i32
      // CHECK: %[[LENGTH:.*]] = tile.lookup {{.*}} : i32
      // CHECK-NEXT: %[[C30:.*]] = arith.constant 30
      // CHECK-NEXT: %[[SUM:.*]] = arith.addi %[[LENGTH]], %[[C30]]
      // CHECK: %[[RECENT:.*]] = arith.divui %[[SUM]], %c16
      // CHECK: scf.for %[[I:.*]] = {{.*}} {
      // CHECK-NEXT: %[[IS:.*]] = arith.cmpi slt, %[[I]], %[[RECENT]]
      // CHECK-NEXT: scf.if %[[IS]] {
      // CHECK-NEXT: nvvm.griddepcontrol wait
      // CHECK-NEXT: }
      // CHECK-NEXT: tile.put %[[KEYS]]
      scf.for %i = %warp to %n step %four : i32 {
        tile.put %keys[%i] from %base rows {
        ^bb0(%row: i32):
          tile.yield %zero64, %no : i64, i1
        } box #keys {
        ^bb0(%row: i32):
          tile.yield %zero, %zero, %zero : i32, i32, i32
        } : !ks
      }
    }
  } compute 208 {
    // CHECK: compute
    // CHECK: scf.for
    scf.for %item = %zero to %n step %one : i32 {
      // CHECK-NEXT: tile.lookup
      // CHECK-NEXT: nvvm.griddepcontrol wait
      // CHECK-NEXT: tile.get
      %first = tile.lookup %base[%zero64] : i32
      %q = tile.get %queries[%first] : !qs -> !q
      tile.release %queries[%first] : !qs
    }
    // CHECK: }
    // A CTA without items waits too.
    // CHECK-NEXT: nvvm.griddepcontrol wait
  }
}

// CHECK-LABEL: tile.entry @others_read_the_plan_alone_before_it
tile.entry @others_read_the_plan_alone_before_it attend #tile.items<rows = 64, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 64, keys = 16, warps = 4, weights = bf16,
    pipeline = <stages = 8, copy = tma, load_registers = 56, compute_registers = 208, growth = 8,
                query_stages = 2>> {
^bb0(%words: !tile.words):
  // CHECK: nvvm.griddepcontrol launch_dependents
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %zero64 = arith.constant 0 : i64
  %no = arith.constant false
  %base = tile.word %words[5] : !tile.address
  %keys = tile.pipe tma : !ks
  // CHECK: tile.roles load
  tile.roles load 56 {
    // CHECK: tile.lookup
    // CHECK-NEXT: nvvm.griddepcontrol wait
    // CHECK-NEXT: scf.for
    %n = tile.lookup %base[%zero64] : i32
    scf.for %item = %zero to %n step %one : i32 {
      tile.put %keys[%item] from %base rows {
      ^bb0(%row: i32):
        tile.yield %zero64, %no : i64, i1
      } box #keys {
      ^bb0(%row: i32):
        tile.yield %zero, %zero, %zero : i32, i32, i32
      } : !ks
    }
  } compute 208 {
    // CHECK: tile.lookup
    // CHECK-NEXT: nvvm.griddepcontrol wait
    // CHECK-NEXT: scf.for
    %n = tile.lookup %base[%zero64] : i32
    scf.for %item = %zero to %n step %one : i32 {
      %k = tile.get %keys[%item] : !ks -> !k
      tile.release %keys[%item] : !ks
    }
  }
}

// CHECK-LABEL: tile.entry @without_roles_all_warps_wait
tile.entry @without_roles_all_warps_wait append #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = bf16> {
^bb0(%words: !tile.words):
  // CHECK: nvvm.griddepcontrol launch_dependents
  // CHECK: tile.lookup
  // CHECK-NEXT: nvvm.griddepcontrol wait
  // CHECK-NEXT: tile.load
  %zero64 = arith.constant 0 : i64
  %yes = arith.constant true
  %base = tile.word %words[5] : !tile.address
  %n = tile.lookup %base[%zero64] : i32
  %t = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %zero64, %yes : i64, i1
  } : !tile.tile<16x8xf32>
  tile.store %t to %base rows {
  ^bb0(%row: i32):
    tile.yield %zero64, %yes : i64, i1
  } : !tile.tile<16x8xf32>
}
