// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Emits loops over stack buffers for whole-tile operations. Every tile is an
// f32 buffer: narrower elements are widened when they are loaded and rounded
// when they are stored, so a product never sees anything but f32.

#ifndef SACCADE_LIB_CONVERSION_CPUEMITTER_H
#define SACCADE_LIB_CONVERSION_CPUEMITTER_H

#include "dialects/Tile/Tile.h"
#include "lib/Conversion/LoadAhead.h"
#include "lib/Conversion/Scalars.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace saccade {

/// Where a tile lives: row-major f32, 64-byte aligned. A row is padded to whole
/// vectors; a column vector is contiguous and padded likewise. What the padding
/// holds is anything.
struct Buffer {
  mlir::Value pointer;
  int64_t rows = 0, columns = 0;
  int64_t pitch = 0; ///< f32 elements from one row to the next
  /// Holds the transpose of its tile, as the right side of a product wants it.
  bool transposed = false;

  bool isColumn() const { return columns == 1 && !transposed; }
  bool sameShape(const Buffer &other) const {
    return rows == other.rows && columns == other.columns &&
           transposed == other.transposed;
  }
};

/// The part of a product that is held in registers: `rows` x `vectors`
/// accumulators.
struct RegisterBlock {
  int64_t rows, vectors;
};

class CpuEmitter {
public:
  /// Buffers are made at the start of `entry`, once, outside of all loops.
  CpuEmitter(mlir::Block &entry, int64_t lanes);

  mlir::ImplicitLocOpBuilder b;
  const int64_t lanes;

  //===--- Scalars, memory, loops
  //------------------------------------------===//

  Scalar i64(int64_t value);
  Scalar scalar(mlir::Value value) { return {&b, value}; }
  mlir::VectorType vectorOf(mlir::Type element) const {
    return mlir::VectorType::get({lanes}, element);
  }
  mlir::VectorType vectorType() { return vectorOf(b.getF32Type()); }
  mlir::Value splat(mlir::Value value, mlir::Type type);
  mlir::Value splat(float value);
  int64_t padded(int64_t count) const { return llvm::alignTo(count, lanes); }

  /// The address of an element.
  mlir::Value at(mlir::Value base, mlir::Type element, mlir::Value index);
  mlir::Value at(const Buffer &buffer, mlir::Value row, mlir::Value column);
  /// The address of a row's first element.
  mlir::Value at(const Buffer &buffer, mlir::Value row);
  mlir::Value load(mlir::Type type, mlir::Value address,
                   unsigned alignment = 4);
  void store(mlir::Value value, mlir::Value address, unsigned alignment = 4);

  using Body = llvm::function_ref<void(Scalar)>;
  void loop(mlir::Value begin, mlir::Value end, int64_t step, Body body);
  void loop(int64_t begin, int64_t end, int64_t step, Body body);
  /// Columns of a row in user memory, `count` elements at a time.
  void eachVector(int64_t columns,
                  llvm::function_ref<void(Scalar column, int64_t count)> body);

  Buffer allocate(int64_t rows, int64_t columns);
  Buffer allocate(tile::TileType type) {
    return allocate(type.getRows(), type.getColumns());
  }

  //===--- Whole tiles; `rows` says how many rows matter
  //-------------------===//

  void fill(const Buffer &to, mlir::Value value, mlir::Value rows);
  void copy(const Buffer &from, const Buffer &to, mlir::Value rows);
  mlir::LogicalResult map(tile::MapOp op, llvm::ArrayRef<Buffer> inputs,
                          const Buffer &to, mlir::Value rows);
  void mapRows(tile::MapRowsOp op, const Buffer &from, const Buffer &to,
               mlir::Value rows);
  void reduce(tile::ReduceKind kind, const Buffer &from, const Buffer &to,
              mlir::Value rows);
  /// Gathers rows from memory; into a transposed buffer if `to` is one.
  void loadTile(tile::LoadOp op, const Buffer &to, mlir::Value rows);
  void storeTile(tile::StoreOp op, const Buffer &from, mlir::Value rows);
  /// to = [to +] lhs * rhs, rhs row-major with one row per k. Meanwhile rows
  /// are fetched into the cache, a few with each register block.
  void dot(const Buffer &lhs, const Buffer &rhs, const Buffer &to,
           bool accumulate, mlir::Value rows,
           llvm::ArrayRef<RowsAhead> ahead = {});
  /// A transposed copy of a row-major buffer.
  Buffer transpose(const Buffer &from);
  /// An empty buffer for the transpose of a tile.
  Buffer allocateTransposed(int64_t rows, int64_t columns);

  /// Counts this CTA at a counter; whether it is the last of all.
  mlir::Value arrive(tile::ArriveOp op);

  //===--- Regions
  //---------------------------------------------------------===//

  /// Clones the body of a row region: where the row lies, and whether it is
  /// there.
  std::pair<mlir::Value, mlir::Value> place(mlir::Region &region, Scalar row,
                                            mlir::IRMapping mapping = {});

  //===--- Elements
  //--------------------------------------------------------===//

  /// `count` elements of user memory as f32, padded with zeros to a vector.
  mlir::Value loadWidened(mlir::Value address, mlir::Type element,
                          int64_t count);
  /// The first `count` lanes of a vector, rounded to nearest even.
  void storeRounded(mlir::Value vector, mlir::Value address, mlir::Type element,
                    int64_t count);
  /// f32 lanes rounded to the values that a narrower type has.
  mlir::Value rounded(mlir::Value value, mlir::Type element);

private:
  mlir::Value narrow(mlir::Value value, mlir::Type element);
  mlir::Value narrowToBytes(mlir::Value value, mlir::FloatType element);
  mlir::Value widen(mlir::Value value, mlir::Type element);
  mlir::Value widenBytes(mlir::Value value, mlir::Type element);
  mlir::Value zeroRow(int64_t bytes);
  /// Moves blocks of lanes x lanes elements; `row` gives a row's address.
  void transposeRows(llvm::function_ref<mlir::Value(Scalar)> row,
                     mlir::Type element, const Buffer &to);
  void transposeBlock(llvm::ArrayRef<mlir::Value> rows, mlir::Type element,
                      const Buffer &to, Scalar row, Scalar column,
                      int64_t count);
  /// A product under way.
  struct Product {
    const Buffer &lhs, &rhs, &to;
    bool accumulate;
    llvm::ArrayRef<RowsAhead> ahead;
    mlir::Value next;   ///< address of the index of the next row to fetch
    mlir::Value atOnce; ///< rows to fetch with a register block
  };
  void dotBlocks(const Product &product, mlir::Value begin, mlir::Value end,
                 RegisterBlock block);
  void dotBlock(const Product &product, Scalar row, Scalar column,
                RegisterBlock block);
  void fetchSome(const Product &product);

  mlir::Block &entry;
  mlir::Operation *mark; ///< what is done once is done before this
  mlir::Value zeros;
  int64_t zeroBytes = 0;
};

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_CPUEMITTER_H
