// RUN: saccade-opt %s -convert-tile-to-nvvm -canonicalize -split-input-file | FileCheck %s

// Eight warps compute, four more load; the words and the map of the boxes that
// are put: 12 words, then from a multiple of 8 on 16 for the map.
// CHECK-LABEL: llvm.func @warps_have_roles(
// CHECK-SAME: %[[WORDS:.*]]: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<32 x i64>, nvvm.grid_constant})
// CHECK-SAME: nvvm.maxntid = array<i32: 384>, nvvm.minctasm = 1 : i32
// CHECK-SAME: tile.map_word = 16 : i64
// CHECK-SAME: tile.tensor_maps = [array<i64: 4, 1, 64>]
tile.entry @warps_have_roles attend
    #tile.items<rows = 128, group = 1, heads = 1, keys = 64, row_block = 0>
    #tile.schedule<rows = 128, keys = 64, warps = 8, weights = bf16,
                   pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 40,
                                             compute_registers = 232, growth = 0>>
    attributes {tile.words = 12 : i64} {
^bb0(%words: !tile.words):
  // CHECK: %[[GROUP:.*]] = nvvm.redux.sync umax
  %pipe = tile.pipe tma barriers 32768 : !tile.pipe<64x64xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 2>
  %base = tile.word %words[4] : !tile.address
  %c0 = arith.constant 0 : i32
  %o = arith.constant 0 : i64
  %there = arith.constant true
  // One thread makes barriers: one arrival fills a stage, eight free it.
  // CHECK: scf.if
  // CHECK: nvvm.mbarrier.init %{{.*}}, %[[ONE:.*]] :
  // CHECK: nvvm.mbarrier.init %{{.*}}, %[[EIGHT:.*]] :
  // CHECK: nvvm.mbarrier.init %{{.*}}, %[[ONE]] :
  // CHECK: nvvm.mbarrier.init %{{.*}}, %[[EIGHT]] :
  // CHECK-NOT: nvvm.mbarrier.init
  // CHECK: nvvm.fence.mbarrier.init
  // CHECK: %[[MAP:.*]] = llvm.getelementptr %[[WORDS]][16]
  // CHECK: prefetch.tensormap
  // CHECK: nvvm.barrier0
  // CHECK: %[[LAST:.*]] = arith.cmpi eq, %[[GROUP]], %c2
  // CHECK: scf.if %[[LAST]]
  // CHECK: nvvm.setmaxregister decrease 40
  // CHECK: scf.if
  // What is read once is the first to leave the second-level cache.
  // CHECK: cp.async.bulk.tensor{{.*}}.L2::cache_hint
  // CHECK: } else {
  // CHECK: nvvm.setmaxregister increase 232
  // The last group makes the first group's turn.
  // CHECK: %[[LAST:.*]] = arith.cmpi eq, %[[GROUP]], %c1
  // CHECK: scf.if %[[LAST]]
  // CHECK: llvm.call_intrinsic "llvm.nvvm.barrier.cta.arrive.aligned.count"(%c1{{.*}}, %c256
  // CHECK: nvvm.barrier id = %{{.*}} number_of_threads = %c256
  // CHECK: llvm.call_intrinsic "llvm.nvvm.barrier.cta.arrive.aligned.count"(%{{.*}}, %c256
  tile.roles load 40 {
    tile.put %pipe[%c0] from %base rows {
    ^bb0(%row: i32):
      tile.yield %o, %there : i64, i1
    } box #tile.box<word = 4, heads = 1, tokens = 64> {
    ^bb0(%row: i32):
      tile.yield %c0, %c0, %c0 : i32, i32, i32
    } {tile.once} : !tile.pipe<64x64xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 2>
  } compute 232 {
    tile.take_turn
    tile.pass_turn
  }
}

// -----

// A group alone waits for nobody, and four warps gather.
// CHECK-LABEL: llvm.func @one_group_has_no_turns
// CHECK-NOT: tile.map_word
// CHECK: nvvm.setmaxregister decrease
// CHECK-NOT: scf.if
// CHECK: nvvm.cp.async.shared.global
// CHECK: nvvm.setmaxregister increase
// CHECK-NOT: barrier
// CHECK: llvm.return
tile.entry @one_group_has_no_turns attend
    #tile.items<rows = 64, group = 1, heads = 1, keys = 64, row_block = 0>
    #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16,
                   pipeline = #tile.pipeline<stages = 1, copy = gather, load_registers = 40,
                                             compute_registers = 232, growth = 0>> {
^bb0(%words: !tile.words):
  %pipe = tile.pipe gather barriers 32768 : !tile.pipe<64x64xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 1>
  %base = tile.word %words[4] : !tile.address
  %c0 = arith.constant 0 : i32
  %o = arith.constant 0 : i64
  %there = arith.constant true
  tile.roles load 40 {
    tile.put %pipe[%c0] from %base rows {
    ^bb0(%row: i32):
      tile.yield %o, %there : i64, i1
    } : !tile.pipe<64x64xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 1>
  } compute 232 {
    tile.take_turn
    tile.pass_turn
  }
}

// -----

!o = !tile.tile<64x64xbf16, #tile.accumulator<warps = 4>>
!out = !tile.tile<64x64xbf16, #tile.shared<pitch = 64, swizzle = 8>>

// Each warp writes the rows that it reads again, and waits for no other.
// CHECK-LABEL: llvm.func @warps_store_their_own_rows
// CHECK: nvvm.setmaxregister increase
// CHECK: nvvm.bar.warp.sync
// CHECK-COUNT-4: nvvm.stmatrix %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {
// CHECK-NOT: nvvm.stmatrix
// CHECK: nvvm.bar.warp.sync
// CHECK-NOT: barrier
// CHECK-COUNT-4: llvm.store {{.*}} : vector<4xi32>, !llvm.ptr<1>
// CHECK-NOT: llvm.store
tile.entry @warps_store_their_own_rows attend
    #tile.items<rows = 64, group = 1, heads = 1, keys = 64, row_block = 0>
    #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16,
                   pipeline = #tile.pipeline<stages = 1, copy = gather, load_registers = 40,
                                             compute_registers = 232, growth = 0>> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %x = arith.constant 1.0 : bf16
  %there = arith.constant true
  tile.roles load 40 {
  } compute 232 {
    %o = tile.fill %x : bf16 -> !o
    %out = tile.convert %o : !o -> !out
    tile.store %out to %base rows {
    ^bb0(%row: i32):
      %offset = arith.extsi %row : i32 to i64
      tile.yield %offset, %there : i64, i1
    } : !out
  }
}
