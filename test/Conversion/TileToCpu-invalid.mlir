// RUN: saccade-opt %s -convert-tile-to-cpu -split-input-file -verify-diagnostics

#items = #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32>
tile.entry @mask_is_lowered_before attend #items #schedule {
^bb0(%words: !tile.words):
  %one = arith.constant 1.0 : f32
  %full = arith.constant false
  %x = tile.fill %one : f32 -> !tile.tile<16x16xf32>
  // expected-error @+1 {{expects an operation on tiles that the CPU has a lowering for}}
  %y = tile.mask %x unless %full fill %one {
  ^bb0(%row: i32, %column: i32):
    %keep = arith.cmpi sge, %row, %column : i32
    tile.yield %keep : i1
  } : !tile.tile<16x16xf32>
}

// -----

#items = #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32>
tile.entry @product_has_columns attend #items #schedule {
^bb0(%words: !tile.words):
  %one = arith.constant 1.0 : f32
  %x = tile.fill %one : f32 -> !tile.tile<16x16xf32>
  %y = tile.fill %one : f32 -> !tile.tile<16x1xf32>
  // expected-error @+1 {{expects a product of at least 2 columns on the CPU}}
  %z = tile.dot %x, %y : !tile.tile<16x16xf32>, !tile.tile<16x1xf32> -> !tile.tile<16x1xf32>
}

// -----

#items = #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32>
tile.entry @cpu_threads_have_no_roles attend #items #schedule {
^bb0(%words: !tile.words):
  // expected-error @+1 {{expects an operation on tiles that the CPU has a lowering for}}
  %pipe = tile.pipe gather : !tile.pipe<16x16xbf16, stages = 1>
}
