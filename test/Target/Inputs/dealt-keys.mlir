// An item of a few rows, all of which every warp has: keys are dealt to warps, whose
// states are combined behind the loop. As -convert-attn-to-tile and the passes behind
// it leave it.
tile.entry @decode attend
    #tile.items<rows = 8, group = 8, heads = 8, keys = 16, row_block = 0>
    #tile.schedule<rows = 8, keys = 16, warps = 8, weights = bf16,
    pipeline = #tile.pipeline<stages = 8, copy = gather, load_registers = 56, compute_registers = 168, growth = 8, query_stages = 2, deal = keys>> {
^bb0(%words: !tile.words):
  %base = tile.word %words[4] : !tile.address
  %lse = tile.word %words[6] : !tile.address
  %n = tile.word %words[5] : i32
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.1275 : f32
  %nscale = arith.constant -0.1275 : f32
  scf.for %item = %c0 to %n step %c1 : i32 {
    %q = tile.load %base rows {
    ^bb0(%row: i32):
      %r = arith.addi %row, %item : i32
      %o = arith.extsi %r : i32 to i64
      %p = arith.constant 128 : i64
      %off = arith.muli %o, %p : i64
      %there = arith.cmpi slt, %row, %n : i32
      tile.yield %off, %there : i64, i1
    } : !tile.tile<8x128xbf16>
    %m0 = tile.fill %low : f32 -> !tile.tile<8x1xf32>
    %l0 = tile.fill %zero : f32 -> !tile.tile<8x1xf32>
    %o0 = tile.fill %zero : f32 -> !tile.tile<8x128xf32>
    %m, %l, %o = scf.for %i = %c0 to %n step %c1 iter_args(%mi = %m0, %li = %l0, %oi = %o0) -> (!tile.tile<8x1xf32>, !tile.tile<8x1xf32>, !tile.tile<8x128xf32>) : i32 {
      %k = tile.load %base rows {
      ^bb0(%row: i32):
        %r = arith.addi %row, %i : i32
        %oo = arith.extsi %r : i32 to i64
        %p = arith.constant 128 : i64
        %off = arith.muli %oo, %p : i64
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %off, %there : i64, i1
      } : !tile.tile<16x128xbf16>
      %s = tile.dot %q, %k transposed : !tile.tile<8x128xbf16>, !tile.tile<16x128xbf16> -> !tile.tile<8x16xf32>
      %sm = tile.map (%s) {
      ^bb0(%x: f32, %row: i32, %column: i32):
        %j = arith.addi %column, %i : i32
        %keep = arith.cmpi slt, %j, %n : i32
        %y = arith.select %keep, %x, %low : f32
        tile.yield %y : f32
      } : (!tile.tile<8x16xf32>) -> !tile.tile<8x16xf32>
      %t = tile.reduce max %sm : !tile.tile<8x16xf32> -> !tile.tile<8x1xf32>
      %mn = tile.map (%mi, %t) {
      ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
        %ys = arith.mulf %y, %scale : f32
        %z = arith.maximumf %x, %ys : f32
        tile.yield %z : f32
      } : (!tile.tile<8x1xf32>, !tile.tile<8x1xf32>) -> !tile.tile<8x1xf32>
      %f = tile.map (%mi, %mn) {
      ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
        %none = arith.cmpf oeq, %y, %low : f32
        %yf = arith.select %none, %zero, %y : f32
        %d = arith.subf %x, %yf : f32
        %e = math.exp2 %d : f32
        tile.yield %e : f32
      } : (!tile.tile<8x1xf32>, !tile.tile<8x1xf32>) -> !tile.tile<8x1xf32>
      %w = tile.map (%sm, %mn) {
      ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
        %none = arith.cmpf oeq, %y, %low : f32
        %yf = arith.select %none, %zero, %y : f32
        %ny = arith.negf %yf : f32
        %d = math.fma %x, %scale, %ny : f32
        %e = math.exp2 %d : f32
        tile.yield %e : f32
      } : (!tile.tile<8x16xf32>, !tile.tile<8x1xf32>) -> !tile.tile<8x16xf32>
      %sum = tile.reduce add %w : !tile.tile<8x16xf32> -> !tile.tile<8x1xf32>
      %ln = tile.map (%li, %f, %sum) {
      ^bb0(%x: f32, %y: f32, %z: f32, %row: i32, %column: i32):
        %a = arith.mulf %x, %y : f32
        %b = arith.addf %a, %z : f32
        tile.yield %b : f32
      } : (!tile.tile<8x1xf32>, !tile.tile<8x1xf32>, !tile.tile<8x1xf32>) -> !tile.tile<8x1xf32>
      %os = tile.scale_rows %oi by %f : !tile.tile<8x128xf32>, !tile.tile<8x1xf32>
      %p = tile.map (%w) {
      ^bb0(%x: f32, %row: i32, %column: i32):
        %e = arith.truncf %x : f32 to bf16
        tile.yield %e : bf16
      } : (!tile.tile<8x16xf32>) -> !tile.tile<8x16xbf16>
      %v = tile.load %base rows {
      ^bb0(%row: i32):
        %r = arith.subi %row, %i : i32
        %oo = arith.extsi %r : i32 to i64
        %pp = arith.constant 128 : i64
        %off = arith.muli %oo, %pp : i64
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %off, %there : i64, i1
      } : !tile.tile<16x128xbf16>
      %on = tile.dot %p, %v into %os : !tile.tile<8x128xf32> : !tile.tile<8x16xbf16>, !tile.tile<16x128xbf16> -> !tile.tile<8x128xf32>
      scf.yield %mn, %ln, %on : !tile.tile<8x1xf32>, !tile.tile<8x1xf32>, !tile.tile<8x128xf32>
    }
    %ma = tile.combine max %m : !tile.tile<8x1xf32> -> !tile.tile<8x1xf32>
    %fa = tile.map (%m, %ma) {
    ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
      %none = arith.cmpf oeq, %y, %low : f32
      %yf = arith.select %none, %zero, %y : f32
      %d = arith.subf %x, %yf : f32
      %e = math.exp2 %d : f32
      tile.yield %e : f32
    } : (!tile.tile<8x1xf32>, !tile.tile<8x1xf32>) -> !tile.tile<8x1xf32>
    %ls = tile.map (%l, %fa) {
    ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
      %a = arith.mulf %x, %y : f32
      tile.yield %a : f32
    } : (!tile.tile<8x1xf32>, !tile.tile<8x1xf32>) -> !tile.tile<8x1xf32>
    %la = tile.combine add %ls : !tile.tile<8x1xf32> -> !tile.tile<8x1xf32>
    %op = tile.map (%o, %fa) {
    ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
      %a = arith.mulf %x, %y : f32
      tile.yield %a : f32
    } : (!tile.tile<8x128xf32>, !tile.tile<8x1xf32>) -> !tile.tile<8x128xf32>
    %oa = tile.combine add %op : !tile.tile<8x128xf32> -> !tile.tile<8x128xf32>
    tile.store %la to %lse rows {
    ^bb0(%row: i32):
      %off = arith.extsi %row : i32 to i64
      %there = arith.cmpi slt, %row, %n : i32
      tile.yield %off, %there : i64, i1
    } : !tile.tile<8x1xf32>
    %out = tile.map (%oa, %la) {
    ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
      %a = arith.divf %x, %y : f32
      %c = arith.truncf %a : f32 to bf16
      tile.yield %c : bf16
    } : (!tile.tile<8x128xf32>, !tile.tile<8x1xf32>) -> !tile.tile<8x128xbf16>
    tile.store %out to %base rows {
    ^bb0(%row: i32):
      %o5 = arith.extsi %row : i32 to i64
      %p = arith.constant 128 : i64
      %off = arith.muli %o5, %p : i64
      %there = arith.cmpi slt, %row, %n : i32
      tile.yield %off, %there : i64, i1
    } : !tile.tile<8x128xbf16>
  }
}
