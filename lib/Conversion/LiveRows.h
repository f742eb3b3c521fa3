// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds rows that need not be computed. Rows of a tile do not mix but in
// products, as the right side: where tiles of the same rows reach memory
// through stores alone, rows that no store writes are not worth computing.
// Decoding has 4 live rows in a tile of 64.

#ifndef SACCADE_LIB_CONVERSION_LIVEROWS_H
#define SACCADE_LIB_CONVERSION_LIVEROWS_H

#include "dialects/Tile/Tile.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/EquivalenceClasses.h"

namespace saccade {

class LiveRows {
public:
  /// Emits, once an item, the count of rows that some store writes.
  explicit LiveRows(mlir::Block &body);

  /// How many leading rows of a tile matter at an operation (i64), or null:
  /// all.
  mlir::Value get(mlir::Value tile, mlir::Operation *at) const;

private:
  /// Tiles whose rows correspond.
  struct Group {
    llvm::SmallVector<tile::StoreOp> stores;
    llvm::SmallVector<mlir::Operation *> ops;
    bool allRows = false;         ///< used in a way that reads every row
    mlir::Block *block = nullptr; ///< where the count is known
    mlir::Value count;
  };
  void join(mlir::Value a, mlir::Value b);
  void relate(mlir::Operation *op);
  void collect(mlir::Operation *op);
  Group &groupOf(mlir::Value tile);
  static void emitCount(Group &group);

  llvm::EquivalenceClasses<void *> classes;
  llvm::DenseMap<void *, Group> groups; ///< by the leader of the class
};

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_LIVEROWS_H
