// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the patterns of -convert-tile-to-nvvm share: how tile types become types
// of one thread, who the thread is, and how bodies are cloned for its elements.

#ifndef SACCADE_LIB_CONVERSION_TILETONVVM_H
#define SACCADE_LIB_CONVERSION_TILETONVVM_H

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Conversion/EntryFacts.h"
#include "lib/Conversion/Scalars.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/DialectConversion.h"

namespace saccade {

inline Scalar operator^(const Scalar &a, const Scalar &b) {
  return a.apply<mlir::arith::XOrIOp>(b);
}

/// A fragment becomes the vector of the elements that a thread holds, in the
/// order of FragmentLayout's registers, 16-bit elements two in an i32, as the
/// matrix units take them; a tile in shared memory its i32 offset; an address a
/// pointer to global memory; the argument words a pointer to them.
class TileTypeConverter : public mlir::TypeConverter {
public:
  TileTypeConverter();
};

/// Who executes: thread within the CTA, lane within its warp. All i32.
struct Thread {
  explicit Thread(mlir::ImplicitLocOpBuilder &b);
  /// As LLVM cannot know outside of the loops around: addresses of an epilogue
  /// then take no registers from the products of the loop.
  static Thread local(mlir::ImplicitLocOpBuilder &b);
  Scalar id, lane, warp;

private:
  explicit Thread(Scalar id);
};

/// The name of the dynamic shared memory in a module.
inline constexpr llvm::StringLiteral kSharedMemory = "saccade_shared";

/// A pointer into the CTA's shared memory, or to global memory, so many bytes
/// on.
mlir::Value sharedPointer(mlir::ImplicitLocOpBuilder &b, mlir::Value bytes);
mlir::Value advance(mlir::ImplicitLocOpBuilder &b, mlir::Value pointer,
                    mlir::Value bytes);

/// A tile in shared memory at run time: only then it is known in which stage of
/// a pipe a tile lies. Its layout counts from byte 0.
struct SharedTile {
  tile::SharedLayout layout;
  Scalar base;

  /// A tile that lies where its type says, or at an i32 offset.
  SharedTile(mlir::ImplicitLocOpBuilder &b, tile::TileType type,
             mlir::Value base = nullptr);

  mlir::Value chunk(mlir::ImplicitLocOpBuilder &b, Scalar row,
                    Scalar chunk) const {
    return sharedPointer(b, layout.byteOfChunk(row, chunk) + base);
  }
  mlir::Value at(mlir::ImplicitLocOpBuilder &b, Scalar row,
                 Scalar column) const {
    return sharedPointer(b, layout.byteOf(row, column) + base);
  }
};

/// Element `i` of a vector, and two of a 16-bit vector as they lie in a
/// register.
mlir::Value element(mlir::ImplicitLocOpBuilder &b, mlir::Value vector,
                    int64_t i);
mlir::Value vectorOf(mlir::ImplicitLocOpBuilder &b, mlir::ValueRange elements);
mlir::Value bitcast(mlir::ImplicitLocOpBuilder &b, mlir::Type type,
                    mlir::Value value);

/// What a thread holds of a fragment: one element, two neighbours of a row from
/// an even register on as a vector or an i32, and a fragment of all elements.
bool isPacked(tile::TileType type);
mlir::Value fragmentElement(mlir::ImplicitLocOpBuilder &b, tile::TileType type,
                            mlir::Value fragment, int64_t reg);
mlir::Value fragmentPair(mlir::ImplicitLocOpBuilder &b, tile::TileType type,
                         mlir::Value fragment, int64_t reg);
mlir::Value fragmentOf(mlir::ImplicitLocOpBuilder &b, tile::TileType type,
                       mlir::ArrayRef<mlir::Value> elements);

/// The value of another lane: of `lane ^ mask`, or of lane `from`.
mlir::Value shuffleXor(mlir::ImplicitLocOpBuilder &b, mlir::Value value,
                       int64_t mask);
mlir::Value shuffleFrom(mlir::ImplicitLocOpBuilder &b, mlir::Value value,
                        mlir::Value from);

/// Combines what the lanes hold that share a row of a fragment.
mlir::Value
overRow(mlir::ImplicitLocOpBuilder &b, const tile::FragmentLayout &layout,
        mlir::Value part,
        llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine);

/// Clones a single-block body before the insertion point; returns what it
/// yields.
llvm::SmallVector<mlir::Value> cloneBody(mlir::ImplicitLocOpBuilder &b,
                                         mlir::Region &body,
                                         mlir::ValueRange arguments);

/// The base of the patterns.
template <typename OpTy>
class TilePattern : public mlir::OpConversionPattern<OpTy> {
public:
  TilePattern(const mlir::TypeConverter &converter, mlir::MLIRContext *context,
              const EntryFacts &facts)
      : mlir::OpConversionPattern<OpTy>(converter, context), facts(facts) {}

protected:
  const EntryFacts &facts;
};

void populateTileScalarPatterns(const mlir::TypeConverter &converter,
                                mlir::RewritePatternSet &patterns,
                                const EntryFacts &facts);
void populateTileMemoryPatterns(const mlir::TypeConverter &converter,
                                mlir::RewritePatternSet &patterns,
                                const EntryFacts &facts);
void populateTileRegisterPatterns(const mlir::TypeConverter &converter,
                                  mlir::RewritePatternSet &patterns,
                                  const EntryFacts &facts);
void populateTileConvertPatterns(const mlir::TypeConverter &converter,
                                 mlir::RewritePatternSet &patterns,
                                 const EntryFacts &facts);
void populateCombinePatterns(const mlir::TypeConverter &converter,
                             mlir::RewritePatternSet &patterns,
                             const EntryFacts &facts);
void populateTileProductPatterns(const mlir::TypeConverter &converter,
                                 mlir::RewritePatternSet &patterns,
                                 const EntryFacts &facts);
void populateRolePatterns(const mlir::TypeConverter &converter,
                          mlir::RewritePatternSet &patterns,
                          const EntryFacts &facts);
void populatePipePatterns(const mlir::TypeConverter &converter,
                          mlir::RewritePatternSet &patterns,
                          const EntryFacts &facts);
void populateAsyncProductPatterns(const mlir::TypeConverter &converter,
                                  mlir::RewritePatternSet &patterns,
                                  const EntryFacts &facts);

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_TILETONVVM_H
