// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -saccade-fuse-entries -split-input-file -verify-diagnostics | FileCheck %s

// Each CTA runs the body that its first item asks for; one without items, none.
// The body of fewer threads has barriers of its own, and what it leaves gives
// registers away. Maps that both have are there once.
// CHECK-LABEL: llvm.func @both(
// CHECK-SAME: %[[WORDS:.*]]: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<64 x i64>
// CHECK-SAME: nvvm.maxntid = array<i32: 512>
// CHECK-SAME: tile.fused = ["both_few"]
// CHECK-SAME: tile.partial_floats = 64
// CHECK-SAME: tile.shared_bytes = 3000
// CHECK-SAME: tile.tensor_maps = [array<i64: 8, 4, 48>, array<i64: 16, 1, 16>]
// CHECK: %[[CTA:.*]] = nvvm.read.ptx.sreg.ctaid.x
// CHECK: llvm.getelementptr %[[WORDS]][1]
// CHECK: %[[PAIR:.*]] = llvm.getelementptr %{{.*}}[%[[CTA]]]
// CHECK: llvm.getelementptr %[[PAIR]][0]
// CHECK-NEXT: %[[BEGIN:.*]] = llvm.load %{{.*}} invariant
// CHECK-NEXT: llvm.getelementptr %[[PAIR]][1]
// CHECK-NEXT: %[[END:.*]] = llvm.load %{{.*}} invariant
// CHECK: arith.subi %[[BEGIN]], %[[END]]
// CHECK: redux.sync or
// CHECK: %[[SOME:.*]] = arith.cmpi ne
// CHECK: scf.if %[[SOME]] {
// CHECK: llvm.getelementptr %[[WORDS]][0]
// CHECK: %[[ITEM:.*]] = llvm.getelementptr %{{.*}}[%[[BEGIN]]] : {{.*}} !llvm.array<8 x i32>
// CHECK: llvm.getelementptr %[[WORDS]][7]
// CHECK: llvm.getelementptr %[[ITEM]][7]
// CHECK: arith.addi
// CHECK: redux.sync or
// CHECK: scf.if
// CHECK: %[[GROUP:.*]] = nvvm.redux.sync umax
// CHECK: arith.cmpi slt, %[[GROUP]], %{{.*}}
// CHECK-NEXT: scf.if
// Where items begin is said to be uniform.
// CHECK: %[[OWN:.*]] = llvm.load %{{.*}} invariant : !llvm.ptr -> i32
// CHECK: %[[SAME:.*]] = nvvm.redux.sync min %[[OWN]]
// CHECK: llvm.inline_asm has_side_effects "items $0;", "r" %[[SAME]]
// CHECK: llvm.getelementptr %[[WORDS]][48]
// CHECK: llvm.getelementptr %[[WORDS]][32]
// CHECK: nvvm.barrier id = %{{.*}} number_of_threads = %{{.*}}
// CHECK: nvvm.setmaxregister decrease 56
// CHECK: nvvm.setmaxregister increase 216
// CHECK: } else {
// CHECK-NEXT: nvvm.setmaxregister decrease 24
// CHECK: } else {
// CHECK: llvm.getelementptr %[[WORDS]][32]
// CHECK: nvvm.barrier0
// CHECK: nvvm.setmaxregister decrease 32
// CHECK: nvvm.setmaxregister increase 160
// CHECK: llvm.return
// CHECK-NOT: llvm.func
// CHECK-LABEL: llvm.func @apart(
llvm.func @both(%words: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<48 x i64>, nvvm.grid_constant})
    attributes {nvvm.kernel, nvvm.maxntid = array<i32: 512>, tile.partial_floats = 64 : i64, tile.shared_bytes = 3000 : i64,
                tile.map_word = 32 : i64, tile.tensor_maps = [array<i64: 8, 4, 48>]} {
  %map = llvm.getelementptr %words[32] : (!llvm.ptr) -> !llvm.ptr, i64
  llvm.inline_asm has_side_effects "a $0;", "l" %map : (!llvm.ptr) -> ()
  nvvm.barrier0
  nvvm.setmaxregister decrease 32
  nvvm.setmaxregister increase 160
  llvm.return
}
llvm.func @both_few(%words: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<64 x i64>, nvvm.grid_constant})
    attributes {nvvm.kernel, nvvm.maxntid = array<i32: 384>, tile.beside = @both, tile.shared_bytes = 2000 : i64,
                tile.map_word = 32 : i64, tile.tensor_maps = [array<i64: 16, 1, 16>, array<i64: 8, 4, 48>]} {
  %cta = nvvm.read.ptx.sreg.ctaid.x : i32
  %word = llvm.getelementptr %words[1] : (!llvm.ptr) -> !llvm.ptr, i64
  %address = llvm.load %word invariant : !llvm.ptr -> i64
  %table = llvm.inttoptr %address : i64 to !llvm.ptr
  %place = llvm.getelementptr %table[%cta] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  %begin = llvm.load %place invariant : !llvm.ptr -> i32
  llvm.inline_asm has_side_effects "items $0;", "r" %begin : (i32) -> ()
  %first = llvm.getelementptr %words[32] : (!llvm.ptr) -> !llvm.ptr, i64
  %second = llvm.getelementptr %words[48] : (!llvm.ptr) -> !llvm.ptr, i64
  llvm.inline_asm has_side_effects "b $0, $1;", "l,l" %first, %second : (!llvm.ptr, !llvm.ptr) -> ()
  nvvm.barrier0
  nvvm.setmaxregister decrease 56
  nvvm.setmaxregister increase 216
  llvm.return
}

// -----

// expected-remark @+1 {{launches apart and apart_few one after the other: 'apart_few' takes 67584 registers among 512 threads, and there are 65536}}
llvm.func @apart(%words: !llvm.ptr) attributes {nvvm.kernel, nvvm.maxntid = array<i32: 512>} {
  nvvm.setmaxregister decrease 32
  nvvm.setmaxregister increase 160
  llvm.return
}
// CHECK-LABEL: llvm.func @apart_few
llvm.func @apart_few(%words: !llvm.ptr) attributes {nvvm.kernel, nvvm.maxntid = array<i32: 384>, tile.beside = @apart} {
  nvvm.setmaxregister decrease 56
  nvvm.setmaxregister increase 224
  llvm.return
}

// -----

// expected-remark @+1 {{'low' gives roles 24 and 120 registers, and 512 threads begin with 128}}
llvm.func @low(%words: !llvm.ptr) attributes {nvvm.kernel, nvvm.maxntid = array<i32: 512>} {
  nvvm.setmaxregister decrease 24
  nvvm.setmaxregister increase 120
  llvm.return
}
llvm.func @low_few(%words: !llvm.ptr) attributes {nvvm.kernel, nvvm.maxntid = array<i32: 384>, tile.beside = @low} {
  nvvm.setmaxregister decrease 56
  nvvm.setmaxregister increase 160
  llvm.return
}

// -----

// expected-remark @+1 {{only warps with roles change their registers}}
llvm.func @plain(%words: !llvm.ptr) attributes {nvvm.kernel, nvvm.maxntid = array<i32: 128>} {
  llvm.return
}
llvm.func @plain_few(%words: !llvm.ptr) attributes {nvvm.kernel, nvvm.maxntid = array<i32: 384>, tile.beside = @plain} {
  nvvm.setmaxregister decrease 56
  nvvm.setmaxregister increase 160
  llvm.return
}

// -----

// expected-remark @+1 {{both leave partial states}}
llvm.func @parts(%words: !llvm.ptr) attributes {nvvm.kernel, nvvm.maxntid = array<i32: 384>, tile.partial_floats = 64 : i64} {
  nvvm.setmaxregister decrease 56
  nvvm.setmaxregister increase 168
  llvm.return
}
llvm.func @parts_few(%words: !llvm.ptr) attributes {nvvm.kernel, nvvm.maxntid = array<i32: 384>, tile.beside = @parts, tile.partial_floats = 64 : i64} {
  nvvm.setmaxregister decrease 56
  nvvm.setmaxregister increase 168
  llvm.return
}

// -----

// expected-remark @+1 {{an argument is not read word by word}}
llvm.func @passed(%words: !llvm.ptr) attributes {nvvm.kernel, nvvm.maxntid = array<i32: 384>} {
  llvm.inline_asm has_side_effects "a $0;", "l" %words : (!llvm.ptr) -> ()
  nvvm.setmaxregister decrease 56
  nvvm.setmaxregister increase 168
  llvm.return
}
llvm.func @passed_few(%words: !llvm.ptr) attributes {nvvm.kernel, nvvm.maxntid = array<i32: 384>, tile.beside = @passed} {
  nvvm.setmaxregister decrease 56
  nvvm.setmaxregister increase 168
  llvm.return
}
