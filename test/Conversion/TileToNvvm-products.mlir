// RUN: saccade-opt %s -convert-tile-to-nvvm -canonicalize | FileCheck %s

!q = !tile.tile<64x80xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 0>>
!k = !tile.tile<32x80xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 16384>>
!s = !tile.tile<64x32xf32, #tile.accumulator<warps = 4>>
!w = !tile.tile<64x32xbf16, #tile.accumulator<warps = 4>>
!p = !tile.tile<64x32xbf16, #tile.operand<warps = 4>>
!o = !tile.tile<64x80xf32, #tile.accumulator<warps = 4>>
!m = !tile.tile<64x1xf32, #tile.rows_of<warps = 4>>
!ks = !tile.pipe<32x80xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 16384>, stages = 2>
!qs = !tile.pipe<64x80xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 0>, stages = 1>

// CHECK-LABEL: llvm.func @products
tile.entry @products attend
    #tile.items<rows = 64, group = 1, heads = 1, keys = 32, row_block = 0>
    #tile.schedule<rows = 64, keys = 32, warps = 4, weights = bf16,
                   pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 40,
                                             compute_registers = 232, growth = 0>> {
^bb0(%words: !tile.words):
  %qs = tile.pipe tma barriers 40960 : !qs
  %ks = tile.pipe tma barriers 40976 : !ks
  %n = tile.word %words[6] : i32
  %x = tile.word %words[7] : f32
  %base = tile.word %words[4] : !tile.address
  tile.roles load 40 {
  } compute 232 {
    %q = tile.get %qs[%n] : !qs -> !q
    %k = tile.get %ks[%n] : !ks -> !k
    // Five steps of depth 16, the last in the second panel: 32 rows of keys and 64 of
    // queries further. The first one forgets what the accumulator held.
    // CHECK: llvm.inline_asm has_side_effects "{\0A.reg .pred zero, more;
    // CHECK-SAME: wgmma.fence.sync.aligned;\0A
    // CHECK-SAME: add.u32 low, $16, 0;\0Amov.b64 left, {low, 1073741888};\0A
    // CHECK-SAME: wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {$0,$1,{{[$0-9,]*}}$15}, left, right, zero, 1, 1, 0, 0;
    // CHECK-SAME: left, right, more, 1, 1, 0, 0;
    // CHECK-SAME: add.u32 low, $16, 512;\0A
    // CHECK-SAME: add.u32 low, $17, 256;\0A
    // CHECK-SAME: wgmma.commit_group.sync.aligned;
    // CHECK-SAME: "=f,=f,=f,=f,=f,=f,=f,=f,=f,=f,=f,=f,=f,=f,=f,=f,r,r,~{memory}"
    %f = tile.issue_dot %q, %k transposed : !q, !k -> !tile.inflight<64x32xf32, #tile.accumulator<warps = 4>>
    // CHECK: llvm.inline_asm has_side_effects "wgmma.wait_group.sync.aligned 0;", "=f,{{[=f,]*}},0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,~{memory}"
    %s = tile.await %f pending 0 : !tile.inflight<64x32xf32, #tile.accumulator<warps = 4>> -> !s
    %w = tile.map (%s) {
    ^bb0(%y: f32, %row: i32, %column: i32):
      %r = arith.truncf %y : f32 to bf16
      tile.yield %r : bf16
    } : (!s) -> !w
    %p = tile.convert %w : !w -> !p
    %o = tile.fill %x : f32 -> !o
    // Values lie along the depth: two steps of 16 rows. What is added to is tied.
    // CHECK: llvm.inline_asm has_side_effects "{\0A.reg .pred zero, more;
    // CHECK-SAME: m64n80k16.f32.bf16.bf16 {$0,{{[$0-9,]*}}$39}, {$80,$81,$82,$83}, right, more, 1, 1, 1;
    // CHECK-SAME: add.u32 low, $88, 128;
    // CHECK-SAME: {$84,$85,$86,$87}, right, more, 1, 1, 1;
    // CHECK-SAME: 38,39,r,r,r,r,r,r,r,r,r,~{memory}"
    %g = tile.issue_dot %p, %k into %o : !o : !p, !k -> !tile.inflight<64x80xf32, #tile.accumulator<warps = 4>>
    // What is kept passes through the wait, two 16-bit elements a register.
    // CHECK: llvm.inline_asm has_side_effects "wgmma.wait_group.sync.aligned 0;", "=f,{{[=f,]*}},=r,=r,=r,=r,=r,=r,=r,=r,0,1,
    %o1, %wk = tile.await %g pending 0 keep (%w : !w) : !tile.inflight<64x80xf32, #tile.accumulator<warps = 4>> -> !o, !w
    %m = tile.fill %x : f32 -> !m
    // CHECK: %[[ANY:.*]] = nvvm.vote.sync any
    // CHECK: scf.if %[[ANY]] -> (vector<40xf32>)
    // CHECK-COUNT-40: arith.mulf
    // CHECK-NOT: arith.mulf
    %o2 = tile.scale_rows %o1 by %m : !o, !m
    tile.store %o2 to %base rows {
    ^bb0(%row: i32):
      %offset = arith.extsi %row : i32 to i64
      %there = arith.constant true
      tile.yield %offset, %there : i64, i1
    } : !o
  }
}
