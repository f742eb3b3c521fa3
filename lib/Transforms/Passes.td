// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes within one level, attn to attn and tile to tile. Each has one file,
// one test and one name.

#ifndef SACCADE_TRANSFORMS_PASSES_TD
#define SACCADE_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// attn
//===----------------------------------------------------------------------===//

def DeriveTileBoundsPass : Pass<"attn-derive-tile-bounds", "::saccade::attn::VariantOp"> {
  let summary = "Derives from a mask, in closed form, which keys a tile of queries sees";
  let description = [{
    Reads the mask as a formula over affine constraints and projects the queries
    of a tile out of it: where it may hold gives the intervals to visit, where it may fail
    the keys that are not in a full part. What is not affine is taken to be
    anything; a remark names it, and the mask is tested per element there.
    A variant that has bounds keeps them.

    Before:

    ```mlir
    attn.variant @causal() {
      attn.mask(query %q, key %k) {
        %keep = arith.cmpi sge, %q, %k : i32
        attn.yield %keep : i1
      }
    }
    ```

    After:

    ```mlir
    attn.variant @causal() {
      attn.mask(query %q, key %k) {
        %keep = arith.cmpi sge, %q, %k : i32
        attn.yield %keep : i1
      }
      attn.bounds(query_last %last, query_first %first) {
        %c0 = arith.constant 0 : i32
        %c1 = arith.constant 1 : i32
        %hi = arith.addi %last, %c1 : i32
        %full = arith.addi %first, %c1 : i32
        attn.yield %c0, %hi, %c0, %full : i32, i32, i32, i32
      }
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def ChooseSchedulePass : Pass<"attn-choose-schedule", "::saccade::attn::KernelOp"> {
  let summary = "Gives each kernel the schedule that its shape and target ask for";
  let description = [{
    Tile shapes follow from head dims, element type and what the target's memory
    holds. A kernel that has a schedule keeps it. Where nothing says how long queries
    are, one that computes whole rows in tiles of `wgmma` gets a second schedule,
    `attn.few_rows_schedule`, for an entry that deals keys to warps.

    Before: `attn.kernel @decode(...) { ... }`
    After: `attn.kernel @decode(...) schedule = #tile.schedule<rows = 64, keys = 64,
    warps = 4, weights = bf16> { ... }`
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"cpu\"",
           "cpu, or a GPU architecture such as sm_90a">,
    Option<"limit", "limit", "int64_t", /*default=*/"232448",
           "bytes of shared memory that a CTA may have on the target">
  ];
  let dependentDialects = ["::saccade::tile::TileDialect"];
}

//===----------------------------------------------------------------------===//
// tile
//===----------------------------------------------------------------------===//

def SplitFullTilesPass : Pass<"tile-split-full-tiles", "::saccade::tile::EntryOp"> {
  let summary = "Tests masks only in tiles that they cut";
  let description = [{
    A mask whose predicate is known to hold on full tiles becomes a branch.

    Before: `%r = tile.mask %s unless %full fill %inf { ... }`
    After: `%r = scf.if %full { yield %s } else { tile.mask %s unless %false ... }`
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def LowerMasksPass : Pass<"tile-lower-masks", "::saccade::tile::EntryOp"> {
  let summary = "Turns masks into maps that select";
  let description = [{
    Before: `tile.mask %s unless %full fill %inf { ^bb(%row, %column): ... yield %keep }`
    After: `tile.map (%s) { ^bb(%x, %row, %column): ... yield select(%keep, %x, %inf) }`
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def FuseMapsPass : Pass<"tile-fuse-maps", "::saccade::tile::EntryOp"> {
  let summary = "Fuses maps into the maps that read them";
  let description = [{
    A map whose only reader is a map of the same block is computed there, so that
    its tile is never stored. Column vectors are not fused into tiles: they
    would be computed once an element.

    Before: `%a = tile.map (%s) {f}; %b = tile.map (%a, %m) {g}`
    After: `%b = tile.map (%s, %m) {g(f)}`
  }];
}

def LowerItemLoopPass : Pass<"tile-lower-item-loop", "::saccade::tile::EntryOp"> {
  let summary = "Makes the loop over work items explicit";
  let description = [{
    A CTA runs the items from `cta_begin[cta]` to `cta_begin[cta + 1]`, as the plan
    assigned them.

    Before: `tile.for_each_item %words { ^bb(%request, ...): ... }`
    After: `scf.for %i = %begin to %end { %request = tile.lookup %items[...] ... }`
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def SkipRescalesPass : Pass<"tile-skip-rescales", "::saccade::tile::EntryOp"> {
  let summary = "Leaves accumulators alone whose maximum has not moved";
  let description = [{
    A map that multiplies a tile of a loop by a factor a row becomes `tile.scale_rows`,
    which does nothing where all factors are 1.

    Before: `%b = tile.map (%a, %f) { ^bb(%x, %y, ...): yield %x * %y }`
    After: `%b = tile.scale_rows %a by %f`
  }];
}

//===----------------------------------------------------------------------===//
// tile, for the GPU: warps with roles
//===----------------------------------------------------------------------===//

def MakePipesPass : Pass<"tile-make-pipes", "::saccade::tile::EntryOp"> {
  let summary = "Lets the tiles that a pipelined entry loads pass through pipes";
  let description = [{
    Loads of an item go through pipes of their own, loads of the loops over keys
    through others, of as many stages as the schedule says; loops that follow each
    other share pipes. Tiles are counted through all items of a CTA. Entries without a
    pipeline are left alone. Where the schedule deals keys, pipes of the loops over keys
    are `dealt`.

    Before:

    ```text
    scf.for %item = %begin to %end {
      scf.for %i = %c0 to %count {
        %k = tile.load %base rows { ... }
        %s = tile.dot %q, %k transposed
      }
    }
    ```

    After:

    ```text
    %keys = tile.pipe tma : !tile.pipe<80x128xbf16, stages = 2>
    scf.for %item = %begin to %end iter_args(%first = %c0) {
      scf.for %i = %c0 to %count {
        %n = arith.addi %first, %i
        tile.put %keys[%n] from %base rows { ... }
        %k = tile.get %keys[%n]
        %s = tile.dot %q, %k transposed
        tile.release %keys[%n]
      }
      %next = arith.addi %first, %count
      scf.yield %next
    }
    ```
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def SpecializeWarpsPass : Pass<"tile-specialize-warps", "::saccade::tile::EntryOp"> {
  let summary = "Gives what fills pipes and what empties them to warps of their own";
  let description = [{
    Only partitions: puts, and the loops and scalars that they need, are copied into the
    role `load`; the rest becomes the role `compute`.

    Before: `scf.for ... { tile.put ...; tile.get ...; tile.dot ... }`
    After: `tile.roles load 32 { scf.for ... { tile.put ... } } compute 160 { scf.for ... {
    tile.get ...; tile.dot ... } }`
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect"];
}

def DealKeysPass : Pass<"tile-deal-keys", "::saccade::tile::EntryOp"> {
  let summary = "Deals the KV tiles of an item to the warps of each role";
  let description = [{
    Where the schedule deals keys, tile `i` of an item is computed by warp `i % warps` and
    loaded by warp `i % 4` of those that load. Tiles are numbered for each computing
    warp apart, so that a stage always belongs to one warp of either role. Other
    entries are left alone.

    Before:

    ```text
    scf.for %item = %begin to %end iter_args(%first = %c0) {
      scf.for %i = %c0 to %count {
        %n = arith.addi %first, %i
        %k = tile.get %keys[%n]
        tile.release %keys[%n]
      }
      scf.yield %first + %count
    }
    ```

    After:

    ```text
    %warp = tile.group
    scf.for %item = %begin to %end iter_args(%mine = %c0) {
      scf.for %i = %warp to %count step %c8 {
        %n = arith.addi %mine, %i
        %k = tile.get %keys[%n]
        tile.release %keys[%n]
      }
      scf.yield %mine + 8 * trips of the loop
    }
    ```
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def DeferSumsPass : Pass<"tile-defer-sums", "::saccade::tile::EntryOp"> {
  let summary = "Adds up what lanes hold of a row after a loop and not in each trip";
  let description = [{
    A column that a loop scales and adds sums of rows to is carried in parts: no lane
    needs the whole before the loop ends.

    Before: `%s = tile.reduce add %p -> <..., #tile.rows_of>; %l = %carried * %f + %s`
    After: the same on `#tile.parts_of`, and behind the loop a `tile.convert` to
    `#tile.rows_of`.
  }];
}

def LoadQueriesEarlyPass : Pass<"tile-load-queries-early", "::saccade::tile::EntryOp"> {
  let summary = "Starts to load the queries of an item while the one before is computed";
  let description = [{
    Where queries have more than one stage, those of the next item are put after the
    second KV tile of this one: early enough to be there in time, and late enough for
    the stage to be free.

    Before: `scf.for %item { tile.put %queries[%item] ...; scf.for %i { tile.put %keys ... } }`
    After: `tile.put %queries[first]; scf.for %item { scf.for %i { tile.put %keys ...;
    scf.if %i == 1 and not the last { tile.put %queries[%item + 1] ... } }; scf.if fewer than
    2 tiles { the same } }`
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def StageOutputsPass : Pass<"tile-stage-outputs", "::saccade::tile::EntryOp"> {
  let summary = "Lets results leave through shared memory, in whole rows";
  let description = [{
    A 16-bit result of an item takes the place of its queries, which are not needed any
    more, and is stored from there 16 bytes at a time. Where the next item's queries have
    no stage of their own they wait for that, which costs less than it gains.

    Before: `tile.release %queries[%m]; tile.store %o to %base ...`
    After: `%r = tile.overwrite %q with %o; tile.store %r to %base ...;
    tile.release %queries[%m]`
  }];
}

def SkipIdleGroupsPass : Pass<"tile-skip-idle-groups", "::saccade::tile::EntryOp"> {
  let summary = "Lets warpgroups without rows only keep step";
  let description = [{
    In an item with fewer rows than a tile, a warpgroup none of whose rows is there
    waits for tiles, releases them and passes its turns on, so that matrix units are
    left to the others.

    Before: `scf.for items { tile.get ...; products; tile.release ... }`
    After: `scf.for items { scf.if %has_rows { ... as before ... } else { tile.get ...;
    tile.release ... } }`
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def OverlapProductsPass : Pass<"tile-overlap-products", "::saccade::tile::EntryOp"> {
  let summary = "Multiplies weights and values while the next tile's logits are computed";
  let description = [{
    Delays the last product of a loop over keys by one trip: it is issued right after the
    first product of the next trip, and awaited before its accumulator, or the
    registers of its left side, are written again. Between lies the softmax.

    Before:

    ```text
    scf.for %i = %c0 to %count iter_args(%o, ...) {
      %s = tile.dot %q, %k transposed
      %p = softmax of %s
      %next = tile.dot %p, %v into %o
    }
    ```

    After:

    ```text
    first logits and weights
    scf.for %i = %c1 to %count iter_args(%o, %p, ...) {
      %a = tile.issue_dot %q, %k transposed
      %b = tile.issue_dot %p, %v into %o
      %s = tile.await %a pending 1
      softmax of %s
      %next = tile.await %b pending 0
    }
    last product
    ```
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def IssueProductsPass : Pass<"tile-issue-products", "::saccade::tile::EntryOp"> {
  let summary = "Issues the products of roles that still stand, and waits for each at once";
  let description = [{
    Before: `%s = tile.dot %q, %k transposed`
    After: `%a = tile.issue_dot %q, %k transposed; %s = tile.await %a pending 0`
  }];
}

def WatchKeysPass : Pass<"tile-watch-keys", "::saccade::tile::EntryOp"> {
  let summary = "Looks for the next keys before the last product is awaited";
  let description = [{
    In loops with products in flight, waits for the first tile of the next trip behind
    the softmax. ptxas moves a wait for matrix units up to the one before it, past all
    arithmetic between them, but not past another wait: so exponentials run beside
    the product. Two warpgroups gain by it; three keep the matrix units busy without.

    Before: `softmax; tile.await %b pending 0`
    After: `softmax; scf.if %i + 1 < %count { tile.get %keys[%n + 1] }; tile.await %b pending 0`
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def TakeTurnsPass : Pass<"tile-take-turns", "::saccade::tile::EntryOp"> {
  let summary = "Lets one warpgroup multiply while others do arithmetic";
  let description = [{
    In loops that have products in flight, a warpgroup issues them in its turn.

    Before: `%a = tile.issue_dot ...; %b = tile.issue_dot ...`
    After: `tile.take_turn; %a = tile.issue_dot ...; %b = tile.issue_dot ...; tile.pass_turn`
  }];
}

//===----------------------------------------------------------------------===//
// tile, for the GPU: where tiles live
//===----------------------------------------------------------------------===//

def AssignLayoutsPass : Pass<"tile-assign-layouts", "::saccade::tile::EntryOp"> {
  let summary = "Says where each tile of an entry lives, for matrix instructions";
  let description = [{
    Loaded tiles live in shared memory, and so do tiles whose rows are mapped
    whole; products and what is mapped from them live in accumulator fragments,
    column vectors beside their rows. A tile that is wanted elsewhere than it
    lives meets a `tile.convert`. Warps share out the rows of a tile, 16 at a time.

    Before:

    ```text
    %k = tile.load %base rows { ... } : !tile.tile<64x128xbf16>
    %s = tile.dot %q, %k transposed : ... -> !tile.tile<64x64xf32>
    ```

    After:

    ```text
    %k = tile.load %base rows { ... } : !tile.tile<64x128xbf16, #tile.shared<pitch = 128, swizzle = 8>>
    %s = tile.dot %q, %k transposed : ... -> !tile.tile<64x64xf32, #tile.accumulator<warps = 4>>
    ```
  }];
}

def IssueLoadsEarlyPass : Pass<"tile-issue-loads-early", "::saccade::tile::EntryOp"> {
  let summary = "Moves loads up to the load before them, so that copies overlap with work";
  let description = [{
    Values of a KV tile are then on their way while its keys are multiplied. Costs
    shared memory, since both live at a time; never moves a load over a write to
    memory.
  }];
}

def AllocateSharedPass : Pass<"tile-allocate-shared", "::saccade::tile::EntryOp"> {
  let summary = "Gives each tile in shared memory its bytes";
  let description = [{
    Tiles that are not live together share bytes, and a tile mapped row by row
    replaces its input. The total becomes the attribute `tile.shared_bytes` of the entry.
  }];
  let options = [
    Option<"limit", "limit", "int64_t", /*default=*/"232448",
           "bytes that a CTA may have on the target">,
  ];
}

def PlaceBarriersPass : Pass<"tile-place-barriers", "::saccade::tile::EntryOp"> {
  let summary = "Waits for copies, and lets warps meet where they share memory";
  let description = [{
    A barrier stands before bytes of shared memory are refilled that some warp may
    still read, and after they are filled; a wait stands before the first use of
    what a load brings. Each load is one group of asynchronous copies, and a wait
    leaves the groups of later loads in flight.
  }];
  let dependentDialects = ["::mlir::NVVM::NVVMDialect"];
}

def OrderLaunchesPass : Pass<"tile-order-launches", "::saccade::tile::EntryOp"> {
  let summary = "Waits for the kernel launched before, where that may matter";
  let description = [{
    A kernel that is launched to begin early reads its plan and tables at once, and
    waits for the end of the kernel before it first touches a tile. Where keys are dealt
    to warps, tiles of older keys than the last q_len of a request are copied ahead of
    the wait too. At its own start it lets the next kernel begin.

    Before: `%n = tile.lookup ...; %q = tile.load ...`
    After: `nvvm.griddepcontrol launch_dependents; %n = tile.lookup ...;
    nvvm.griddepcontrol wait; %q = tile.load ...`
  }];
  let dependentDialects = ["::mlir::NVVM::NVVMDialect", "::mlir::arith::ArithDialect",
                           "::mlir::scf::SCFDialect"];
}

//===----------------------------------------------------------------------===//
// Scalar code
//===----------------------------------------------------------------------===//

def LookUpEarlyPass : Pass<"saccade-look-up-early", "::mlir::LLVM::LLVMFuncOp"> {
  let summary = "Reads page tables a trip before their tiles are copied";
  let description = [{
    In loops of kernels that deal keys to warps, what a trip reads of tables is read in
    the trip before, ahead of its waits for free stages. The last trip reads again what
    it has.

    Before: `scf.for %i { %page = llvm.load %table[f(%i)] invariant; wait; copy %page }`
    After: `scf.for %i iter_args(%page) { %next = llvm.load %table[f(min(%i + step, end - 1))]
    invariant; wait; copy %page; scf.yield %next }`
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect"];
}

def FuseEntriesPass : Pass<"saccade-fuse-entries", "::mlir::ModuleOp"> {
  let summary = "Makes one kernel of two entries that share no request";
  let description = [{
    A kernel that is marked with `tile.beside` becomes a body of the one that it names,
    so that one launch computes the items of both: each CTA those of one of them, as
    the format of its first item says, 0 or 1. A CTA has the threads and the shared
    memory of the larger body; threads that a body has no work for give their registers
    away. Kernels stay apart, and a remark says why, where registers do not suffice for
    that, where warps have no roles, and where both leave partial states, which have one
    place.

    Before:

    ```text
    llvm.func @both(%words) { A; llvm.return }
    llvm.func @both_few(%words) attributes {tile.beside = @both} { B; llvm.return }
    ```

    After:

    ```text
    llvm.func @both(%words) attributes {tile.fused = ["both_few"]} {
      %begin = llvm.load ...; %end = llvm.load ...
      scf.if %begin != %end {
        %format = llvm.load %items[%begin].format
        scf.if %format != 0 { B } else { A }
      }
      llvm.return
    }
    ```
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect"];
}

def ExpandMathPass : Pass<"saccade-expand-math"> {
  let summary = "Expands math functions into exp2, log2, fma and integer operations";
  let description = [{
    exp, log, tanh, sin, cos, powf, remf on f32 and vectors of it become sequences of
    arith, fma, exp2 and log2 whose error a test states. Integer division, remainder
    and shifts become defined for every operand: division and remainder by zero give
    0, shifts by the width or more give 0 (arithmetic right shifts: the sign);
    conversions to integers saturate, and take NaN to 0. So no body of a user's can
    reach undefined behaviour.

    Before: `%0 = math.exp %x : f32`
    After: `math.exp2` of the high part of `x * log2(e)`, corrected by its low part.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def ExpandExp2Pass : Pass<"saccade-expand-exp2"> {
  let summary = "Expands exp2, log2 and rsqrt into polynomials, for targets without them";
  let description = [{
    Scalars and vectors of f32. exp2 flushes results below 2^-125.5 to zero and
    overflows to infinity; log2 takes 0 to -inf and negative numbers to NaN.

    Before: `%0 = math.exp2 %x : vector<16xf32>`
    After: a polynomial of degree 5, scaled by exponent bits.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

#endif // SACCADE_TRANSFORMS_PASSES_TD
