// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The KV tiles that a query tile visits, one after another: where in the
// sequence lies the end of the n-th? That is where a tile may be cut so that
// both sides have known work: on the KV tile grid of the cache that holds it.
#ifndef SACCADE_RUNTIME_KEYLINE_H
#define SACCADE_RUNTIME_KEYLINE_H

#include "runtime/TileCutter.h"

#include <array>
#include <vector>

namespace saccade::rt {

class KeyLine {
public:
  /// A place to cut: the position, and the visited tiles before it.
  struct Place {
    int32_t position;
    int64_t before;
  };

  /// Looks at a tile of a splittable entry.
  void read(const Manifest &manifest, const Entry &entry, const Batch &batch,
            const Tile &tile) {
    read(manifest, entry, batch, tile.request, tile.rowBegin, tile.rowEnd);
  }
  void read(const Manifest &manifest, const Entry &entry, const Batch &batch,
            int32_t request, int64_t rowBegin, int64_t rowEnd);

  /// The first place that has `count` visited tiles before it, or more where
  /// several folds visit one tile. `count` is at least 1 and at most all.
  Place after(int64_t count) const;

  /// Visited tiles before a place to cut.
  int64_t before(int64_t position) const;

  void reserve(size_t folds) { walks.reserve(folds); }

private:
  /// What one fold visits of its cache.
  struct Walk {
    int64_t start, end; ///< positions of the cache's part
    int64_t tile, count;
    std::array<TileSpan, BoundsProgram::kMaxIntervals> spans;
    size_t size;

    int64_t before(int64_t tiles) const;
    /// The tile behind the `wanted`-th visited one.
    int64_t behind(int64_t wanted) const;
  };
  std::vector<Walk> walks; ///< in order of positions
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_KEYLINE_H
