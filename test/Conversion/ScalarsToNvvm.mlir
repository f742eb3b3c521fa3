// RUN: saccade-opt %s -convert-scalars-to-nvvm | FileCheck %s

// CHECK-LABEL: llvm.func @exponentials_are_approximated
llvm.func @exponentials_are_approximated(%x: f32, %v: vector<2xf32>) -> f32 {
  // CHECK: llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f32"
  %0 = math.exp2 %x : f32
  // CHECK: llvm.call_intrinsic "llvm.nvvm.lg2.approx.ftz.f"
  %1 = math.log2 %0 : f32
  // CHECK: llvm.call_intrinsic "llvm.nvvm.rsqrt.approx.ftz.f"
  %2 = math.rsqrt %1 : f32
  // CHECK: llvm.intr.fma
  %3 = math.fma %2, %x, %x : f32
  // CHECK-COUNT-2: llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f32"
  %4 = math.exp2 %v : vector<2xf32>
  %5 = vector.extract %4[1] : f32 from vector<2xf32>
  %6 = arith.addf %3, %5 : f32
  llvm.return %6 : f32
}

// CHECK-LABEL: llvm.func @halves_of_rows_are_shuffles
llvm.func @halves_of_rows_are_shuffles(%x: vector<8xf32>, %many: i1) -> vector<8xf32> {
  // CHECK: llvm.shufflevector
  %low = vector.extract_strided_slice %x {offsets = [0], sizes = [4], strides = [1]}
    : vector<8xf32> to vector<4xf32>
  %y = scf.if %many -> vector<4xf32> {
    %twice = arith.addf %low, %low : vector<4xf32>
    scf.yield %twice : vector<4xf32>
  } else {
    scf.yield %low : vector<4xf32>
  }
  %z = vector.insert_strided_slice %y, %x {offsets = [4], strides = [1]}
    : vector<4xf32> into vector<8xf32>
  // CHECK: llvm.return
  llvm.return %z : vector<8xf32>
}
