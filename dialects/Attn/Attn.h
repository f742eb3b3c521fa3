// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The attn dialect in C++: types, attributes, operations and interfaces.
// Whoever reads or writes attn IR includes this header and nothing else.

#ifndef SACCADE_DIALECTS_ATTN_ATTN_H
#define SACCADE_DIALECTS_ATTN_ATTN_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Attn/AttnDialect.h.inc"
#include "dialects/Attn/AttnEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Attn/AttnAttrs.h.inc"

#include "dialects/Attn/AttnTypeInterfaces.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Attn/AttnTypes.h.inc"

#include "dialects/Attn/AttnBodyInterface.h.inc"
#define GET_OP_CLASSES
#include "dialects/Attn/AttnOps.h.inc"

namespace saccade::attn {
/// Bounds on what a spec may ask for: what the lowerings and KernelABI.h can
/// hold. The verifiers refuse anything else with the reason.
inline constexpr int64_t kMaxHeads = 65535;
inline constexpr int64_t kMaxHeadDim = 576;
inline constexpr int64_t kHeadDimMultiple = 8;
inline constexpr int64_t kRowBytesMultiple = 16;
inline constexpr int64_t kMaxPage = 65536;
inline constexpr int64_t kMaxBlock = 65536;
inline constexpr int64_t kMaxTableRank = 4;
inline constexpr int64_t kMaxArguments = 32;
inline constexpr int64_t kMaxResults = 16;

/// Whether a variant may have a parameter of this type: f32, i32, a table.
bool isParameterType(mlir::Type type);

/// Whether elements have 8 bits: those of a cache, never of what is computed.
inline bool isEightBits(mlir::Type element) {
  return llvm::isa<mlir::Float8E4M3FNType, mlir::Float8E5M2Type>(element);
}

/// The length of a row (a vector of one dimension that no head dim exceeds);
/// nothing for any other type.
inline std::optional<int64_t> getRowLength(mlir::Type type) {
  auto vector = llvm::dyn_cast<mlir::VectorType>(type);
  if (!vector || vector.getRank() != 1 || vector.isScalable() ||
      vector.getDimSize(0) > kMaxHeadDim)
    return std::nullopt;
  return vector.getDimSize(0);
}
} // namespace saccade::attn

#endif // SACCADE_DIALECTS_ATTN_ATTN_H
