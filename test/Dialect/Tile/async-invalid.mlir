// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// expected-error @below {{expects register counts to be multiples of 8 from 24 to 240, but got 161}}
func.func private @registers() attributes {p = #tile.pipeline<stages = 2, copy = tma, load_registers = 32, compute_registers = 161, growth = 8>}

// -----

// expected-error @below {{expects at most 65536 registers, but 128 threads that load with 40 and 384 that compute with 160 take 66560}}
func.func private @all_registers() attributes {p = #tile.schedule<rows = 192, keys = 80, warps = 12, weights = bf16, pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 40, compute_registers = 160, growth = 8>>}

// -----

// expected-error @below {{expects 64 rows for each 4 of up to 12 warps with a pipeline, but got 192 rows and 8 warps}}
func.func private @rows() attributes {p = #tile.schedule<rows = 192, keys = 80, warps = 8, weights = bf16, pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 32, compute_registers = 160, growth = 8>>}

// -----

// expected-error @below {{expects keys to be a multiple of 16 up to 256 with a pipeline, but got 72}}
func.func private @keys() attributes {p = #tile.schedule<rows = 128, keys = 72, warps = 8, weights = bf16, pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 32, compute_registers = 160, growth = 8>>}

// -----

// expected-error @below {{expects stages to be a multiple of the 8 warps that keys are dealt to, but got 10}}
func.func private @dealt_stages() attributes {p = #tile.schedule<rows = 8, keys = 16, warps = 8, weights = bf16, pipeline = #tile.pipeline<stages = 10, copy = tma, load_registers = 56, compute_registers = 208, growth = 8, query_stages = 2, deal = keys>>}

// -----

// expected-error @below {{expects 1 to 64 stages, but got 0}}
func.func private @stages() attributes {p = #tile.pipeline<stages = 0, copy = tma, load_registers = 32, compute_registers = 160, growth = 8>}

// -----

// expected-error @below {{expects growth from 0 to 8, but got 9}}
func.func private @growth() attributes {p = #tile.pipeline<stages = 2, copy = tma, load_registers = 32, compute_registers = 160, growth = 9>}

// -----

// expected-error @below {{expects boxes of 1 to 256 heads and tokens, but got 1 and 512}}
func.func private @box() attributes {p = #tile.box<word = 4, heads = 1, tokens = 512>}

// -----

func.func @product(%a: !tile.tile<64x64xbf16>, %b: !tile.tile<32x64xbf16>) {
  // expected-error @below {{expects a product of 64x64 and 64x32 to have that depth and shape, but got 64x64}}
  %p = tile.issue_dot %a, %b transposed : !tile.tile<64x64xbf16>, !tile.tile<32x64xbf16> -> !tile.inflight<64x64xf32>
  return
}

// -----

func.func @unawaited(%a: !tile.tile<64x64xbf16>, %b: !tile.tile<64x64xbf16>) {
  // expected-error @below {{expects one wait for its result, but got 0}}
  %p = tile.issue_dot %a, %b transposed : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16> -> !tile.inflight<64x64xf32>
  return
}

// -----

func.func @pending(%a: !tile.tile<64x64xbf16>, %b: !tile.tile<64x64xbf16>) {
  %p = tile.issue_dot %a, %b transposed : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16> -> !tile.inflight<64x64xf32>
  %q = tile.issue_dot %a, %b transposed : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16> -> !tile.inflight<64x64xf32>
  // expected-error @below {{expects to leave 1 products pending, which were issued after its own, but got 0}}
  %x = tile.await %p pending 0 : !tile.inflight<64x64xf32> -> !tile.tile<64x64xf32>
  %y = tile.await %q pending 0 : !tile.inflight<64x64xf32> -> !tile.tile<64x64xf32>
  return
}

// -----

func.func @in_flight(%a: !tile.tile<64x64xbf16>, %b: !tile.tile<64x64xbf16>) -> !tile.tile<64x1xf32> {
  // expected-note @below {{prior use here}}
  %p = tile.issue_dot %a, %b transposed : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16> -> !tile.inflight<64x64xf32>
  // expected-error @below {{use of value '%p' expects different type than prior uses}}
  %m = tile.reduce max %p : !tile.tile<64x64xf32> -> !tile.tile<64x1xf32>
  return %m : !tile.tile<64x1xf32>
}

// -----

tile.entry @role attend #tile.items<rows = 64, group = 1, heads = 1, keys = 64, row_block = 0>
    #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0 : i32
  %pipe = tile.pipe tma : !tile.pipe<64x64xbf16, stages = 2>
  tile.roles load 32 {
    // expected-error @below {{expects to stand in the role 'compute'}}
    %k = tile.get %pipe[%zero] : !tile.pipe<64x64xbf16, stages = 2> -> !tile.tile<64x64xbf16>
  } compute 160 {
  }
}

// -----

tile.entry @other_tile attend #tile.items<rows = 64, group = 1, heads = 1, keys = 64, row_block = 0>
    #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0 : i32
  %pipe = tile.pipe tma : !tile.pipe<64x64xbf16, stages = 2>
  // expected-error @below {{expects a result of '!tile.tile<64x64xbf16>', but got '!tile.tile<32x64xbf16>'}}
  %k = tile.get %pipe[%zero] : !tile.pipe<64x64xbf16, stages = 2> -> !tile.tile<32x64xbf16>
}

// -----

tile.entry @boxes attend #tile.items<rows = 64, group = 1, heads = 1, keys = 64, row_block = 0>
    #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16> {
^bb0(%words: !tile.words):
  %zero = arith.constant 0 : i32
  %wide = arith.constant 0 : i64
  %yes = arith.constant true
  %base = tile.word %words[4] : !tile.address
  %pipe = tile.pipe tma : !tile.pipe<64x64xbf16, stages = 2>
  // expected-error @below {{expects boxes, as its pipe copies by tensor maps}}
  tile.put %pipe[%zero] from %base rows {
  ^bb0(%row: i32):
    tile.yield %wide, %yes : i64, i1
  } : !tile.pipe<64x64xbf16, stages = 2>
}

// -----

#panels = #tile.shared<pitch = 64, swizzle = 8>
func.func @overwrites_another_shape(%place: !tile.tile<64x64xbf16, #panels>, %tile: !tile.tile<64x32xbf16, #tile.accumulator<warps = 4>>) {
  // expected-error @below {{expects input and result to differ in layout only, but got '!tile.tile<64x32xbf16, #tile.accumulator<warps = 4>>' and '!tile.tile<64x64xbf16, #tile.shared<pitch = 64, swizzle = 8>>'}}
  %r = tile.overwrite %place with %tile : !tile.tile<64x64xbf16, #panels>, !tile.tile<64x32xbf16, #tile.accumulator<warps = 4>> -> !tile.tile<64x64xbf16, #panels>
  return
}

// -----

#panels = #tile.shared<pitch = 64, swizzle = 8>
#elsewhere = #tile.shared<pitch = 64, swizzle = 8, offset = 8192>
func.func @overwrites_elsewhere(%place: !tile.tile<64x64xbf16, #panels>, %tile: !tile.tile<64x64xbf16, #tile.accumulator<warps = 4>>) {
  // expected-error @below {{expects a result of 64 rows that lives where the old tile does, but got '!tile.tile<64x64xbf16, #tile.shared<pitch = 64, swizzle = 8>>' and '!tile.tile<64x64xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 8192>>'}}
  %r = tile.overwrite %place with %tile : !tile.tile<64x64xbf16, #panels>, !tile.tile<64x64xbf16, #tile.accumulator<warps = 4>> -> !tile.tile<64x64xbf16, #elsewhere>
  return
}

// -----

#panels = #tile.shared<pitch = 64, swizzle = 8>
func.func @overwrites_wide(%place: !tile.tile<64x64xbf16, #panels>, %tile: !tile.tile<64x64xf32, #tile.accumulator<warps = 4>>) {
  // expected-error @below {{expects a tile that fits where '!tile.tile<64x64xbf16, #tile.shared<pitch = 64, swizzle = 8>>' is, but got '!tile.tile<64x64xf32, #tile.shared<pitch = 64, swizzle = 8>>'}}
  %r = tile.overwrite %place with %tile : !tile.tile<64x64xbf16, #panels>, !tile.tile<64x64xf32, #tile.accumulator<warps = 4>> -> !tile.tile<64x64xf32, #panels>
  return
}

// -----

#panels = #tile.shared<pitch = 64, swizzle = 8>
func.func @overwrites_more(%place: !tile.tile<64x64xbf16, #panels>, %tile: !tile.tile<64x128xbf16, #tile.accumulator<warps = 4>>) {
  // expected-error @below {{expects a tile that fits where '!tile.tile<64x64xbf16, #tile.shared<pitch = 64, swizzle = 8>>' is, but got '!tile.tile<64x128xbf16, #tile.shared<pitch = 64, swizzle = 8>>'}}
  %r = tile.overwrite %place with %tile : !tile.tile<64x64xbf16, #panels>, !tile.tile<64x128xbf16, #tile.accumulator<warps = 4>> -> !tile.tile<64x128xbf16, #panels>
  return
}

// -----

tile.entry @pipe_of_a_role attend #tile.items<rows = 64, group = 1, heads = 1, keys = 64, row_block = 0>
    #tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16> {
^bb0(%words: !tile.words):
  tile.roles load 32 {
    // expected-error @below {{expects to stand outside of roles, which share it}}
    %pipe = tile.pipe tma : !tile.pipe<64x64xbf16, stages = 2>
  } compute 160 {
  }
}

// -----

func.func @keeps(%a: !tile.tile<64x64xbf16>, %b: !tile.tile<64x64xbf16>, %w: !tile.tile<64x64xf32>) {
  %p = tile.issue_dot %a, %b transposed : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16> -> !tile.inflight<64x64xf32>
  // expected-error @below {{expects to give on the tiles that it keeps, but gets ('!tile.tile<64x64xf32>') and gives ('!tile.tile<64x64xbf16>')}}
  %x, %y = tile.await %p pending 0 keep (%w : !tile.tile<64x64xf32>) : !tile.inflight<64x64xf32> -> !tile.tile<64x64xf32>, !tile.tile<64x64xbf16>
  return
}
