// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Chooses the tile of an entry whose requests have few query rows on Hopper.
// Memory is what it waits for, so the choice is of bytes on their way.

#ifndef SACCADE_LIB_TRANSFORMS_DECODEMODEL_H
#define SACCADE_LIB_TRANSFORMS_DECODEMODEL_H

#include "lib/Transforms/PipelineModel.h"

namespace saccade {

/// Registers of a thread that tiles take where keys are dealt: results of all
/// rows, logits and weights of a KV tile.
int64_t liveRegistersOfDealt(int64_t rows, int64_t keys, int64_t valueDim);

/// Row tiles of a request at most: each reads its keys once.
inline constexpr int64_t kMostRowTiles = 2;

/// A schedule that deals keys to warps, for requests of so many query tokens,
/// or null where they have too many rows for that. `beside`, if given, is the
/// schedule that it is to share a kernel with (FuseEntries.cpp): then it fits
/// into the CTAs of that, which compute while its own load.
tile::ScheduleAttr chooseDealtKeys(mlir::MLIRContext *context,
                                   const PipelineShape &shape,
                                   int64_t queryTokens, int64_t sharedBytes,
                                   bool splits, tile::ScheduleAttr beside = {});

/// What items of such an entry cost, with so many bytes an element of keys and
/// values.
ItemCost costOfDealtItems(tile::ScheduleAttr schedule, int64_t headDim,
                          int64_t valueDim, int64_t bytes);

} // namespace saccade

#endif // SACCADE_LIB_TRANSFORMS_DECODEMODEL_H
