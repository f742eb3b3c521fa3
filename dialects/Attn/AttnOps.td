// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operations of the attn dialect: the kernel and what it does (attend, resume,
// merge, finish, append, map_rows); the variant and its bodies are in
// AttnVariantOps.td.

#ifndef SACCADE_ATTN_OPS_TD
#define SACCADE_ATTN_OPS_TD

include "dialects/Attn/AttnVariantOps.td"

def Attn_KernelOp : Attn_Op<"kernel", [
    IsolatedFromAbove, Symbol, SingleBlock, HasParent<"::mlir::ModuleOp">,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "One attention kernel: its arguments and what it computes";
  let description = [{
    Arguments are layouts (queries, caches, new keys and values, outputs and tokens
    that are gone on with), LSEs, scalars and tables; results are what `attn.return` gives. Lengths and page tables belong
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
    1. Arguments are layouts, LSEs, f32, i32 or tables.
    2. The body ends with `attn.return`.
    3. All queries of one kernel have one type.
    4. A kernel returns something, appends, or both.
    5. Its name is an identifier of at most 256 letters, digits and `_`.
    6. It has at most 32 arguments.
    7. Each layout argument is one tensor (queries, new keys or values, an output, mapped
       tokens) or a cache; it is used, and so is each LSE.
    8. Its body holds attn operations and constants of f32 or i32.
    9. A table over heads is over query heads, or over as many KV heads wherever it
       gives scales.
    10. Queries, resumed outputs and mapped tokens have one number of heads, and are
        all ragged or all dense.
    11. A kernel that attends maps no rows.
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
    /// The tensor whose rows an operation of a kernel computes with, one by one:
    /// queries, a resumed output, mapped tokens; null if there is none.
    static ::mlir::Value getRows(::mlir::Operation *op);
    /// Heads that a table over heads has; 0 if nothing reads it.
    static int64_t getTableHeads(::mlir::BlockArgument table);
  }];
}

def Attn_ReturnOp : Attn_Op<"return", [Terminator, HasParent<"KernelOp">, Pure]> {
  let summary = "Ends a kernel and names its results";
  let description = [{
    Constraints:
    1. Results are outputs (ragged or dense) and LSEs, each made by an `attn.finish`, or
       tokens made by an `attn.map_rows`.
    2. There are at most 16.
    3. Each is returned once.
  }];
  let arguments = (ins Variadic<AnyType>:$results);
  let assemblyFormat = "attr-dict ($results^ `:` type($results))?";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
  let hasVerifier = 1;
}

def Attn_AttendOp : Attn_Op<"attend", [
    HasParent<"KernelOp">, Pure, AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Folds a cache into partial states of the queries";
  let description = [{
    `logit = logits(scale * dot(query(q), key(k)))` where the mask holds, -inf
    elsewhere; the state is `(m, l, O)` of these logits and of `value(v)`. The
    scale is `1 / sqrt(head_dim)` if none is given.

    The cache may hold keys and values in units of `key_scale` and `value_scale`, one
    number, or one a KV head: then `k` and `v` are what it holds times those. Where
    no row function reads them, a scale is applied to products and to the state's
    output, in f32; elements of 8 bits are widened exactly.

    Example:

    ```mlir
    attn.variant @full() {}
    attn.kernel @decode(%q: !attn.ragged<32x128xf16>,
                        %kv: !attn.paged<8x128xf8E4M3FN, page = 16>,
                        %ks: !attn.per_head<f32>, %vs: f32) {
      %s = attn.attend @full() %q, %kv
        key_scale %ks : !attn.per_head<f32> value_scale %vs : f32
        : !attn.ragged<32x128xf16>, !attn.paged<8x128xf8E4M3FN, page = 16>
        -> !attn.state<32x128>
      %o = attn.finish @full() %s : !attn.state<32x128> -> !attn.ragged<32x128xf16>
      attn.return %o : !attn.ragged<32x128xf16>
    }
    ```

    Constraints:
    1. Query heads are a multiple of the cache's heads.
    2. Query and cache agree in head dim.
    3. The query has no elements of 8 bits; those of the cache are of 8 bits, or the
       query's.
    4. The variant exists and takes these parameters.
    5. The state has the query's heads, the cache's value dim, the variant's normalizer.
    6. The query has no `value` dim of its own.
    7. Row functions of the variant take rows of these head dims.
    8. Queries are an argument of the kernel; the cache is one too, or the result
       of `attn.append`.
    9. The state is used once.
    10. Tables of scales hold f32.
  }];
  let arguments = (ins FlatSymbolRefAttr:$variant, Variadic<Attn_AnyParameter>:$parameters,
                       Attn_TokenLayout:$query, Attn_AnyLayout:$cache,
                       Optional<F32>:$scale, Optional<Attn_AnyScale>:$key_scale,
                       Optional<Attn_AnyScale>:$value_scale);
  let results = (outs Attn_StateType:$state);
  let assemblyFormat = [{
    $variant `(` ($parameters^ `:` type($parameters))? `)` $query `,` $cache
    (`scale` $scale^)? (`key_scale` $key_scale^ `:` type($key_scale))?
    (`value_scale` $value_scale^ `:` type($value_scale))? attr-dict
    `:` type($query) `,` type($cache) `->` qualified(type($state))
  }];
  let extraClassDeclaration = [{
    /// The scale where none is given: 1 / sqrt(head dim), rounded once to f32.
    float getDefaultScale();
    /// The scales of the cache that are given.
    ::llvm::SmallVector<::mlir::Value> getScales();
    /// Query heads of a KV head.
    int64_t getGroup();
  }];
  let hasCanonicalizer = 1;
  let hasVerifier = 1;
}

def Attn_ResumeOp : Attn_Op<"resume", [HasParent<"KernelOp">, Pure]> {
  let summary = "Takes up finished outputs and their LSEs as partial states";
  let description = [{
    `m = lse`, `l = 1`, `O = output`. A row whose LSE is -inf is the empty state, whatever
    its output holds. So attention goes on from anything that gave an output and an
    LSE: two resumes and a merge join what two kernels, or two devices, made; and an
    attend merges with what was attended to before.

    Outputs are those before an output function. Where an LSE counts a sink, the
    state does.

    Example:

    ```mlir
    attn.variant @full() {}
    attn.kernel @merge_states(%a: !attn.ragged<32x128xbf16>, %la: !attn.lse<32>,
                              %b: !attn.ragged<32x128xbf16>, %lb: !attn.lse<32>) {
      %s = attn.resume %a, %la : !attn.ragged<32x128xbf16>, !attn.lse<32> -> !attn.state<32x128>
      %t = attn.resume %b, %lb : !attn.ragged<32x128xbf16>, !attn.lse<32> -> !attn.state<32x128>
      %m = attn.merge %s, %t : !attn.state<32x128>
      %o, %lse = attn.finish @full() %m
        : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
      attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
    }
    ```

    Constraints:
    1. Output and LSE are arguments of the kernel.
    2. Output and LSE have the state's heads; the output has its value dim.
    3. The state's normalizer is softmax.
    4. The output has no `value` dim of its own.
    5. The output has no elements of 8 bits.
    6. The state is used once.
  }];
  let arguments = (ins Attn_TokenLayout:$output, Attn_LseType:$lse);
  let results = (outs Attn_StateType:$state);
  let assemblyFormat = [{
    $output `,` $lse attr-dict `:` type($output) `,` qualified(type($lse)) `->`
    qualified(type($state))
  }];
  let hasVerifier = 1;
}

def Attn_MergeOp : Attn_Op<"merge", [HasParent<"KernelOp">, Pure, SameOperandsAndResultType]> {
  let summary = "Merges two partial states of the same queries";
  let description = [{
    As if one attend had folded both caches; in this order, so the same input
    gives the same bits.

    Constraints:
    1. Both states and the result have one type.
    2. All attends of both states are with one variant.
    3. All attends of both states are of the same queries.
    4. The result is used once.
  }];
  let arguments = (ins Attn_StateType:$lhs, Attn_StateType:$rhs);
  let results = (outs Attn_StateType:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` qualified(type($result))";
  let hasVerifier = 1;
}

def Attn_FinishOp : Attn_Op<"finish", [
    HasParent<"KernelOp">, Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Turns partial states into outputs";
  let description = [{
    Applies the sink, divides by the sum, applies the output function, and rounds
    to the output's element type. The LSE is `m + log(l)`, sink included, natural base.
    A row that saw nothing has the output function of 0 for its output, and -inf, or
    its sink, for its LSE.

    Constraints:
    1. The variant exists and takes these parameters.
    2. Output and LSE have the state's heads; the output has its value dim.
    3. The output lies as queries and resumed outputs do: ragged or dense.
    4. The variant's normalizer is the state's.
    5. An LSE needs the normalizer softmax.
    6. The output function of the variant takes rows of the value dim.
    7. The output has no `value` dim of its own.
    8. The variant is that of the attends, if there are any.
    9. One of the results is returned.
    10. The output has no elements of 8 bits.
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

def Attn_AppendOp : Attn_Op<"append", [
    HasParent<"KernelOp">, AttrSizedOperandSegments, AllTypesMatch<["cache", "result"]>]> {
  let summary = "Writes the newest keys and values of each request into a cache";
  let description = [{
    Token `i` of `q_len` goes to position `kv_len - q_len + i`. The result is the
    cache after the writes; attending over it sees them.

    Wider elements are divided by their scale in f32 (1 if none is given), and rounded
    to the nearest of the cache's 8 bits, ties to even; what exceeds the largest finite
    one becomes that.

    Constraints:
    1. The cache is an argument of the kernel, and paged.
    2. Keys and values have the cache's heads, head dims and element type, or a wider
       one where the cache's has 8 bits.
    3. The appended cache is the last of the kernel's caches, where the newest positions are.
    4. The cache has no other use.
    5. Keys and values are both ragged or both dense.
    6. A scale is of keys or values that are wider than the cache's.
    7. Tables of scales hold f32.
  }];
  let arguments = (ins Attn_TokenLayout:$key, Attn_TokenLayout:$value, Attn_AnyLayout:$cache,
                       Optional<Attn_AnyScale>:$key_scale,
                       Optional<Attn_AnyScale>:$value_scale);
  let results = (outs Attn_AnyLayout:$result);
  let assemblyFormat = [{
    $key `,` $value `into` $cache (`key_scale` $key_scale^ `:` type($key_scale))?
    (`value_scale` $value_scale^ `:` type($value_scale))? attr-dict
    `:` type($key) `,` type($value) `into` type($cache)
  }];
  let extraClassDeclaration = [{
    /// The scales that are given.
    ::llvm::SmallVector<::mlir::Value> getScales();
  }];
  let hasVerifier = 1;
}

def Attn_MapRowsOp : Attn_Op<"map_rows", [
    HasParent<"KernelOp">, Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Applies a variant's function of query rows to tokens";
  let description = [{
    `out = query(x)` for each token and head, rounded to the output's element type, such
    as the rotary embedding of queries, or of keys before they are appended. Positions
    are those of queries; in a kernel without a cache `kv_len` is 0, and token `i` is at
    `i - q_len`: places then come from a table.

    Example:

    ```mlir
    attn.variant @scaled(%by: !attn.table<?xf32>) {
      attn.query(%x: vector<128xf32>, query %q, q_len %n) {
        %token = arith.addi %q, %n : i32
        %f = attn.read %by[%token] : !attn.table<?xf32>
        %b = vector.broadcast %f : f32 to vector<128xf32>
        %y = arith.mulf %x, %b : vector<128xf32>
        attn.yield %y : vector<128xf32>
      }
    }
    attn.kernel @scale_tokens(%x: !attn.ragged<32x128xbf16>, %by: !attn.table<?xf32>) {
      %y = attn.map_rows @scaled(%by : !attn.table<?xf32>) %x
        : !attn.ragged<32x128xbf16> -> !attn.ragged<32x128xbf16>
      attn.return %y : !attn.ragged<32x128xbf16>
    }
    ```

    Constraints:
    1. The variant exists, takes these parameters, and has an `attn.query`.
    2. The tokens are an argument of the kernel.
    3. Tokens and output have the same heads and head dim, which the function takes,
       and are both ragged or both dense.
    4. Neither has elements of 8 bits or a `value` dim of its own.
    5. The output is returned.
  }];
  let arguments = (ins FlatSymbolRefAttr:$variant, Variadic<Attn_AnyParameter>:$parameters,
                       Attn_TokenLayout:$tokens);
  let results = (outs Attn_TokenLayout:$output);
  let assemblyFormat = [{
    $variant `(` ($parameters^ `:` type($parameters))? `)` $tokens attr-dict `:`
    type($tokens) `->` type($output)
  }];
  let hasVerifier = 1;
}

#endif // SACCADE_ATTN_OPS_TD
