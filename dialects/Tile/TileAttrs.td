// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attributes of the tile dialect: the schedule, and where a tile lives.

#ifndef SACCADE_TILE_ATTRS_TD
#define SACCADE_TILE_ATTRS_TD

include "dialects/Tile/TileDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Tile_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Tile_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def Tile_ScheduleAttr : Tile_Attr<"Schedule", "schedule"> {
  let summary = "every choice that changes speed and not results";
  let description = [{
    The only tuning surface: `rows` packed query rows a work item, `keys` keys a KV
    tile, `warps` that share an item (1 on the CPU), `weights`, the element type
    in which products take what is computed: softmax weights, and the rows that row
    functions give.

    Example: `#tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16>`
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$keys, "int64_t":$warps,
                        "::mlir::Type":$weights);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Tile_EntryKind : I32EnumAttr<"EntryKind", "what an entry does", [
    I32EnumAttrCase<"attend", 0>, I32EnumAttrCase<"append", 1>]> {
  let cppNamespace = "::saccade::tile";
  let genSpecializedAttr = 0;
}
def Tile_EntryKindAttr : EnumAttr<Tile_Dialect, Tile_EntryKind, "entry_kind">;

def Tile_ItemsAttr : Tile_Attr<"Items", "items"> {
  let summary = "how the planner cuts work items for an entry";
  let description = [{
    `rows` packed rows at most, `group` packed rows a query token, `heads` KV heads,
    `keys` a KV tile, `row_block` packed rows that no item may straddle a multiple
    of (0: free).

    Example: `#tile.items<rows = 64, group = 4, heads = 8, keys = 64, row_block = 0>`
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$group, "int64_t":$heads,
                        "int64_t":$keys, "int64_t":$row_block);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_ReduceKind : I32EnumAttr<"ReduceKind", "how elements of a row combine", [
    I32EnumAttrCase<"max", 0>, I32EnumAttrCase<"add", 1>]> {
  let cppNamespace = "::saccade::tile";
  let genSpecializedAttr = 0;
}
def Tile_ReduceKindAttr : EnumAttr<Tile_Dialect, Tile_ReduceKind, "reduce_kind">;

//===----------------------------------------------------------------------===//
// Where tiles live; FragmentLayout.h knows the coordinates
//===----------------------------------------------------------------------===//

def Tile_SharedAttr : Tile_Attr<"Shared", "shared"> {
  let summary = "in shared memory, row-major, 16-byte chunks swizzled within a row";
  let description = [{
    Rows are padded to `pitch` elements, a multiple of 16 bytes; chunk `c` of row `r`
    lies at chunk `c ^ (r % swizzle)`. The tile begins `offset` bytes into the
    shared memory of the CTA; `-tile-allocate-shared` chooses it.

    Example: `#tile.shared<pitch = 128, swizzle = 8, offset = 16384>`
  }];
  let parameters = (ins "int64_t":$pitch, "int64_t":$swizzle,
                        DefaultValuedParameter<"int64_t", "0">:$offset);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}
def Tile_AccumulatorAttr : Tile_Attr<"Accumulator", "accumulator"> {
  let summary = "in registers, as m16n8 accumulator atoms; 16 rows a warp in turn";
  let description = [{ Example: `#tile.accumulator<warps = 4>` }];
  let parameters = (ins "int64_t":$warps);
  let assemblyFormat = "`<` struct(params) `>`";
}
def Tile_OperandAttr : Tile_Attr<"Operand", "operand"> {
  let summary = "in registers, as m16k16 left operand atoms; 16 rows a warp in turn";
  let description = [{ Example: `#tile.operand<warps = 4>` }];
  let parameters = (ins "int64_t":$warps);
  let assemblyFormat = "`<` struct(params) `>`";
}
def Tile_RowsOfAttr : Tile_Attr<"RowsOf", "rows_of"> {
  let summary = "a column vector in registers, each row beside its row of an accumulator";
  let description = [{ Example: `#tile.rows_of<warps = 4>` }];
  let parameters = (ins "int64_t":$warps);
  let assemblyFormat = "`<` struct(params) `>`";
}
def Tile_BufferAttr : Tile_Attr<"Buffer", "buffer"> {
  let summary = "in a stack buffer of the CPU thread, row-major";
}

#endif // SACCADE_TILE_ATTRS_TD
