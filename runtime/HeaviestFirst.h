// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The policy for items of much work each: heaviest first, each to the cta with
// the least work so far (Graham's LPT rule), so that no two ctas differ by more
// than one item. KV heads come section by section, so that what ctas read at a
// time fits in the L2 cache; light items of all come last.
#ifndef SACCADE_RUNTIME_HEAVIESTFIRST_H
#define SACCADE_RUNTIME_HEAVIESTFIRST_H

#include "runtime/EntryWork.h"
#include "runtime/TileCutter.h"

#include <vector>

namespace saccade::rt {

class HeaviestFirst {
public:
  /// Deals the items of tiles to ctas: sets their loads. Tiles are brought in
  /// order of cost.
  void deal(const Manifest &manifest, const Entry &entry, const Batch &batch,
            std::vector<Tile> &tiles, int32_t ctas, EntryWork &work);
  /// Writes the items that were dealt last.
  void write(const Entry &entry, const std::vector<Tile> &tiles,
             EntryWork &work);

  /// Makes room for so many items.
  void reserve(const Limits &limits, int64_t items, int32_t ctas,
               int32_t heads);

private:
  /// A request that has tiles.
  struct Requester {
    uint64_t heaviest; ///< units of its heaviest tile
    int64_t bytes;     ///< of keys and values that tiles share, of a KV head
    int32_t request, tiles;
    int32_t light; ///< of the tiles
  };
  /// KV heads of one request that are in one section.
  struct Piece {
    int32_t section, headBegin, headEnd;
  };
  /// Items of one tile that follow one another.
  struct Run {
    int32_t tile, headBegin, headEnd;
  };
  int measureTiles(std::vector<Tile> &tiles, int32_t heads);
  void cutSections(const Manifest &manifest, const Entry &entry,
                   const Batch &batch, const std::vector<Tile> &tiles);
  bool isLight(const Tile &tile) const {
    return tile.units < lightBelow[tile.request];
  }
  void orderRuns(std::vector<Tile> &tiles, int32_t heads);
  void dealRuns(const std::vector<Tile> &tiles, size_t items, int32_t ctas,
                EntryWork &work);

  std::vector<Requester> requesters;
  std::vector<Piece> pieces;
  std::vector<int32_t> firstPiece;  ///< per request
  std::vector<uint64_t> lightBelow; ///< per request: units of a light tile
  std::vector<int32_t> sections; ///< per section: its runs, then the next one
  std::vector<Run> runs;         ///< section by section, heaviest first
  std::vector<uint64_t> tree;    ///< of ctas, the least loaded at its root
  std::vector<int32_t> owners;   ///< per item
  std::vector<int32_t> next;     ///< per cta
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_HEAVIESTFIRST_H
