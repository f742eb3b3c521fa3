// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operations of the attn dialect: the kernel and what it does (attend, merge,
// finish, append); the variant and its bodies are in AttnVariantOps.td.

#ifndef SACCADE_ATTN_OPS_TD
#define SACCADE_ATTN_OPS_TD

include "dialects/Attn/AttnVariantOps.td"

def Attn_KernelOp : Attn_Op<"kernel", [
    IsolatedFromAbove, Symbol, SingleBlock,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "One attention kernel: its arguments and what it computes";
  let description = [{
    Arguments are layouts (queries, caches, new keys and values), scalars and
    tables; results are what `attn.return` gives. Lengths and page tables belong
    to the plan, not to the signature.

    Example:

    ```mlir
    attn.variant @causal() {
      attn.mask(query %q, key %k) {
        %keep = arith.cmpi sge, %q, %k : i32
        attn.yield %keep : i1
      }
    }
    attn.kernel @prefill(%q: !attn.ragged<32x128xbf16>, %kv: !attn.ragged<8x128xbf16>) {
      %s = attn.attend @causal() %q, %kv
        : !attn.ragged<32x128xbf16>, !attn.ragged<8x128xbf16> -> !attn.state<32x128>
      %o, %lse = attn.finish @causal() %s
        : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
      attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
    }
    ```

    Constraints:
    1. Arguments are layouts, f32, i32 or tables.
    2. The body ends with `attn.return`.
    3. All queries of one kernel have one type.
    4. A kernel attends, appends, or both.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<AnyAttr>:$schedule);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// The terminator.
    ReturnOp getReturn();
    /// The caches among the arguments, in the order in which their keys count.
    ::llvm::SmallVector<::mlir::BlockArgument> getCaches();
    /// Whether a layout argument is a cache (keys and values) or one tensor.
    static bool isCache(::mlir::BlockArgument argument);
  }];
}

def Attn_ReturnOp : Attn_Op<"return", [Terminator, HasParent<"KernelOp">, Pure]> {
  let summary = "Ends a kernel and names its results";
  let description = [{
    Constraints:
    1. Results are outputs (ragged or dense) and LSEs, each made by an `attn.finish`.
  }];
  let arguments = (ins Variadic<AnyType>:$results);
  let assemblyFormat = "attr-dict ($results^ `:` type($results))?";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
  let hasVerifier = 1;
}

def Attn_AttendOp : Attn_Op<"attend", [
    Pure, AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Folds a cache into partial states of the queries";
  let description = [{
    `logit = logits(scale * dot(query(q), key(k)))` where the mask holds, -inf
    elsewhere; the state is `(m, l, O)` of these logits and of `value(v)`. The
    scale is `1 / sqrt(head_dim)` if none is given.

    Constraints:
    1. Query heads are a multiple of the cache's heads.
    2. Query and cache agree in head dim and element type.
    3. Head dims are multiples of 8 and at most 576.
    4. The variant exists and takes these parameters.
    5. The state has the query's heads, the cache's value dim, the variant's normalizer.
    6. The query has no `value` dim of its own.
    7. Row functions of the variant take rows of these head dims.
    8. The cache is an argument of the kernel or the result of `attn.append`.
  }];
  let arguments = (ins FlatSymbolRefAttr:$variant, Variadic<Attn_AnyParameter>:$parameters,
                       Attn_TokenLayout:$query, Attn_AnyLayout:$cache,
                       Optional<F32>:$scale);
  let results = (outs Attn_StateType:$state);
  let assemblyFormat = [{
    $variant `(` ($parameters^ `:` type($parameters))? `)` $query `,` $cache
    (`scale` $scale^)? attr-dict `:` type($query) `,` type($cache) `->` qualified(type($state))
  }];
  let hasVerifier = 1;
}

def Attn_MergeOp : Attn_Op<"merge", [Pure, SameOperandsAndResultType]> {
  let summary = "Merges two partial states of the same queries";
  let description = [{
    As if one attend had folded both caches; in this order, so the same input
    gives the same bits.

    Constraints:
    1. Both states and the result have one type.
    2. Both states attend with one variant.
  }];
  let arguments = (ins Attn_StateType:$lhs, Attn_StateType:$rhs);
  let results = (outs Attn_StateType:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` qualified(type($result))";
  let hasVerifier = 1;
}

def Attn_FinishOp : Attn_Op<"finish", [
    Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Turns partial states into outputs";
  let description = [{
    Applies the sink, divides by the sum, applies the output function, and rounds
    to the output's element type. The LSE is `m + log(l)`, sink included, natural base.

    Constraints:
    1. The variant exists and takes these parameters.
    2. Output and LSE have the state's heads; the output has its value dim.
    3. The output lies as the queries do: ragged or dense.
    4. The variant's normalizer is the state's.
    5. An LSE needs the normalizer softmax.
    6. The output function of the variant takes rows of the value dim.
    7. The output's head dim is a multiple of 8 without a `value` dim of its own.
  }];
  let arguments = (ins FlatSymbolRefAttr:$variant, Variadic<Attn_AnyParameter>:$parameters,
                       Attn_StateType:$state);
  let results = (outs Attn_TokenLayout:$output, Optional<Attn_LseType>:$lse);
  let assemblyFormat = [{
    $variant `(` ($parameters^ `:` type($parameters))? `)` $state attr-dict `:`
    qualified(type($state)) `->` type($output) (`,` qualified(type($lse))^)?
  }];
  let hasVerifier = 1;
}

def Attn_AppendOp : Attn_Op<"append", [AllTypesMatch<["cache", "result"]>]> {
  let summary = "Writes the newest keys and values of each request into a cache";
  let description = [{
    Token `i` of `q_len` goes to position `kv_len - q_len + i`. The result is the
    cache after the writes; attending over it sees them.

    Constraints:
    1. The cache is an argument of the kernel, and paged.
    2. Keys and values have the cache's heads, element type and head dims.
    3. The appended cache is the last of the kernel's caches, where the newest positions are.
  }];
  let arguments = (ins Attn_TokenLayout:$key, Attn_TokenLayout:$value, Attn_AnyLayout:$cache);
  let results = (outs Attn_AnyLayout:$result);
  let assemblyFormat = [{
    $key `,` $value `into` $cache attr-dict `:` type($key) `,` type($value) `into` type($cache)
  }];
  let hasVerifier = 1;
}

#endif // SACCADE_ATTN_OPS_TD
