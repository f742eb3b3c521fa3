// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tile dialect for C++: types, attributes and operations.
// Passes and lowerings include this and nothing else of the room.

#ifndef SACCADE_DIALECTS_TILE_TILE_H
#define SACCADE_DIALECTS_TILE_TILE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Tile/TileDialect.h.inc"
#include "dialects/Tile/TileEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Tile/TileAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Tile/TileTypes.h.inc"

#define GET_OP_CLASSES
#include "dialects/Tile/TileOps.h.inc"

namespace saccade::tile {

/// Discardable attributes of an entry, and of the function that it becomes: its
/// argument words, the floats of a partial state, the bytes of shared memory
/// that a CTA needs, the word where tensor maps begin, and for each of them
/// {word, heads, tokens} of its box.
inline constexpr llvm::StringLiteral kWordsAttr = "tile.words";
inline constexpr llvm::StringLiteral kPartialFloatsAttr = "tile.partial_floats";
inline constexpr llvm::StringLiteral kSharedBytesAttr = "tile.shared_bytes";
inline constexpr llvm::StringLiteral kMapWordAttr = "tile.map_word";
inline constexpr llvm::StringLiteral kTensorMapsAttr = "tile.tensor_maps";

/// Says of an entry that KV tiles have been dealt to its warps.
inline constexpr llvm::StringLiteral kDealtAttr = "tile.dealt";

/// The barriers of a stage of a pipe: its bytes, and where in them the one lies
/// that tells that the stage is empty; that it is full, the first tells.
inline constexpr int64_t kStageBarrierBytes = 16;
inline constexpr int64_t kEmptyBarrier = 8;

} // namespace saccade::tile

#endif // SACCADE_DIALECTS_TILE_TILE_H
