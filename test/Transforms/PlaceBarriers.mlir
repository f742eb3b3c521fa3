// RUN: saccade-opt %s -tile-place-barriers | FileCheck %s

!q = !tile.tile<16x16xbf16, #tile.shared<pitch = 24, swizzle = 1>>
!k = !tile.tile<16x16xbf16, #tile.shared<pitch = 24, swizzle = 1, offset = 768>>
!v = !tile.tile<16x16xbf16, #tile.shared<pitch = 24, swizzle = 1, offset = 1536>>
!s = !tile.tile<16x16xf32, #tile.accumulator<warps = 1>>
!p = !tile.tile<16x16xbf16, #tile.operand<warps = 1>>

// CHECK-LABEL: tile.entry @values_stay_in_flight
tile.entry @values_stay_in_flight attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = bf16> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %n = tile.word %words[5] : i32
  %offset = arith.constant 0 : i64
  %there = arith.constant true
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %zero = arith.constant 0.0 : bf16
  %p = tile.fill %zero : bf16 -> !p
  // Nothing was there before.
  // CHECK-NOT: nvvm
  // CHECK: tile.load
  %q = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !q
  // CHECK: scf.for
  scf.for %i = %c0 to %n step %c1 : i32 {
    // The last trip may still read keys and values: one barrier for both.
    // CHECK: nvvm.barrier
    // CHECK: tile.load
    %k = tile.load %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !k
    // CHECK-NOT: nvvm.barrier
    // CHECK: tile.load
    %v = tile.load %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !v
    // Queries and keys have arrived; values may take longer.
    // CHECK: nvvm.cp.async.wait.group 1
    // CHECK-NEXT: nvvm.barrier
    // CHECK-NEXT: tile.dot
    %s = tile.dot %q, %k transposed : !q, !k -> !s
    // CHECK-NEXT: nvvm.cp.async.wait.group 0
    // CHECK-NEXT: nvvm.barrier
    // CHECK-NEXT: tile.dot
    %o = tile.dot %p, %v : !p, !v -> !s
    // CHECK-NEXT: }
  }
  // CHECK: nvvm.cp.async.wait.group 0
}

// CHECK-LABEL: tile.entry @rows_are_replaced_in_place
tile.entry @rows_are_replaced_in_place attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = bf16> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %offset = arith.constant 0 : i64
  %there = arith.constant true
  // CHECK: tile.load
  %q = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !q
  // CHECK: nvvm.cp.async.wait.group 0
  // CHECK-NEXT: nvvm.barrier
  // CHECK-NEXT: tile.map_rows
  %turned = tile.map_rows %q {
  ^bb0(%x: vector<16xf32>, %row: i32):
    tile.yield %x : vector<16xf32>
  } : !q -> !q
  // CHECK: nvvm.barrier
  // CHECK-NEXT: tile.dot
  %s = tile.dot %turned, %turned transposed : !q, !q -> !s
  // CHECK-NOT: nvvm
}

// CHECK-LABEL: tile.entry @branches_wait_for_their_own
tile.entry @branches_wait_for_their_own attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = bf16> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %offset = arith.constant 0 : i64
  %there = arith.constant true
  // CHECK: scf.if
  scf.if %there {
    // CHECK: tile.load
    %q = tile.load %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !q
    // CHECK: nvvm.cp.async.wait.group 0
  }
  // The branch may have written it.
  // CHECK: nvvm.barrier
  // CHECK-NEXT: tile.load
  %k = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !q
  // CHECK: nvvm.cp.async.wait.group 0
  // CHECK-NEXT: nvvm.barrier
  // CHECK-NEXT: tile.store
  tile.store %k to %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !q
}
