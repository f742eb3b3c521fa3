// RUN: saccade-opt %s -tile-allocate-shared | FileCheck %s
// RUN: not saccade-opt %s -tile-allocate-shared="limit=4096" 2>&1 | FileCheck %s --check-prefix=TIGHT

// TIGHT: error: expects at most 4096 bytes of shared memory, but its tiles take 6144: choose fewer rows or keys in the schedule

!shared = !tile.tile<64x16xbf16, #tile.shared<pitch = 16, swizzle = 1>>

// CHECK: tile.entry @dead_tiles_give_their_bytes {{.*}} attributes {tile.shared_bytes = 6144 : i64}
tile.entry @dead_tiles_give_their_bytes attend
    #tile.items<rows = 64, group = 1, heads = 1, keys = 64, row_block = 0>
    #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %offset = arith.constant 0 : i64
  %there = arith.constant true
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = tile.word %words[5] : i32
  // CHECK: tile.load
  // CHECK: <64x16xbf16, #tile.shared<pitch = 16, swizzle = 1>>
  %q = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !shared
  scf.for %i = %c0 to %n step %c1 : i32 {
    // CHECK: tile.load
    // CHECK: <64x16xbf16, #tile.shared<pitch = 16, swizzle = 1, offset = 2048>>
    %k = tile.load %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !shared
    // Mapped in place.
    // CHECK: tile.map_rows
    // CHECK: -> <64x16xbf16, #tile.shared<pitch = 16, swizzle = 1, offset = 2048>>
    %turned = tile.map_rows %k {
    ^bb0(%x: vector<16xf32>, %row: i32):
      tile.yield %x : vector<16xf32>
    } : !shared -> !shared
    // CHECK: tile.load
    // CHECK: <64x16xbf16, #tile.shared<pitch = 16, swizzle = 1, offset = 4096>>
    %v = tile.load %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !shared
    %s = tile.dot %q, %turned transposed : !shared, !shared
        -> !tile.tile<64x64xf32, #tile.accumulator<warps = 4>>
    tile.store %v to %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !shared
  }
  // Queries are dead, and so are the keys.
  // CHECK: tile.load
  // CHECK: <64x16xbf16, #tile.shared<pitch = 16, swizzle = 1>>
  %last = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !shared
  tile.store %last to %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !shared
}

#panels = #tile.shared<pitch = 64, swizzle = 8>
#registers = #tile.accumulator<warps = 4>
!q = !tile.tile<64x64xbf16, #panels>
!k = !tile.tile<40x72xbf16, #panels>
!h = !tile.tile<64x64xbf16, #registers>
!qs = !tile.pipe<64x64xbf16, #panels, stages = 2>
!ks = !tile.pipe<40x72xbf16, #panels, stages = 2>

// Pipes come first, as long as the entry lives: stages on 1024 bytes where swizzles
// repeat, then 16 bytes of barriers a stage, then what lives for a time.
// CHECK-LABEL: tile.entry @pipes_keep_their_bytes
// CHECK-SAME: attributes {tile.shared_bytes = 43136 : i64}
tile.entry @pipes_keep_their_bytes attend
    #tile.items<rows = 64, group = 1, heads = 1, keys = 40, row_block = 0>
    #tile.schedule<rows = 64, keys = 48, warps = 4, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 24, compute_registers = 240, growth = 8>> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %offset = arith.constant 0 : i64
  %there = arith.constant true
  %c0 = arith.constant 0 : i32
  %zero = arith.constant 0.0 : bf16
  // 40 rows in two panels of 5120 bytes each, twice.
  // CHECK: tile.pipe tma barriers 36864 : <40x72xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 2>
  %keys = tile.pipe tma : !ks
  // CHECK: tile.pipe tma barriers 36896 : <64x64xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 20480>, stages = 2>
  %queries = tile.pipe tma : !qs
  tile.roles load 24 {
  } compute 240 {
    // CHECK: tile.get {{.*}} -> <40x72xbf16, #tile.shared<pitch = 64, swizzle = 8>>
    %k = tile.get %keys[%c0] : !ks -> !k
    // CHECK: tile.get {{.*}} -> <64x64xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 20480>>
    %q = tile.get %queries[%c0] : !qs -> !q
    %o = tile.fill %zero : bf16 -> !h
    // What takes the place of a tile has its bytes.
    // CHECK: tile.overwrite {{.*}} -> <64x64xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 20480>>
    %r = tile.overwrite %q with %o : !q, !h -> !q
    tile.store %r to %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !q
  }
  // CHECK: tile.load
  // CHECK: <64x48xbf16, #tile.shared<pitch = 48, swizzle = 1, offset = 36992>>
  %t = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<64x48xbf16, #tile.shared<pitch = 48, swizzle = 1>>
}

// -----

!m = !tile.tile<16x1xf32, #tile.rows_of<warps = 1, transposed = true>>
!o = !tile.tile<16x72xf32, #tile.accumulator<warps = 1, transposed = true>>
!all = !tile.tile<16x72xf32, #tile.accumulator<warps = 1, transposed = true>>

// What warps pass to each other lies behind everything else: columns, 4 warps of 16
// rows, apart; tiles, 4 warps of eight rows and 80 columns, in the same place.
// CHECK-LABEL: tile.entry @warps_meet
// CHECK-SAME: tile.shared_bytes = 10752
tile.entry @warps_meet attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 4, weights = bf16,
    pipeline = #tile.pipeline<stages = 4, copy = tma, load_registers = 24, compute_registers = 240, growth = 0, deal = keys>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0.0 : f32
  tile.roles load 24 {
  } compute 240 {
    %m = tile.fill %zero : f32 -> !m
    %o = tile.fill %zero : f32 -> !o
    // CHECK: tile.combine max {{.*}} {tile.exchange = 0 : i64}
    %a = tile.combine max %m : !m -> !m
    // CHECK: tile.combine add {{.*}} {tile.exchange = 256 : i64}
    %b = tile.combine add %m : !m -> !m
    // CHECK: tile.combine add {{.*}} {tile.exchange = 512 : i64}
    %c = tile.combine add %o : !o -> !all
    // CHECK: tile.combine add {{.*}} {tile.exchange = 512 : i64}
    %d = tile.combine add %o : !o -> !all
  }
}
