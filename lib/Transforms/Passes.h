// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes within one level: their constructors and their registration.

#ifndef SACCADE_LIB_TRANSFORMS_PASSES_H
#define SACCADE_LIB_TRANSFORMS_PASSES_H

#include "dialects/Attn/Attn.h"
#include "dialects/Tile/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/Pass.h"

namespace saccade {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_PASSES_H
