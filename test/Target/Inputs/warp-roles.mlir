// An entry whose warps have roles, as the passes before leave it: three groups
// multiply in turns, one loads by tensor maps.
!q = !tile.tile<192x128xbf16, #tile.shared<pitch = 64, swizzle = 8>>
!k = !tile.tile<80x128xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 49152>>
!v = !tile.tile<80x128xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 90112>>
!qs = !tile.pipe<192x128xbf16, #tile.shared<pitch = 64, swizzle = 8>, stages = 1>
!ks = !tile.pipe<80x128xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 49152>, stages = 2>
!vs = !tile.pipe<80x128xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 90112>, stages = 2>
!s = !tile.tile<192x80xf32, #tile.accumulator<warps = 12>>
!w = !tile.tile<192x80xbf16, #tile.accumulator<warps = 12>>
!p = !tile.tile<192x80xbf16, #tile.operand<warps = 12>>
!o = !tile.tile<192x128xf32, #tile.accumulator<warps = 12>>
!h = !tile.tile<192x128xbf16, #tile.accumulator<warps = 12>>
!out = !tile.tile<192x128xbf16, #tile.shared<pitch = 64, swizzle = 8, offset = 131072>>
!m = !tile.tile<192x1xf32, #tile.rows_of<warps = 12>>
tile.entry @attend attend
    #tile.items<rows = 192, group = 4, heads = 8, keys = 80, row_block = 0>
    #tile.schedule<rows = 192, keys = 80, warps = 12, weights = bf16,
                   pipeline = #tile.pipeline<stages = 2, copy = tma, load_registers = 32,
                                             compute_registers = 160, growth = 8>>
    attributes {tile.words = 28 : i64, tile.shared_bytes = 180304 : i64} {
^bb0(%words: !tile.words):
  %qs = tile.pipe tma barriers 180224 : !qs
  %ks = tile.pipe tma barriers 180240 : !ks
  %vs = tile.pipe tma barriers 180272 : !vs
  %items = tile.word %words[0] : i32
  %tiles = tile.word %words[1] : i32
  %length = tile.word %words[2] : i32
  %scale = tile.word %words[3] : f32
  %base = tile.word %words[4] : !tile.address
  %to = tile.word %words[8] : !tile.address
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %c80 = arith.constant 80 : i32
  %here = arith.constant 0 : i64
  %there = arith.constant true
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %low = arith.constant 0xFF800000 : f32
  tile.roles load 32 {
    %ln = scf.for %item = %c0 to %items step %c1 iter_args(%n0 = %c0) -> i32 : i32 {
      tile.put %qs[%item] from %base rows {
      ^bb0(%row: i32):
        tile.yield %here, %there : i64, i1
      } box #tile.box<word = 4, heads = 4, tokens = 48> {
      ^bb0(%row: i32):
        tile.yield %item, %c0, %item : i32, i32, i32
      } : !qs
      %n2 = scf.for %i = %c0 to %tiles step %c1 iter_args(%n = %n0) -> i32 : i32 {
        %token = arith.muli %i, %c80 : i32
        tile.put %ks[%n] from %base rows {
        ^bb0(%row: i32):
          tile.yield %here, %there : i64, i1
        } box #tile.box<word = 12, heads = 1, tokens = 80> {
        ^bb0(%row: i32):
          tile.yield %c0, %token, %item : i32, i32, i32
        } : !ks
        tile.put %vs[%n] from %base rows {
        ^bb0(%row: i32):
          tile.yield %here, %there : i64, i1
        } box #tile.box<word = 16, heads = 1, tokens = 16> {
        ^bb0(%row: i32):
          %t = arith.addi %token, %row : i32
          tile.yield %c0, %t, %item : i32, i32, i32
        } : !vs
        %next = arith.addi %n, %c1 : i32
        scf.yield %next : i32
      }
      scf.yield %n2 : i32
    }
  } compute 160 {
    %cn = scf.for %item = %c0 to %items step %c1 iter_args(%n0 = %c0) -> i32 : i32 {
      %q = tile.get %qs[%item] : !qs -> !q
      %k0 = tile.get %ks[%n0] : !ks -> !k
      %f0 = tile.issue_dot %q, %k0 transposed : !q, !k -> !tile.inflight<192x80xf32, #tile.accumulator<warps = 12>>
      %s0 = tile.await %f0 pending 0 : !tile.inflight<192x80xf32, #tile.accumulator<warps = 12>> -> !s
      tile.release %ks[%n0] : !ks
      %m0 = tile.reduce max %s0 : !s -> !m
      %e0 = tile.map (%s0, %m0) {
      ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
        %a = arith.mulf %y, %scale : f32
        %na = arith.negf %a : f32
        %d = math.fma %x, %scale, %na : f32
        %e = math.exp2 %d : f32
        tile.yield %e : f32
      } : (!s, !m) -> !s
      %l0 = tile.reduce add %e0 : !s -> !m
      %w0 = tile.map (%e0) {
      ^bb0(%x: f32, %row: i32, %column: i32):
        %r = arith.truncf %x : f32 to bf16
        tile.yield %r : bf16
      } : (!s) -> !w
      %p0 = tile.convert %w0 : !w -> !p
      %o0 = tile.fill %zero : f32 -> !o
      %nn = arith.addi %n0, %c1 : i32
      %n2, %o2, %p2, %m2, %l2 = scf.for %i = %c1 to %tiles step %c1
          iter_args(%n = %nn, %o = %o0, %p = %p0, %m = %m0, %l = %l0) -> (i32, !o, !p, !m, !m) : i32 {
        %k = tile.get %ks[%n] : !ks -> !k
        tile.take_turn
        %f = tile.issue_dot %q, %k transposed : !q, !k -> !tile.inflight<192x80xf32, #tile.accumulator<warps = 12>>
        %before = arith.subi %n, %c1 : i32
        %v = tile.get %vs[%before] : !vs -> !v
        %g = tile.issue_dot %p, %v into %o : !o : !p, !v -> !tile.inflight<192x128xf32, #tile.accumulator<warps = 12>>
        tile.pass_turn
        %s = tile.await %f pending 1 : !tile.inflight<192x80xf32, #tile.accumulator<warps = 12>> -> !s
        tile.release %ks[%n] : !ks
        %raised = tile.reduce max %s : !s -> !m
        %mn = tile.map (%m, %raised) {
        ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
          %r = arith.maxnumf %x, %y : f32
          tile.yield %r : f32
        } : (!m, !m) -> !m
        %alpha = tile.map (%m, %mn) {
        ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
          %d = arith.subf %x, %y : f32
          %d2 = arith.mulf %d, %scale : f32
          %r = math.exp2 %d2 : f32
          tile.yield %r : f32
        } : (!m, !m) -> !m
        %e = tile.map (%s, %mn) {
        ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
          %a = arith.mulf %y, %scale : f32
          %na = arith.negf %a : f32
          %d = math.fma %x, %scale, %na : f32
          %r = math.exp2 %d : f32
          tile.yield %r : f32
        } : (!s, !m) -> !s
        %sum = tile.reduce add %e : !s -> !m
        %ln2 = tile.map (%l, %alpha, %sum) {
        ^bb0(%x: f32, %y: f32, %z: f32, %row: i32, %column: i32):
          %r = math.fma %x, %y, %z : f32
          tile.yield %r : f32
        } : (!m, !m, !m) -> !m
        %o1, %ek = tile.await %g pending 0 keep (%e : !s) : !tile.inflight<192x128xf32, #tile.accumulator<warps = 12>> -> !o, !s
        tile.release %vs[%before] : !vs
        %w = tile.map (%ek) {
        ^bb0(%x: f32, %row: i32, %column: i32):
          %r = arith.truncf %x : f32 to bf16
          tile.yield %r : bf16
        } : (!s) -> !w
        %pn = tile.convert %w : !w -> !p
        %o3 = tile.scale_rows %o1 by %alpha : !o, !m
        %next = arith.addi %n, %c1 : i32
        scf.yield %next, %o3, %pn, %mn, %ln2 : i32, !o, !p, !m, !m
      }
      tile.release %qs[%item] : !qs
      %last = arith.subi %n2, %c1 : i32
      %v = tile.get %vs[%last] : !vs -> !v
      tile.clear_rows %v from %length : !v
      %g = tile.issue_dot %p2, %v into %o2 : !o : !p, !v -> !tile.inflight<192x128xf32, #tile.accumulator<warps = 12>>
      %o1 = tile.await %g pending 0 : !tile.inflight<192x128xf32, #tile.accumulator<warps = 12>> -> !o
      tile.release %vs[%last] : !vs
      %h = tile.map (%o1, %l2) {
      ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
        %r = arith.divf %x, %y fastmath<arcp, afn> : f32
        %t = arith.truncf %r : f32 to bf16
        tile.yield %t : bf16
      } : (!o, !m) -> !h
      %out = tile.convert %h : !h -> !out
      tile.store %out to %to rows {
      ^bb0(%row: i32):
        %wide = arith.extsi %row : i32 to i64
        %pitch = arith.constant 4096 : i64
        %offset = arith.muli %wide, %pitch : i64
        %in = arith.cmpi slt, %row, %length : i32
        tile.yield %offset, %in : i64, i1
      } : !out
      scf.yield %n2 : i32
    }
  }
}
