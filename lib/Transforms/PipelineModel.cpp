// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model of one multiprocessor: its matrix units take warpgroups in turn, and
// the arithmetic of one should fit between its turns. Counts are in clocks;
// where they are measured figures and not data of the chip, it says so.

#include "lib/Transforms/PipelineModel.h"

#include "dialects/Tile/FragmentLayout.h"

#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace mlir;
using namespace saccade;

namespace {
constexpr int64_t kStages = 2;
constexpr int64_t kGrowth = 8;
/// A box of fewer rows costs more to issue than it saves (measured: pages of 4
/// are slower by boxes than by 16-byte copies).
constexpr int64_t kLeastBoxRows = 8;

/// Registers of a thread that loads and of one that computes, for 1, 2 and 3
/// warpgroups that compute. Addresses of boxes in pages, and of single rows,
/// take more; most where the copies of a thread share no rows (`evenRows` not).
struct Registers {
  int64_t load, compute;
};
Registers registersFor(int64_t groups, tile::CopyKind copy, bool pages,
                       bool evenRows) {
  if (copy == tile::CopyKind::gather && !evenRows)
    return {80, 208};
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

/// Clocks in which so many warpgroups fold a tile of keys.
double stepOf(int64_t headDim, int64_t valueDim, int64_t keys, int64_t groups) {
  // m64nNk16 takes N / 2 clocks.
  double depth = llvm::divideCeil(headDim, 16);
  double products = depth * keys / 2 + double(keys) / 16 * double(valueDim) / 2;
  // 16 exponentials a clock; between turns a warpgroup also scales, compares
  // and rounds, and waits for barriers and shuffles (measured).
  double exponentials = 4.0 * keys;
  double between = 5.2 * keys + 250;
  double step =
      std::max({groups * products, groups * exponentials, products + between});
  // The less slack, the more often the matrix units wait (measured).
  double slack = 1 - (products + between) / step;
  step *= 1 + 0.25 * std::max(0.0, 0.3 - slack);
  constexpr double overhead = 40; // of a step, measured
  return step + overhead;
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

  tile::CopyKind copyFor(int64_t keys) const {
    int64_t rows = shape.contiguous ? std::gcd(shape.contiguous, keys) : keys;
    // Absent keys must end a tile, so a tile must not span blocks.
    bool spans = shape.keyBlock && shape.keyBlock % keys;
    return rows < kLeastBoxRows || spans ? tile::CopyKind::gather
                                         : tile::CopyKind::tma;
  }

  std::optional<Candidate> consider(int64_t groups, int64_t keys) const {
    int64_t rows = tile::kGroupRows * groups;
    if (shape.group > rows)
      return std::nullopt;
    Candidate candidate{groups, keys, /*queryStages=*/2, copyFor(keys), {}, 0};
    bool evenRows =
        copiesAreEven(shape.headDim) && copiesAreEven(shape.valueDim);
    candidate.registers =
        registersFor(groups, candidate.copy, shape.contiguous > 0, evenRows);
    // The queries of the next item come early where there is room.
    while (bytesOf(candidate) > sharedBytes && candidate.queryStages > 1)
      --candidate.queryStages;
    if (!fits(candidate))
      return std::nullopt;
    candidate.time = timeOf(candidate);
    return candidate;
  }

  /// Whether 128 threads copy whole rows at a time, 16 bytes each.
  static bool copiesAreEven(int64_t columns) {
    constexpr int64_t threads = 128, elements = 8;
    return threads * elements % columns == 0;
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
    double step = stepOf(shape.headDim, shape.valueDim, c.keys, c.groups);
    // Copies of 16 bytes keep four warps busy that share issue slots
    // (measured).
    if (c.copy == tile::CopyKind::gather)
      step *= 1.1;
    // Rows of an item that a row block leaves empty, and keys of the tiles that
    // a mask cuts at, on sequences of a few thousand.
    double rows = tile::kGroupRows * c.groups;
    if (shape.rowBlock) {
      double span = llvm::alignTo(shape.rowBlock, tile::kGroupRows * c.groups);
      rows *= shape.rowBlock / span;
    }
    double wasted = 0.5 * (c.keys + rows / shape.group) / 2048;
    return step * (1 + wasted) / (rows * c.keys);
  }
};
} // namespace

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

SmallVector<double> saccade::groupCosts(tile::EntryOp entry) {
  tile::ScheduleAttr schedule = entry.getSchedule();
  int64_t headDim = 0, valueDim = 0;
  entry.walk([&](tile::DotOp dot) {
    if (dot.getTransposed())
      headDim = std::max(headDim, dot.getLhs().getType().getColumns());
    else
      valueDim = std::max(valueDim, dot.getType().getColumns());
  });
  SmallVector<double> costs;
  if (!schedule.getPipeline() || !headDim || !valueDim)
    return costs;
  int64_t all = schedule.getWarps() / tile::kGroupWarps;
  auto step = [&](int64_t groups) {
    return stepOf(headDim, valueDim, schedule.getKeys(), groups);
  };
  for (int64_t groups = 1; groups <= all; ++groups)
    costs.push_back(step(groups) / step(all));
  return costs;
}
