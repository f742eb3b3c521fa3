// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operations of the tile dialect: entries and work items, memory by rows, maps,
// reductions and products of whole tiles.

#ifndef SACCADE_TILE_OPS_TD
#define SACCADE_TILE_OPS_TD

include "dialects/Tile/TileAttrs.td"
include "dialects/Tile/TileTypes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<Tile_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// Entries and work items
//===----------------------------------------------------------------------===//

def Tile_EntryOp : Tile_Op<"entry", [
    IsolatedFromAbove, Symbol, SingleBlock, NoTerminator]> {
  let summary = "One function that the runtime launches";
  let description = [{
    Its only argument is the block of argument words. `kind` and `items` go to the
    manifest; the schedule says how the body is tiled.

    Example:

    ```mlir
    tile.entry @nothing attend #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
        #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
    ^bb0(%words: !tile.words):
      tile.for_each_item %words {
      ^bb1(%request: i32, %head: i32, %row_begin: i32, %row_end: i32, %kv_begin: i32, %kv_end: i32, %partial: i32):
      }
    }
    ```

    Constraints:
    1. The body takes one `!tile.words`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Tile_EntryKindAttr:$kind,
                       Tile_ItemsAttr:$items, Tile_ScheduleAttr:$schedule);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $kind $items $schedule attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def Tile_ForEachItemOp : Tile_Op<"for_each_item", [SingleBlock, NoTerminator]> {
  let summary = "Runs the body for each work item of this CTA";
  let description = [{
    The outer loop of every kernel, on GPU and CPU. Block arguments, all i32: the
    request, the KV head, first and end packed row, first and end position of the
    KV range, and the slot of the partial state or -1 (SaccadeWorkItem).

    Constraints:
    1. The body takes seven i32.
  }];
  let arguments = (ins Tile_WordsType:$words);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$words attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def Tile_CtaOp : Tile_Op<"cta", [Pure]> {
  let summary = "The index of this CTA";
  let results = (outs I32:$result);
  let assemblyFormat = "attr-dict";
}

//===----------------------------------------------------------------------===//
// Arguments and scalar memory
//===----------------------------------------------------------------------===//

def Tile_WordOp : Tile_Op<"word", [Pure]> {
  let summary = "Reads one argument word";
  let description = [{
    `i32` and `f32` are the low half of a word.

    Constraints:
    1. The index is not negative.
    2. The result is i64, i32, f32 or an address.
  }];
  let arguments = (ins Tile_WordsType:$words, I64Attr:$index);
  let results = (outs AnyTypeOf<[I64, I32, F32, Tile_AddressType]>:$result);
  let assemblyFormat = "$words `[` $index `]` attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tile_LookupOp : Tile_Op<"lookup", [Pure]> {
  let summary = "Reads one scalar of a table that no kernel writes";
  let description = [{
    The offset counts elements of the result's type. Tables do not change while
    a kernel runs, so lookups are pure. Work items, requests, segments, page
    lists and variant tables are read so.
  }];
  let arguments = (ins Tile_AddressType:$base, I64:$offset);
  let results = (outs AnyTypeOf<[I8, I16, I32, I64, F32]>:$result);
  let assemblyFormat = "$base `[` $offset `]` attr-dict `:` type($result)";
}

//===----------------------------------------------------------------------===//
// Tiles and memory
//===----------------------------------------------------------------------===//

def Tile_LoadOp : Tile_Op<"load", [SingleBlock, RecursiveMemoryEffects,
                                   MemoryEffects<[MemRead]>]> {
  let summary = "Gathers the rows of a tile from memory";
  let description = [{
    The region `rows` gives for each row the element offset from the base, and whether
    the row is there; rows that are not there become zeros and are not touched.

    Where rows lie in boxes of a tensor, `box` says so: from row 0 on, each
    `box.rows()` rows are the heads of consecutive tokens, and the region `boxes` gives,
    for the first row of a box, its head, token and batch (or page). Rows past the last
    whole box are not there. `limit` is the first row that is not there, if any are;
    with `tail`, that may be only in the first trip of the loop around the load.

    Example:

    ```mlir
    func.func @load(%base: !tile.address, %n: i32) -> !tile.tile<64x128xbf16> {
      %t = tile.load %base rows {
      ^bb0(%row: i32):
        %wide = arith.extsi %row : i32 to i64
        %pitch = arith.constant 128 : i64
        %offset = arith.muli %wide, %pitch : i64
        %there = arith.cmpi slt, %row, %n : i32
        tile.yield %offset, %there : i64, i1
      } : !tile.tile<64x128xbf16>
      return %t : !tile.tile<64x128xbf16>
    }
    ```

    Constraints:
    1. `rows` takes one i32 and yields an i64 and an i1.
    2. `boxes` takes one i32 and yields three i32; it is there if `box` is.
    3. A box has no more rows than the tile.
  }];
  let arguments = (ins Tile_AddressType:$base, Optional<I32>:$limit,
                       OptionalAttr<Tile_BoxAttr>:$box, UnitAttr:$tail);
  let regions = (region SizedRegion<1>:$rows, MaxSizedRegion<1>:$boxes);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = [{
    $base `rows` $rows (`box` $box^ $boxes)? (`limit` $limit^ (`tail` $tail^)?)?
    attr-dict `:` type($result)
  }];
  let hasRegionVerifier = 1;
  let builders = [OpBuilder<(ins "TileType":$type, "::mlir::Value":$base), [{
    build($_builder, $_state, type, base, /*limit=*/{}, /*box=*/{}, /*tail=*/false);
  }]>];
}

def Tile_StoreOp : Tile_Op<"store", [SingleBlock, MemoryEffects<[MemWrite]>]> {
  let summary = "Scatters the rows of a tile to memory";
  let description = [{
    The mirror of `tile.load`: rows that are not there are not written.

    Constraints:
    1. The region takes one i32 and yields an i64 and an i1.
  }];
  let arguments = (ins Tile_TileType:$tile, Tile_AddressType:$base);
  let regions = (region SizedRegion<1>:$rows);
  let assemblyFormat = "$tile `to` $base `rows` $rows attr-dict `:` type($tile)";
  let hasRegionVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Computation
//===----------------------------------------------------------------------===//

def Tile_FillOp : Tile_Op<"fill", [Pure]> {
  let summary = "A tile with one value everywhere";
  let description = [{
    Constraints:
    1. The value has the tile's element type.
  }];
  let arguments = (ins AnyTypeOf<[F32, F16, BF16]>:$value);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_MapOp : Tile_Op<"map", [SingleBlock, RecursivelySpeculatable,
                                 RecursiveMemoryEffects]> {
  let summary = "Computes each element from the elements at its place";
  let description = [{
    The region takes one scalar an input, then row and column within the tile (i32),
    and yields one scalar. A column vector is broadcast along its rows.

    Example:

    ```mlir
    func.func @shift(%s: !tile.tile<64x64xf32>, %m: !tile.tile<64x1xf32>) -> !tile.tile<64x64xf32> {
      %r = tile.map (%s, %m) {
      ^bb0(%x: f32, %y: f32, %row: i32, %column: i32):
        %d = arith.subf %x, %y : f32
        tile.yield %d : f32
      } : (!tile.tile<64x64xf32>, !tile.tile<64x1xf32>) -> !tile.tile<64x64xf32>
      return %r : !tile.tile<64x64xf32>
    }
    ```

    Constraints:
    1. Inputs have the result's rows, and its columns or one column.
    2. The region takes one element an input and two i32, and yields one result element.
  }];
  let arguments = (ins Variadic<Tile_TileType>:$inputs);
  let regions = (region SizedRegion<1>:$body);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = [{
    (`(` $inputs^ `)`)? $body attr-dict `:` functional-type($inputs, $result)
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let hasCanonicalizer = 1;
}

def Tile_MapRowsOp : Tile_Op<"map_rows", [SingleBlock, RecursivelySpeculatable,
                                          RecursiveMemoryEffects]> {
  let summary = "Computes each row from the whole row";
  let description = [{
    The region takes a row as a vector of f32 and its index, and yields a row. Elements
    are widened before and rounded after. Asks for a layout that keeps a row in one
    thread.

    Constraints:
    1. The region takes a vector of f32 as long as a row and an i32, and yields such a vector.
  }];
  let arguments = (ins Tile_TileType:$input);
  let regions = (region SizedRegion<1>:$body);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = "$input $body attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Tile_MaskOp : Tile_Op<"mask", [SingleBlock, RecursivelySpeculatable,
                                   RecursiveMemoryEffects, AllTypesMatch<["input", "result"]>]> {
  let summary = "Replaces the elements that a predicate rejects";
  let description = [{
    Where `full` holds, the predicate is known to hold on the whole tile, and the
    result is the input. `-tile-split-full-tiles` makes a branch of that;
    `-tile-lower-masks` makes the rest a `tile.map`.

    Constraints:
    1. The region takes two i32 (row and column) and yields one i1.
    2. The fill value has the element type.
  }];
  let arguments = (ins Tile_TileType:$input, I1:$full, F32:$fill);
  let regions = (region SizedRegion<1>:$body);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = "$input `unless` $full `fill` $fill $body attr-dict `:` type($result)";
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Tile_ReduceOp : Tile_Op<"reduce", [Pure]> {
  let summary = "Combines the elements of each row";
  let description = [{
    Constraints:
    1. The result is a column vector with the input's rows and element type.
  }];
  let arguments = (ins Tile_ReduceKindAttr:$kind, Tile_TileType:$input);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = "$kind $input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_DotOp : Tile_Op<"dot", [Pure]> {
  let summary = "Product of two tiles, added to an accumulator";
  let description = [{
    `result = accumulator + lhs * rhs`; with `transposed`, `lhs * rhs^T`, where rhs
    holds keys as rows. Without an accumulator it is zero. Products are summed
    in f32. Narrower elements of rhs are widened to those of lhs, exactly.

    Constraints:
    1. lhs is M x K; rhs is K x N, or N x K if transposed; the result is M x N.
    2. The result is f32; the accumulator has its type.
    3. lhs has no elements of 8 bits.
  }];
  let arguments = (ins Tile_TileType:$lhs, Tile_TileType:$rhs,
                       Optional<Tile_TileType>:$accumulator, UnitAttr:$transposed);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs (`into` $accumulator^ `:` type($accumulator))? (`transposed` $transposed^)?
    attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_ConvertOp : Tile_Op<"convert", [Pure]> {
  let summary = "The same tile, living elsewhere";
  let description = [{
    Constraints:
    1. Input and result differ in layout only.
  }];
  let arguments = (ins Tile_TileType:$input);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_ScaleRowsOp : Tile_Op<"scale_rows", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "Multiplies each row by its factor, which often is 1";
  let description = [{
    A map that multiplies, of which it is known that rows whose factor is 1 need no
    work: a warp all of whose factors are 1 does nothing.

    Constraints:
    1. The factors are a column with the input's rows and element type.
  }];
  let arguments = (ins Tile_TileType:$input, Tile_TileType:$factors);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = "$input `by` $factors attr-dict `:` type($input) `,` type($factors)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_CombineOp : Tile_Op<"combine", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Combines the elements of warps that hold the same rows";
  let description = [{
    Where keys are dealt, each warp has a tile of its own from the keys that it took:
    the result is their maximum or sum, element by element, in the order of warps.
    All warps that compute take part.

    Example:

    ```mlir
    func.func @combine(%m: !tile.tile<8x1xf32>) -> !tile.tile<8x1xf32> {
      %r = tile.combine max %m : !tile.tile<8x1xf32> -> !tile.tile<8x1xf32>
      return %r : !tile.tile<8x1xf32>
    }
    ```

    Constraints:
    1. Input and result differ in layout only.
  }];
  let arguments = (ins Tile_ReduceKindAttr:$kind, Tile_TileType:$input);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = "$kind $input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ArriveOp : Tile_Op<"arrive", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Counts this CTA, and says whether it is the last";
  let description = [{
    Of `count` CTAs that arrive at counter `index`, the one that is last gets true: it
    sees what all of them wrote before, and the counter is 0 again. All warps that
    compute take part.
  }];
  let arguments = (ins Tile_AddressType:$counters, I32:$index, I32:$count);
  let results = (outs I1:$last);
  let assemblyFormat = "$counters `[` $index `]` `of` $count attr-dict";
}

def Tile_YieldOp : Tile_Op<"yield", [Terminator, Pure, ParentOneOf<[
    "LoadOp", "PutOp", "StoreOp", "MapOp", "MapRowsOp", "MaskOp"]>]> {
  let summary = "Ends a region of a tile operation";
  let arguments = (ins Variadic<AnyType>:$results);
  let assemblyFormat = "attr-dict ($results^ `:` type($results))?";
}

include "dialects/Tile/TileAsyncOps.td"

#endif // SACCADE_TILE_OPS_TD
