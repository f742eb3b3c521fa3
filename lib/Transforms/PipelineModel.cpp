// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model of one multiprocessor: warpgroups share its matrix units and its unit
// for exponentials, and each of them does one thing after another. Counts are
// in clocks; where they are measured figures and not data of the chip, it says
// so: they fit 530 kernels of 47 shapes on an H200 to 3 % (bench/NOTES.md).

#include "lib/Transforms/DecodeModel.h"

#include "dialects/Tile/FragmentLayout.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace saccade;

namespace {
constexpr int64_t kStages = 2;
constexpr int64_t kGrowth = 8;
/// A box of fewer rows costs more to issue than it saves (measured: pages of 4
/// are slower by boxes than by 16-byte copies).
constexpr int64_t kLeastBoxRows = 8;

/// Keys that an item is thought to see where nothing says how long sequences
/// are.
constexpr int64_t kUsualKeys = 2048;

/// Registers of a thread that loads and of one that computes, for 1, 2 and 3
/// warpgroups that compute. Addresses of boxes in pages, and of single rows,
/// take more, most where a thread copies from many rows that it shares with
/// others (`unevenCopies`, of 16 bytes).
struct Registers {
  int64_t load, compute;
};
Registers registersFor(int64_t groups, tile::CopyKind copy, bool pages,
                       int64_t unevenCopies) {
  if (copy == tile::CopyKind::gather && unevenCopies > 9)
    return groups == 3 ? Registers{80, 144} : Registers{80, 208};
  if (copy == tile::CopyKind::gather)
    return groups == 3 ? Registers{56, 152} : Registers{56, 224};
  if (groups == 3)
    return {32, 160};
  return pages ? Registers{40, 232} : Registers{24, 240};
}

struct Candidate {
  int64_t groups, keys, queryStages;
  tile::CopyKind copy;
  Registers registers;
  double time; ///< a row and a key, in clocks
};

/// Clocks in which so many warpgroups fold a tile of keys. Were one of the
/// three below all that takes time, it would be the result; as each of them
/// comes near the longest, it adds to it (that cubes add up so is measured).
double stepOf(int64_t headDim, int64_t valueDim, int64_t keys, int64_t groups) {
  // m64nNk16 takes N / 2 clocks.
  double depth = llvm::divideCeil(headDim, 16);
  double products = depth * keys / 2 + double(keys) / 16 * double(valueDim) / 2;
  double exponentials = 4.0 * keys; // 16 a clock
  // Between its products a warpgroup takes maxima, exponentials and sums.
  double chain = products + 4.4 * keys;
  constexpr double overhead = 450; // of barriers and turns
  return std::cbrt(std::pow(groups * products, 3) +
                   std::pow(groups * exponentials, 3) + std::pow(chain, 3)) +
         overhead;
}

/// How much longer steps take by a kind of copies. Those of 16 bytes keep four
/// warps busy that share issue slots; three warpgroups hide most of it.
double slowdownBy(tile::CopyKind copy, int64_t groups) {
  if (copy != tile::CopyKind::gather)
    return 1;
  return groups == 3 ? 1.05 : 1.28;
}

/// Clocks of an item beside its steps: of each warpgroup's rows, and beside.
constexpr double kGroupClocks = 1250;
double itemClocks(int64_t queryStages) {
  // With one stage, queries are loaded, and results stored, while nothing else
  // goes on.
  return queryStages > 1 ? 1500 : 6000;
}

class Model {
public:
  Model(const PipelineShape &shape, int64_t sharedBytes)
      : shape(shape), sharedBytes(sharedBytes) {}

  std::optional<Candidate> best() const {
    std::optional<Candidate> best;
    for (int64_t groups : {3, 2, 1})
      for (int64_t keys = 64; keys <= 256; keys += 16)
        if (std::optional<Candidate> candidate = consider(groups, keys))
          if (!best || candidate->time < best->time)
            best = candidate;
    return best;
  }

private:
  const PipelineShape &shape;
  int64_t sharedBytes;

  std::optional<Candidate> consider(int64_t groups, int64_t keys) const {
    int64_t rows = tile::kGroupRows * groups;
    if (shape.group > rows)
      return std::nullopt;
    Candidate candidate{groups, keys, /*queryStages=*/2, copyFor(shape, keys),
                        {},     0};
    int64_t uneven = std::max(unevenCopies(keys, shape.headDim),
                              unevenCopies(keys, shape.valueDim));
    candidate.registers =
        registersFor(groups, candidate.copy, shape.contiguous > 0, uneven);
    // The queries of the next item come early where there is room.
    while (bytesOf(candidate) > sharedBytes && candidate.queryStages > 1)
      --candidate.queryStages;
    if (!fits(candidate))
      return std::nullopt;
    candidate.time = timeOf(candidate);
    return candidate;
  }

  /// Copies of each of 128 threads, unless these copy whole rows at a time.
  static int64_t unevenCopies(int64_t rows, int64_t columns) {
    constexpr int64_t threads = 128, elements = 8; // of 16 bytes
    return threads * elements % columns
               ? llvm::divideCeil(rows * columns, threads * elements)
               : 0;
  }

  int64_t bytesOf(const Candidate &c) const {
    int64_t dk = llvm::alignTo(shape.headDim, 64);
    int64_t dv = llvm::alignTo(shape.valueDim, 64);
    constexpr int64_t barriers = 1024;
    return 2 * (c.queryStages * tile::kGroupRows * c.groups * dk +
                kStages * c.keys * (dk + dv)) +
           barriers;
  }

  bool fits(const Candidate &c) const {
    if (bytesOf(c) > sharedBytes)
      return false;
    // Beside the tiles, what compiled kernels were seen to need (with fewer,
    // ptxas spills or serialises).
    int64_t reserve = c.groups == 3 ? 28 : shape.contiguous ? 48 : 44;
    constexpr int64_t threads = tile::kGroupWarps * tile::kWarpSize;
    if (threads * (c.registers.load + c.groups * c.registers.compute) >
        tile::kRegisters)
      return false;
    return liveRegisters(c.keys, shape.valueDim) + reserve +
               shape.extraRegisters <=
           c.registers.compute;
  }

  double timeOf(const Candidate &c) const {
    double step = stepOf(shape.headDim, shape.valueDim, c.keys, c.groups) *
                  slowdownBy(c.copy, c.groups);
    // Rows of an item that a row block leaves empty.
    double rows = tile::kGroupRows * c.groups;
    if (shape.rowBlock) {
      double span = llvm::alignTo(shape.rowBlock, tile::kGroupRows * c.groups);
      rows *= shape.rowBlock / span;
    }
    // Keys of the tiles that a mask cuts are computed in vain.
    double keys = shape.tokens ? shape.tokens : kUsualKeys;
    keys += 0.5 * (c.keys + rows / shape.group);
    double item = itemClocks(c.queryStages) + kGroupClocks * c.groups;
    return (item + keys / c.keys * step) / rows;
  }
};
} // namespace

tile::CopyKind saccade::copyFor(const PipelineShape &shape, int64_t keys) {
  int64_t rows = shape.contiguous ? std::gcd(shape.contiguous, keys) : keys;
  // Absent keys must end a tile, so a tile must not span blocks.
  bool spans = shape.keyBlock && shape.keyBlock % keys;
  return rows < kLeastBoxRows || spans ? tile::CopyKind::gather
                                       : tile::CopyKind::tma;
}

tile::ScheduleAttr saccade::choosePipeline(MLIRContext *context,
                                           const PipelineShape &shape,
                                           int64_t sharedBytes) {
  std::optional<Candidate> best = Model(shape, sharedBytes).best();
  if (!best)
    return {};
  auto pipeline =
      tile::PipelineAttr::get(context, kStages, best->copy,
                              best->registers.load, best->registers.compute,
                              kGrowth, best->queryStages, tile::DealKind::rows);
  return tile::ScheduleAttr::get(context, tile::kGroupRows * best->groups,
                                 best->keys, tile::kGroupWarps * best->groups,
                                 shape.element, pipeline, /*splits=*/false);
}

std::optional<ItemCost> saccade::costOfItems(tile::EntryOp entry) {
  tile::ScheduleAttr schedule = entry.getSchedule();
  tile::PipelineAttr pipeline = schedule.getPipeline();
  int64_t headDim = 0, valueDim = 0, bytes = 0;
  entry.walk([&](tile::DotOp dot) {
    Type element = dot.getRhs().getType().getElementType();
    bytes = std::max<int64_t>(bytes, element.getIntOrFloatBitWidth() / 8);
    if (dot.getTransposed())
      headDim = std::max(headDim, dot.getLhs().getType().getColumns());
    else
      valueDim = std::max(valueDim, dot.getType().getColumns());
  });
  if (!pipeline || !headDim || !valueDim)
    return std::nullopt;
  if (schedule.dealsKeys())
    return costOfDealtItems(schedule, headDim, valueDim, bytes);
  int64_t all = schedule.getWarps() / tile::kGroupWarps;
  auto step = [&](int64_t groups) {
    return stepOf(headDim, valueDim, schedule.getKeys(), groups);
  };
  // Warpgroups without rows still take turns (measured).
  constexpr double idle = 1.03;
  ItemCost cost;
  cost.item = itemClocks(pipeline.getQueryStages());
  cost.row = kGroupClocks / tile::kGroupRows;
  cost.key = step(all) * slowdownBy(pipeline.getCopy(), all) /
             double(schedule.getKeys());
  for (int64_t groups = 1; groups < all; ++groups)
    cost.groups.push_back(std::min(idle * step(groups) / step(all), 1.0));
  cost.groups.push_back(1);
  return cost;
}
