// RUN: saccade-opt %s -convert-tile-to-nvvm -canonicalize -split-input-file | FileCheck %s

!q = !tile.tile<16x96xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 65536>>
!k = !tile.tile<16x96xbf16, #tile.shared<pitch = 64, swizzle = 8>>
!v = !tile.tile<16x40xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 32768>>
!qs = !tile.pipe<16x96xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 65536>, stages = 2>
!ks = !tile.pipe<16x96xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 8>
!vs = !tile.pipe<16x40xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 32768>, stages = 8>
!a = !tile.tile<16x96xbf16, #tile.operand<warps = 1, transposed = true>>
!s = !tile.tile<16x16xf32, #tile.accumulator<warps = 1, transposed = true>>
!w = !tile.tile<16x16xbf16, #tile.accumulator<warps = 1, transposed = true>>
!p = !tile.tile<16x16xbf16, #tile.operand<warps = 1, transposed = true>>
!o = !tile.tile<16x40xf32, #tile.accumulator<warps = 1, transposed = true>>
!m = !tile.tile<16x1xf32, #tile.rows_of<warps = 1, transposed = true>>
!l = !tile.tile<16x1xf32, #tile.parts_of<warps = 1, transposed = true>>

// CHECK-LABEL: llvm.func @keys_are_left_operands
tile.entry @keys_are_left_operands attend
    #tile.items<rows = 16, group = 4, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 8, weights = bf16,
                   pipeline = #tile.pipeline<stages = 8, copy = gather, load_registers = 56,
                                             compute_registers = 168, growth = 0, deal = keys>> {
^bb0(%words: !tile.words):
  %qs = tile.pipe gather barriers 73728 : !qs
  %ks = tile.pipe gather barriers 73760 {dealt} : !ks
  %vs = tile.pipe gather barriers 73888 {dealt} : !vs
  %c0 = arith.constant 0 : i32
  %zero = arith.constant 0.0 : f32
  %base = tile.word %words[4] : !tile.address
  %offset = arith.constant 0 : i64
  %there = arith.constant true
  tile.roles load 56 {
  } compute 168 {
    %qt = tile.get %qs[%c0] : !qs -> !q
    // Each of two times eight rows: 96 columns of depth, 32 at a time.
    // CHECK-COUNT-6: nvvm.ldmatrix {{.*}} layout = #nvvm.mma_layout<row>, num = 4
    // CHECK-NOT: nvvm.ldmatrix
    // CHECK: mbarrier.try_wait
    %q = tile.convert %qt : !q -> !a
    %k = tile.get %ks[%c0] : !ks -> !k
    // 16 keys and 16 columns at a time, for both atoms of eight rows.
    // CHECK: nvvm.ldmatrix {{.*}} layout = #nvvm.mma_layout<row>, num = 4
    // CHECK-COUNT-2: nvvm.mma.sync
    // CHECK: nvvm.ldmatrix {{.*}} layout = #nvvm.mma_layout<row>, num = 4
    // CHECK-COUNT-10: nvvm.mma.sync
    // CHECK-NOT: nvvm.mma.sync
    %s = tile.dot %q, %k transposed : !a, !k -> !s
    // A lane holds two columns of four rows; eight lanes share a row.
    // CHECK: arith.maxnumf
    // CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c4_i32
    // CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c8_i32
    // CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c16_i32
    // CHECK-COUNT-9: nvvm.shfl.sync
    // CHECK-NOT: nvvm.shfl.sync
    %m = tile.reduce max %s : !s -> !m
    // Parts stay where they are.
    // CHECK-COUNT-4: arith.addf
    // CHECK-NOT: nvvm.shfl.sync
    %l = tile.reduce add %s : !s -> !l
    // Two neighbours are two rows of a column.
    // CHECK-COUNT-4: arith.truncf {{.*}} : vector<2xf32> to vector<2xbf16>
    // CHECK-NOT: arith.truncf
    %w = tile.map (%s, %m) {
    ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
      %d = arith.subf %x, %y : f32
      %t = arith.truncf %d : f32 to bf16
      tile.yield %t : bf16
    } : (!s, !m) -> !w
    // CHECK-COUNT-4: movmatrix.sync.aligned.m8n8.trans.b16
    // CHECK-NOT: movmatrix
    %p = tile.convert %w : !w -> !p
    %v = tile.get %vs[%c0] : !vs -> !v
    %o0 = tile.fill %zero : f32 -> !o
    // 40 columns of values are two and a half blocks of 16.
    // CHECK: nvvm.ldmatrix {{.*}} layout = #nvvm.mma_layout<col>, num = 4
    // CHECK-COUNT-2: nvvm.mma.sync
    // CHECK: nvvm.ldmatrix
    // CHECK-COUNT-2: nvvm.mma.sync
    // CHECK: nvvm.ldmatrix
    // CHECK-COUNT-2: nvvm.mma.sync
    // CHECK-NOT: nvvm.mma.sync
    %o = tile.dot %p, %v into %o0 : !o : !p, !v -> !o
    // CHECK: nvvm.vote.sync any
    // CHECK-COUNT-24: arith.mulf
    // CHECK-NOT: arith.mulf
    %scaled = tile.scale_rows %o by %m : !o, !m
    // CHECK-COUNT-12: nvvm.shfl.sync
    // CHECK-NOT: nvvm.shfl.sync
    %sum = tile.convert %l : !l -> !m
    tile.release %vs[%c0] : !vs
    tile.store %scaled to %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !o
    tile.store %sum to %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !m
  }
}

// -----

!m = !tile.tile<16x1xf32, #tile.rows_of<warps = 1, transposed = true>>
!o = !tile.tile<16x64xf32, #tile.accumulator<warps = 1, transposed = true>>
!all = !tile.tile<16x64xf32, #tile.accumulator<warps = 4, transposed = true>>

// CHECK-LABEL: llvm.func @warps_combine
tile.entry @warps_combine attend
    #tile.items<rows = 16, group = 4, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 8, weights = bf16,
                   pipeline = #tile.pipeline<stages = 8, copy = gather, load_registers = 56,
                                             compute_registers = 168, growth = 0, deal = keys>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0.0 : f32
  %base = tile.word %words[4] : !tile.address
  %there = arith.constant true
  %c0 = arith.constant 0 : i64
  tile.roles load 56 {
  } compute 168 {
    // One lane of eight writes a row; all warps meet once, since the memory is the
    // column's own; each lane reads what all eight warps have of its rows.
    // CHECK: nvvm.setmaxregister increase
    // CHECK-NOT: nvvm.barrier
    // CHECK: scf.if
    // CHECK-COUNT-2: llvm.store {{.*}} : vector<2xf32>, !llvm.ptr<3>
    // CHECK: nvvm.barrier id = %c5_i32 number_of_threads = %c256_i32
    // CHECK-COUNT-8: llvm.load {{.*}} : !llvm.ptr<3> -> vector<2xf32>
    // CHECK-COUNT-7: arith.maxnumf
    // CHECK-COUNT-8: llvm.load {{.*}} : !llvm.ptr<3> -> vector<2xf32>
    // CHECK-COUNT-7: arith.maxnumf
    %m = tile.fill %zero : f32 -> !m
    %max = tile.combine max %m {tile.exchange = 1024 : i64} : !m -> !m
    // Eight rows at a time: four blocks of 16 columns, of which a warp reads its own.
    // CHECK-NOT: nvvm.barrier
    // CHECK-COUNT-4: llvm.store {{.*}} : vector<4xf32>, !llvm.ptr<3>
    // CHECK: nvvm.barrier
    // CHECK-COUNT-8: llvm.load {{.*}} : !llvm.ptr<3> -> vector<4xf32>
    // CHECK-COUNT-7: arith.addf
    // CHECK: nvvm.barrier
    // CHECK-COUNT-4: llvm.store {{.*}} : vector<4xf32>, !llvm.ptr<3>
    // CHECK: nvvm.barrier
    // CHECK-COUNT-8: llvm.load {{.*}} : !llvm.ptr<3> -> vector<4xf32>
    // CHECK-COUNT-7: arith.addf
    // CHECK-NOT: nvvm.barrier
    %o = tile.fill %zero : f32 -> !o
    %all = tile.combine add %o {tile.exchange = 2048 : i64} : !o -> !all
    // Half of the warps hold what the others hold, and do not store it; neighbours
    // of a row are 32 bytes in eight lanes.
    // CHECK: scf.if
    // CHECK-COUNT-2: llvm.store {{.*}} : f32, !llvm.ptr<1>
    // CHECK: scf.if
    // CHECK-COUNT-2: llvm.store {{.*}} : f32, !llvm.ptr<1>
    tile.store %all to %base rows {
    ^bb0(%row: i32):
      %offset = arith.extsi %row : i32 to i64
      tile.yield %offset, %there : i64, i1
    } : !all
    tile.store %max to %base rows {
    ^bb0(%row: i32):
      %offset = arith.extsi %row : i32 to i64
      tile.yield %offset, %there : i64, i1
    } : !m
  }
}

// -----

!o = !tile.tile<8x64xf32, #tile.accumulator<warps = 1, transposed = true>>
!all = !tile.tile<8x64xf32, #tile.accumulator<warps = 4, transposed = true>>

// Without a meeting of others between, readers of the trip before are waited for.
// CHECK-LABEL: llvm.func @memory_is_used_again
// CHECK: nvvm.setmaxregister increase
// CHECK: nvvm.barrier id
// CHECK: llvm.store {{.*}} : vector<4xf32>, !llvm.ptr<3>
// CHECK: nvvm.barrier id
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> vector<4xf32>
tile.entry @memory_is_used_again attend
    #tile.items<rows = 8, group = 4, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 8, keys = 16, warps = 8, weights = bf16,
                   pipeline = #tile.pipeline<stages = 8, copy = gather, load_registers = 56,
                                             compute_registers = 168, growth = 0, deal = keys>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0.0 : f32
  %base = tile.word %words[4] : !tile.address
  %offset = arith.constant 0 : i64
  %there = arith.constant true
  tile.roles load 56 {
  } compute 168 {
    %o = tile.fill %zero : f32 -> !o
    %all = tile.combine add %o {tile.exchange = 0 : i64} : !o -> !all
    tile.store %all to %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !all
  }
}

// -----

!h = !tile.tile<8x24xbf16, #tile.operand<warps = 2, transposed = true>>
!m = !tile.tile<8x1xf32, #tile.rows_of<warps = 1, transposed = true>>

// As an operand, a lane holds pairs of columns of one row; the last half block is
// not there. A column is stored by four lanes of one warp.
// CHECK-LABEL: llvm.func @transposed_tiles_are_stored
// CHECK: nvvm.setmaxregister increase
// CHECK: scf.if
// CHECK: llvm.store {{.*}} : i32, !llvm.ptr<1>
// CHECK: scf.if
// CHECK: llvm.store {{.*}} : i32, !llvm.ptr<1>
// CHECK-NOT: llvm.store {{.*}} : i32
// CHECK-COUNT-2: llvm.store {{.*}} : f32, !llvm.ptr<1>
// CHECK-NOT: llvm.store
tile.entry @transposed_tiles_are_stored attend
    #tile.items<rows = 8, group = 4, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 8, keys = 16, warps = 8, weights = bf16,
                   pipeline = #tile.pipeline<stages = 8, copy = gather, load_registers = 56,
                                             compute_registers = 168, growth = 0, deal = keys>> {
^bb0(%words: !tile.words):
  %one = arith.constant 1.0 : bf16
  %x = arith.constant 1.0 : f32
  %base = tile.word %words[4] : !tile.address
  %there = arith.constant true
  tile.roles load 56 {
  } compute 168 {
    %h = tile.fill %one : bf16 -> !h
    tile.store %h to %base rows {
    ^bb0(%row: i32):
      %offset = arith.extsi %row : i32 to i64
      tile.yield %offset, %there : i64, i1
    } : !h
    %m = tile.fill %x : f32 -> !m
    tile.store %m to %base rows {
    ^bb0(%row: i32):
      %offset = arith.extsi %row : i32 to i64
      tile.yield %offset, %there : i64, i1
    } : !m
  }
}

// -----

!q = !tile.tile<16x48xf16, #tile.shared<pitch = 64, swizzle = 8, offset = 65536>>
!k = !tile.tile<16x48xf16, #tile.shared<pitch = 64, swizzle = 8>>
!qs = !tile.pipe<16x48xf16, #tile.shared<pitch = 64, swizzle = 8, offset = 65536>, stages = 2>
!ks = !tile.pipe<16x48xf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 8>
!s = !tile.tile<16x16xf32, #tile.accumulator<warps = 1, transposed = true>>

// Queries that found no room in registers are read where they are multiplied: for
// each eight rows two steps of depth at once, and what is left.
// CHECK-LABEL: llvm.func @queries_stay_in_shared_memory
// CHECK: nvvm.ldmatrix {{.*}} num = 4
// CHECK: nvvm.ldmatrix {{.*}} num = 4
// CHECK-NEXT: llvm.extractvalue
// CHECK-COUNT-3: llvm.extractvalue
// CHECK: nvvm.mma.sync
// CHECK: nvvm.ldmatrix {{.*}} num = 4
// CHECK: nvvm.mma.sync
// CHECK: nvvm.ldmatrix {{.*}} num = 4
// CHECK-COUNT-2: nvvm.mma.sync
// CHECK: nvvm.ldmatrix {{.*}} num = 4
// CHECK: nvvm.ldmatrix {{.*}} num = 2
// CHECK: nvvm.mma.sync
// CHECK: nvvm.ldmatrix {{.*}} num = 2
// CHECK: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync
tile.entry @queries_stay_in_shared_memory attend
    #tile.items<rows = 16, group = 4, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 8, weights = f16,
                   pipeline = #tile.pipeline<stages = 8, copy = gather, load_registers = 56,
                                             compute_registers = 168, growth = 0, deal = keys>> {
^bb0(%words: !tile.words):
  %qs = tile.pipe gather barriers 73728 : !qs
  %ks = tile.pipe gather barriers 73760 {dealt} : !ks
  %c0 = arith.constant 0 : i32
  %base = tile.word %words[4] : !tile.address
  %offset = arith.constant 0 : i64
  %there = arith.constant true
  tile.roles load 56 {
  } compute 168 {
    %q = tile.get %qs[%c0] : !qs -> !q
    %k = tile.get %ks[%c0] : !ks -> !k
    %s = tile.dot %q, %k transposed : !q, !k -> !s
    tile.store %s to %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !s
  }
}

// -----

// Elements of 8 bits are widened between ldmatrix and the products.

!q = !tile.tile<8x80xf16, #tile.shared<pitch = 64, swizzle = 8, offset = 65536>>
!k = !tile.tile<16x80xf8E4M3FN, #tile.shared<pitch = 128, swizzle = 8>>
!v = !tile.tile<16x32xf8E5M2, #tile.shared<pitch = 128, swizzle = 8, offset = 32768>>
!qs = !tile.pipe<8x80xf16, #tile.shared<pitch = 64, swizzle = 8, offset = 65536>, stages = 2>
!ks = !tile.pipe<16x80xf8E4M3FN, #tile.shared<pitch = 128, swizzle = 8>, stages = 8>
!vs = !tile.pipe<16x32xf8E5M2, #tile.shared<pitch = 128, swizzle = 8, offset = 32768>, stages = 8>
!a = !tile.tile<8x80xf16, #tile.operand<warps = 1, transposed = true, interleaved = true>>
!s = !tile.tile<8x16xf32, #tile.accumulator<warps = 1, transposed = true>>
!w = !tile.tile<8x16xf16, #tile.accumulator<warps = 1, transposed = true>>
!p = !tile.tile<8x16xf16, #tile.operand<warps = 1, transposed = true>>
!o = !tile.tile<8x32xf32, #tile.accumulator<warps = 1, transposed = true, interleaved = true>>
!d = !tile.tile<8x32xf32, #tile.accumulator<warps = 2, transposed = true>>

// CHECK-LABEL: llvm.func @bytes_are_widened
tile.entry @bytes_are_widened attend
    #tile.items<rows = 8, group = 4, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 8, keys = 16, warps = 8, weights = f16,
                   pipeline = #tile.pipeline<stages = 8, copy = gather, load_registers = 56,
                                             compute_registers = 168, growth = 0, deal = keys>> {
^bb0(%words: !tile.words):
  %qs = tile.pipe gather barriers 98304 : !qs
  %ks = tile.pipe gather barriers 98336 {dealt} : !ks
  %vs = tile.pipe gather barriers 98464 {dealt} : !vs
  %c0 = arith.constant 0 : i32
  %zero = arith.constant 0.0 : f32
  %base = tile.word %words[4] : !tile.address
  %offset = arith.constant 0 : i64
  %there = arith.constant true
  tile.roles load 56 {
  } compute 168 {
    // Lanes read four neighbours by themselves, five times for 80 columns.
    // CHECK-NOT: nvvm.ldmatrix
    // CHECK-COUNT-5: llvm.load {{.*}} {alignment = 8 : i64} : !llvm.ptr<3> -> vector<2xi32>
    // CHECK-NOT: llvm.load {{.*}} -> vector<2xi32>
    // CHECK: mbarrier.try_wait
    %qt = tile.get %qs[%c0] : !qs -> !q
    %q = tile.convert %qt : !q -> !a
    %k = tile.get %ks[%c0] : !ks -> !k
    // Keys: 32 columns of depth at a time, and the last 16.
    // CHECK: nvvm.ldmatrix {{.*}} layout = #nvvm.mma_layout<row>, num = 4
    // CHECK-COUNT-4: nvvm.convert.f8x2.to.f16x2 {{.*}}(f8E4M3FN) -> vector<2xf16>
    // CHECK: nvvm.mma.sync
    // CHECK-COUNT-4: nvvm.convert.f8x2.to.f16x2
    // CHECK: nvvm.mma.sync
    // CHECK: nvvm.ldmatrix {{.*}} num = 4
    // CHECK-COUNT-2: nvvm.mma.sync
    // CHECK: nvvm.ldmatrix {{.*}} num = 2
    // CHECK-NOT: nvvm.prmt
    // CHECK: nvvm.mma.sync
    %s = tile.dot %q, %k transposed : !a, !k -> !s
    %w = tile.map (%s) {
    ^bb0(%x: f32, %row: i32, %column: i32):
      %t = arith.truncf %x : f32 to f16
      tile.yield %t : f16
    } : (!s) -> !w
    %p = tile.convert %w : !w -> !p
    %v = tile.get %vs[%c0] : !vs -> !v
    %o0 = tile.fill %zero : f32 -> !o
    // Values: both words of an atom are put in the order of keys.
    // CHECK: nvvm.ldmatrix {{.*}} layout = #nvvm.mma_layout<col>, num = 4
    // CHECK-COUNT-2: nvvm.prmt
    // CHECK-COUNT-4: nvvm.convert.f8x2.to.f16x2 {{.*}}(f8E5M2) -> vector<2xf16>
    // CHECK: nvvm.mma.sync
    // CHECK-NOT: nvvm.ldmatrix
    // CHECK: nvvm.mma.sync
    %o = tile.dot %p, %v into %o0 : !o : !p, !v -> !o
    // A lane reads its columns in two halves from each of eight warps.
    // CHECK-COUNT-16: llvm.load {{.*}} -> vector<2xf32>
    // CHECK-NOT: llvm.load {{.*}} -> vector<2xf32>
    %all = tile.combine add %o {tile.exchange = 99328 : i64} : !o -> !d
    tile.store %all to %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !d
    tile.release %vs[%c0] : !vs
  }
}
