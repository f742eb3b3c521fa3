// RUN: saccade-opt %s -tile-assign-layouts -split-input-file -verify-diagnostics

tile.entry @single_precision attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  // expected-error @below {{expects elements of bf16 or f16 on the GPU, but got f32: its matrix instructions take no f32}}
  %q = tile.load %base rows {
  ^bb0(%row: i32):
    %offset = arith.constant 0 : i64
    %there = arith.constant true
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<16x64xf32>
}

// -----

tile.entry @rows_for_some_warps attend
    #tile.items<rows = 48, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 48, keys = 16, warps = 4, weights = bf16> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0.0 : f32
  // expected-error @below {{expects rows to be a multiple of 16 for each of 4 warps, but got 48}}
  %o = tile.fill %zero : f32 -> !tile.tile<48x64xf32>
}

// -----

tile.entry @half_an_atom_of_columns attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = bf16> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0.0 : f32
  // expected-error @below {{expects columns to be a multiple of 8, but got 20}}
  %o = tile.fill %zero : f32 -> !tile.tile<16x20xf32>
}

// -----

tile.entry @few_keys attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 8, row_block = 0>
    #tile.schedule<rows = 16, keys = 8, warps = 1, weights = bf16> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0.0 : bf16
  %q = tile.fill %zero : bf16 -> !tile.tile<16x64xbf16>
  %k = tile.fill %zero : bf16 -> !tile.tile<8x64xbf16>
}
// expected-error @-2 {{expects rows to be a multiple of 16 for each of 1 warps, but got 8}}

// -----

tile.entry @functions_of_rows attend
    #tile.items<rows = 8, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 8, keys = 16, warps = 4, weights = bf16,
    pipeline = #tile.pipeline<stages = 4, copy = tma, load_registers = 56, compute_registers = 168, growth = 8, deal = keys>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0.0 : f32
  %x = tile.fill %zero : f32 -> !tile.tile<8x16xf32>
  // expected-error @below {{expects no functions of whole rows where keys are dealt to warps}}
  %y = tile.map_rows %x {
  ^bb0(%r: vector<16xf32>, %row: i32):
    tile.yield %r : vector<16xf32>
  } : !tile.tile<8x16xf32> -> !tile.tile<8x16xf32>
}

// -----

tile.entry @half_an_atom_of_rows attend
    #tile.items<rows = 8, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 8, keys = 16, warps = 4, weights = bf16,
    pipeline = #tile.pipeline<stages = 4, copy = tma, load_registers = 56, compute_registers = 168, growth = 8, deal = keys>> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0.0 : f32
  // expected-error @below {{expects rows to be a multiple of 8 where keys are dealt, but got 12}}
  %x = tile.fill %zero : f32 -> !tile.tile<12x16xf32>
}

// -----

tile.entry @nothing_to_combine attend
    #tile.items<rows = 64, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 64, keys = 16, warps = 4, weights = bf16> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0.0 : f32
  %x = tile.fill %zero : f32 -> !tile.tile<64x16xf32>
  // expected-error @below {{expects a schedule that deals keys to warps}}
  %y = tile.combine add %x : !tile.tile<64x16xf32> -> !tile.tile<64x16xf32>
}
