// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What -convert-tile-to-nvvm has to know of a whole entry before it converts
// its operations one by one: who computes, which pipes and tensor maps there
// are.

#ifndef SACCADE_LIB_CONVERSION_ENTRYFACTS_H
#define SACCADE_LIB_CONVERSION_ENTRYFACTS_H

#include "dialects/Tile/FragmentLayout.h"
#include "include/saccade/KernelABI.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

namespace saccade {

/// Warps of a warpgroup, which `wgmma` and `setmaxnreg` are executed by.
inline constexpr int64_t kGroupThreads = tile::kGroupWarps * tile::kWarpSize;
/// 64-bit words of a tensor map (CUtensorMap), and of which multiple it begins.
inline constexpr int64_t kMapAlignment = 8;

/// Facts of a whole entry, which single operations cannot know, found before
/// anything is converted.
struct EntryFacts {
  /// Where the entry has roles, the warpgroup's index is computed at its head.
  explicit EntryFacts(tile::EntryOp entry);

  int64_t warps; // that compute
  bool hasRoles = false, gathers = false, takesTurns = false, dealsKeys;
  llvm::SmallVector<tile::PipeOp> pipes;
  /// Pipes whose tiles threads read, other than through the matrix units.
  llvm::DenseSet<mlir::Value> readByThreads;
  /// Combinations whose memory the last one before may still be read from.
  llvm::DenseSet<mlir::Operation *> waitsForReaders;
  int64_t words, mapWord;
  llvm::SetVector<tile::BoxAttr> maps;
  /// The index of the thread's warpgroup, in a form whose uniformity ptxas
  /// sees; where keys are dealt, also that of its warp among those of its role.
  mlir::Value group, warpOfRole;

  int64_t groups() const { return warps / tile::kGroupWarps; }
  /// Threads that fill a stage, and warps that empty it.
  int64_t producers(tile::PipeOp pipe) const;
  int64_t consumers(tile::PipeOp pipe) const {
    return pipe.getDealt() ? 1 : warps;
  }
  int64_t threads() const {
    return (warps + (hasRoles ? tile::kGroupWarps : 0)) * tile::kWarpSize;
  }
  /// The words that the kernel takes, tensor maps included.
  int64_t parameterWords() const {
    return maps.empty() ? words
                        : mapWord + SACCADE_TENSOR_MAP_WORDS * maps.size();
  }
  /// The address of the map of a box, in the words that the kernel takes.
  mlir::Value mapPointer(mlir::ImplicitLocOpBuilder &b, mlir::Operation *user,
                         tile::BoxAttr box) const;
  /// Named barriers (PTX ISA, "bar"), of which 0 is the whole CTA's: whose turn
  /// it is, of the warps of a group alone, and of all that compute;
  /// where no warp does anything else, that is the CTA's.
  mlir::Value turnBarrier(mlir::ImplicitLocOpBuilder &b,
                          mlir::Value group) const;
  mlir::Value groupBarrier(mlir::ImplicitLocOpBuilder &b) const;
  mlir::Value computeBarrier(mlir::ImplicitLocOpBuilder &b) const;
  /// Where the warps that compute wait for each other.
  void meet(mlir::ImplicitLocOpBuilder &b) const;
};

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_ENTRYFACTS_H
