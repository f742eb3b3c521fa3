// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Keeps the names of kernel arguments and variant parameters past the parser,
// as locations: callers pass arguments by name, and dumps stay readable.

#ifndef SACCADE_DIALECTS_ATTN_ARGUMENTNAMES_H
#define SACCADE_DIALECTS_ATTN_ARGUMENTNAMES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

namespace saccade::attn {

/// Gives each argument a location that carries its name.
inline void
keepNames(mlir::OpAsmParser &parser,
          llvm::MutableArrayRef<mlir::OpAsmParser::Argument> arguments) {
  for (mlir::OpAsmParser::Argument &argument : arguments)
    argument.sourceLoc = mlir::NameLoc::get(
        parser.getBuilder().getStringAttr(argument.ssaName.name.drop_front()),
        parser.getEncodedSourceLoc(argument.ssaName.location));
}

/// The name that `keepNames` kept, or an empty one.
inline llvm::StringRef getKeptName(mlir::BlockArgument argument) {
  auto name = llvm::dyn_cast<mlir::NameLoc>(argument.getLoc());
  return name ? name.getName().getValue() : "";
}

} // namespace saccade::attn

#endif // SACCADE_DIALECTS_ATTN_ARGUMENTNAMES_H
