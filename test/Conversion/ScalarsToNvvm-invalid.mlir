// RUN: saccade-opt %s -convert-scalars-to-nvvm -split-input-file -verify-diagnostics

llvm.func @left_for_libdevice(%x: f32) -> f32 {
  // expected-error @below {{'math.tanh' op has no instruction on the GPU}}
  %0 = math.tanh %x : f32
  llvm.return %0 : f32
}

// -----

llvm.func @in_double_precision(%x: f64) -> f64 {
  // expected-error @below {{'math.exp2' op has no instruction on the GPU}}
  %0 = math.exp2 %x : f64
  llvm.return %0 : f64
}
