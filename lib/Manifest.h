// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the manifest of a compiled kernel (schema: saccade/Blob.h). The
// signature is read from the attn.kernel before it is lowered, entries from the
// tile.entry ops, so that nothing about a call is stated twice.

#ifndef SACCADE_LIB_MANIFEST_H
#define SACCADE_LIB_MANIFEST_H

#include "dialects/Attn/Attn.h"
#include "dialects/Tile/Tile.h"

#include "llvm/Support/JSON.h"

namespace saccade {

/// What callers pass to a kernel, and which caches its entries walk.
struct Signature {
  std::string kernel;
  llvm::json::Array arguments, results;
  int64_t query = -1;
  llvm::json::Array attended;              ///< caches that attends fold
  std::vector<llvm::json::Array> appended; ///< the cache of each append
  llvm::json::Array
      folds; ///< what attends fold, once readFolds has been called
};

/// Reads the signature of a verified kernel. Fails with a diagnostic on
/// arguments that no caller could pass.
mlir::FailureOr<Signature> readSignature(attn::KernelOp kernel);

/// Reads what each attend folds of its cache, once the bounds of masks have
/// been derived.
void readFolds(attn::KernelOp kernel, Signature &signature);

/// What the planner and the launcher must know of one entry, but for the code.
llvm::json::Object describeEntry(tile::EntryOp entry,
                                 const Signature &signature, size_t index);

} // namespace saccade

#endif // SACCADE_LIB_MANIFEST_H
