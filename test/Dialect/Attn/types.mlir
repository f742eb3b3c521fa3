// RUN: saccade-opt %s | saccade-opt | FileCheck %s
// RUN: saccade-opt -mlir-print-op-generic %s | saccade-opt | FileCheck %s
// RUN: saccade-opt -emit-bytecode %s | saccade-opt | FileCheck %s

// CHECK: @ragged(!attn.ragged<32x128xbf16>, !attn.ragged<8x192xbf16, value = 128>, !attn.ragged<1x8xf32, order = HND>)
func.func private @ragged(!attn.ragged<32x128xbf16>, !attn.ragged<8x192xbf16, value = 128>, !attn.ragged<1x8xf32, order = HND>)
// CHECK: @dense(!attn.dense<32x128xf16, order = HND>, !attn.dense<65535x576xf32, value = 512>)
func.func private @dense(!attn.dense<32x128xf16, order = HND>, !attn.dense<65535x576xf32, value = 512>)
// CHECK: @paged(!attn.paged<8x128xbf16, page = 16>, !attn.paged<8x192xbf16, value = 128, page = 1, order = HND>)
func.func private @paged(!attn.paged<8x128xbf16, page = 16>, !attn.paged<8x192xbf16, value = 128, page = 1, order = HND>)
// CHECK: @block_sparse(!attn.block_sparse<8x128xbf16, block = 128x64>, !attn.block_sparse<8x128xbf16, value = 64, block = 1x1, order = HND>)
func.func private @block_sparse(!attn.block_sparse<8x128xbf16, block = 128x64>, !attn.block_sparse<8x128xbf16, value = 64, block = 1x1, order = HND>)
// CHECK: @options_in_any_order(!attn.paged<8x192xbf16, value = 128, page = 16, order = HND>)
func.func private @options_in_any_order(!attn.paged<8x192xbf16, order = HND, page = 16, value = 128>)
// CHECK: @defaults_are_not_printed(!attn.ragged<8x128xbf16>)
func.func private @defaults_are_not_printed(!attn.ragged<8x128xbf16, order = NHD, value = 128>)
// CHECK: @states(!attn.state<32x128>, !attn.state<32x128, sigmoid>, !attn.state<32x128, none>, !attn.state<32x128>)
func.func private @states(!attn.state<32x128>, !attn.state<32x128, sigmoid>, !attn.state<32x128, none>, !attn.state<32x128, softmax>)
// CHECK: @others(!attn.lse<32>, !attn.per_head<f32>, !attn.per_request<i32>, !attn.per_token<f32>, !attn.bits)
func.func private @others(!attn.lse<32>, !attn.per_head<f32>, !attn.per_request<i32>, !attn.per_token<f32>, !attn.bits)
// CHECK: @tables(!attn.table<?xi64>, !attn.table<?x?xbf16>, !attn.table<?x?x?xi1>, !attn.table<?x?x?x?xf16>, !attn.table<?x?xi8>)
func.func private @tables(!attn.table<?xi64>, !attn.table<?x?xbf16>, !attn.table<?x?x?xi1>, !attn.table<?x?x?x?xf16>, !attn.table<?x?xi8>)
// CHECK: @eight_bits(!attn.paged<8x128xf8E4M3FN, page = 16>, !attn.dense<4x64xf8E5M2>, !attn.block_sparse<8x576xf8E4M3FN, value = 512, block = 128x64>)
func.func private @eight_bits(!attn.paged<8x128xf8E4M3FN, page = 16>, !attn.dense<4x64xf8E5M2>, !attn.block_sparse<8x576xf8E4M3FN, value = 512, block = 128x64>)
