// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the code of one work item knows: its request, its rows, and which token
// and head a row of the tile is. Everything that is said of positions in the
// attn dialect becomes arithmetic here.

#ifndef SACCADE_LIB_CONVERSION_ITEMSCOPE_H
#define SACCADE_LIB_CONVERSION_ITEMSCOPE_H

#include "dialects/Attn/VariantBodies.h"
#include "lib/Conversion/KernelWords.h"

namespace saccade {

/// Scalars of a work item. Built at the head of the item's body.
struct ItemScope {
  ItemScope(mlir::ImplicitLocOpBuilder &b, mlir::Value words,
            mlir::ValueRange item, int64_t group, int64_t queryHeads);

  mlir::Value words;
  int64_t group;      // packed rows a query token
  int64_t queryHeads; // entries of per-head tables
  Scalar request, kvHead, rowBegin, rowEnd, kvBegin, kvEnd; // i32
  Scalar partial;             // i32, the slot of the partial state or -1
  Scalar qBegin, qLen, kvLen; // i32

  /// Row `row` of the tile, as a packed row, its token, its query head; whether
  /// it is there; its query's position.
  Scalar packed(Scalar row) const { return rowBegin + row; }
  Scalar token(Scalar row) const { return packed(row) / group; }
  Scalar head(Scalar row) const { return kvHead * group + packed(row) % group; }
  Scalar present(Scalar row) const { return packed(row).less(rowEnd); }
  Scalar queryPosition(Scalar token) const { return kvLen - qLen + token; }

  /// What a body of row `row` may ask for that is not uniform: its query head,
  /// or else its query's position.
  mlir::Value rowPosition(attn::Position position, Scalar row) const {
    return position == attn::Position::head ? head(row)
                                            : queryPosition(token(row));
  }

  /// Element offset of (token, head) in the tensor at word `first`.
  Scalar tensorOffset(mlir::ImplicitLocOpBuilder &b, int64_t first,
                      Scalar token, Scalar head) const;

  /// The value of a position that is the same for the whole item; null for
  /// those that depend on row or column.
  mlir::Value uniformPosition(attn::Position position) const;

  /// Rebinds all scalars to a builder, for code inside regions.
  ItemScope in(mlir::ImplicitLocOpBuilder &b) const;
};

/// A scalar operand of an operation in the kernel: an argument or a constant.
mlir::Value kernelScalar(mlir::ImplicitLocOpBuilder &b, const ItemScope &item,
                         const KernelWords &kernelWords, mlir::Value operand);

/// The scale of the item's KV head: one number, or the head's entry of a table;
/// null if `operand` is.
mlir::Value cacheScale(mlir::ImplicitLocOpBuilder &b, const ItemScope &item,
                       const KernelWords &kernelWords, mlir::Value operand);

/// A variant as one operation of a kernel uses it: its bodies, and the values
/// of its parameters (scalars, or addresses of tables).
class BoundVariant {
public:
  BoundVariant(mlir::ImplicitLocOpBuilder &b, const ItemScope &item,
               const KernelWords &kernelWords, attn::VariantOp variant,
               mlir::ValueRange parameters);

  template <typename OpTy> OpTy body() const {
    return const_cast<attn::VariantOp &>(variant).getBodyOf<OpTy>();
  }
  attn::Normalizer normalizer() const {
    return const_cast<attn::VariantOp &>(variant).getNormalizer();
  }

  /// Clones a body; positions that are not uniform come from `position`.
  llvm::SmallVector<mlir::Value> inlined(mlir::ImplicitLocOpBuilder &b,
                                         const ItemScope &item,
                                         attn::BodyOpInterface body,
                                         mlir::ValueRange data,
                                         attn::PositionFn position) const;

private:
  attn::VariantOp variant;
  llvm::SmallVector<mlir::Value> parameters;
  llvm::SmallVector<int64_t> tableWords; ///< of parameters that are tables
};

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_ITEMSCOPE_H
