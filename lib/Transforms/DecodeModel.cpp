// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A multiprocessor draws its share of the memory's bandwidth with about 64 KB
// on their way; with more, they only become unequal (measured on H200: 48 KB
// give 96 %, 128 KB spread the ends of CTAs by 60 us).

#include "lib/Transforms/DecodeModel.h"

#include "dialects/Tile/FragmentLayout.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace saccade;

namespace {
constexpr int64_t kQueryStages = 2, kGrowth = 8;
constexpr int64_t kComputeRegisters = 224; // of most schedules
constexpr int64_t kBytesOnTheirWay = 64 * 1024;
/// Beside CTAs that compute, fewer draw what memory gives, each more.
constexpr int64_t kBytesBesideOthers = 2 * kBytesOnTheirWay;
/// Below, barriers and look-ups of a tile weigh too much beside its bytes; but
/// keys of more bytes (one of each) have logits in too many registers.
constexpr int64_t kLeastTileBytes = 4096;
constexpr int64_t kMostKeyBytes = 64;
constexpr int64_t kMostRows = 32;

/// Of a thread that loads and of one that computes: what compiled kernels were
/// seen to need.
struct Registers {
  int64_t load, compute;
};

struct Candidate {
  int64_t rows, keys, warps, stages;
  tile::CopyKind copy;
  Registers registers;
};

Registers registersFor(const Candidate &c) {
  if (c.warps < 8)
    return {80, c.rows == kMostRows ? 232 : kComputeRegisters};
  if (c.rows == kMostRows && c.copy == tile::CopyKind::tma)
    return {40, 232};
  return {56, kComputeRegisters};
}

/// The same in a CTA of so many threads at least: those without work keep a
/// few. Nothing where too few are left.
std::optional<Registers> registersAmong(const Candidate &c, int64_t threads) {
  Registers registers = registersFor(c);
  constexpr int64_t loading = tile::kGroupWarps * tile::kWarpSize;
  int64_t computing = tile::kWarpSize * c.warps;
  int64_t idle = std::max<int64_t>(threads - loading - computing, 0);
  int64_t left =
      (tile::kRegisters - loading * registers.load - idle * kLeastRegisters) /
      computing / 8 * 8;
  // As many rows as these need all that there are.
  if (c.rows == kMostRows && left < registers.compute)
    return std::nullopt;
  registers.compute = std::min(registers.compute, left);
  return registers;
}

class Model {
public:
  /// `threads`: of a CTA that it shares a kernel with; 0: alone.
  Model(const PipelineShape &shape, int64_t sharedBytes, int64_t threads)
      : shape(shape), sharedBytes(sharedBytes), threads(threads) {}

  std::optional<Candidate> best(int64_t queryTokens) const {
    for (int64_t tiles = 1; tiles <= kMostRowTiles; ++tiles) {
      int64_t tokens = llvm::divideCeil(queryTokens, tiles);
      int64_t rows = llvm::alignTo(tokens * shape.group, tile::kAtomColumns);
      if (rows > kMostRows)
        continue;
      // Fewer warps hide less of each other, but have fewer results to combine.
      for (int64_t keys = mostKeys(); keys >= leastKeys(); keys /= 2)
        for (int64_t warps : {8, 4})
          if (std::optional<Candidate> c = consider(rows, keys, warps))
            return c;
    }
    return std::nullopt;
  }

private:
  const PipelineShape &shape;
  int64_t sharedBytes, threads;

  int64_t mostKeys() const {
    int64_t keys = tile::kAtomRows;
    while (shape.cacheBytes * keys * shape.headDim < kLeastTileBytes &&
           shape.cacheBytes * keys < kMostKeyBytes)
      keys *= 2;
    return keys;
  }
  /// Halves of tiles of 8-bit keys are still as many keys as others have.
  int64_t leastKeys() const {
    return shape.cacheBytes == 1 ? std::max(tile::kAtomRows, mostKeys() / 2)
                                 : mostKeys();
  }

  std::optional<Candidate> consider(int64_t rows, int64_t keys,
                                    int64_t warps) const {
    Candidate c;
    c.rows = rows;
    c.warps = warps;
    c.keys = keys;
    c.copy = copyFor(shape, c.keys);
    int64_t pair = shape.cacheBytes * c.keys * (shape.headDim + shape.valueDim);
    auto stagesOf = [&](int64_t bytes) {
      return llvm::alignTo(llvm::divideCeil(bytes, pair), warps);
    };
    c.stages = stagesOf(threads ? kBytesBesideOthers : kBytesOnTheirWay);
    if (sharedBytesOf(c) > sharedBytes)
      c.stages = stagesOf(kBytesOnTheirWay);
    std::optional<Registers> registers = registersAmong(c, threads);
    if (sharedBytesOf(c) > sharedBytes || !registers)
      return std::nullopt;
    c.registers = *registers;
    // Copies of 16 bytes take longer to issue, which another round of stages
    // hides (0.7 %, measured; of boxes it makes CTAs unequal, 1 %).
    if (c.copy == tile::CopyKind::gather && !threads) {
      c.stages += warps;
      if (sharedBytesOf(c) > sharedBytes)
        c.stages -= warps;
    }
    // Beside the tiles, what compiled kernels were seen to need: queries are in
    // registers only where these have room.
    constexpr int64_t reserve = 56;
    int64_t live = liveRegistersOfDealt(c.rows, c.keys, shape.valueDim);
    if (live + reserve + shape.extraRegisters <=
        std::min(kComputeRegisters, c.registers.compute))
      return c;
    return std::nullopt;
  }

  /// Stages, and at the end of an item the results of all warps in f32.
  int64_t sharedBytesOf(const Candidate &c) const {
    constexpr int64_t barriers = 2048, panel = 128;
    auto rowBytes = [](int64_t bytes, int64_t columns) {
      return llvm::alignTo(bytes * columns, panel);
    };
    return kQueryStages * c.rows * rowBytes(2, shape.headDim) +
           c.stages * c.keys *
               (rowBytes(shape.cacheBytes, shape.headDim) +
                rowBytes(shape.cacheBytes, shape.valueDim)) +
           4 * c.warps * c.rows * (llvm::alignTo(shape.valueDim, 16) + 4) +
           barriers;
  }
};
} // namespace

int64_t saccade::liveRegistersOfDealt(int64_t rows, int64_t keys,
                                      int64_t valueDim) {
  // Atoms of 8 rows: operands of 16 columns take 2 registers, accumulators 4.
  int64_t results = 4 * llvm::divideCeil(valueDim, 16);
  int64_t weights = (4 + 2) * llvm::divideCeil(keys, 16);
  return llvm::divideCeil(rows, 8) * (results + weights);
}

tile::ScheduleAttr saccade::chooseDealtKeys(MLIRContext *context,
                                            const PipelineShape &shape,
                                            int64_t queryTokens,
                                            int64_t sharedBytes, bool splits,
                                            tile::ScheduleAttr beside) {
  int64_t threads =
      beside ? tile::kWarpSize * (beside.getWarps() + tile::kGroupWarps) : 0;
  std::optional<Candidate> best =
      Model(shape, sharedBytes, threads).best(queryTokens);
  if (!best)
    return {};
  auto pipeline = tile::PipelineAttr::get(
      context, best->stages, best->copy, best->registers.load,
      best->registers.compute, kGrowth, kQueryStages, tile::DealKind::keys);
  return tile::ScheduleAttr::get(context, best->rows, best->keys, best->warps,
                                 shape.element, pipeline, splits);
}

ItemCost saccade::costOfDealtItems(tile::ScheduleAttr schedule, int64_t headDim,
                                   int64_t valueDim, int64_t bytes) {
  // Memory gives each of 132 multiprocessors about 33 bytes a ns, at 1.75 GHz;
  // which draw a tenth more when others are done. An item ends with the
  // combination of warps; merging parts is a chain of some 4 us (measured).
  constexpr double bytesPerClock = 19, itemClocks = 1200, mergeClocks = 7000;
  ItemCost cost;
  cost.item = itemClocks;
  cost.merge = mergeClocks;
  // With more on their way, a CTA draws more: 80 bytes a ns with twice as many,
  // beside CTAs that compute (measured).
  tile::PipelineAttr pipeline = schedule.getPipeline();
  double onTheirWay = double(pipeline.getStages() * schedule.getKeys() * bytes *
                             (headDim + valueDim));
  double more = std::clamp(onTheirWay / kBytesOnTheirWay, 1.0, 2.0) - 1;
  cost.rush = 1.1 + 1.3 * more;
  cost.row = 1; // of a few
  cost.key = double(bytes * (headDim + valueDim)) / bytesPerClock;
  return cost;
}
