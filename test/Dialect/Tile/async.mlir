// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Every operation, type and attribute of entries whose warps have roles survives a
// round trip.
// RUN: saccade-opt %s | saccade-opt | FileCheck %s

#panels = #tile.shared<pitch = 64, swizzle = 8>
#registers = #tile.accumulator<warps = 4>
!q = !tile.tile<64x64xbf16, #panels>
!k = !tile.tile<80x64xbf16, #panels>
!s = !tile.tile<64x80xf32, #registers>
!p = !tile.tile<64x80xbf16, #tile.operand<warps = 4>>
!o = !tile.tile<64x64xf32, #registers>
!h = !tile.tile<64x64xbf16, #registers>
!l = !tile.tile<64x1xf32, #tile.rows_of<warps = 4>>
!qs = !tile.pipe<64x64xbf16, #panels, stages = 2>
!ks = !tile.pipe<80x64xbf16, #panels, stages = 3>

// CHECK-LABEL: tile.entry @roles
// CHECK-SAME: pipeline = <stages = 3, copy = tma, load_registers = 40, compute_registers = 232, growth = 8, query_stages = 2>
tile.entry @roles attend #tile.items<rows = 64, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 64, keys = 80, warps = 4, weights = bf16,
    pipeline = #tile.pipeline<stages = 3, copy = tma, load_registers = 40,
                              compute_registers = 232, growth = 8, query_stages = 2>> {
^bb0(%words: !tile.words):
  %c0 = arith.constant 0 : i32
  %offset = arith.constant 0 : i64
  %n = tile.word %words[4] : i32
  %base = tile.word %words[5] : !tile.address
  // CHECK: %[[QUERIES:.*]] = tile.pipe gather : <64x64xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 2>
  %queries = tile.pipe gather : !qs
  // CHECK: %[[KEYS:.*]] = tile.pipe tma barriers 4096 : <80x64xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 3>
  %keys = tile.pipe tma barriers 4096 : !ks
  // CHECK: tile.roles load 40 {
  tile.roles load 40 {
    // CHECK: tile.put %[[QUERIES]][%{{.*}}] from %{{.*}} rows {
    tile.put %queries[%c0] from %base rows {
    ^bb0(%row: i32):
      %there = arith.cmpi slt, %row, %n : i32
      tile.yield %offset, %there : i64, i1
    } : !qs
    // CHECK: tile.put %[[KEYS]]
    // CHECK: } box <word = 8, heads = 1, tokens = 80> {
    tile.put %keys[%c0] from %base rows {
    ^bb0(%row: i32):
      %there = arith.cmpi slt, %row, %n : i32
      tile.yield %offset, %there : i64, i1
    } box #tile.box<word = 8, heads = 1, tokens = 80> {
    ^bb0(%row: i32):
      tile.yield %c0, %row, %c0 : i32, i32, i32
    } : !ks
  // CHECK: } compute 232 {
  } compute 232 {
    // CHECK: tile.group
    %group = tile.group
    // CHECK: %[[Q:.*]] = tile.get %[[QUERIES]][%{{.*}}] : <64x64xbf16, {{.*}}, stages = 2> -> <64x64xbf16, {{.*}}>
    %q = tile.get %queries[%c0] : !qs -> !q
    %k = tile.get %keys[%c0] : !ks -> !k
    // CHECK: tile.take_turn
    tile.take_turn
    // CHECK: %[[A:.*]] = tile.issue_dot %[[Q]], %{{.*}} transposed : {{.*}} -> <64x80xf32, #tile.accumulator<warps = 4>>
    %a = tile.issue_dot %q, %k transposed : !q, !k -> !tile.inflight<64x80xf32, #registers>
    %half = arith.constant 0.0 : bf16
    %zero = arith.constant 0.0 : f32
    %p = tile.fill %half : bf16 -> !p
    %o0 = tile.fill %zero : f32 -> !o
    // CHECK: tile.clear_rows %{{.*}} from %{{.*}} : <80x64xbf16, {{.*}}>
    tile.clear_rows %k from %n : !k
    // CHECK: %[[B:.*]] = tile.issue_dot %{{.*}}, %{{.*}} into %{{.*}} : !tile.tile<64x64xf32, {{.*}}> :
    %b = tile.issue_dot %p, %k into %o0 : !o : !p, !k -> !tile.inflight<64x64xf32, #registers>
    // CHECK: tile.pass_turn
    tile.pass_turn
    // CHECK: %[[S:.*]] = tile.await %[[A]] pending 1 : <64x80xf32, {{.*}}> -> <64x80xf32, {{.*}}>
    %s = tile.await %a pending 1 : !tile.inflight<64x80xf32, #registers> -> !s
    // CHECK: tile.await %[[B]] pending 0 keep(%[[S]] : !tile.tile<64x80xf32, {{.*}}>)
    %o, %s1 = tile.await %b pending 0 keep (%s : !s) : !tile.inflight<64x64xf32, #registers> -> !o, !s
    // CHECK: tile.release %[[KEYS]][%{{.*}}]
    tile.release %keys[%c0] : !ks
    // CHECK: tile.reduce add {{.*}} -> <64x1xf32, #tile.parts_of<warps = 4>>
    %parts = tile.reduce add %s1 : !s -> !tile.tile<64x1xf32, #tile.parts_of<warps = 4>>
    // CHECK: tile.convert {{.*}} : <64x1xf32, #tile.parts_of<warps = 4>> -> <64x1xf32, #tile.rows_of<warps = 4>>
    %l = tile.convert %parts : !tile.tile<64x1xf32, #tile.parts_of<warps = 4>> -> !l
    // CHECK: tile.scale_rows %{{.*}} by %
    %scaled = tile.scale_rows %o by %l : !o, !l
    %out = tile.map (%scaled) {
    ^bb0(%x: f32, %row: i32, %column: i32):
      %y = arith.truncf %x : f32 to bf16
      tile.yield %y : bf16
    } : (!o) -> !h
    // CHECK: tile.overwrite %[[Q]] with %{{.*}} : {{.*}} -> <64x64xbf16, #tile.shared<pitch = 64, swizzle = 8>>
    %r = tile.overwrite %q with %out : !q, !h -> !q
    tile.release %queries[%c0] : !qs
  }
}
