// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The policy for items of little work each, decode: all work of an entry in a
// line (KV head by KV head, tile by tile, KV tile by KV tile), cut into
// contiguous ranges of equal cost, one a cta. A cta then has its share, and at
// most two tiles in part.
#ifndef SACCADE_RUNTIME_RANGEPOLICY_H
#define SACCADE_RUNTIME_RANGEPOLICY_H

#include "runtime/EntryWork.h"
#include "runtime/KeyLine.h"

#include <vector>

namespace saccade::rt {

/// Parts of a tile, about: more would wait for whoever merges them, who reads
/// one after another what so many wrote side by side.
constexpr int32_t kMostParts = 32;

/// What it costs to write a partial state, or to read it, in the manifest's
/// unit: as much as to read as many bytes of keys and values.
double stateCost(const Manifest &manifest, const Entry &entry);
/// What it costs a launch, at its end, that tiles were cut.
double mergeCost(const Manifest &manifest, const Entry &entry);

class RangePolicy {
public:
  /// Plans tiles of a splittable entry for at most `ctas` ctas; exactly so many
  /// with `fixedGrid`. Tiles stay whole where that ends as early as cutting and
  /// merging them does. Ctas work `pace` times as fast as costs say.
  void plan(const Manifest &manifest, const Entry &entry, const Batch &batch,
            const std::vector<Tile> &tiles, int32_t ctas, bool fixedGrid,
            EntryWork &work, double pace = 1) {
    weigh(manifest, entry, tiles, ctas, pace);
    write(manifest, entry, batch, tiles, ctas, fixedGrid, work);
  }

  /// The two halves of plan. The first says whether tiles are to be cut; the
  /// second takes the same tiles in the same order.
  bool weigh(const Manifest &manifest, const Entry &entry,
             const std::vector<Tile> &tiles, int32_t ctas, double pace);
  void write(const Manifest &manifest, const Entry &entry, const Batch &batch,
             const std::vector<Tile> &tiles, int32_t ctas, bool fixedGrid,
             EntryWork &work);

  /// Makes room for so many tiles.
  void reserve(int64_t tiles, int32_t ctas, size_t folds);

private:
  /// Units of a tile: what it costs however few of its keys, and a KV tile.
  struct Weight {
    int64_t fixed, each;
  };
  /// Where a range begins: a tile of a KV head, and visited KV tiles before it.
  struct Cut {
    int32_t head, tile;
    int64_t before;
    int64_t units;    ///< of all work before
    int32_t position; ///< of the first key

    bool isBefore(const Cut &other) const {
      return head != other.head ? head < other.head : tile < other.tile;
    }
  };
  void weighTiles(const Entry &entry, const std::vector<Tile> &tiles);
  int64_t unitsOf(double cost) const;
  /// Puts cuts into places of equal distance, each in its tile.
  void spread(int32_t ctas);
  Cut betweenTiles(Cut cut) const;
  /// Units of the heaviest range where all tiles stay whole.
  int64_t heaviestWhole() const;
  void cutWhole();
  void cutAnywhere(const Manifest &manifest, const Entry &entry,
                   const Batch &batch, const std::vector<Tile> &tiles,
                   int64_t sliver);
  void writeItems(int32_t ctas, bool fixedGrid, EntryWork &work);
  void writePart(const Cut &from, const Cut &to, SaccadeWorkItem &item,
                 EntryWork &work) const;
  Cut behind(Cut cut) const;

  double scale = 1;  ///< units of a unit of cost
  bool free = false; ///< nothing costs anything
  int32_t used = 0;  ///< ctas that are worth it where tiles are cut
  bool isCut = false;
  int64_t heaviest = 0;         ///< units of the heaviest tile
  int32_t heads = 0, count = 0; ///< count: of tiles
  std::vector<Weight> weights;  ///< per tile
  std::vector<int64_t> before;  ///< per tile and one more: units before it
  std::vector<SaccadeWorkItem> whole; ///< per tile, of the first KV head
  std::vector<Cut> cuts;              ///< per cta and one more
  KeyLine keys;
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_RANGEPOLICY_H
