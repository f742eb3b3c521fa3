// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where the arguments of a kernel lie among the argument words: KernelABI.h,
// counted for one signature. Here so that no lowering counts words itself.

#ifndef SACCADE_LIB_CONVERSION_KERNELWORDS_H
#define SACCADE_LIB_CONVERSION_KERNELWORDS_H

#include "dialects/Attn/Attn.h"
#include "lib/Conversion/Scalars.h"

#include "llvm/ADT/DenseMap.h"

namespace saccade {

/// The word indices of a kernel's arguments and results.
class KernelWords {
public:
  explicit KernelWords(attn::KernelOp kernel);

  /// First word of an argument of the kernel.
  int64_t of(mlir::BlockArgument argument) const {
    return arguments[argument.getArgNumber()];
  }
  /// First word of a cache, seen through the appends that give it on.
  int64_t ofCache(mlir::Value cache) const;
  /// First word of a result of attn.return.
  int64_t ofResult(unsigned index) const { return results[index]; }
  /// Words in all.
  int64_t size() const { return total; }

private:
  llvm::SmallVector<int64_t> arguments, results;
  int64_t total = 0;
};

/// Reads a word as the given type.
mlir::Value readWord(mlir::ImplicitLocOpBuilder &b, mlir::Value words,
                     int64_t index, mlir::Type type);
Scalar readI64(mlir::ImplicitLocOpBuilder &b, mlir::Value words, int64_t index);
mlir::Value readAddress(mlir::ImplicitLocOpBuilder &b, mlir::Value words,
                        int64_t index);

/// Reads a scalar of a table, `offset` in elements of `type`.
Scalar lookup(mlir::ImplicitLocOpBuilder &b, mlir::Value base,
              mlir::Value offset, mlir::Type type);

/// Reads a float of a table as f32.
mlir::Value lookUpFloat(mlir::ImplicitLocOpBuilder &b, mlir::Value base,
                        mlir::Value offset, mlir::Type element);

/// Reads field `byteOffset` of record `index` of an array of records.
Scalar lookupField(mlir::ImplicitLocOpBuilder &b, mlir::Value base,
                   Scalar index, size_t recordBytes, size_t byteOffset,
                   mlir::Type type);

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_KERNELWORDS_H
