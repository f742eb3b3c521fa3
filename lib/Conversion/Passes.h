// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes from one level to the next: their constructors and registration.

#ifndef SACCADE_LIB_CONVERSION_PASSES_H
#define SACCADE_LIB_CONVERSION_PASSES_H

#include "dialects/Tile/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace saccade {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "lib/Conversion/Passes.h.inc"
} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_PASSES_H
