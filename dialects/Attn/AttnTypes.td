// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Types of the attn dialect: layouts of tokens in memory, partial states,
// log-sum-exps, and the tables that variants read.

#ifndef SACCADE_ATTN_TYPES_TD
#define SACCADE_ATTN_TYPES_TD

include "dialects/Attn/AttnDialect.td"
include "mlir/IR/AttrTypeBase.td"

class Attn_Type<string name, string typeMnemonic, list<Trait> traits = []>
    : TypeDef<Attn_Dialect, name, traits> {
  let mnemonic = typeMnemonic;
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

// What every layout knows: `heads x headDim x elementType`, the head dim of the
// values where it differs, and the order of tokens and heads in memory.
def Attn_LayoutInterface : TypeInterface<"LayoutType"> {
  let cppNamespace = "::saccade::attn";
  let description = "How the tokens of a query, an output or a cache lie in memory.";
  let methods = [
    InterfaceMethod<"heads", "int64_t", "getHeads">,
    InterfaceMethod<"head dim of queries and keys", "int64_t", "getHeadDim">,
    InterfaceMethod<"head dim of values", "int64_t", "getValueDim">,
    InterfaceMethod<"element type", "::mlir::Type", "getElementType">,
    InterfaceMethod<"order of tokens and heads", "::saccade::attn::Order", "getOrder">
  ];
}

// Elements are f32, bf16, f16, and in caches and what is appended to them also
// f8E4M3FN and f8E5M2. Rows are multiples of 16 bytes.
class Attn_Layout<string name, string typeMnemonic>
    : Attn_Type<name, typeMnemonic,
                [Attn_LayoutInterface]> {
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

defvar Attn_layoutParameters = (ins "int64_t":$heads, "int64_t":$headDim,
    "int64_t":$valueDim, "::mlir::Type":$elementType,
    "::saccade::attn::Order":$order);

def Attn_RaggedType : Attn_Layout<"Ragged", "ragged"> {
  let summary = "tokens of all requests packed one after another";
  let description = [{
    `[tokens, heads, head_dim]`, or `[heads, tokens, head_dim]` with
    `order = HND`; the requests' tokens lie one after another. As a cache it is a
    pair of such tensors, keys and values; `value = N` gives values a head dim of
    their own.

    Example: `!attn.ragged<32x128xbf16>`, `!attn.ragged<8x192xbf16, value = 128>`
  }];
  let parameters = Attn_layoutParameters;
}

def Attn_DenseType : Attn_Layout<"Dense", "dense"> {
  let summary = "a rectangular batch";
  let description = [{
    `[batch, tokens, heads, head_dim]`, or `[batch, heads, tokens, head_dim]` with
    `order = HND`. Lengths of the requests may be shorter than the tensor's.

    Example: `!attn.dense<32x128xf32, order = HND>`
  }];
  let parameters = Attn_layoutParameters;
}

def Attn_PagedType : Attn_Layout<"Paged", "paged"> {
  let summary = "a cache in pages, found through a page table";
  let description = [{
    Keys `[pages, page, heads, head_dim]` (`[pages, heads, page, head_dim]` with
    `order = HND`) and values alike. Token `j` of a request lies in page
    `table[j / page]` at row `j % page`. Any page size from 1 on.

    Example: `!attn.paged<8x128xbf16, page = 16>`,
    `!attn.paged<8x128xf8E4M3FN, page = 16>`
  }];
  let parameters = !con(Attn_layoutParameters, (ins "int64_t":$page));
}

def Attn_BlockSparseType : Attn_Layout<"BlockSparse", "block_sparse"> {
  let summary = "a cache of which each block of queries sees listed blocks of keys";
  let description = [{
    Keys and values are stored as in `ragged`. The queries of a request are cut in
    row blocks of `Br` tokens; row block `i` attends to the key blocks
    `indices[rows[i] .. rows[i + 1])` of `Bc` keys each, ascending without
    repetition. `key` is the place of the key itself, so masks mean what they say.

    Example: `!attn.block_sparse<8x128xbf16, block = 128x64>`
  }];
  let parameters = !con(Attn_layoutParameters,
                        (ins "int64_t":$blockRows, "int64_t":$blockColumns));
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

def Attn_StateType : Attn_Type<"State", "state"> {
  let summary = "partial results of attention, one (m, l, O) a query row";
  let description = [{
    `heads x value_dim`, and the normalizer whose algebra merges it.

    Example: `!attn.state<32x128>`, `!attn.state<32x128, sigmoid>`
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$valueDim,
                        "::saccade::attn::Normalizer":$normalizer);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Attn_LseType : Attn_Type<"Lse", "lse"> {
  let summary = "log-sum-exp of the logits, f32, natural base, a query row";
  let description = [{
    `[tokens, heads]` beside ragged queries, `[batch, tokens, heads]` beside dense
    ones. The sink counts; the value scale does not.

    Example: `!attn.lse<32>`
  }];
  let parameters = (ins "int64_t":$heads);
  let assemblyFormat = "`<` $heads `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

class Attn_Table<string name, string typeMnemonic> : Attn_Type<name, typeMnemonic> {
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
  let genVerifyDecl = 1;
}

def Attn_PerHeadType : Attn_Table<"PerHead", "per_head"> {
  let summary = "a vector over query heads, read by `[head]`; as scales, over KV heads";
}
def Attn_PerRequestType : Attn_Table<"PerRequest", "per_request"> {
  let summary = "a vector over requests, read by `[request]`";
}
def Attn_PerTokenType : Attn_Table<"PerToken", "per_token"> {
  let summary = "values over the sequences of all requests, read by `[request, position]`";
  let description = [{
    One value a token of every request's sequence, packed: request `r` starts at
    the sum of the `kv_len` before it.
  }];
}
def Attn_BitsType : Attn_Type<"Bits", "bits"> {
  let summary = "a packed mask, read by `[request, row, key]`";
  let description = [{
    One bit for each (query token, key) of each request, `q_len x kv_len` row-major,
    little bit order; each request starts at a byte.
  }];
}

def Attn_TableType : Attn_Type<"Table", "table"> {
  let summary = "a tensor of 1 to 4 dimensions, read by any indices";
  let description = [{
    A `?` for each dimension: extents and strides are those of the tensor that a call
    gives, any of either (a stride of 0 repeats an entry). Entries are f32, f16, bf16,
    i32, i64, i8, or i1 (a byte each, of which any but 0 is true). Reads give f32 of the
    floats, i32 of the integers (the low half of i64), i1 of i1.

    Example: `!attn.table<?x?xbf16>`, `!attn.table<?xi64>`
  }];
  let parameters = (ins "int64_t":$rank, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// What a read gives.
    ::mlir::Type getReadType();
  }];
}

def Attn_AnyLayout : Type<CPred<"::llvm::isa<::saccade::attn::LayoutType>($_self)">,
                          "layout", "::saccade::attn::LayoutType">;
def Attn_TokenLayout : AnyTypeOf<[Attn_RaggedType, Attn_DenseType],
                                 "ragged or dense layout", "::saccade::attn::LayoutType">;
def Attn_AnyScale : AnyTypeOf<[F32, Attn_PerHeadType], "f32 or a table over KV heads">;
def Attn_AnyTable : AnyTypeOf<[Attn_PerHeadType, Attn_PerRequestType,
                               Attn_PerTokenType, Attn_BitsType, Attn_TableType],
                              "table">;
def Attn_AnyParameter
    : AnyTypeOf<[F32, I32, Attn_PerHeadType, Attn_PerRequestType, Attn_PerTokenType,
                 Attn_BitsType, Attn_TableType], "f32, i32 or a table">;

#endif // SACCADE_ATTN_TYPES_TD
