// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides who computes what: cuts a batch into work items and deals them to
// ctas. Plain code over plain numbers, deterministic, and printable, so that a
// plan can be read and tested without a device.
//
// Items are query tiles x KV heads over the whole sequence. They are dealt
// each to the cta with the least work so far, so that no two ctas differ by
// more than one item: section by section of KV heads, so that what ctas read at
// a time fits in the L2 cache, and heaviest first within one (Graham's LPT
// rule). Where items are few, tiles of fewer rows are tried: they spread over
// more ctas, and groups of warps without rows leave the others more of a
// processor.
#ifndef SACCADE_RUNTIME_PLANNER_H
#define SACCADE_RUNTIME_PLANNER_H

#include "runtime/Batch.h"

#include <string>
#include <vector>

namespace saccade::rt {

/// The work of one entry: items in the order of ctas.
struct EntryWork {
  std::vector<SaccadeWorkItem> items;
  std::vector<int32_t> ctaBegin; ///< [ctas + 1] into items
  std::vector<double> load;      ///< cost per cta

  int32_t ctas() const { return static_cast<int32_t>(ctaBegin.size()) - 1; }
};

/// Items that any batch within the limits gives at most.
int64_t mostItems(const Entry &entry, const Limits &limits);

/// KV tiles that an item of these packed rows visits, as far as the host knows:
/// those that the bounds of the mask leave, over all that the entry folds. An
/// append visits none.
int64_t visitedTiles(const Manifest &manifest, const Entry &entry,
                     const Batch &batch, int32_t request, int64_t rowBegin,
                     int64_t rowEnd);

/// The cost of an item of so many rows and keys, in the manifest's unit.
double costOf(const Entry &entry, int64_t rows, int64_t keys);

/// Plans entries. It keeps its memory from plan to plan.
class Planner {
public:
  /// Plans one entry for at most `ctas` ctas; exactly so many with
  /// `fixedGrid`. What `work` held is overwritten.
  void plan(const Manifest &manifest, const Entry &entry, const Batch &batch,
            int32_t ctas, bool fixedGrid, EntryWork &work);

private:
  /// Rows of one request: an item for each KV head, all of one cost.
  struct Tile {
    uint64_t units; ///< of cost
    int32_t request, rowBegin, rowEnd;
    double cost;
  };
  /// A request that has tiles.
  struct Requester {
    uint64_t heaviest; ///< units of its heaviest tile
    int64_t bytes;     ///< of keys and values that tiles share, of a KV head
    int32_t request, tiles;
  };
  /// KV heads of one request that are in one section.
  struct Piece {
    int32_t section, headBegin, headEnd;
  };
  /// Items of one tile that follow one another.
  struct Run {
    int32_t tile, headBegin, headEnd;
  };
  int64_t chooseRows(const Manifest &manifest, const Entry &entry,
                     const Batch &batch, int32_t ctas, bool fixedGrid);
  void cutTiles(const Manifest &manifest, const Entry &entry,
                const Batch &batch, int64_t most);
  void dealTiles(const Manifest &manifest, const Entry &entry,
                 const Batch &batch, int32_t ctas, EntryWork &work);
  int measureTiles(int32_t heads);
  void cutSections(const Manifest &manifest, const Entry &entry,
                   const Batch &batch);
  void orderRuns(int32_t heads);
  void deal(size_t items, int32_t ctas, EntryWork &work);

  std::vector<Tile> tiles;
  std::vector<Requester> requesters;
  std::vector<Piece> pieces;
  std::vector<int32_t> firstPiece; ///< per request
  std::vector<int32_t> sections;   ///< per section: its runs, then the next one
  std::vector<Run> runs;           ///< section by section, heaviest first
  std::vector<uint64_t> tree;      ///< of ctas, the least loaded at its root
  std::vector<int32_t> owners;     ///< per item
  std::vector<int32_t> next;       ///< per cta
  EntryWork trial;
};

/// A plan of one entry, by a planner of its own.
EntryWork planEntry(const Manifest &manifest, const Entry &entry,
                    const Batch &batch, int32_t ctas, bool fixedGrid);

/// A plan as text: entries, their ctas and items, then requests and caches.
std::string describe(const Manifest &manifest, const Batch &batch,
                     const std::vector<EntryWork> &work);

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_PLANNER_H
