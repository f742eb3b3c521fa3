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

def Tile_CopyKind : I32EnumAttr<"CopyKind", "how tiles come into shared memory", [
    I32EnumAttrCase<"tma", 0>, I32EnumAttrCase<"gather", 1>]> {
  let cppNamespace = "::saccade::tile";
  let genSpecializedAttr = 0;
}

def Tile_CopyKindAttr : EnumAttr<Tile_Dialect, Tile_CopyKind, "copy_kind">;

def Tile_DealKind : I32EnumAttr<"DealKind", "what of an item is dealt to warps", [
    I32EnumAttrCase<"rows", 0>, I32EnumAttrCase<"keys", 1>]> {
  let cppNamespace = "::saccade::tile";
  let genSpecializedAttr = 0;
}

def Tile_DealParameter : EnumParameter<Tile_DealKind> {
  let defaultValue = "DealKind::rows";
}

def Tile_PipelineAttr : Tile_Attr<"Pipeline", "pipeline"> {
  let summary = "how an entry is dealt out to warps with roles";
  let description = [{
    The warps of the schedule compute; four more load. KV tiles pass from these to
    those through pipes of `stages` tiles, copied by tensor maps in boxes (`tma`) or
    16 bytes at a time (`gather`). A thread that loads keeps `load_registers`, one
    that computes gets `compute_registers`. A running maximum is raised only when
    logits exceed it by more than `growth`, in units of log2, so that most tiles
    need no rescaling; 0 raises it always. With two `query_stages`, the queries of the
    next item come while this one is computed.

    With `deal = rows`, warpgroups own rows of an item and see all of its keys. With
    `deal = keys`, for items of few rows, each warp has all rows and takes whole KV
    tiles in turn; a stage then belongs to the one warp that reads it, and the states
    of warps are combined at the end of an item.

    Example: `#tile.pipeline<stages = 2, copy = tma, load_registers = 32,
    compute_registers = 160, growth = 8>`
  }];
  let parameters = (ins "int64_t":$stages, EnumParameter<Tile_CopyKind>:$copy,
                        "int64_t":$load_registers, "int64_t":$compute_registers,
                        "int64_t":$growth,
                        DefaultValuedParameter<"int64_t", "1">:$query_stages,
                        Tile_DealParameter:$deal);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Tile_ScheduleAttr : Tile_Attr<"Schedule", "schedule"> {
  let summary = "every choice that changes speed and not results";
  let description = [{
    The only tuning surface: `rows` packed query rows a work item, `keys` keys a KV
    tile, `warps` that share an item (1 on the CPU), `weights`, the element type
    in which products take what is computed: softmax weights, and the rows that row
    functions give. With a `pipeline`, warps have roles; it needs `wgmma` (sm_90a).

    With `splits`, items may be parts of a query tile's keys, whose states are merged
    by whichever is done last.

    Example: `#tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16>`

    Constraints:
    1. With a pipeline that deals rows, four warps compute 64 rows, and keys are a
       multiple of 16 up to 256; with one that deals keys, rows are a multiple of 8
       up to 64, keys of 16 up to 64, and stages of the warps that compute.
    2. The registers of all threads fit in the 65536 of a multiprocessor.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$keys, "int64_t":$warps,
                        "::mlir::Type":$weights,
                        OptionalParameter<"::saccade::tile::PipelineAttr">:$pipeline,
                        DefaultValuedParameter<"bool", "false">:$splits);
  let builders = [AttrBuilder<(ins "int64_t":$rows, "int64_t":$keys, "int64_t":$warps,
                                   "::mlir::Type":$weights), [{
    return $_get($_ctxt, rows, keys, warps, weights, PipelineAttr(), false);
  }]>];
  let extraClassDeclaration = [{
    /// Whether each warp has all rows of an item, and some of its keys.
    bool dealsKeys() const {
      return getPipeline() && getPipeline().getDeal() == DealKind::keys;
    }
  }];
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Tile_EntryKind : I32EnumAttr<"EntryKind", "what an entry does", [
    I32EnumAttrCase<"attend", 0>, I32EnumAttrCase<"append", 1>,
    I32EnumAttrCase<"rows", 2>]> {
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

def Tile_BoxAttr : Tile_Attr<"Box", "box"> {
  let summary = "rows that one copy through a tensor map brings";
  let description = [{
    The tensor whose words (KernelABI.h) begin at `word`; `tokens` tokens of `heads`
    heads each, the heads of a token side by side.

    Example: `#tile.box<word = 12, heads = 4, tokens = 48>`
  }];
  let parameters = (ins "int64_t":$word, "int64_t":$heads, "int64_t":$tokens);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t rows() const { return getHeads() * getTokens(); }
  }];
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
    lies at chunk `c ^ (r % swizzle)`. Where a row has more than `pitch` elements, the
    tile is cut into panels of `pitch` columns, one after another: with a pitch of 128
    bytes and a swizzle of 8 that is what `wgmma` and tensor maps take. The tile begins
    `offset` bytes into the shared memory of the CTA; `-tile-allocate-shared` chooses it.

    Example: `#tile.shared<pitch = 128, swizzle = 8, offset = 16384>`
  }];
  let parameters = (ins "int64_t":$pitch, "int64_t":$swizzle,
                        DefaultValuedParameter<"int64_t", "0">:$offset);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}
def Tile_AccumulatorAttr : Tile_Attr<"Accumulator", "accumulator"> {
  let summary = "in registers, as m16n8 accumulator atoms; 16 rows a warp in turn";
  let description = [{
    If `transposed`, the rows of atoms are columns of the tile: 16 columns a warp in
    turn, and a tile may have as few as eight rows. Where keys are dealt (see
    `#tile.pipeline`), a tile of one warp is a private one: each warp has its own.

    If also `interleaved`, neighbouring columns are rows of an atom that one lane
    has: the order in which 8-bit values come from `ldmatrix`.

    Example: `#tile.accumulator<warps = 4>`
  }];
  let parameters = (ins "int64_t":$warps,
                        DefaultValuedParameter<"bool", "false">:$transposed,
                        DefaultValuedParameter<"bool", "false">:$interleaved);
  let builders = [AttrBuilder<(ins "int64_t":$warps,
                                   CArg<"bool", "false">:$transposed), [{
    return $_get($_ctxt, warps, transposed, false);
  }]>];
  let assemblyFormat = "`<` struct(params) `>`";
}
def Tile_OperandAttr : Tile_Attr<"Operand", "operand"> {
  let summary = "in registers, as m16k16 left operand atoms; 16 rows a warp in turn";
  let description = [{
    If `transposed`, a right operand: eight rows an atom, as the matrix units take
    queries whose keys are their left operand.

    If also `interleaved`, a lane has four neighbouring columns: the order in which
    8-bit keys come from `ldmatrix`.

    Example: `#tile.operand<warps = 4>`
  }];
  let parameters = (ins "int64_t":$warps,
                        DefaultValuedParameter<"bool", "false">:$transposed,
                        DefaultValuedParameter<"bool", "false">:$interleaved);
  let builders = [AttrBuilder<(ins "int64_t":$warps,
                                   CArg<"bool", "false">:$transposed), [{
    return $_get($_ctxt, warps, transposed, false);
  }]>];
  let assemblyFormat = "`<` struct(params) `>`";
}
def Tile_RowsOfAttr : Tile_Attr<"RowsOf", "rows_of"> {
  let summary = "a column vector in registers, each row beside its row of an accumulator";
  let description = [{
    If `transposed`, beside the rows of a transposed accumulator.

    Example: `#tile.rows_of<warps = 4>`
  }];
  let parameters = (ins "int64_t":$warps,
                        DefaultValuedParameter<"bool", "false">:$transposed);
  let builders = [AttrBuilder<(ins "int64_t":$warps), [{
    return $_get($_ctxt, warps, false);
  }]>];
  let assemblyFormat = "`<` struct(params) `>`";
}
def Tile_PartsOfAttr : Tile_Attr<"PartsOf", "parts_of"> {
  let summary = "a column vector in registers, each row in parts whose sum it is";
  let description = [{
    As `#tile.rows_of`, but the lanes that share a row each hold a summand of it; a
    `tile.convert` to `#tile.rows_of` adds them up.

    Example: `#tile.parts_of<warps = 4>`
  }];
  let parameters = (ins "int64_t":$warps,
                        DefaultValuedParameter<"bool", "false">:$transposed);
  let builders = [AttrBuilder<(ins "int64_t":$warps), [{
    return $_get($_ctxt, warps, false);
  }]>];
  let assemblyFormat = "`<` struct(params) `>`";
}
def Tile_BufferAttr : Tile_Attr<"Buffer", "buffer"> {
  let summary = "in a stack buffer of the CPU thread, row-major";
}

#endif // SACCADE_TILE_ATTRS_TD
