// What the decode kernel's PTX holds: every product in matrix instructions, every
// gather in 16-byte copies, one page looked up a row; and the least PTX that will do.

// RUN: saccade compile %examples/llama3_decode.mlir --target sm_80 --emit ptx \
// RUN:   --schedule '#tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16>' -o %t.ptx
// RUN: FileCheck %s < %t.ptx
// RUN: grep -c mma.sync %t.ptx | FileCheck %s --check-prefix=PRODUCTS
// RUN: grep -c ldmatrix %t.ptx | FileCheck %s --check-prefix=OPERANDS
// RUN: grep -c cp.async.cg %t.ptx | FileCheck %s --check-prefix=COPIES

// CHECK: .version 7.0
// CHECK: .target sm_80
// CHECK: .extern .shared .align 1024 .b8 saccade_shared[];
// CHECK: .visible .entry llama3_decode(
// CHECK: .maxntid 128
// CHECK-NOT: .local
// CHECK-NOT: call

// Scores: 8 key atoms x 8 steps of depth. Values: 16 atoms x 4 steps.
// PRODUCTS: 128
// 8 of queries, 32 of keys (two atoms each), 32 of values.
// OPERANDS: 72
// 64 rows of 16 chunks by 128 threads, of queries, keys and values.
// COPIES: 24

// RUN: saccade compile %examples/llama3_decode.mlir --target sm_89 --emit ptx | FileCheck %s --check-prefix=ADA
// ADA: .version 7.8
// ADA: .target sm_89
// RUN: saccade compile %examples/llama3_decode.mlir --target sm_90a --emit ptx | FileCheck %s --check-prefix=HOPPER
// HOPPER: .version 8.0
// HOPPER: .target sm_90a
// RUN: saccade compile %examples/llama3_decode.mlir --target sm_120 --emit ptx | FileCheck %s --check-prefix=BLACKWELL
// BLACKWELL: .version 8.7
// BLACKWELL: .target sm_120
