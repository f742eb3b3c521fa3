// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(tile.entry(tile-assign-layouts,tile-make-pipes,tile-specialize-warps),convert-tile-to-nvvm)' -split-input-file | FileCheck %s

// A part's state goes between registers and the workspace (word 3): each thread
// reads what it holds, and rows that are not there are not touched.
// CHECK-LABEL: llvm.func @states
tile.entry @states attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = bf16, splits = true> {
^bb0(%words: !tile.words):
  %space = tile.word %words[3] : !tile.address
  %counters = tile.word %words[5] : !tile.address
  %n = tile.word %words[8] : i32
  %c2 = arith.constant 2 : i32
  // CHECK: nvvm.barrier id = %c0_i32{{.*}} number_of_threads = %c32_i32
  // CHECK: scf.if
  // CHECK: atom.acq_rel.gpu.global.inc.u32
  // CHECK: %[[MINE:.*]] = arith.cmpi eq
  // CHECK: scf.yield %[[MINE]]
  // CHECK: llvm.call_intrinsic "llvm.nvvm.barrier.cta.red.or.aligned.count"(%c0_i32{{.*}}, %c32_i32
  %last = tile.arrive %counters[%c2] of %n
  // A row slot is a predicate of its own, without branches between loads.
  // CHECK-COUNT-4: ld.global.v2.f32
  // CHECK-NOT: ld.global.v2
  // CHECK-NOT: scf.if
  %o = tile.load %space rows {
  ^bb0(%row: i32):
    %wide = arith.extsi %row : i32 to i64
    %pitch = arith.constant 16 : i64
    %offset = arith.muli %wide, %pitch : i64
    %there = arith.cmpi slt, %row, %n : i32
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<16x16xf32>
  // CHECK-COUNT-2: ld.global.f32
  %m = tile.load %space rows {
  ^bb0(%row: i32):
    %offset = arith.extsi %row : i32 to i64
    tile.yield %offset, %last : i64, i1
  } : !tile.tile<16x1xf32>
  // CHECK: scf.if
  // CHECK: llvm.store {{.*}} : f32
  tile.store %m to %space rows {
  ^bb0(%row: i32):
    %offset = arith.extsi %row : i32 to i64
    tile.yield %offset, %last : i64, i1
  } : !tile.tile<16x1xf32>
  // CHECK: llvm.store {{.*}} : vector<2xf32>
  tile.store %o to %space rows {
  ^bb0(%row: i32):
    %offset = arith.extsi %row : i32 to i64
    tile.yield %offset, %last : i64, i1
  } : !tile.tile<16x16xf32>
}

// -----

// Of warps with roles only those that compute meet, at a barrier of their own
// behind two for each group. Such loads are no transfers of a pipe.
// CHECK-LABEL: llvm.func @roles
tile.entry @roles attend
    #tile.items<rows = 128, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 128, keys = 16, warps = 8, weights = bf16,
        pipeline = <stages = 2, copy = gather, load_registers = 40, compute_registers = 232, growth = 8>, splits = true> {
^bb0(%words: !tile.words):
  %space = tile.word %words[3] : !tile.address
  %counters = tile.word %words[5] : !tile.address
  %n = tile.word %words[8] : i32
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  scf.for %i = %c0 to %n step %c1 : i32 {
    // CHECK: nvvm.setmaxregister increase
    // CHECK: nvvm.barrier id = %c5_i32{{.*}} number_of_threads = %c256_i32
    // CHECK: llvm.call_intrinsic "llvm.nvvm.barrier.cta.red.or.aligned.count"(%c5_i32{{.*}}, %c256_i32
    %last = tile.arrive %counters[%i] of %n
    scf.if %last {
      // CHECK-COUNT-2: ld.global.f32
      %m = tile.load %space rows {
      ^bb0(%row: i32):
        %offset = arith.extsi %row : i32 to i64
        tile.yield %offset, %last : i64, i1
      } : !tile.tile<128x1xf32>
      tile.store %m to %space rows {
      ^bb0(%row: i32):
        %offset = arith.extsi %row : i32 to i64
        tile.yield %offset, %last : i64, i1
      } : !tile.tile<128x1xf32>
    }
  }
}
