// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Query tiles: the rows of requests, cut to what one item computes, and what
// each costs. How tiles are dealt to ctas is the policies' matter.
#ifndef SACCADE_RUNTIME_TILECUTTER_H
#define SACCADE_RUNTIME_TILECUTTER_H

#include "runtime/Batch.h"

#include <vector>

namespace saccade::rt {

/// Rows of one request, and the keys that they are folded over: an item for
/// each KV head, all of one cost.
struct Tile {
  uint64_t units; ///< cost as an integer, see measureTiles
  int32_t request, rowBegin, rowEnd;
  int32_t keyBegin, keyEnd; ///< positions
  /// Of the first KV head's partial state, and slots from head to head; -1:
  /// whole.
  int32_t slot, slotsPerHead;
  int32_t visited; ///< KV tiles
  double cost;
};

inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Rows of a full tile. It ends where a token does, if it can hold one.
int64_t tileRowsOf(const Entry &entry);
/// Rows of a tile that so many groups compute; 0 where that is none.
int64_t tileRowsOf(const Entry &entry, int64_t groups);

/// Items of tiles of so many rows that any batch within the limits gives at
/// most.
int64_t mostItemsOf(const Entry &entry, const Limits &limits, int64_t tile);

/// KV tiles that an item of these packed rows visits, as far as the host knows:
/// those that the bounds of the mask leave, over all that the entry folds. An
/// append visits none.
int64_t visitedTiles(const Manifest &manifest, const Entry &entry,
                     const Batch &batch, int32_t request, int64_t rowBegin,
                     int64_t rowEnd);

/// The cost of an item of so many rows and keys, in the manifest's unit.
double costOf(const Entry &entry, int64_t rows, int64_t keys);

/// Cuts the requests of a batch that the entry takes into whole tiles of at
/// most `most` rows, request by request.
void cutTiles(const Manifest &manifest, const Entry &entry, const Batch &batch,
              int64_t most, std::vector<Tile> &tiles);

/// What tiles cost, whoever computes them.
struct TileCosts {
  double sum = 0; ///< for all KV heads
  double heaviest = 0;

  TileCosts(const Entry &entry, const std::vector<Tile> &tiles);
};

/// All costs together are at most 2^kCostBits units.
constexpr int kCostBits = 42;

/// The exponent that makes costs of this sum, for all KV heads, integers.
int costExponent(double total, int32_t heads);

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_TILECUTTER_H
