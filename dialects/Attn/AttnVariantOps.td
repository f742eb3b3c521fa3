// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The variant and its bodies: which attention. Bodies hold upstream arith, math
// and vector operations, so there is no expression language of our own.

#ifndef SACCADE_ATTN_VARIANT_OPS_TD
#define SACCADE_ATTN_VARIANT_OPS_TD

include "dialects/Attn/AttnAttrs.td"
include "dialects/Attn/AttnTypes.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Attn_Op<string mnemonic, list<Trait> traits = []> : Op<Attn_Dialect, mnemonic, traits>;

def Attn_VariantOp : Attn_Op<"variant", [
    IsolatedFromAbove, HasParent<"::mlir::ModuleOp">, DeclareOpInterfaceMethods<Symbol, ["getVisibility"]>,
    SingleBlock, NoTerminator,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "Which attention: a few pure functions and a normalizer";
  let description = [{
    Parameters are run-time values: scalars (f32, i32) and tables. Bodies that are
    left out are the identity, or "all are visible" for the mask. The normalizer is
    `softmax` unless `normalizer = sigmoid` or `normalizer = none` follows the
    parameters. A variant is private to its module: unused ones may be dropped.

    Example:

    ```mlir
    attn.variant @soft_cap_window(%cap: f32, %window: i32) {
      attn.logits(%s) {
        %0 = arith.divf %s, %cap : f32
        %1 = math.tanh %0 : f32
        %2 = arith.mulf %1, %cap : f32
        attn.yield %2 : f32
      }
      attn.mask(query %q, key %k) {
        %behind = arith.subi %q, %k : i32
        %c0 = arith.constant 0 : i32
        %causal = arith.cmpi sge, %behind, %c0 : i32
        %near = arith.cmpi slt, %behind, %window : i32
        %keep = arith.andi %causal, %near : i1
        attn.yield %keep : i1
      }
    }
    ```

    Constraints:
    1. Parameters are f32, i32 or tables.
    2. Each kind of body appears at most once.
    3. A sink needs the normalizer softmax.
    4. Only attn bodies stand in a variant.

    And for each body:

    5. It holds only admitted operations: arith on i1, i32 and f32, the math
       operations that we expand (absf, absi, ceil, floor, fma, exp, exp2, log,
       log2, sqrt, rsqrt, tanh, sin, cos, powf), `attn.read`, and in row functions
       vector operations (broadcast, shuffle, reduction, extract, insert,
       extract_strided_slice, insert_strided_slice, interleave, from_elements).
    6. Values are i1, i32, f32, or in row functions vectors of them with one
       dimension and at most 576 elements.
    7. It asks for each position once.
    8. It has one i32 argument for each position.
    9. Constants are numbers or dense elements.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       DefaultValuedAttr<Attn_NormalizerAttr,
                         "::saccade::attn::Normalizer::softmax">:$normalizer);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Types of the parameters, in order.
    ::mlir::TypeRange getParameterTypes() { return getBody().getArgumentTypes(); }
    /// The values of the parameters inside of the bodies.
    ::mlir::Block::BlockArgListType getParameters() { return getBody().getArguments(); }
    /// The body of the given kind, or null.
    template <typename OpTy> OpTy getBodyOf() {
      auto ops = getBody().getOps<OpTy>();
      return ops.empty() ? OpTy() : *ops.begin();
    }
  }];
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

// What the bodies share: data arguments (a logit, a row, or nothing), then one
// i32 argument for each position that the body asks for.
def Attn_BodyOpInterface : OpInterface<"BodyOpInterface"> {
  let cppNamespace = "::saccade::attn";
  let description = "A body of a variant: its data arguments and positions.";
  let methods = [
    InterfaceMethod<"the region", "::mlir::Region &", "getBody">,
    InterfaceMethod<"positions asked for", "::mlir::ArrayAttr", "getPositions">,
    InterfaceMethod<"how many leading arguments are data", "unsigned", "getNumDataArguments",
                    (ins), "return $_op.getBody().getNumArguments() - $_op.getPositions().size();">
  ];
}

class Attn_BodyOp<string mnemonic> : Attn_Op<mnemonic, [
    HasParent<"VariantOp">, SingleBlock, Attn_BodyOpInterface,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let arguments = (ins Attn_PositionArrayAttr:$positions);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`` custom<Signature>($positions, $body) attr-dict";
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let hasCanonicalizer = 1;
}

def Attn_LogitsOp : Attn_BodyOp<"logits"> {
  let summary = "The logit, from the scaled product of query and key";
  let description = [{
    `attn.logits(%s, query %q, key %k, head %h)`

    Constraints:
    1. Takes one f32 and positions; yields one f32.
    2. Asks for no `query_first`, `query_last`.
  }];
}

def Attn_MaskOp : Attn_BodyOp<"mask"> {
  let summary = "Whether a query sees a key";
  let description = [{
    `attn.mask(query %q, key %k)`

    Constraints:
    1. Takes positions only; yields one i1.
    2. Asks for no `query_first`, `query_last`.
  }];
}

def Attn_SinkOp : Attn_BodyOp<"sink"> {
  let summary = "A logit that joins the softmax's denominator, without a value";
  let description = [{
    `attn.sink(head %h)`

    Constraints:
    1. Takes positions among head, request, query, q_len, kv_len; yields one f32.
  }];
}

class Attn_RowBodyOp<string mnemonic> : Attn_BodyOp<mnemonic>;

def Attn_QueryOp : Attn_RowBodyOp<"query"> {
  let summary = "A function of query rows, such as a rotary embedding";
  let description = [{
    `attn.query(%x: vector<128xf32>, query %q, head %h)`

    Constraints:
    1. Takes one row, a vector of f32, and positions; yields a row of the same type.
    2. Asks for positions among query, head, request, q_len, kv_len.
  }];
}
def Attn_KeyOp : Attn_RowBodyOp<"key"> {
  let summary = "A function of key rows";
  let description = [{
    `attn.key(%x: vector<128xf32>, key %k, slot %s)`

    Constraints:
    1. Takes one row, a vector of f32, and positions; yields a row of the same type.
    2. Asks for positions among key, slot, head, request, q_len, kv_len.
  }];
}
def Attn_ValueOp : Attn_RowBodyOp<"value"> {
  let summary = "A function of value rows";
  let description = [{
    Constraints:
    1. Takes one row, a vector of f32, and positions; yields a row of the same type.
    2. Asks for positions among key, slot, head, request, q_len, kv_len.
  }];
}
def Attn_OutputOp : Attn_RowBodyOp<"output"> {
  let summary = "A function of output rows, after normalization";
  let description = [{
    Constraints:
    1. Takes one row, a vector of f32, and positions; yields a row of the same type.
    2. Asks for positions among query, head, request, q_len, kv_len.
  }];
}

def Attn_BoundsOp : Attn_BodyOp<"bounds"> {
  let summary = "Which keys a tile of queries sees, in closed form; derived from the mask";
  let description = [{
    For the queries at positions `query_first .. query_last` (both included): up to
    four intervals of keys, four i32 each: `lo, hi, full_lo, full_hi`. Keys outside all
    `[lo, hi)` are seen by no query of the tile; keys in `[full_lo, full_hi)` by all of
    them. Intervals ascend and do not overlap; an empty one has `lo >= hi`, an
    empty full part `full_lo >= full_hi`; they may reach outside `[0, kv_len)`.
    Full parts are independent of the intervals that they stand beside: a run of
    keys that all queries see may reach through several of them.
    Sums that might leave i32 are i64 and saturated before they are yielded.
    Written by `-attn-derive-tile-bounds`.

    Constraints:
    1. Takes positions only, among query_first, query_last, head, request, q_len, kv_len.
    2. Yields 4, 8, 12 or 16 i32.
  }];
}

def Attn_YieldOp : Attn_Op<"yield", [Terminator, Pure, ParentOneOf<[
    "LogitsOp", "MaskOp", "SinkOp", "QueryOp", "KeyOp", "ValueOp", "OutputOp",
    "BoundsOp"]>]> {
  let summary = "Ends a body of a variant";
  let arguments = (ins Variadic<AnyType>:$results);
  let assemblyFormat = "attr-dict ($results^ `:` type($results))?";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
  let hasVerifier = 1;
}

def Attn_ReadOp : Attn_Op<"read", [
    Pure, DeclareOpInterfaceMethods<InferTypeOpInterface, ["inferReturnTypes"]>]> {
  let summary = "Reads one entry of a table";
  let description = [{
    `per_head[head]`, `per_request[request]`, `per_token[request, position]` give the
    element type; `bits[request, row, key]` gives i1, where row is the query's place
    among the request's queries. A `table` takes as many indices as it has dimensions,
    of any meaning, and gives f32, i32 or i1. An index out of range is clamped to the
    table, in each dimension on its own.

    Example:

    ```mlir
    attn.variant @alibi(%slopes: !attn.per_head<f32>) {
      attn.logits(%s, query %q, key %k, head %h) {
        %slope = attn.read %slopes[%h] : !attn.per_head<f32>
        %d = arith.subi %k, %q : i32
        %f = arith.sitofp %d : i32 to f32
        %bias = arith.mulf %slope, %f : f32
        %r = arith.addf %s, %bias : f32
        attn.yield %r : f32
      }
    }
    ```

    Constraints:
    1. As many indices as the table has.
    2. Where the table is over requests, the first index is the body's own request.
  }];
  let arguments = (ins Attn_AnyTable:$table, Variadic<I32>:$indices);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$table `[` $indices `]` attr-dict `:` type($table)";
  let hasVerifier = 1;
}

#endif // SACCADE_ATTN_VARIANT_OPS_TD
