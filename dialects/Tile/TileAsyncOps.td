// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operations of entries whose warps have roles: roles, the pipes between them,
// products in flight, and turns.

#ifndef SACCADE_TILE_ASYNC_OPS_TD
#define SACCADE_TILE_ASYNC_OPS_TD

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

def Tile_RolesOp : Tile_Op<"roles", [SingleBlock, NoTerminator]> {
  let summary = "Splits a CTA into warps that load and warps that compute";
  let description = [{
    Both regions run beside each other: `load` on one group of four warps, `compute` on
    the warps of the schedule, in groups of four. They share pipes and what is defined
    above, nothing else. A thread keeps the registers that its role names.

    Constraints:
    1. Register counts are multiples of 8 from 24 to 240.
  }];
  let arguments = (ins I64Attr:$load_registers, I64Attr:$compute_registers);
  let regions = (region SizedRegion<1>:$load, SizedRegion<1>:$compute);
  let assemblyFormat = [{
    `load` $load_registers $load `compute` $compute_registers $compute attr-dict
  }];
  let hasVerifier = 1;
}

def Tile_TakeTurnOp : Tile_Op<"take_turn", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Waits until it is this warpgroup's turn";
  let description = [{
    Turns go round the warpgroups that compute; the first has the first turn. While one
    multiplies, the others do arithmetic on what theirs brought. Every warpgroup takes
    as many turns as it passes on, and all of them equally many.
  }];
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

def Tile_PassTurnOp : Tile_Op<"pass_turn", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Gives the turn to the next warpgroup";
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

def Tile_GroupOp : Tile_Op<"group", [Pure]> {
  let summary = "The index of this warpgroup, or warp, among those of its role";
  let description = [{
    Group `g` computes rows `64 g` to `64 g + 63` of a tile. Where keys are dealt, each
    warp is a group.

    Constraints:
    1. Stands in the `compute` role, or in any where keys are dealt.
  }];
  let results = (outs I32:$result);
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Pipes
//===----------------------------------------------------------------------===//

def Tile_PipeOp : Tile_Op<"pipe", [MemoryEffects<[MemAlloc]>]> {
  let summary = "Makes a pipe";
  let description = [{
    Tiles are counted from 0 as they are put; tile `n` lies in stage `n % stages`.
    `-tile-allocate-shared` places the stages, and 16 bytes of barriers for each at
    `barriers`.

    If `dealt`, each tile is put by one warp, and got and released by one. A stage then
    belongs to the same two warps for ever: no wait can be two phases ahead of its
    barrier, which tells them apart by parity only.

    Constraints:
    1. Stands in the body of the entry, outside of roles.
  }];
  let arguments = (ins Tile_CopyKindAttr:$copy, OptionalAttr<I64Attr>:$barriers,
                       UnitAttr:$dealt);
  let results = (outs Tile_PipeType:$result);
  let assemblyFormat = "$copy (`barriers` $barriers^)? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tile_PutOp : Tile_Op<"put", [SingleBlock, RecursiveMemoryEffects,
                                 MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Starts to copy a tile into a pipe, once its stage is free";
  let description = [{
    The rows are those of `tile.load`, except that rows which are not there may hold
    anything where the pipe copies boxes.

    Constraints:
    1. The regions are those of `tile.load`.
    2. Stands in the `load` role.
    3. A pipe that copies by tensor maps needs boxes.
  }];
  let arguments = (ins Tile_PipeType:$pipe, I32:$index, Tile_AddressType:$base,
                       OptionalAttr<Tile_BoxAttr>:$box);
  let regions = (region SizedRegion<1>:$rows, MaxSizedRegion<1>:$boxes);
  let assemblyFormat = [{
    $pipe `[` $index `]` `from` $base `rows` $rows (`box` $box^ $boxes)?
    attr-dict `:` type($pipe)
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Tile_GetOp : Tile_Op<"get", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Waits for a tile of a pipe";
  let description = [{
    May be repeated until the tile is released.

    Constraints:
    1. The result is the pipe's tile.
    2. Stands in the `compute` role.
  }];
  let arguments = (ins Tile_PipeType:$pipe, I32:$index);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = "$pipe `[` $index `]` attr-dict `:` type($pipe) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ReleaseOp : Tile_Op<"release", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Frees the stage of a tile";
  let description = [{
    Each warp that computes releases each tile once, after its last use.

    Constraints:
    1. Stands in the `compute` role.
  }];
  let arguments = (ins Tile_PipeType:$pipe, I32:$index);
  let assemblyFormat = "$pipe `[` $index `]` attr-dict `:` type($pipe)";
  let hasVerifier = 1;
}

def Tile_ClearRowsOp : Tile_Op<"clear_rows", [MemoryEffects<[MemWrite]>]> {
  let summary = "Makes rows of a tile in shared memory zero";
  let description = [{
    Rows `first` and later, if the tile has such: weights of 0 do not hide a NaN there.
    Each warpgroup clears them for itself; all clear the same. Where keys are dealt, the
    one warp does that has the tile.
  }];
  let arguments = (ins Tile_TileType:$tile, I32:$first);
  let assemblyFormat = "$tile `from` $first attr-dict `:` type($tile)";
}

def Tile_OverwriteOp : Tile_Op<"overwrite", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Puts a tile of registers where a tile of a pipe was";
  let description = [{
    Each warp replaces its own rows, so no other has to be asked. The old tile is not
    read any more.

    Constraints:
    1. Rows and layouts agree, elements have equally many bits, and the new tile takes
       no more bytes.
  }];
  let arguments = (ins Tile_TileType:$place, Tile_TileType:$tile);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = [{
    $place `with` $tile attr-dict `:` type($place) `,` type($tile) `->` type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Products in flight
//===----------------------------------------------------------------------===//

def Tile_IssueDotOp : Tile_Op<"issue_dot", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Starts a product of two tiles";
  let description = [{
    `tile.dot`, whose result is read after a `tile.await`. Both sides stay as they are
    until then.

    Constraints:
    1. Shapes and types are those of `tile.dot`.
    2. The result is awaited once.
  }];
  let arguments = (ins Tile_TileType:$lhs, Tile_TileType:$rhs,
                       Optional<Tile_TileType>:$accumulator, UnitAttr:$transposed);
  let results = (outs Tile_InflightType:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs (`into` $accumulator^ `:` type($accumulator))? (`transposed` $transposed^)?
    attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_AwaitOp : Tile_Op<"await", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Waits for a product";
  let description = [{
    Leaves `pending` products in flight that were issued after it. What is in `keep`
    passes through: it is not read before the wait ends.

    Constraints:
    1. The result is the tile in flight; kept tiles keep their types.
    2. Where product and wait stand in one block, `pending` is the number of products
       issued between them.
  }];
  let arguments = (ins Tile_InflightType:$product, I64Attr:$pending,
                       Variadic<Tile_TileType>:$keep);
  let results = (outs Tile_TileType:$result, Variadic<Tile_TileType>:$kept);
  let assemblyFormat = [{
    $product `pending` $pending (`keep` `(` $keep^ `:` type($keep) `)`)? attr-dict
    `:` type($product) `->` type($result) (`,` type($kept)^)?
  }];
  let hasVerifier = 1;
}

#endif // SACCADE_TILE_ASYNC_OPS_TD
