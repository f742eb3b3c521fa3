// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What one item alone reads should not drive from the second-level cache what
// many items share.
#ifndef SACCADE_LIB_TRANSFORMS_READONCE_H
#define SACCADE_LIB_TRANSFORMS_READONCE_H

#include "llvm/ADT/StringRef.h"

namespace saccade {

/// On a tile.put: no other item reads what it brings (unit).
inline constexpr llvm::StringLiteral kOnceAttr = "tile.once";

} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_READONCE_H
