// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Emits the body of an entry that computes rows: fold, resume, merge and finish
// of states, and row functions of tokens, as tile operations. Pieces of
// -convert-attn-to-tile.

#ifndef SACCADE_LIB_CONVERSION_ATTENDEMITTER_H
#define SACCADE_LIB_CONVERSION_ATTENDEMITTER_H

#include "dialects/Tile/Tile.h"
#include "lib/Conversion/CacheWalk.h"

namespace saccade {

/// Logits are multiplied by it, so that weights are powers of two.
inline constexpr float kLog2E = 1.44269504088896340736f;

/// The state (m, l, O) of the rows of an item as tiles. m is in units of log2:
/// the largest logit times log2(e). Without softmax only O is there.
struct TileState {
  mlir::Value max, sum, output;
};

class AttendEmitter {
public:
  /// `folds`: whether the entry folds caches.
  AttendEmitter(const ItemScope &item, const KernelWords &kernelWords,
                tile::ScheduleAttr schedule, bool folds)
      : folds(folds), item(item), kernelWords(kernelWords), schedule(schedule) {
  }

  /// Folds the cache of an attend, a KV tile at a time.
  TileState fold(mlir::ImplicitLocOpBuilder &b, attn::AttendOp attend);
  /// The state that an output and its LSE stand for.
  TileState resume(mlir::ImplicitLocOpBuilder &b, attn::ResumeOp resume);
  /// Writes tokens as a row function makes them of others.
  void mapRows(mlir::ImplicitLocOpBuilder &b, attn::MapRowsOp map,
               int64_t word);
  /// The state of both caches.
  TileState merge(mlir::ImplicitLocOpBuilder &b, const TileState &lhs,
                  const TileState &rhs);
  /// The states of the item's rows over all of their keys, and whether they are
  /// there (i1): not where the item is one of several parts, and another part
  /// is done later. Parts meet in their slots; states must have equal places.
  std::pair<llvm::SmallVector<TileState>, mlir::Value>
  joinParts(mlir::ImplicitLocOpBuilder &b, llvm::ArrayRef<TileState> states);
  /// Looks up what joinParts needs: at the head of an item, so that nothing
  /// waits for it at the end.
  void readPart(mlir::ImplicitLocOpBuilder &b);
  /// The floats of a slot for such states.
  static int64_t partialFloats(llvm::ArrayRef<TileState> states);
  /// Writes the output, and the LSE if there is one, of a finished state; the
  /// words are those of the results they are returned as.
  void finish(mlir::ImplicitLocOpBuilder &b, attn::FinishOp finish,
              TileState state, std::optional<int64_t> outputWord,
              std::optional<int64_t> lseWord);

private:
  /// Masked logits of a tile, and the factor that they still lack, if any.
  struct Logits {
    mlir::Value tile, factor;
  };
  /// What the products over a cache are made of.
  struct Operands {
    attn::LayoutType cache;
    mlir::Type computed; ///< the type of queries and weights
    /// Scales that row functions get to see; null where there are none, or they
    /// are applied elsewhere.
    mlir::Value rowScales[2]; // of keys, of values
  };
  Operands operandsOf(attn::AttendOp attend) const;
  BoundVariant bind(mlir::ImplicitLocOpBuilder &b, mlir::FlatSymbolRefAttr name,
                    mlir::Operation *user, mlir::ValueRange parameters);
  mlir::Value loadQuery(mlir::ImplicitLocOpBuilder &b, attn::AttendOp attend,
                        const BoundVariant &variant, mlir::Type computed);
  mlir::Value loadCacheTile(mlir::ImplicitLocOpBuilder &b,
                            const CacheWalk &walk, const BoundVariant &variant,
                            Scalar tileIndex, const Operands &operands,
                            bool values);
  Logits maskedLogits(mlir::ImplicitLocOpBuilder &b, const CacheWalk &walk,
                      const BoundVariant &variant, Scalar tileIndex,
                      mlir::Value full, mlir::Value products,
                      mlir::Value scale);
  mlir::Value raisedMax(mlir::ImplicitLocOpBuilder &b, mlir::Value max,
                        mlir::Value tileMax);
  TileState step(mlir::ImplicitLocOpBuilder &b, const BoundVariant &variant,
                 Logits logits, mlir::Value valueTile, mlir::Type weightType,
                 TileState state);
  /// Whether tiles come by tensor maps.
  bool copiesBoxes() const;
  /// Whether each warp folds keys of its own.
  bool dealsKeys() const;
  /// The state of all warps, where each has one of the keys dealt to it.
  TileState combineWarps(mlir::ImplicitLocOpBuilder &b, const TileState &state);
  TileState emptyState(mlir::ImplicitLocOpBuilder &b, int64_t valueDim,
                       attn::Normalizer normalizer);
  llvm::SmallVector<mlir::Value> bounds(mlir::ImplicitLocOpBuilder &b,
                                        const BoundVariant &variant);
  void store(mlir::ImplicitLocOpBuilder &b, mlir::Value tile, int64_t word);
  mlir::Value loadTokens(mlir::ImplicitLocOpBuilder &b, mlir::Value tokens);
  mlir::Value isFirstPart(mlir::ImplicitLocOpBuilder &b);

  tile::TileType column() const;

  /// Of the item's slot, if it has one: the first part of its query tile, how
  /// many there are, and their counter.
  struct {
    mlir::Value first, count, counter;
  } part;
  bool folds;
  const ItemScope &item;
  const KernelWords &kernelWords;
  tile::ScheduleAttr schedule;
};

/// m where it is finite, else 0: the difference to it is then never inf - inf.
mlir::Value finiteOrZero(mlir::ImplicitLocOpBuilder &b, mlir::Value m);
/// 2^(x - m), which is 0 for x = -inf; m is finite.
mlir::Value powerOfDifference(mlir::ImplicitLocOpBuilder &b, mlir::Value x,
                              mlir::Value m);

/// A map that multiplies all elements by a scalar.
mlir::Value emitScaled(mlir::ImplicitLocOpBuilder &b, mlir::Value tile,
                       mlir::Value factor);

/// A map of tiles; `body` gets the elements and row and column.
mlir::Value emitMap(
    mlir::ImplicitLocOpBuilder &b, tile::TileType type, mlir::ValueRange inputs,
    llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &,
                                   mlir::ValueRange, Scalar row, Scalar column)>
        body);

/// A row function over a tile; results are rounded to `element`.
mlir::Value
emitMapRows(mlir::ImplicitLocOpBuilder &b, mlir::Value tile, mlir::Type element,
            llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &,
                                           mlir::Value, Scalar row)>
                body);

/// Adds a block of rows to a load or store: `body` gives offset and presence.
void emitRows(mlir::ImplicitLocOpBuilder &b, mlir::Region &region,
              llvm::function_ref<std::pair<Scalar, Scalar>(
                  mlir::ImplicitLocOpBuilder &, Scalar row)>
                  body);

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_ATTENDEMITTER_H
