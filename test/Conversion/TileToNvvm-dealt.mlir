// Keys dealt to warps: each tile is copied by one warp, and read and freed by one.

// RUN: saccade-opt %s -convert-tile-to-nvvm -canonicalize -split-input-file | FileCheck %s

#panels = #tile.shared<pitch = 64, swizzle = 8, offset = 1024>
!k = !tile.tile<16x128xbf16, #panels>
!ks = !tile.pipe<16x128xbf16, #panels, stages = 8>
!q = !tile.tile<16x128xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 65536>>
!qs = !tile.pipe<16x128xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 65536>, stages = 2>
!a = !tile.tile<16x128xbf16, #tile.accumulator<warps = 1>>

// CHECK-LABEL: llvm.func @boxes
tile.entry @boxes attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 8, weights = bf16,
                   pipeline = <stages = 8, copy = tma, load_registers = 56, compute_registers = 208,
                               growth = 8, query_stages = 2, deal = keys>> {
^bb0(%words: !tile.words):
  // Warps that load come after those that compute.
  // CHECK: %[[WARP:.*]] = nvvm.redux.sync umax
  // CHECK: %[[COMPUTES:.*]] = arith.cmpi slt, %[[WARP]], %c8_i32
  // CHECK: %[[LOADER:.*]] = arith.subi %[[WARP]], %c8_i32
  // CHECK: %[[INDEX:.*]] = arith.select %[[COMPUTES]], %[[WARP]], %[[LOADER]]
  // One arrival says that the bytes are announced, and one warp that they are read.
  // CHECK: nvvm.mbarrier.init %{{.*}}, %c1_i32 :
  // CHECK: nvvm.mbarrier.init %{{.*}}, %c1_i32 :
  %ks = tile.pipe tma barriers 80000 {dealt} : !ks
  // CHECK: nvvm.mbarrier.init %{{.*}}, %c1_i32 :
  // CHECK: nvvm.mbarrier.init %{{.*}}, %c8_i32 :
  %qs = tile.pipe tma barriers 90000 : !qs
  %base = tile.word %words[4] : !tile.address
  %n = tile.word %words[6] : i32
  %c0 = arith.constant 0 : i32
  %o = arith.constant 0 : i64
  %there = arith.constant true
  // CHECK: nvvm.setmaxregister decrease
  // CHECK-NOT: scf.if
  tile.roles load 56 {
    // CHECK: mbarrier.try_wait.parity
    // CHECK: nvvm.elect.sync
    // CHECK: nvvm.mbarrier.arrive.expect_tx %{{.*}}, %c4096_i32
    // CHECK-COUNT-2: cp.async.bulk.tensor.4d
    %warp = tile.group
    tile.put %ks[%warp] from %base rows {
    ^bb0(%row: i32):
      tile.yield %o, %there : i64, i1
    } box #tile.box<word = 12, heads = 1, tokens = 16> {
    ^bb0(%row: i32):
      tile.yield %c0, %n, %c0 : i32, i32, i32
    } : !ks
    // What all warps read is copied by the first.
    // CHECK: %[[FIRST:.*]] = arith.cmpi slt, %[[INDEX]], %c1_i32
    // CHECK: scf.if %[[FIRST]]
    // CHECK: mbarrier.try_wait.parity
    tile.put %qs[%n] from %base rows {
    ^bb0(%row: i32):
      tile.yield %o, %there : i64, i1
    } box #tile.box<word = 16, heads = 1, tokens = 16> {
    ^bb0(%row: i32):
      tile.yield %c0, %n, %c0 : i32, i32, i32
    } : !qs
  } compute 208 {
    // CHECK: nvvm.setmaxregister increase
    // CHECK: mbarrier.try_wait.parity
    // CHECK-NOT: nvvm.fence.proxy
    %k = tile.get %ks[%n] : !ks -> !k
    // By one warp, of which others know nothing.
    // CHECK: scf.for
    // CHECK-COUNT-2: llvm.store {{.*}} : vector<4xi32>, !llvm.ptr<3>
    // CHECK: nvvm.bar.warp.sync
    // CHECK-NOT: nvvm.barrier
    tile.clear_rows %k from %n : !k
    // CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> vector<2xbf16>
    %a = tile.convert %k : !k -> !a
    // What lanes have read is overwritten by another proxy.
    // CHECK: nvvm.fence.proxy
    // CHECK: nvvm.bar.warp.sync
    // CHECK: scf.if
    // CHECK: nvvm.mbarrier.arrive %
    tile.release %ks[%n] : !ks
    tile.store %a to %base rows {
    ^bb0(%row: i32):
      tile.yield %o, %there : i64, i1
    } : !a
  }
}

// -----

#panels = #tile.shared<pitch = 64, swizzle = 8, offset = 1024>
!k = !tile.tile<16x128xbf16, #panels>
!ks = !tile.pipe<16x128xbf16, #panels, stages = 8>
!a = !tile.tile<16x128xbf16, #tile.accumulator<warps = 1>>

// CHECK-LABEL: llvm.func @gathers
tile.entry @gathers attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 8, weights = bf16,
                   pipeline = <stages = 8, copy = gather, load_registers = 56, compute_registers = 208,
                               growth = 8, query_stages = 2, deal = keys>> {
^bb0(%words: !tile.words):
  // CHECK: nvvm.mbarrier.init %{{.*}}, %c32_i32 :
  // CHECK: nvvm.mbarrier.init %{{.*}}, %c1_i32 :
  %ks = tile.pipe gather barriers 80000 {dealt} : !ks
  %base = tile.word %words[4] : !tile.address
  %pages = tile.word %words[5] : !tile.address
  %n = tile.word %words[6] : i32
  %there = arith.constant true
  // CHECK: nvvm.setmaxregister decrease
  tile.roles load 56 {
    // 16 rows of 16 chunks by 32 lanes.
    // CHECK-COUNT-8: nvvm.cp.async.shared.global
    // CHECK-NOT: nvvm.cp.async.shared.global
    // CHECK: nvvm.cp.async.mbarrier.arrive %{{.*}} {noinc = true}
    tile.put %ks[%n] from %base rows {
    ^bb0(%row: i32):
      %wide = arith.extsi %row : i32 to i64
      %offset = tile.lookup %pages[%wide] : i64
      tile.yield %offset, %there : i64, i1
    } : !ks
  } compute 208 {
    // Copies of 16 bytes and lanes are of one proxy.
    // CHECK: nvvm.setmaxregister increase
    // CHECK-NOT: nvvm.fence.proxy
    %k = tile.get %ks[%n] : !ks -> !k
    %a = tile.convert %k : !k -> !a
    // CHECK: nvvm.bar.warp.sync
    // CHECK: nvvm.mbarrier.arrive %
    tile.release %ks[%n] : !ks
    tile.store %a to %base rows {
    ^bb0(%row: i32):
      %offset = arith.extsi %row : i32 to i64
      tile.yield %offset, %there : i64, i1
    } : !a
  }
}
