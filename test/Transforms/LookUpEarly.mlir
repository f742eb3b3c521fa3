// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -pass-pipeline='builtin.module(llvm.func(saccade-look-up-early))' | FileCheck %s

// CHECK-LABEL: llvm.func @a_trip_ahead
llvm.func @a_trip_ahead(%words: !llvm.ptr, %table: !llvm.ptr<1>, %barrier: !llvm.ptr<3>, %warp: i32, %n: i32)
    attributes {tile.dealt} {
  %c4 = arith.constant 4 : i32
  // Nothing is read for a loop without trips.
  // CHECK: %[[WORD:.*]] = llvm.load %{{.*}} invariant : !llvm.ptr -> i64
  // CHECK: %[[ANY:.*]] = arith.cmpi slt, %[[WARP:.*]], %[[END:.*]] : i32
  // CHECK: %[[FIRST:.*]] = scf.if %[[ANY]] -> (i32) {
  // CHECK: llvm.getelementptr %{{.*}}[%[[WARP]]]
  // CHECK: llvm.load
  // CHECK: } else {
  // CHECK: llvm.mlir.zero : i32
  // CHECK: scf.for %[[I:.*]] = %[[WARP]] to %[[END]] step %[[STEP:.*]] iter_args(%[[PAGE:.*]] = %[[FIRST]])
  scf.for %i = %warp to %n step %c4 : i32 {
    // CHECK: %[[LAST:.*]] = arith.subi %[[END]],
    // CHECK: %[[THEN:.*]] = arith.addi %[[I]], %[[STEP]]
    // CHECK: %[[NEXT:.*]] = arith.minsi %[[THEN]], %[[LAST]]
    // CHECK: %[[PLACE:.*]] = llvm.getelementptr %{{.*}}[%[[NEXT]]]
    // CHECK: %[[AHEAD:.*]] = llvm.load %[[PLACE]] invariant
    // CHECK-NOT: llvm.load
    // CHECK: llvm.inline_asm has_side_effects "wait", "r" %[[PAGE]]
    // CHECK: scf.yield %[[AHEAD]]
    %address = llvm.getelementptr %words[4] : (!llvm.ptr) -> !llvm.ptr, i64
    %word = llvm.load %address invariant : !llvm.ptr -> i64
    %low = arith.trunci %word : i64 to i32
    %place = llvm.getelementptr %table[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    %page = llvm.load %place invariant : !llvm.ptr<1> -> i32
    llvm.inline_asm has_side_effects "wait", "r" %page : (i32) -> ()
    nvvm.mbarrier.arrive.expect_tx %barrier, %low : !llvm.ptr<3>, i32
  }
  llvm.return
}

// CHECK-LABEL: llvm.func @rows_are_dealt
llvm.func @rows_are_dealt(%table: !llvm.ptr<1>, %barrier: !llvm.ptr<3>, %n: i32) {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  // CHECK: scf.for
  // CHECK-NOT: iter_args
  scf.for %i = %c0 to %n step %c1 : i32 {
    %place = llvm.getelementptr %table[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    %page = llvm.load %place invariant : !llvm.ptr<1> -> i32
    nvvm.mbarrier.arrive.expect_tx %barrier, %page : !llvm.ptr<3>, i32
  }
  llvm.return
}
