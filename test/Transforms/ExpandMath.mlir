// RUN: saccade-opt %s -saccade-expand-math | FileCheck %s
// RUN: saccade-opt %s -saccade-expand-math -saccade-expand-exp2 | FileCheck %s --check-prefix=POLY

// What no target has becomes exp2, log2 and fma; after the second pass nothing
// of it is left.
// CHECK-LABEL: @expands_functions
// POLY-LABEL: @expands_functions
func.func @expands_functions(%x: f32, %v: vector<64xf32>) -> (f32, f32, f32, vector<64xf32>) {
  // CHECK-NOT: math.exp %
  // CHECK: math.exp2
  // POLY-NOT: math.{{exp2?|log2?|tanh|sin|cos|powf}}
  %0 = math.exp %x : f32
  // CHECK: math.log2
  %1 = math.log %x : f32
  // CHECK-NOT: math.tanh
  %2 = math.tanh %x : f32
  // CHECK-NOT: math.sin
  // CHECK: math.fma {{.*}} : vector<64xf32>
  %3 = math.sin %v : vector<64xf32>
  // CHECK-LABEL: return
  return %0, %1, %2, %3 : f32, f32, f32, vector<64xf32>
}

// CHECK-LABEL: @guards_division
// CHECK-SAME: (%[[X:.*]]: i32, %[[Y:.*]]: i32)
func.func @guards_division(%x: i32, %y: i32) -> i32 {
  // CHECK: %[[D:.*]] = arith.select %{{.*}}, %{{.*}}, %[[Y]]
  // CHECK: arith.divsi %[[X]], %[[D]]
  // CHECK: arith.select
  %0 = arith.divsi %x, %y : i32
  return %0 : i32
}

// CHECK-LABEL: @leaves_division_by_constant
func.func @leaves_division_by_constant(%x: i32) -> i32 {
  // CHECK-NEXT: arith.constant
  // CHECK-NEXT: arith.divsi
  // CHECK-NEXT: return
  %c16 = arith.constant 16 : i32
  %0 = arith.divsi %x, %c16 : i32
  return %0 : i32
}

// CHECK-LABEL: @bounds_shifts
func.func @bounds_shifts(%x: i32, %y: i32) -> i32 {
  // CHECK: arith.cmpi ult
  // CHECK: arith.shli
  // CHECK: arith.select
  %0 = arith.shli %x, %y : i32
  return %0 : i32
}

// CHECK-LABEL: @saturates_conversions
func.func @saturates_conversions(%x: f32) -> i32 {
  // CHECK: arith.cmpf ord
  // CHECK: arith.fptosi
  // CHECK: arith.select
  %0 = arith.fptosi %x : f32 to i32
  return %0 : i32
}
