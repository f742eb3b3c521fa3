// RUN: saccade-opt %s -convert-tile-to-nvvm -split-input-file | FileCheck %s

!s = !tile.tile<16x8xf32, #tile.accumulator<warps = 1>>
!m = !tile.tile<16x1xf32, #tile.rows_of<warps = 1>>

// The kernel takes the words by value, up to the last that it reads.
// CHECK: llvm.mlir.global external @saccade_shared() {addr_space = 3 : i32, alignment = 1024 : i64}
// CHECK: llvm.func @bodies_are_cloned_for_each_element(
// CHECK-SAME: %[[WORDS:.*]]: !llvm.ptr {llvm.align = 8 : i64, llvm.byval = !llvm.array<6 x i64>, nvvm.grid_constant})
// CHECK-SAME: nvvm.kernel, nvvm.maxntid = array<i32: 32>, nvvm.minctasm = 1 : i32
tile.entry @bodies_are_cloned_for_each_element attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = bf16> {
^bb0(%words: !tile.words):
  // CHECK: %[[SCALE:.*]] = llvm.load {{.*}} invariant : !llvm.ptr -> f32
  %scale = tile.word %words[4] : f32
  %base = tile.word %words[5] : !tile.address
  %x = tile.fill %scale : f32 -> !s
  // The rows that a lane holds: lane / 4 and lane / 4 + 8.
  // CHECK-DAG: %[[M0:.*]] = math.exp2 %[[SCALE]]
  // CHECK-COUNT-4: arith.mulf
  // CHECK-NOT: arith.mulf
  %y = tile.map (%x) {
  ^bb0(%a: f32, %row: i32, %column: i32):
    %e = math.exp2 %scale : f32
    %f = arith.sitofp %column : i32 to f32
    %b = arith.addf %e, %f : f32
    %c = arith.mulf %a, %b : f32
    tile.yield %c : f32
  } : (!s) -> !s
  // Two elements of a row, and its four lanes.
  // CHECK: %[[MAX:.*]] = arith.maxnumf
  // CHECK: %[[NEAR:.*]] = nvvm.shfl.sync bfly %{{.*}}, %[[MAX]], %{{.*}}, %{{.*}} : f32 -> f32
  // CHECK: %[[PAIR:.*]] = arith.maxnumf %[[MAX]], %[[NEAR]]
  // CHECK: nvvm.shfl.sync bfly %{{.*}}, %[[PAIR]]
  %m = tile.reduce max %y : !s -> !m
  // Of a column vector the first lane of a quad writes.
  // CHECK: %[[FIRST:.*]] = arith.cmpi slt
  // CHECK: scf.if
  // CHECK: llvm.store {{.*}} : f32, !llvm.ptr<1>
  tile.store %m to %base rows {
  ^bb0(%row: i32):
    %offset = arith.extsi %row : i32 to i64
    %there = arith.cmpi slt, %row, %row : i32
    tile.yield %offset, %there : i64, i1
  } : !m
  // CHECK: llvm.return
}

// -----

!q = !tile.tile<16x64xf16, #tile.shared<pitch = 64, swizzle = 8>>
!k = !tile.tile<32x64xf16, #tile.shared<pitch = 64, swizzle = 8, offset = 2048>>
!s = !tile.tile<16x32xf32, #tile.accumulator<warps = 1>>
!p = !tile.tile<16x32xf16, #tile.accumulator<warps = 1>>
!a = !tile.tile<16x32xf16, #tile.operand<warps = 1>>
!o = !tile.tile<16x64xf32, #tile.accumulator<warps = 1>>

// CHECK-LABEL: llvm.func @products_use_matrix_instructions
tile.entry @products_use_matrix_instructions attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 32, row_block = 0>
    #tile.schedule<rows = 16, keys = 32, warps = 1, weights = f16> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %pages = tile.word %words[5] : !tile.address
  %c0 = arith.constant 0 : i64
  %there = arith.constant true
  // 16 rows of 8 chunks: 4 copies a lane.
  // CHECK-COUNT-4: nvvm.cp.async.shared.global
  // CHECK-NOT: nvvm.cp.async.shared.global
  // CHECK: nvvm.cp.async.commit.group
  %q = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %c0, %there : i64, i1
  } : !q
  // The page of a row is looked up once, by one lane.
  // CHECK: llvm.load {{.*}} invariant : !llvm.ptr<1> -> i64
  // CHECK-NOT: llvm.load
  // CHECK-COUNT-8: nvvm.cp.async.shared.global
  // CHECK: nvvm.cp.async.commit.group
  %k = tile.load %base rows {
  ^bb0(%row: i32):
    %wide = arith.extsi %row : i32 to i64
    %offset = tile.lookup %pages[%wide] : i64
    tile.yield %offset, %there : i64, i1
  } : !k
  // Each of 4 steps of depth: the queries, then 2 x 2 atoms of keys.
  // CHECK-COUNT-2: nvvm.ldmatrix {{.*}} layout = #nvvm.mma_layout<row>, num = 4
  // CHECK-COUNT-2: nvvm.mma.sync {{.*}}vector<2xf16>
  // CHECK: nvvm.ldmatrix
  // CHECK-COUNT-14: nvvm.mma.sync
  // CHECK-NOT: nvvm.mma.sync
  %s = tile.dot %q, %k transposed : !q, !k -> !s
  // Weights are rounded two at a time and multiplied where they lie.
  // CHECK-COUNT-8: arith.truncf {{.*}} : vector<2xf32> to vector<2xf16>
  // CHECK-NOT: arith.truncf
  %p = tile.map (%s) {
  ^bb0(%x: f32, %row: i32, %column: i32):
    %w = arith.truncf %x : f32 to f16
    tile.yield %w : f16
  } : (!s) -> !p
  %a = tile.convert %p : !p -> !a
  // CHECK: nvvm.ldmatrix {{.*}} layout = #nvvm.mma_layout<col>, num = 4
  // CHECK-COUNT-16: nvvm.mma.sync
  // CHECK-NOT: nvvm.mma.sync
  %o = tile.dot %a, %k : !a, !k -> !o
  // Pairs of columns, row by row.
  // CHECK-COUNT-16: llvm.store {{.*}} : vector<2xf32>, !llvm.ptr<1>
  tile.store %o to %base rows {
  ^bb0(%row: i32):
    tile.yield %c0, %there : i64, i1
  } : !o
}

// -----

!x = !tile.tile<32x8xbf16, #tile.shared<pitch = 24, swizzle = 1>>

// CHECK-LABEL: llvm.func @rows_are_mapped_by_threads
tile.entry @rows_are_mapped_by_threads attend
    #tile.items<rows = 32, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 32, keys = 16, warps = 2, weights = bf16> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %there = arith.constant true
  %c0 = arith.constant 0 : i64
  // The second chunk of a row is padding for products: it is never there.
  // CHECK: nvvm.cp.async.shared.global
  %x = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %c0, %there : i64, i1
  } : !x
  // CHECK: scf.for %[[ROW:.*]] = %{{.*}} to %{{.*}} step
  // CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> vector<8xbf16>
  // CHECK-COUNT-8: arith.extf
  // CHECK: vector.reduction <add>
  // CHECK: arith.truncf {{.*}} : vector<8xf32> to vector<8xbf16>
  // CHECK-COUNT-2: llvm.store {{.*}} : vector<8xbf16>, !llvm.ptr<3>
  %y = tile.map_rows %x {
  ^bb0(%r: vector<8xf32>, %row: i32):
    %sum = vector.reduction <add>, %r : vector<8xf32> into f32
    %all = vector.broadcast %sum : f32 to vector<8xf32>
    tile.yield %all : vector<8xf32>
  } : !x -> !x
  // Only the chunk of elements is stored.
  // CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> vector<4xi32>
  // CHECK: llvm.store {{.*}} : vector<4xi32>, !llvm.ptr<1>
  tile.store %y to %base rows {
  ^bb0(%row: i32):
    tile.yield %c0, %there : i64, i1
  } : !x
}
