// RUN: saccade-opt %s -convert-tile-to-nvvm -canonicalize -split-input-file | FileCheck %s

!k = !tile.tile<64x80xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 1024>>
!ks = !tile.pipe<64x80xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 1024>, stages = 2>

// CHECK-LABEL: llvm.func @boxes
tile.entry @boxes attend
    #tile.items<rows = 64, group = 1, heads = 1, keys = 64, row_block = 0>
    #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16,
                   pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 40,
                                             compute_registers = 232, growth = 0>> {
^bb0(%words: !tile.words):
  %ks = tile.pipe tma barriers 40960 : !ks
  %base = tile.word %words[4] : !tile.address
  %pages = tile.word %words[5] : !tile.address
  %n = tile.word %words[6] : i32
  %c0 = arith.constant 0 : i32
  %o = arith.constant 0 : i64
  %there = arith.constant true
  // CHECK: nvvm.setmaxregister decrease
  tile.roles load 40 {
    // Each box is found by a lane, before there is room for it.
    // CHECK: llvm.load {{.*}} invariant : !llvm.ptr<1> -> i32
    // The stage is free once the barrier has left the parity that it had before.
    // CHECK: llvm.inline_asm {{.*}}mbarrier.try_wait.parity
    // CHECK: nvvm.elect.sync
    // What is the same for all boxes is not passed on.
    // 64 rows of two panels of 128 bytes, in four boxes.
    // CHECK: nvvm.mbarrier.arrive.expect_tx %{{.*}}, %c16384_i32
    // CHECK-COUNT-4: nvvm.shfl.sync idx
    // CHECK-NOT: nvvm.shfl.sync
    // CHECK-COUNT-8: cp.async.bulk.tensor.4d{{.*}}complete_tx::bytes [$0]
    // CHECK-NOT: cp.async.bulk.tensor
    tile.put %ks[%n] from %base rows {
    ^bb0(%row: i32):
      tile.yield %o, %there : i64, i1
    } box #tile.box<word = 12, heads = 1, tokens = 16> {
    ^bb0(%row: i32):
      %wide = arith.extsi %row : i32 to i64
      %page = tile.lookup %pages[%wide] : i32
      tile.yield %c0, %n, %page : i32, i32, i32
    } : !ks
  } compute 232 {
    // CHECK: nvvm.setmaxregister increase
    // CHECK: llvm.inline_asm {{.*}}mbarrier.try_wait.parity
    // CHECK-NOT: nvvm.fence.proxy
    %k = tile.get %ks[%n] : !ks -> !k
    // Rows of both panels, by the threads of a group, if there are any.
    // CHECK: arith.maxsi
    // CHECK: %[[FIRST:.*]] = nvvm.redux.sync umax
    // CHECK: %[[SOME:.*]] = arith.cmpi slt, %[[FIRST]], %c64
    // CHECK: scf.if %[[SOME]]
    // CHECK: scf.for
    // CHECK-COUNT-2: llvm.store {{.*}} : vector<4xi32>, !llvm.ptr<3>
    // CHECK: nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
    // CHECK: nvvm.barrier id = %{{.*}} number_of_threads = %c128
    tile.clear_rows %k from %n : !k
    // One lane of each warp; nothing but the matrix units read the stage.
    // CHECK-NOT: nvvm.bar.warp.sync
    // CHECK: scf.if
    // CHECK: nvvm.mbarrier.arrive %
    tile.release %ks[%n] : !ks
  }
}

// -----

!k = !tile.tile<64x64xf16, #tile.shared<pitch = 64, swizzle = 8, offset = 1024>>
!ks = !tile.pipe<64x64xf16, #tile.shared<pitch = 64, swizzle = 8, offset = 1024>, stages = 3>
!a = !tile.tile<64x64xf16, #tile.accumulator<warps = 4>>

// CHECK-LABEL: llvm.func @gathers
tile.entry @gathers attend
    #tile.items<rows = 64, group = 1, heads = 1, keys = 64, row_block = 0>
    #tile.schedule<rows = 64, keys = 64, warps = 4, weights = f16,
                   pipeline = #tile.pipeline<stages = 3, copy = gather, load_registers = 40,
                                             compute_registers = 232, growth = 0>> {
^bb0(%words: !tile.words):
  // CHECK: nvvm.mbarrier.init %{{.*}}, %c128_i32
  // CHECK: nvvm.mbarrier.init %{{.*}}, %c4_i32
  %ks = tile.pipe gather barriers 40960 : !ks
  %base = tile.word %words[4] : !tile.address
  %pages = tile.word %words[5] : !tile.address
  %n = tile.word %words[6] : i32
  %there = arith.constant true
  // CHECK: nvvm.setmaxregister decrease
  tile.roles load 40 {
    // The row is found before there is room for it; then 16 rows a warp, 8 chunks each.
    // CHECK: llvm.load {{.*}} invariant : !llvm.ptr<1> -> i64
    // CHECK: llvm.inline_asm {{.*}}mbarrier.try_wait.parity
    // CHECK-COUNT-4: nvvm.cp.async.shared.global
    // CHECK-NOT: nvvm.cp.async.shared.global
    // CHECK: nvvm.cp.async.mbarrier.arrive %{{.*}} {noinc = true}
    tile.put %ks[%n] from %base rows {
    ^bb0(%row: i32):
      %wide = arith.extsi %row : i32 to i64
      %offset = tile.lookup %pages[%wide] : i64
      tile.yield %offset, %there : i64, i1
    } : !ks
  } compute 232 {
    // CHECK: nvvm.setmaxregister increase
    // CHECK: llvm.inline_asm {{.*}}mbarrier.try_wait.parity
    // CHECK: nvvm.fence.proxy
    %k = tile.get %ks[%n] : !ks -> !k
    // CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> vector<2xf16>
    %a = tile.convert %k : !k -> !a
    // Threads have read the stage: the lane that frees it waits for the others.
    // CHECK: nvvm.bar.warp.sync
    // CHECK: scf.if
    // CHECK: nvvm.mbarrier.arrive %
    tile.release %ks[%n] : !ks
    tile.store %a to %base rows {
    ^bb0(%row: i32):
      %offset = arith.extsi %row : i32 to i64
      tile.yield %offset, %there : i64, i1
    } : !a
  }
}
