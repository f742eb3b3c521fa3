// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dialect itself. Its description is the first page of the reference.

#ifndef SACCADE_ATTN_DIALECT_TD
#define SACCADE_ATTN_DIALECT_TD

include "mlir/IR/OpBase.td"

def Attn_Dialect : Dialect {
  let name = "attn";
  let cppNamespace = "::saccade::attn";
  let summary = "Attention variants over KV layouts, free of any target";
  let description = [{
    A *variant* says which attention: scalar functions of the logit and of the
    mask, row functions of query, key, value and output, and a normalizer. A
    *layout type* says how tokens lie in memory. A *kernel* attends over one
    cache or several, merges the partial states, and finishes them.

    **Positions** are i32 and defined once, here:

    | name | meaning |
    |---|---|
    | `query` | place of the query in the request's sequence: `kv_len - q_len + i` for token `i` |
    | `key` | place of the key in the request's sequence; counts through all caches of the kernel in the order of its signature |
    | `head` | query head in `logits`, `mask`, `query`, `output`, `sink`; KV head in `key`, `value` |
    | `request` | index of the request in the batch |
    | `q_len`, `kv_len` | query tokens of the request; length of its whole sequence |
    | `slot` | physical row of the key in its storage: `page_id * page + offset`, or the token row |
    | `query_first`, `query_last` | extreme query positions of a query tile; in `bounds` only |

    Positions and run-time integers are below 2^30 in magnitude.

    **State algebra.** `attend` folds a cache into a state `(m, l, O)` a row: the
    largest logit, the sum of `exp(logit - m)`, and the sum of
    `exp(logit - m) * value`. `merge` is associative:
    `m = max(m1, m2)`, `l = l1 exp(m1 - m) + l2 exp(m2 - m)`, O alike. `finish` applies
    sink, normalization and output function once. With the normalizers
    `sigmoid` and `none` a state is the plain weighted sum, merged by addition.
    A row with nothing to attend to has output 0 and LSE -inf.

    **Arithmetic** is that of arith and math, with two holes closed: an integer
    division by zero (or of the least integer by -1), a shift by 32 or more and a
    conversion out of range give some value, never a trap; a read of a table out of
    range is clamped. So no body can fail at run time, whatever its parameters are.

    **Names.** Variants are private to their module. Arguments of kernels and
    parameters of variants keep their names, since callers pass them by name.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::vector::VectorDialect"
  ];
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{ void registerTypes(); }];
  let useDefaultAttributePrinterParser = 1;
}

#endif // SACCADE_ATTN_DIALECT_TD
