// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Emits the body of an append entry. A piece of -convert-attn-to-tile.

#ifndef SACCADE_LIB_CONVERSION_APPENDEMITTER_H
#define SACCADE_LIB_CONVERSION_APPENDEMITTER_H

#include "lib/Conversion/CacheWalk.h"

namespace saccade {

/// Writes the item's `rows` new tokens of one KV head into the cache.
void emitAppend(mlir::ImplicitLocOpBuilder &b, const ItemScope &item,
                const KernelWords &kernelWords, int64_t rows,
                attn::AppendOp append);

} // namespace saccade

#endif // SACCADE_LIB_CONVERSION_APPENDEMITTER_H
