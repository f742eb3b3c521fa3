// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// One refused text for each constraint of the dialect.
// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{expects a body with one argument of !tile.words}}
tile.entry @entry attend #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: i32):
}

// -----

tile.entry @item attend #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%words: !tile.words):
  // expected-error @+1 {{expects a body with seven i32 arguments}}
  tile.for_each_item %words {
  ^bb1(%request: i32):
  }
}

// -----

// expected-error @+1 {{expects 1 to 1024 rows a work item, but got 0}}
func.func private @rows() attributes {s = #tile.schedule<rows = 0, keys = 16, warps = 1, weights = f32>}

// -----

// expected-error @+1 {{expects 1 to 1024 keys a tile, but got 4096}}
func.func private @keys() attributes {s = #tile.schedule<rows = 16, keys = 4096, warps = 1, weights = f32>}

// -----

// expected-error @+1 {{expects 1 to 32 warps, but got 33}}
func.func private @warps() attributes {s = #tile.schedule<rows = 16, keys = 16, warps = 33, weights = f32>}

// -----

// expected-error @+1 {{expects weights of f32, f16 or bf16, but got 'f64'}}
func.func private @weights() attributes {s = #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f64>}

// -----

// expected-error @+1 {{expects rows and columns, but got 1 dimensions}}
func.func private @rank(!tile.tile<16xf32>)

// -----

// expected-error @+1 {{expects a tile of positive shape, but got 0x16}}
func.func private @shape(!tile.tile<0x16xf32>)

// -----

// expected-error @+1 {{expects elements of f32, f16, bf16, f8E4M3FN or f8E5M2, but got 'i32'}}
func.func private @element(!tile.tile<16x16xi32>)

// -----

// expected-error @+1 {{expects a tile layout, but got 4 : i64}}
func.func private @layout(!tile.tile<16x16xf32, 4 : i64>)

// -----

func.func @word(%w: !tile.words) {
  // expected-error @+1 {{expects an index of 0 or more, but got -1}}
  %0 = tile.word %w[-1] : i64
  return
}

// -----

func.func @load(%base: !tile.address) {
  // expected-error @+1 {{expects the region to yield ('i64', 'i1'), but got ('i32')}}
  %0 = tile.load %base rows {
  ^bb0(%row: i32):
    tile.yield %row : i32
  } : !tile.tile<16x16xf32>
  return
}

// -----

func.func @store(%base: !tile.address, %t: !tile.tile<16x16xf32>) {
  // expected-error @+1 {{expects a region with arguments ('i32'), but got ('i64')}}
  tile.store %t to %base rows {
  ^bb0(%row: i64):
    %true = arith.constant true
    tile.yield %row, %true : i64, i1
  } : !tile.tile<16x16xf32>
  return
}

// -----

func.func @fill(%x: f32) {
  // expected-error @+1 {{expects a value of 'bf16', but got 'f32'}}
  %0 = tile.fill %x : f32 -> !tile.tile<16x16xbf16>
  return
}

// -----

func.func @map_shape(%t: !tile.tile<16x16xf32>) {
  // expected-error @+1 {{expects inputs of 16x32 or 16x1, but got 16x16}}
  %0 = tile.map (%t) {
  ^bb0(%x: f32, %row: i32, %column: i32):
    tile.yield %x : f32
  } : (!tile.tile<16x16xf32>) -> !tile.tile<16x32xf32>
  return
}

// -----

func.func @map_body(%t: !tile.tile<16x16xf32>) {
  // expected-error @+1 {{expects a region with arguments ('f32', 'i32', 'i32'), but got ('f32')}}
  %0 = tile.map (%t) {
  ^bb0(%x: f32):
    tile.yield %x : f32
  } : (!tile.tile<16x16xf32>) -> !tile.tile<16x16xf32>
  return
}

// -----

func.func @map_rows(%t: !tile.tile<16x16xf32>) {
  // expected-error @+1 {{expects a region with arguments ('vector<16xf32>', 'i32')}}
  %0 = tile.map_rows %t {
  ^bb0(%x: vector<8xf32>, %row: i32):
    tile.yield %x : vector<8xf32>
  } : !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
  return
}

// -----

func.func @map_rows_shape(%t: !tile.tile<16x16xf32>) {
  // expected-error @+1 {{expects input and result of one shape, but got 16x16 and 16x32}}
  %0 = tile.map_rows %t {
  ^bb0(%x: vector<32xf32>, %row: i32):
    tile.yield %x : vector<32xf32>
  } : !tile.tile<16x16xf32> -> !tile.tile<16x32xf32>
  return
}

// -----

func.func @mask(%t: !tile.tile<16x16xf32>, %full: i1, %x: f32) {
  // expected-error @+1 {{expects the region to yield ('i1'), but got ('i32')}}
  %0 = tile.mask %t unless %full fill %x {
  ^bb0(%row: i32, %column: i32):
    tile.yield %row : i32
  } : !tile.tile<16x16xf32>
  return
}

// -----

func.func @mask_fill(%t: !tile.tile<16x16xbf16>, %full: i1, %x: f32) {
  // expected-error @+1 {{expects a fill value of 'bf16', but got 'f32'}}
  %0 = tile.mask %t unless %full fill %x {
  ^bb0(%row: i32, %column: i32):
    %keep = arith.cmpi sge, %row, %column : i32
    tile.yield %keep : i1
  } : !tile.tile<16x16xbf16>
  return
}

// -----

func.func @reduce(%t: !tile.tile<16x16xf32>) {
  // expected-error @+1 {{expects a result of 16x1x'f32', but got 16x16x'f32'}}
  %0 = tile.reduce add %t : !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
  return
}

// -----

func.func @dot_depth(%a: !tile.tile<16x16xf32>, %b: !tile.tile<32x16xf32>) {
  // expected-error @+1 {{expects a product of 16x16 and 32x16}}
  %0 = tile.dot %a, %b : !tile.tile<16x16xf32>, !tile.tile<32x16xf32> -> !tile.tile<16x16xf32>
  return
}

// -----

func.func @dot_element(%a: !tile.tile<16x16xbf16>) {
  // expected-error @+1 {{expects a result of f32, but got 'bf16'}}
  %0 = tile.dot %a, %a : !tile.tile<16x16xbf16>, !tile.tile<16x16xbf16> -> !tile.tile<16x16xbf16>
  return
}

// -----

func.func @dot_left_side(%a: !tile.tile<16x16xf8E5M2>) {
  // expected-error @below {{expects a left side of 16 or 32 bits an element, but got 'f8E5M2'}}
  %0 = tile.dot %a, %a : !tile.tile<16x16xf8E5M2>, !tile.tile<16x16xf8E5M2> -> !tile.tile<16x16xf32>
  return
}

// -----

func.func @dot_accumulator(%a: !tile.tile<16x16xf32>, %c: !tile.tile<16x8xf32>) {
  // expected-error @+1 {{expects an accumulator of '!tile.tile<16x16xf32>'}}
  %0 = tile.dot %a, %a into %c : !tile.tile<16x8xf32> : !tile.tile<16x16xf32>, !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
  return
}

// -----

func.func @convert(%a: !tile.tile<16x16xf32>) {
  // expected-error @+1 {{expects input and result to differ in layout only}}
  %0 = tile.convert %a : !tile.tile<16x16xf32> -> !tile.tile<16x16xbf16>
  return
}

// -----

// expected-error @+1 {{expects a positive pitch, but got 0}}
func.func private @pitch(!tile.tile<16x16xf32, #tile.shared<pitch = 0, swizzle = 8>>)

// -----

// expected-error @+1 {{expects swizzle to be a power of two, but got 6}}
func.func private @swizzle(!tile.tile<16x16xf32, #tile.shared<pitch = 16, swizzle = 6>>)
