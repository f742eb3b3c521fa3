// RUN: saccade-opt %s -tile-assign-layouts -split-input-file | FileCheck %s

// CHECK-LABEL: tile.entry @products_meet_in_fragments
tile.entry @products_meet_in_fragments attend
    #tile.items<rows = 64, group = 1, heads = 1, keys = 32, row_block = 0>
    #tile.schedule<rows = 64, keys = 32, warps = 4, weights = bf16> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %there = arith.constant true
  %offset = arith.constant 0 : i64
  // CHECK: tile.load
  // CHECK: <64x128xbf16, #tile.shared<pitch = 128, swizzle = 8>>
  %q = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<64x128xbf16>
  // CHECK: tile.load
  // CHECK: <32x128xbf16, #tile.shared<pitch = 128, swizzle = 8>>
  %k = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<32x128xbf16>
  // The values are 72 wide: an odd number of chunks a row, and no swizzle.
  // CHECK: tile.load
  // CHECK: <32x72xbf16, #tile.shared<pitch = 88, swizzle = 1>>
  %v = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<32x72xbf16>
  // CHECK: %[[S:.*]] = tile.dot
  // CHECK-SAME: -> <64x32xf32, #tile.accumulator<warps = 4>>
  %s = tile.dot %q, %k transposed
      : !tile.tile<64x128xbf16>, !tile.tile<32x128xbf16> -> !tile.tile<64x32xf32>
  // CHECK: tile.reduce max %[[S]]
  // CHECK-SAME: -> <64x1xf32, #tile.rows_of<warps = 4>>
  %m = tile.reduce max %s : !tile.tile<64x32xf32> -> !tile.tile<64x1xf32>
  // CHECK: %[[P:.*]] = tile.map
  %p = tile.map (%s, %m) {
  ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
    %d = arith.subf %x, %y : f32
    %w = arith.truncf %d : f32 to bf16
    tile.yield %w : bf16
  } : (!tile.tile<64x32xf32>, !tile.tile<64x1xf32>) -> !tile.tile<64x32xbf16>
  // CHECK: %[[A:.*]] = tile.convert %[[P]] : <64x32xbf16, #tile.accumulator<warps = 4>>
  // CHECK-SAME: -> <64x32xbf16, #tile.operand<warps = 4>>
  // CHECK: tile.dot %[[A]],
  %o = tile.dot %p, %v
      : !tile.tile<64x32xbf16>, !tile.tile<32x72xbf16> -> !tile.tile<64x72xf32>
  tile.store %o to %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<64x72xf32>
}

// -----

// CHECK-LABEL: tile.entry @loops_carry_fragments
tile.entry @loops_carry_fragments attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = bf16> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %n = tile.word %words[5] : i32
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %zero = arith.constant 0.0 : f32
  %empty = tile.fill %zero : f32 -> !tile.tile<16x8xf32>
  // CHECK: scf.for {{.*}} -> (!tile.tile<16x8xf32, #tile.accumulator<warps = 1>>)
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%x = %empty) -> (!tile.tile<16x8xf32>) : i32 {
    %more = arith.cmpi slt, %i, %c1 : i32
    // CHECK: scf.if {{.*}} -> (!tile.tile<16x8xf32, #tile.accumulator<warps = 1>>)
    %y = scf.if %more -> !tile.tile<16x8xf32> {
      scf.yield %x : !tile.tile<16x8xf32>
    } else {
      scf.yield %empty : !tile.tile<16x8xf32>
    }
    scf.yield %y : !tile.tile<16x8xf32>
  }
  // Rows that are mapped whole lie in shared memory.
  // CHECK: %[[ROWS:.*]] = tile.convert {{.*}} -> <16x8xf32, #tile.shared<pitch = 20, swizzle = 1>>
  // CHECK: tile.map_rows %[[ROWS]]
  %turned = tile.map_rows %sum {
  ^bb0(%x: vector<8xf32>, %row: i32):
    tile.yield %x : vector<8xf32>
  } : !tile.tile<16x8xf32> -> !tile.tile<16x8xbf16>
  tile.store %turned to %base rows {
  ^bb0(%row: i32):
    %offset = arith.constant 0 : i64
    %there = arith.constant true
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<16x8xbf16>
}

// -----

// Matrix instructions of warpgroups take panels of 128 bytes a row, and queries of
// any count of warps.
// CHECK-LABEL: tile.entry @pipelines_lie_in_panels
tile.entry @pipelines_lie_in_panels attend
    #tile.items<rows = 192, group = 1, heads = 1, keys = 80, row_block = 0>
    #tile.schedule<rows = 192, keys = 80, warps = 12, weights = bf16,
    pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 32, compute_registers = 160, growth = 8>> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %there = arith.constant true
  %offset = arith.constant 0 : i64
  %one = arith.constant 1.0 : f32
  // CHECK: tile.load
  // CHECK: <192x128xbf16, #tile.shared<pitch = 64, swizzle = 8>>
  %q = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<192x128xbf16>
  // 80 keys are no multiple of 12 warps; one panel and a half is two.
  // CHECK: tile.load
  // CHECK: <80x96xbf16, #tile.shared<pitch = 64, swizzle = 8>>
  %v = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<80x96xbf16>
  // CHECK: tile.load
  // CHECK: <80x128xbf16, #tile.shared<pitch = 64, swizzle = 8>>
  %k = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<80x128xbf16>
  // CHECK: tile.dot {{.*}} -> <192x80xf32, #tile.accumulator<warps = 12>>
  %s = tile.dot %q, %k transposed
      : !tile.tile<192x128xbf16>, !tile.tile<80x128xbf16> -> !tile.tile<192x80xf32>
  %l = tile.reduce add %s : !tile.tile<192x80xf32> -> !tile.tile<192x1xf32>
  // CHECK: tile.scale_rows
  // CHECK-SAME: <192x80xf32, #tile.accumulator<warps = 12>>, <192x1xf32, #tile.rows_of<warps = 12>>
  %scaled = tile.scale_rows %s by %l : !tile.tile<192x80xf32>, !tile.tile<192x1xf32>
  %p = tile.map (%scaled) {
  ^bb0(%x: f32, %row: i32, %column: i32):
    %w = arith.truncf %x : f32 to bf16
    tile.yield %w : bf16
  } : (!tile.tile<192x80xf32>) -> !tile.tile<192x80xbf16>
  // CHECK: tile.convert {{.*}} -> <192x80xbf16, #tile.operand<warps = 12>>
  // CHECK: tile.dot {{.*}} -> <192x96xf32, #tile.accumulator<warps = 12>>
  %o = tile.dot %p, %v
      : !tile.tile<192x80xbf16>, !tile.tile<80x96xbf16> -> !tile.tile<192x96xf32>
}

// -----

// Each warp has all rows and keys of its own: what hangs together with products is
// private to it, up to where warps combine.
// CHECK-LABEL: tile.entry @dealt_keys_turn_tiles
tile.entry @dealt_keys_turn_tiles attend
    #tile.items<rows = 24, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 24, keys = 16, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 8, copy = tma, load_registers = 56, compute_registers = 168, growth = 8, deal = keys>> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %n = tile.word %words[5] : i32
  %there = arith.constant true
  %offset = arith.constant 0 : i64
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %zero = arith.constant 0.0 : f32
  // Queries become operands where they are loaded, not in the loop.
  // CHECK: %[[Q:.*]] = tile.load
  // CHECK: <24x72xbf16, #tile.shared<pitch = 64, swizzle = 8>>
  // CHECK-NEXT: %[[A:.*]] = tile.convert %[[Q]] : {{.*}} -> <24x72xbf16, #tile.operand<warps = 1, transposed = true>>
  %q = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<24x72xbf16>
  // One value fills tiles of both kinds.
  // CHECK-DAG: tile.fill {{.*}} -> <24x96xf32, #tile.accumulator<warps = 1, transposed = true>>
  // CHECK-DAG: %[[EMPTY:.*]] = tile.fill {{.*}} -> <24x96xf32, #tile.accumulator<warps = 2, transposed = true>>
  %empty = tile.fill %zero : f32 -> !tile.tile<24x96xf32>
  // CHECK: scf.for {{.*}} -> (!tile.tile<24x96xf32, #tile.accumulator<warps = 1, transposed = true>>)
  %o = scf.for %i = %c0 to %n step %c1 iter_args(%x = %empty) -> (!tile.tile<24x96xf32>) : i32 {
    // CHECK: %[[K:.*]] = tile.load
    %k = tile.load %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !tile.tile<16x72xbf16>
    // CHECK: tile.dot %[[A]], {{.*}} -> <24x16xf32, #tile.accumulator<warps = 1, transposed = true>>
    %s = tile.dot %q, %k transposed
        : !tile.tile<24x72xbf16>, !tile.tile<16x72xbf16> -> !tile.tile<24x16xf32>
    // CHECK: tile.reduce {{.*}} -> <24x1xf32, #tile.rows_of<warps = 1, transposed = true>>
    %m = tile.reduce max %s : !tile.tile<24x16xf32> -> !tile.tile<24x1xf32>
    %p = tile.map (%s, %m) {
    ^bb0(%a: f32, %b: f32, %row: i32, %column: i32):
      %d = arith.subf %a, %b : f32
      %w = arith.truncf %d : f32 to bf16
      tile.yield %w : bf16
    } : (!tile.tile<24x16xf32>, !tile.tile<24x1xf32>) -> !tile.tile<24x16xbf16>
    %v = tile.load %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !tile.tile<16x96xbf16>
    // CHECK: %[[P:.*]] = tile.convert {{.*}} -> <24x16xbf16, #tile.operand<warps = 1, transposed = true>>
    // CHECK-NEXT: tile.dot %[[P]],
    %y = tile.dot %p, %v into %x : !tile.tile<24x96xf32>
        : !tile.tile<24x16xbf16>, !tile.tile<16x96xbf16> -> !tile.tile<24x96xf32>
    scf.yield %y : !tile.tile<24x96xf32>
  }
  // Six blocks of 16 columns are dealt to eight warps by twos.
  // CHECK: tile.combine add {{.*}} -> <24x96xf32, #tile.accumulator<warps = 2, transposed = true>>
  %all = tile.combine add %o : !tile.tile<24x96xf32> -> !tile.tile<24x96xf32>
  // CHECK: scf.if {{.*}} -> (!tile.tile<24x96xf32, #tile.accumulator<warps = 2, transposed = true>>)
  // CHECK: scf.yield %[[EMPTY]]
  %some = arith.cmpi slt, %c0, %n : i32
  %r = scf.if %some -> !tile.tile<24x96xf32> {
    scf.yield %all : !tile.tile<24x96xf32>
  } else {
    scf.yield %empty : !tile.tile<24x96xf32>
  }
  %out = tile.map (%r) {
  ^bb0(%a: f32, %row: i32, %column: i32):
    %w = arith.truncf %a : f32 to bf16
    tile.yield %w : bf16
  } : (!tile.tile<24x96xf32>) -> !tile.tile<24x96xbf16>
  // CHECK: %[[OUT:.*]] = tile.convert {{.*}} -> <24x96xbf16, #tile.operand<warps = 2, transposed = true>>
  // CHECK: tile.store %[[OUT]]
  tile.store %out to %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<24x96xbf16>
}

// -----

// 32 rows of 128 columns take 128 registers as results and 64 as queries, which leaves
// too few of 232: queries stay where they were loaded.
// CHECK-LABEL: tile.entry @many_rows_leave_no_room
tile.entry @many_rows_leave_no_room attend
    #tile.items<rows = 32, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 32, keys = 16, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 8, copy = tma, load_registers = 40, compute_registers = 232, growth = 8, deal = keys>> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %there = arith.constant true
  %offset = arith.constant 0 : i64
  %zero = arith.constant 0.0 : f32
  %q = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<32x128xbf16>
  %k = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<16x128xbf16>
  // CHECK: tile.dot {{.*}} : <32x128xbf16, #tile.shared<pitch = 64, swizzle = 8>>, <16x128xbf16, #tile.shared<pitch = 64, swizzle = 8>>
  %s = tile.dot %q, %k transposed
      : !tile.tile<32x128xbf16>, !tile.tile<16x128xbf16> -> !tile.tile<32x16xf32>
  %p = tile.map (%s) {
  ^bb0(%a: f32, %row: i32, %column: i32):
    %w = arith.truncf %a : f32 to bf16
    tile.yield %w : bf16
  } : (!tile.tile<32x16xf32>) -> !tile.tile<32x16xbf16>
  %o0 = tile.fill %zero : f32 -> !tile.tile<32x128xf32>
  // CHECK: tile.convert {{.*}} -> <32x16xbf16, #tile.operand<warps = 1, transposed = true>>
  %o = tile.dot %p, %k into %o0 : !tile.tile<32x128xf32>
      : !tile.tile<32x16xbf16>, !tile.tile<16x128xbf16> -> !tile.tile<32x128xf32>
}

// -----

// 8-bit keys meet queries whose columns lie as theirs, and values make results
// whose columns lie as theirs, until these are combined.
// CHECK-LABEL: tile.entry @bytes_are_interleaved
tile.entry @bytes_are_interleaved attend
    #tile.items<rows = 8, group = 1, heads = 1, keys = 32, row_block = 0>
    #tile.schedule<rows = 8, keys = 32, warps = 8, weights = f16,
    pipeline = #tile.pipeline<stages = 8, copy = tma, load_registers = 56, compute_registers = 224, growth = 8, deal = keys>> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %there = arith.constant true
  %offset = arith.constant 0 : i64
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = arith.constant 8 : i32
  %stored = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<8x128xbf16>
  %empty = tile.fill %zero : f32 -> !tile.tile<8x128xf32>
  // CHECK: tile.convert {{.*}} -> <8x128xbf16, #tile.operand<warps = 1, transposed = true, interleaved = true>>
  %q = tile.map (%stored) {
  ^bb0(%a: bf16, %row: i32, %column: i32):
    %x = arith.extf %a : bf16 to f32
    %h = arith.truncf %x : f32 to f16
    tile.yield %h : f16
  } : (!tile.tile<8x128xbf16>) -> !tile.tile<8x128xf16>
  // CHECK: scf.for {{.*}} -> (!tile.tile<8x128xf32, #tile.accumulator<warps = 1, transposed = true, interleaved = true>>)
  // CHECK-NOT: tile.map {{.*}}bf16
  %o = scf.for %i = %c0 to %n step %c1 iter_args(%old = %empty) -> (!tile.tile<8x128xf32>) : i32 {
    %k = tile.load %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !tile.tile<32x128xf8E4M3FN>
    // CHECK: tile.dot {{.*}} transposed : <8x128xf16, #tile.operand<warps = 1, transposed = true, interleaved = true>>, <32x128xf8E4M3FN, #tile.shared<pitch = 128, swizzle = 8>> -> <8x32xf32, #tile.accumulator<warps = 1, transposed = true>>
    %s = tile.dot %q, %k transposed
        : !tile.tile<8x128xf16>, !tile.tile<32x128xf8E4M3FN> -> !tile.tile<8x32xf32>
    %p = tile.map (%s) {
    ^bb0(%a: f32, %row: i32, %column: i32):
      %w = arith.truncf %a : f32 to f16
      tile.yield %w : f16
    } : (!tile.tile<8x32xf32>) -> !tile.tile<8x32xf16>
    %next = tile.dot %p, %k into %old : !tile.tile<8x128xf32>
        : !tile.tile<8x32xf16>, !tile.tile<32x128xf8E4M3FN> -> !tile.tile<8x128xf32>
    scf.yield %next : !tile.tile<8x128xf32>
  }
  // CHECK: tile.combine add {{.*}} -> <8x128xf32, #tile.accumulator<warps = 8, transposed = true>>
  %all = tile.combine add %o : !tile.tile<8x128xf32> -> !tile.tile<8x128xf32>
  tile.store %all to %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<8x128xf32>
}

// -----

// 24 rows leave no room for converted queries beside 32 keys: each product
// converts them anew.
// CHECK-LABEL: tile.entry @bytes_for_many_rows
tile.entry @bytes_for_many_rows attend
    #tile.items<rows = 24, group = 1, heads = 1, keys = 32, row_block = 0>
    #tile.schedule<rows = 24, keys = 32, warps = 8, weights = f16,
    pipeline = #tile.pipeline<stages = 8, copy = tma, load_registers = 56, compute_registers = 224, growth = 8, deal = keys>> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %there = arith.constant true
  %offset = arith.constant 0 : i64
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %n = arith.constant 8 : i32
  %stored = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<24x128xbf16>
  %empty = tile.fill %zero : f32 -> !tile.tile<24x128xf32>
  // CHECK-NOT: tile.convert
  %q = tile.map (%stored) {
  ^bb0(%a: bf16, %row: i32, %column: i32):
    %x = arith.extf %a : bf16 to f32
    %h = arith.truncf %x : f32 to f16
    tile.yield %h : f16
  } : (!tile.tile<24x128xbf16>) -> !tile.tile<24x128xf16>
  // CHECK: scf.for {{.*}} -> (!tile.tile<24x128xf32, #tile.accumulator<warps = 1, transposed = true, interleaved = true>>)
  // CHECK: tile.convert {{.*}} -> <24x128xbf16, #tile.operand<warps = 1, transposed = true, interleaved = true>>
  %o = scf.for %i = %c0 to %n step %c1 iter_args(%old = %empty) -> (!tile.tile<24x128xf32>) : i32 {
    %k = tile.load %base rows {
    ^bb0(%row: i32):
      tile.yield %offset, %there : i64, i1
    } : !tile.tile<32x128xf8E4M3FN>
    // CHECK: tile.dot {{.*}} transposed : <24x128xf16, #tile.operand<warps = 1, transposed = true, interleaved = true>>, <32x128xf8E4M3FN, #tile.shared<pitch = 128, swizzle = 8>> -> <24x32xf32, #tile.accumulator<warps = 1, transposed = true>>
    %s = tile.dot %q, %k transposed
        : !tile.tile<24x128xf16>, !tile.tile<32x128xf8E4M3FN> -> !tile.tile<24x32xf32>
    %p = tile.map (%s) {
    ^bb0(%a: f32, %row: i32, %column: i32):
      %w = arith.truncf %a : f32 to f16
      tile.yield %w : f16
    } : (!tile.tile<24x32xf32>) -> !tile.tile<24x32xf16>
    %next = tile.dot %p, %k into %old : !tile.tile<24x128xf32>
        : !tile.tile<24x32xf16>, !tile.tile<32x128xf8E4M3FN> -> !tile.tile<24x128xf32>
    scf.yield %next : !tile.tile<24x128xf32>
  }
  // CHECK: tile.combine add {{.*}} -> <24x128xf32, #tile.accumulator<warps = 8, transposed = true>>
  %all = tile.combine add %o : !tile.tile<24x128xf32> -> !tile.tile<24x128xf32>
  tile.store %all to %base rows {
  ^bb0(%row: i32):
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<24x128xf32>
}
