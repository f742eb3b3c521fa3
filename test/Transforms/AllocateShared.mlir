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
