// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Clones the bodies of a variant into other code. Lowerings inline them into
// the tile loop and the mask analysis into host code: both say here what stands
// for the data, the positions, the parameters and the table reads.

#ifndef SACCADE_DIALECTS_ATTN_VARIANTBODIES_H
#define SACCADE_DIALECTS_ATTN_VARIANTBODIES_H

#include "dialects/Attn/Attn.h"

#include "mlir/IR/Builders.h"

namespace saccade::attn {

/// The value of a position, asked for once for each position the body names.
using PositionFn = llvm::function_ref<mlir::Value(Position)>;

/// The value that stands for an `attn.read`; `indices` are the read's indices
/// in the new code. Which table is read: `getParameterIndex(read.getTable())`.
using ReadFn = llvm::function_ref<mlir::Value(
    ReadOp read, mlir::ValueRange indices, mlir::OpBuilder &builder)>;

/// Clones `body` at the builder's insertion point and returns what it yields.
/// `data` replaces the data arguments (a logit or a row), `parameters` the
/// parameters of the variant (a table's value may be of any type, as `read`
/// likes it; without `read` the reads are cloned).
llvm::SmallVector<mlir::Value>
inlineBody(mlir::OpBuilder &builder, BodyOpInterface body,
           mlir::ValueRange data, PositionFn position,
           mlir::ValueRange parameters, ReadFn read = nullptr);

/// The index of a variant's parameter among its parameters.
unsigned getParameterIndex(mlir::Value parameter);

/// The variant that an attend or a finish names; null if there is none.
VariantOp lookupVariant(mlir::Operation *user, mlir::FlatSymbolRefAttr name);

} // namespace saccade::attn

#endif // SACCADE_DIALECTS_ATTN_VARIANTBODIES_H
