// RUN: saccade-opt %s -convert-tile-to-nvvm -split-input-file -verify-diagnostics

#items = #tile.items<rows = 64, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 64, keys = 16, warps = 4, weights = bf16>
!inflight = !tile.inflight<64x16xf32, #tile.accumulator<warps = 4>>
!a = !tile.tile<64x16xbf16, #tile.operand<warps = 4>>
!b = !tile.tile<16x16xbf16, #tile.shared<pitch = 64, swizzle = 8>>
tile.entry @warps_without_roles attend #items #schedule {
^bb0(%words: !tile.words):
  %one = arith.constant 1.0 : bf16
  %address = tile.word %words[4] : !tile.address
  %o = arith.constant 0 : i64
  %there = arith.constant true
  %a = tile.fill %one : bf16 -> !a
  %b = tile.load %address rows {
  ^bb0(%row: i32):
    tile.yield %o, %there : i64, i1
  } : !b
  // expected-error @+2 {{expects warps that have roles}}
  // expected-error @+1 {{failed to legalize operation 'tile.issue_dot'}}
  %f = tile.issue_dot %a, %b : !a, !b -> !inflight
  %s = tile.await %f pending 0 : !inflight -> !tile.tile<64x16xf32, #tile.accumulator<warps = 4>>
}

// -----

#items = #tile.items<rows = 64, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 64, keys = 16, warps = 4, weights = bf16,
  pipeline = #tile.pipeline<stages = 1, copy = tma, load_registers = 40, compute_registers = 232, growth = 0>>
!inflight = !tile.inflight<64x264xf32, #tile.accumulator<warps = 4>>
!a = !tile.tile<64x16xbf16, #tile.operand<warps = 4>>
!b = !tile.tile<16x264xbf16, #tile.shared<pitch = 64, swizzle = 8>>
!bs = !tile.pipe<16x264xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 1>
tile.entry @too_many_columns attend #items #schedule {
^bb0(%words: !tile.words):
  %bs = tile.pipe tma barriers 40960 : !bs
  %one = arith.constant 1.0 : bf16
  %c0 = arith.constant 0 : i32
  tile.roles load 40 {
  } compute 232 {
    %a = tile.fill %one : bf16 -> !a
    %b = tile.get %bs[%c0] : !bs -> !b
    // expected-error @+2 {{expects a product of columns in eights up to 256, but got 264}}
    // expected-error @+1 {{failed to legalize operation 'tile.issue_dot'}}
    %f = tile.issue_dot %a, %b : !a, !b -> !inflight
    %s = tile.await %f pending 0 : !inflight -> !tile.tile<64x264xf32, #tile.accumulator<warps = 4>>
  }
}

// -----

#items = #tile.items<rows = 64, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 64, keys = 16, warps = 4, weights = bf16,
  pipeline = #tile.pipeline<stages = 1, copy = tma, load_registers = 40, compute_registers = 232, growth = 0>>
!inflight = !tile.inflight<64x16xf32, #tile.accumulator<warps = 4>>
!a = !tile.tile<64x16xbf16, #tile.operand<warps = 4>>
!b = !tile.tile<16x16xbf16, #tile.shared<pitch = 24, swizzle = 1>>
!bs = !tile.pipe<16x16xbf16, #tile.shared<pitch = 24, swizzle = 1>, stages = 1>
tile.entry @not_in_panels attend #items #schedule {
^bb0(%words: !tile.words):
  %bs = tile.pipe tma barriers 40960 : !bs
  %one = arith.constant 1.0 : bf16
  %c0 = arith.constant 0 : i32
  tile.roles load 40 {
  } compute 232 {
    %a = tile.fill %one : bf16 -> !a
    %b = tile.get %bs[%c0] : !bs -> !b
    // expected-error @+2 {{expects the right side in panels of 128 bytes a row, but got '!tile.tile<16x16xbf16, #tile.shared<pitch = 24, swizzle = 1>>'}}
    // expected-error @+1 {{failed to legalize operation 'tile.issue_dot'}}
    %f = tile.issue_dot %a, %b : !a, !b -> !inflight
    %s = tile.await %f pending 0 : !inflight -> !tile.tile<64x16xf32, #tile.accumulator<warps = 4>>
  }
}

// -----

#items = #tile.items<rows = 64, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 64, keys = 16, warps = 4, weights = bf16,
  pipeline = #tile.pipeline<stages = 1, copy = tma, load_registers = 40, compute_registers = 232, growth = 0>>
!b = !tile.tile<16x16xbf16>
!bs = !tile.pipe<16x16xbf16, stages = 1>
tile.entry @pipe_without_a_place attend #items #schedule {
^bb0(%words: !tile.words):
  %bs = tile.pipe tma : !bs
  %c0 = arith.constant 0 : i32
  tile.roles load 40 {
  } compute 232 {
    // expected-error @+2 {{expects a pipe that has a place in shared memory}}
    // expected-error @+1 {{failed to legalize operation 'tile.get'}}
    %b = tile.get %bs[%c0] : !bs -> !b
  }
}

// -----

#items = #tile.items<rows = 8, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 8, keys = 16, warps = 4, weights = bf16,
  pipeline = #tile.pipeline<stages = 4, copy = tma, load_registers = 40, compute_registers = 232, growth = 0, deal = keys>>
!a = !tile.tile<8x16xbf16, #tile.operand<warps = 1, transposed = true>>
!b = !tile.tile<16x16xbf16, #tile.shared<pitch = 24, swizzle = 1>>
!bs = !tile.pipe<16x16xbf16, #tile.shared<pitch = 24, swizzle = 1>, stages = 4>
!s = !tile.tile<8x16xf32, #tile.accumulator<warps = 1, transposed = true>>
tile.entry @keys_not_in_panels attend #items #schedule {
^bb0(%words: !tile.words):
  %bs = tile.pipe tma barriers 40960 {dealt} : !bs
  %one = arith.constant 1.0 : bf16
  %c0 = arith.constant 0 : i32
  tile.roles load 40 {
  } compute 232 {
    %a = tile.fill %one : bf16 -> !a
    %b = tile.get %bs[%c0] : !bs -> !b
    // expected-error @+2 {{expects the right side in panels of 128 bytes a row, but got '!tile.tile<16x16xbf16, #tile.shared<pitch = 24, swizzle = 1>>'}}
    // expected-error @+1 {{failed to legalize operation 'tile.dot'}}
    %s = tile.dot %a, %b transposed : !a, !b -> !s
  }
}

// -----

#items = #tile.items<rows = 8, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 8, keys = 16, warps = 4, weights = bf16,
  pipeline = #tile.pipeline<stages = 4, copy = tma, load_registers = 40, compute_registers = 232, growth = 0, deal = keys>>
!a = !tile.tile<8x16xbf16, #tile.accumulator<warps = 1, transposed = true>>
!b = !tile.tile<16x16xbf16, #tile.shared<pitch = 64, swizzle = 8>>
!bs = !tile.pipe<16x16xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 4>
!s = !tile.tile<8x16xf32, #tile.accumulator<warps = 1, transposed = true>>
tile.entry @weights_that_are_no_operand attend #items #schedule {
^bb0(%words: !tile.words):
  %bs = tile.pipe tma barriers 40960 {dealt} : !bs
  %one = arith.constant 1.0 : bf16
  %c0 = arith.constant 0 : i32
  tile.roles load 40 {
  } compute 232 {
    %a = tile.fill %one : bf16 -> !a
    %b = tile.get %bs[%c0] : !bs -> !b
    // expected-error @+2 {{expects the left side as a transposed operand, or in panels of 128 bytes a row, but got '!tile.tile<8x16xbf16, #tile.accumulator<warps = 1, transposed = true>>'}}
    // expected-error @+1 {{failed to legalize operation 'tile.dot'}}
    %s = tile.dot %a, %b : !a, !b -> !s
  }
}

// -----

#items = #tile.items<rows = 8, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 8, keys = 16, warps = 4, weights = bf16,
  pipeline = #tile.pipeline<stages = 4, copy = tma, load_registers = 40, compute_registers = 232, growth = 0, deal = keys>>
!a = !tile.tile<8x16xbf16, #tile.operand<warps = 1, transposed = true>>
!b = !tile.tile<16x32xbf16, #tile.shared<pitch = 64, swizzle = 8>>
!bs = !tile.pipe<16x32xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 4>
!s = !tile.tile<8x32xf32, #tile.accumulator<warps = 2, transposed = true>>
!l = !tile.tile<8x1xf32, #tile.rows_of<warps = 1, transposed = true>>
tile.entry @results_of_several_warps attend #items #schedule {
^bb0(%words: !tile.words):
  %bs = tile.pipe tma barriers 40960 {dealt} : !bs
  %one = arith.constant 1.0 : bf16
  %c0 = arith.constant 0 : i32
  tile.roles load 40 {
  } compute 232 {
    %a = tile.fill %one : bf16 -> !a
    %b = tile.get %bs[%c0] : !bs -> !b
    // expected-error @+2 {{expects a warp to compute a whole tile, but got '!tile.tile<8x32xf32, #tile.accumulator<warps = 2, transposed = true>>'}}
    // expected-error @+1 {{failed to legalize operation 'tile.dot'}}
    %s = tile.dot %a, %b : !a, !b -> !s
  }
}

// -----

#items = #tile.items<rows = 8, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 8, keys = 16, warps = 4, weights = bf16,
  pipeline = #tile.pipeline<stages = 4, copy = tma, load_registers = 40, compute_registers = 232, growth = 0, deal = keys>>
!s = !tile.tile<8x32xf32, #tile.accumulator<warps = 2, transposed = true>>
!l = !tile.tile<8x1xf32, #tile.rows_of<warps = 1, transposed = true>>
tile.entry @rows_of_several_warps attend #items #schedule {
^bb0(%words: !tile.words):
  %one = arith.constant 1.0 : f32
  tile.roles load 40 {
  } compute 232 {
    %s = tile.fill %one : f32 -> !s
    // expected-error @+2 {{expects rows that one warp holds, but got '!tile.tile<8x32xf32, #tile.accumulator<warps = 2, transposed = true>>'}}
    // expected-error @+1 {{failed to legalize operation 'tile.reduce'}}
    %l = tile.reduce add %s : !s -> !l
  }
}

// -----

#items = #tile.items<rows = 8, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 8, keys = 16, warps = 4, weights = bf16,
  pipeline = #tile.pipeline<stages = 4, copy = tma, load_registers = 40, compute_registers = 232, growth = 0, deal = keys>>
!o = !tile.tile<8x48xf32, #tile.accumulator<warps = 1, transposed = true>>
!all = !tile.tile<8x48xf32, #tile.accumulator<warps = 2, transposed = true>>
tile.entry @blocks_dealt_unevenly attend #items #schedule {
^bb0(%words: !tile.words):
  %one = arith.constant 1.0 : f32
  tile.roles load 40 {
  } compute 232 {
    %o = tile.fill %one : f32 -> !o
    // expected-error @+2 {{expects transposed tiles of f32 that each warp has for itself, to be the same or dealt evenly, but got '!tile.tile<8x48xf32, #tile.accumulator<warps = 1, transposed = true>>' and '!tile.tile<8x48xf32, #tile.accumulator<warps = 2, transposed = true>>'}}
    // expected-error @+1 {{failed to legalize operation 'tile.combine'}}
    %all = tile.combine add %o {tile.exchange = 0 : i64} : !o -> !all
  }
}

// -----

#items = #tile.items<rows = 8, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 8, keys = 16, warps = 4, weights = bf16,
  pipeline = #tile.pipeline<stages = 4, copy = tma, load_registers = 40, compute_registers = 232, growth = 0, deal = keys>>
!m = !tile.tile<8x1xf32, #tile.rows_of<warps = 1, transposed = true>>
tile.entry @nowhere_to_meet attend #items #schedule {
^bb0(%words: !tile.words):
  %one = arith.constant 1.0 : f32
  tile.roles load 40 {
  } compute 232 {
    %m = tile.fill %one : f32 -> !m
    // expected-error @+2 {{expects warps that have roles, and memory to meet in}}
    // expected-error @+1 {{failed to legalize operation 'tile.combine'}}
    %all = tile.combine add %m : !m -> !m
  }
}
