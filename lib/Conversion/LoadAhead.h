// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides which rows are fetched into the cache while a product keeps the
// arithmetic busy: those of the next load in the loop over keys, be it of this
// trip or of the next. Gathered rows lie on pages of their own, where the
// hardware's prefetchers do not follow.

#ifndef SACCADE_LIB_CONVERSION_LOADAHEAD_H
#define SACCADE_LIB_CONVERSION_LOADAHEAD_H

#include "dialects/Tile/Tile.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace saccade {

/// Rows to fetch: those of a load, its region's outer values renamed by
/// `outer`.
struct RowsAhead {
  tile::LoadOp load;
  mlir::IRMapping outer;
};

class LoadAhead {
public:
  /// Assigns each load in a loop to a product that runs before it.
  explicit LoadAhead(mlir::Block &body);

  /// What to fetch during a product; emits at the builder what its addresses
  /// need.
  llvm::SmallVector<RowsAhead> at(tile::DotOp dot,
                                  mlir::ImplicitLocOpBuilder &b) const;

private:
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<tile::LoadOp>> loads;
};

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_LOADAHEAD_H
