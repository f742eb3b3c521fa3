// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// expected-error@+1 {{expects heads to be positive, but got 0}}
func.func private @f(!attn.ragged<0x128xbf16>)
// -----
// expected-error@+1 {{expects heads to be at most 65535, but got 65536}}
func.func private @f(!attn.dense<65536x128xbf16>)
// -----
// expected-error@+1 {{expects head dim to be positive, but got 0}}
func.func private @f(!attn.ragged<8x0xbf16>)
// -----
// expected-error@+1 {{expects head dim to be at most 576, but got 584}}
func.func private @f(!attn.ragged<8x584xbf16>)
// -----
// expected-error@+1 {{expects head dim to be a multiple of 8, but got 20}}
func.func private @f(!attn.ragged<8x20xbf16>)
// -----
// expected-error@+1 {{expects value dim to be a multiple of 8, but got 127}}
func.func private @f(!attn.ragged<8x128xbf16, value = 127>)
// -----
// expected-error@+1 {{expects value dim to be positive, but got -8}}
func.func private @f(!attn.paged<8x128xbf16, value = -8, page = 16>)
// -----
// expected-error@+1 {{expects element type to be f32, bf16, f16, f8E4M3FN or f8E5M2, but got 'f8E4M3'}}
func.func private @f(!attn.paged<8x128xf8E4M3, page = 16>)
// -----
// expected-error@+1 {{expects head dim to be a multiple of 16, but got 72}}
func.func private @f(!attn.paged<8x72xf8E4M3FN, page = 16>)
// -----
// expected-error@+1 {{expects value dim to be a multiple of 16, but got 8}}
func.func private @f(!attn.ragged<8x64xf8E5M2, value = 8>)
// -----
// expected-error@+1 {{expects element type to be f32, bf16, f16, f8E4M3FN or f8E5M2, but got 'vector<4xf32>'}}
func.func private @f(!attn.ragged<8x128xvector<4xf32>>)
// -----
// expected-error@+1 {{expects page size to be positive, but got 0}}
func.func private @f(!attn.paged<8x128xbf16, page = 0>)
// -----
// expected-error@+1 {{expects page size to be at most 65536, but got 65537}}
func.func private @f(!attn.paged<8x128xbf16, page = 65537>)
// -----
// expected-error@+1 {{expects block rows to be positive, but got 0}}
func.func private @f(!attn.block_sparse<8x128xbf16, block = 0x64>)
// -----
// expected-error@+1 {{expects block columns to be at most 65536, but got 70000}}
func.func private @f(!attn.block_sparse<8x128xbf16, block = 64x70000>)
// -----
// expected-error@+1 {{expects heads x head dim, but got 1 numbers}}
func.func private @f(!attn.ragged<128xbf16>)
// -----
// expected-error@+1 {{expects one of the options value, order, but got page}}
func.func private @f(!attn.ragged<8x128xbf16, page = 16>)
// -----
// expected-error@+1 {{expects option order once}}
func.func private @f(!attn.ragged<8x128xbf16, order = HND, order = NHD>)
// -----
// expected-error@+1 {{expects order to be NHD or HND, but got HDN}}
func.func private @f(!attn.ragged<8x128xbf16, order = HDN>)
// -----
// expected-error@+1 {{expects option page}}
func.func private @f(!attn.paged<8x128xbf16>)
// -----
// expected-error@+1 {{expects option block}}
func.func private @f(!attn.block_sparse<8x128xbf16, order = HND>)
// -----
// expected-error@+1 {{expects block as rows x columns, but got 3 numbers}}
func.func private @f(!attn.block_sparse<8x128xbf16, block = 1x2x3>)
// -----
// expected-error@+1 {{integer value too large}}
func.func private @f(!attn.paged<8x128xbf16, page = 99999999999999999999>)
// -----
// expected-error@+1 {{expects heads x value dim, but got 3 numbers}}
func.func private @f(!attn.state<8x128x2>)
// -----
// expected-error@+1 {{expects normalizer to be softmax, sigmoid or none, but got relu}}
func.func private @f(!attn.state<8x128, relu>)
// -----
// expected-error@+1 {{expects heads to be positive, but got 0}}
func.func private @f(!attn.state<0x128>)
// -----
// expected-error@+1 {{expects value dim to be a multiple of 8, but got 4}}
func.func private @f(!attn.state<8x4>)
// -----
// expected-error@+1 {{expects heads to be positive, but got 0}}
func.func private @f(!attn.lse<0>)
// -----
// expected-error@+1 {{expects table entries to be f32 or i32, but got 'f64'}}
func.func private @f(!attn.per_head<f64>)
// -----
// expected-error@+1 {{expects table entries to be f32 or i32, but got 'i8'}}
func.func private @f(!attn.per_request<i8>)
// -----
// expected-error@+1 {{expects table entries to be f32 or i32, but got 'index'}}
func.func private @f(!attn.per_token<index>)
// -----
// expected-error@+1 {{expects a table to have 1 to 4 dimensions, but got 0}}
func.func private @f(!attn.table<f32>)
// -----
// expected-error@+1 {{expects a table to have 1 to 4 dimensions, but got 5}}
func.func private @f(!attn.table<?x?x?x?x?xf32>)
// -----
// expected-error@+1 {{expects ? for the extents of a table, but got 4}}
func.func private @f(!attn.table<?x4xf32>)
// -----
// expected-error@+1 {{expects entries of a table to be f32, f16, bf16, i32, i64, i8 or i1, but got 'f64'}}
func.func private @f(!attn.table<?xf64>)
// -----
// expected-error@+1 {{expects entries of a table to be f32, f16, bf16, i32, i64, i8 or i1, but got 'ui8'}}
func.func private @f(!attn.table<?xui8>)
