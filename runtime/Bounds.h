// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which keys a tile of queries sees, as a small program that the compiler
// derives from the mask (saccade/Blob.h, "bounds"). The planner runs it to cost
// items by the KV tiles that a kernel will visit for them.
#ifndef SACCADE_RUNTIME_BOUNDS_H
#define SACCADE_RUNTIME_BOUNDS_H

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <utility>
#include <vector>

namespace saccade::rt {

/// The queries of a tile: positions of the first and the last in the sequence.
struct TileQueries {
  int64_t first = 0, last = 0, request = 0, qLen = 0, kvLen = 0;
};

/// Keys [begin, end) of a sequence, in tiles of `tile` keys counted from begin.
struct KeyTiles {
  int64_t begin = 0, end = 0, tile = 1;

  int64_t count() const {
    return end <= begin ? 0 : (end - begin + tile - 1) / tile;
  }
};

/// Tiles [first, end), by number.
struct TileSpan {
  int64_t first = 0, end = 0;
};

/// Values are ranges: what is known when the kernel runs only (scalars,
/// tables) may be anything, and so may what is computed from it.
class BoundsProgram {
public:
  enum class Op : uint8_t {
    Constant,
    QueryFirst,
    QueryLast,
    Request,
    QLen,
    KvLen,
    Unknown,
    Add,
    Sub,
    Mul,
    Min,
    Max,
    FloorDiv,
    Less,
    LessEqual,
    Equal,
    Unequal,
    And,
    Or,
    Select
  };

  /// Reads a program. Null, or what its JSON was expected to be.
  static const char *parse(const nlohmann::json &json, BoundsProgram &program);

  /// Tiles that some query of the tile may see a key of, each counted once.
  int64_t countTiles(const TileQueries &queries, const KeyTiles &keys) const;

  /// The same tiles as spans, ascending and apart. Gives their number.
  size_t findTiles(const TileQueries &queries, const KeyTiles &keys,
                   std::span<TileSpan> found) const;

  /// Intervals of a program, at most.
  static constexpr size_t kMaxIntervals = 8;

private:
  struct Step {
    Op op;
    uint16_t operands[3]; ///< places of earlier steps
    int64_t value;        ///< of a constant
  };
  struct Range {
    int64_t least, most;
  };
  static const char *parseStep(const nlohmann::json &json, size_t place,
                               Step &step);
  static Range apply(const Step &step, const TileQueries &queries,
                     const Range *places);

  std::vector<Step> code;
  std::vector<std::pair<uint16_t, uint16_t>> keys; ///< places of [lo, hi)
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_BOUNDS_H
