// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the patterns for warps with roles share: facts of the whole entry, which
// single operations cannot know, and instructions that have no operation.

#ifndef SACCADE_LIB_CONVERSION_TILETONVVMROLES_H
#define SACCADE_LIB_CONVERSION_TILETONVVMROLES_H

#include "lib/Conversion/TileToNvvm.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

namespace saccade {

/// Warps of a warpgroup, which `wgmma` and `setmaxnreg` are executed by.
inline constexpr int64_t kGroupWarps = 4;
inline constexpr int64_t kGroupThreads = kGroupWarps * tile::kWarpSize;
/// 64-bit words of a tensor map (CUtensorMap), and of which multiple it begins.
inline constexpr int64_t kMapWords = 16, kMapAlignment = 8;

/// Facts of an entry, found before anything is converted.
struct RoleFacts {
  /// Where the entry has roles, the warpgroup's index is computed at its head.
  explicit RoleFacts(tile::EntryOp entry);

  tile::RolesOp roles; // or null
  int64_t warps;       // that compute
  bool gathers = false, takesTurns = false;
  llvm::SmallVector<tile::PipeOp> pipes;
  /// Pipes whose tiles threads read, other than through the matrix units.
  llvm::DenseSet<mlir::Value> readByThreads;
  int64_t words, mapWord;
  llvm::SetVector<tile::BoxAttr> maps;
  /// The index of the thread's warpgroup, in a form whose uniformity ptxas
  /// sees.
  mlir::Value group;

  int64_t groups() const { return warps / kGroupWarps; }
  int64_t threads() const {
    return (warps + (roles ? kGroupWarps : 0)) * tile::kWarpSize;
  }
  /// The words that the kernel takes, tensor maps included.
  int64_t parameterWords() const {
    return maps.empty() ? words : mapWord + kMapWords * maps.size();
  }
  /// The address of the map of a box, in the words that the kernel takes.
  mlir::Value mapPointer(mlir::ImplicitLocOpBuilder &b, mlir::Operation *user,
                         tile::BoxAttr box) const;
  /// Named barriers (PTX ISA, "bar"), of which 0 is the whole CTA's: whose turn
  /// it is, and of the warps of a group alone.
  mlir::Value turnBarrier(mlir::ImplicitLocOpBuilder &b,
                          mlir::Value group) const;
  mlir::Value groupBarrier(mlir::ImplicitLocOpBuilder &b) const;
};

template <typename OpTy>
class RolePattern : public mlir::OpConversionPattern<OpTy> {
public:
  RolePattern(const mlir::TypeConverter &converter, mlir::MLIRContext *context,
              const RoleFacts &facts)
      : mlir::OpConversionPattern<OpTy>(converter, context), facts(facts) {}

protected:
  const RoleFacts &facts;
};

/// The value, which is the same in all lanes of a warp, in a register of which
/// ptxas knows that: descriptors are then computed once a warp.
Scalar uniform(mlir::ImplicitLocOpBuilder &b, mlir::Value value);

/// The 32-bit address of a byte of the CTA's shared memory.
Scalar sharedAddress(mlir::ImplicitLocOpBuilder &b, mlir::Value bytes);

/// Assembly that LLVM neither drops nor moves other memory accesses across.
mlir::LLVM::InlineAsmOp assembly(mlir::ImplicitLocOpBuilder &b,
                                 mlir::Type result, llvm::StringRef text,
                                 llvm::StringRef constraints,
                                 mlir::ValueRange operands);

/// What generic accesses of this thread wrote or saw is seen by TMA and wgmma.
void fenceAsyncProxy(mlir::ImplicitLocOpBuilder &b);

void populateRolePatterns(const mlir::TypeConverter &converter,
                          mlir::RewritePatternSet &patterns,
                          const RoleFacts &facts);
void populatePipePatterns(const mlir::TypeConverter &converter,
                          mlir::RewritePatternSet &patterns,
                          const RoleFacts &facts);
void populateAsyncProductPatterns(const mlir::TypeConverter &converter,
                                  mlir::RewritePatternSet &patterns,
                                  const RoleFacts &facts);

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_TILETONVVMROLES_H
