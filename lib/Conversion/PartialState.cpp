// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// States of a part of the keys: combined among the warps of a CTA, and among
// items through slots in memory, where the part that is done last merges all of
// them. Either way in a fixed order, so that results do not depend on timing.

#include "lib/Conversion/AttendEmitter.h"

#include "include/saccade/KernelABI.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"

#include <limits>
#include <numeric>

using namespace mlir;
using namespace saccade;

using B = ImplicitLocOpBuilder;

static tile::TileType typeOf(Value tile) {
  return cast<tile::TileType>(tile.getType());
}

/// x * y of the elements of a tile, and a column or another tile.
static Value product(B &b, Value x, Value y) {
  return emitMap(b, typeOf(x), {x, y},
                 [](B &b, ValueRange v, Scalar, Scalar) -> Value {
                   return arith::MulFOp::create(b, v[0], v[1]);
                 });
}

static Value select(B &b, Value condition, Value x, Value y) {
  return arith::SelectOp::create(b, condition, x, y);
}

//===----------------------------------------------------------------------===//
// Among warps
//===----------------------------------------------------------------------===//

bool AttendEmitter::dealsKeys() const {
  tile::PipelineAttr pipeline = schedule.getPipeline();
  return pipeline && pipeline.getDeal() == tile::DealKind::keys;
}

TileState AttendEmitter::combineWarps(B &b, const TileState &state) {
  auto combine = [&](tile::ReduceKind kind, Value tile) -> Value {
    return tile::CombineOp::create(b, tile.getType(), kind, tile);
  };
  if (!state.max)
    return {{}, {}, combine(tile::ReduceKind::add, state.output)};
  Value max = combine(tile::ReduceKind::max, state.max);
  Value factor = emitMap(
      b, column(), {state.max, max}, [](B &b, ValueRange x, Scalar, Scalar) {
        return powerOfDifference(b, x[0], finiteOrZero(b, x[1]));
      });
  return {max, combine(tile::ReduceKind::add, product(b, state.sum, factor)),
          combine(tile::ReduceKind::add, product(b, state.output, factor))};
}

//===----------------------------------------------------------------------===//
// Among items
//===----------------------------------------------------------------------===//

namespace {
/// Where the tiles of states lie in a slot: row by row, each tile from a
/// multiple of 128 bytes on.
class Slots {
public:
  Slots(B &b, const ItemScope &item, int64_t floats)
      : item(item), floats(floats),
        workspace(readAddress(b, item.words, SACCADE_WORD_WORKSPACE)) {}

  static int64_t extent(tile::TileType type) {
    return llvm::alignTo(type.getRows() * type.getColumns(), 32);
  }
  /// The first float of a slot, i64.
  Scalar begin(Scalar slot) const { return slot.wide() * floats; }

  /// Stores a tile at `place` of the slot that begins at `slot`.
  void store(B &b, Value tile, Value slot, int64_t place) const {
    auto store = tile::StoreOp::create(b, tile, workspace);
    emitRows(b, store.getRows(), [&](B &b, Scalar row) {
      return find(b, typeOf(tile), slot, place, row);
    });
  }
  /// Rows that are not there become 0; so does all unless `exists` (i1, or
  /// null: it does).
  Value load(B &b, tile::TileType type, Value slot, int64_t place,
             Value exists) const {
    auto load = tile::LoadOp::create(b, type, workspace);
    emitRows(b, load.getRows(), [&](B &b, Scalar row) {
      auto [offset, there] = find(b, type, slot, place, row);
      return std::pair(offset, exists ? there & exists : there);
    });
    return load;
  }

private:
  const ItemScope &item;
  int64_t floats;
  Value workspace;

  std::pair<Scalar, Scalar> find(B &b, tile::TileType type, Value slot,
                                 int64_t place, Scalar row) const {
    Scalar first = Scalar{&b, slot} + place;
    return {first + row.wide() * type.getColumns(), item.in(b).present(row)};
  }
};

/// The parts of an item's query tile, and a loop over them in their order.
class PartLoop {
public:
  /// `unroll` parts a trip, so that their loads are under way together.
  PartLoop(const Slots &slots, Scalar first, Scalar count, int64_t unroll)
      : slots(slots), first(first), count(count), unroll(unroll) {}

  struct Part {
    Value slot, exists;
  };
  using Step = llvm::function_ref<SmallVector<Value>(B &, ArrayRef<Part>,
                                                     ValueRange carried)>;
  SmallVector<Value> run(B &b, ValueRange initial, Step step) const {
    auto loop =
        scf::ForOp::create(b, i32(b, 0), count, i32(b, unroll), initial);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Part> parts;
    for (int64_t i = 0; i < unroll; ++i) {
      Scalar part = Scalar{&b, loop.getInductionVar()} + i;
      parts.push_back({slots.begin(Scalar{&b, first} + part),
                       i ? part.less(count).value : Value()});
    }
    scf::YieldOp::create(b, step(b, parts, loop.getRegionIterArgs()));
    return llvm::to_vector(ValueRange(loop.getResults()));
  }

private:
  const Slots &slots;
  Scalar first, count;
  int64_t unroll;
};
} // namespace

/// A tile of floats that are all the same.
static Value filled(B &b, tile::TileType type, float value) {
  return tile::FillOp::create(b, type, f32(b, value));
}

/// The tiles that a state has, in the order of their places in a slot.
static SmallVector<Value> tilesOf(const TileState &state) {
  if (!state.max)
    return {state.output};
  return {state.max, state.sum, state.output};
}

static int64_t extentOf(const TileState &state) {
  int64_t floats = 0;
  for (Value tile : tilesOf(state))
    floats += Slots::extent(typeOf(tile));
  return floats;
}

int64_t AttendEmitter::partialFloats(ArrayRef<TileState> states) {
  int64_t floats = 0;
  for (const TileState &state : states)
    floats += extentOf(state);
  return floats;
}

static void storeState(B &b, const TileState &state, const Slots &slots,
                       Value slot, int64_t place) {
  for (Value tile : tilesOf(state)) {
    slots.store(b, tile, slot, place);
    place += Slots::extent(typeOf(tile));
  }
}

/// How many parts to merge at a time: as many as fit in some 128 registers
/// of a thread are loaded together.
static int64_t partsAtOnce(const TileState &state, tile::ScheduleAttr schedule,
                           bool dealsKeys) {
  tile::TileType type = typeOf(state.output);
  int64_t warps = schedule.getWarps();
  // Of the maximum and the sum: two rows a lane of each 16, or of each 8.
  int64_t columns = 2 * llvm::divideCeil(2 * type.getRows(), 16 * warps);
  if (dealsKeys) { // the layout of combined outputs
    warps = std::gcd(warps, llvm::divideCeil(type.getColumns(), 16));
    columns = type.getRows() / 2;
  }
  if (!state.max)
    columns = 0;
  int64_t registers =
      type.getRows() * type.getColumns() / (32 * warps) + columns;
  // The total of more rows leaves fewer registers free.
  int64_t room = dealsKeys ? 136 - type.getRows() : 128;
  return std::clamp<int64_t>(room / std::max<int64_t>(registers, 1), 1, 16);
}

/// The largest of a maximum and those of parts.
static Value mergeMax(B &b, Value max, ArrayRef<PartLoop::Part> parts,
                      ArrayRef<Value> maxima) {
  for (auto [part, value] : llvm::zip_equal(parts, maxima))
    max = emitMap(b, typeOf(max), {max, value},
                  [&](B &b, ValueRange x, Scalar, Scalar) {
                    Value m = arith::MaximumFOp::create(b, x[0], x[1]);
                    return part.exists ? select(b, part.exists, m, x[0]) : m;
                  });
  return max;
}

/// 2^(m - max), or 0 of a part that does not exist.
static Value weightOf(B &b, Value m, Value max, Value exists) {
  return emitMap(
      b, typeOf(m), {m, max}, [&](B &b, ValueRange x, Scalar, Scalar) {
        Value power = powerOfDifference(b, x[0], finiteOrZero(b, x[1]));
        return exists ? select(b, exists, power, f32(b, 0.0f)) : power;
      });
}

/// total + x, or total + x * factor.
static Value added(B &b, Value total, Value x, Value factor) {
  SmallVector<Value> inputs{total, x};
  if (factor)
    inputs.push_back(factor);
  return emitMap(b, typeOf(total), inputs,
                 [&](B &b, ValueRange v, Scalar, Scalar) -> Value {
                   Value term = v[1];
                   if (factor)
                     term = arith::MulFOp::create(b, term, v[2]);
                   return arith::AddFOp::create(b, v[0], term);
                 });
}

/// Merges the states of all parts, which look like `like`. All that a trip
/// needs is loaded before any of it is used.
static TileState mergeParts(B &b, const TileState &like, const Slots &slots,
                            int64_t place, const PartLoop &parts) {
  SmallVector<int64_t> places;
  SmallVector<Value> tiles = tilesOf(like), initial;
  for (Value tile : tiles) {
    places.push_back(place);
    place += Slots::extent(typeOf(tile));
    initial.push_back(filled(
        b, typeOf(tile),
        tile == like.max ? -std::numeric_limits<float>::infinity() : 0.0f));
  }
  auto step = [&](B &b, ArrayRef<PartLoop::Part> some, ValueRange carried) {
    SmallVector<SmallVector<Value>> loaded(tiles.size());
    for (auto [of, tile, place] : llvm::zip_equal(loaded, tiles, places))
      for (const PartLoop::Part &part : some)
        of.push_back(
            slots.load(b, typeOf(tile), part.slot, place, part.exists));
    SmallVector<Value> totals(carried);
    Value max;
    if (like.max) {
      max = mergeMax(b, carried.front(), some, loaded.front());
      Value kept = weightOf(b, carried.front(), max, /*exists=*/{});
      for (Value &total : MutableArrayRef(totals).drop_front())
        total = product(b, total, kept);
      totals.front() = max;
    }
    for (auto [i, part] : llvm::enumerate(some)) {
      Value factor;
      if (max)
        factor = weightOf(b, loaded.front()[i], max, part.exists);
      for (size_t t = max ? 1 : 0; t < tiles.size(); ++t)
        totals[t] = added(b, totals[t], loaded[t][i], factor);
    }
    return totals;
  };
  SmallVector<Value> merged = parts.run(b, initial, step);
  if (!like.max)
    return {{}, {}, merged[0]};
  return {merged[0], merged[1], merged[2]};
}

/// States as the results of a branch, and back.
static SmallVector<Value> flattened(ArrayRef<TileState> states) {
  SmallVector<Value> tiles;
  for (const TileState &state : states)
    llvm::append_range(tiles, tilesOf(state));
  return tiles;
}

void AttendEmitter::readPart(B &b) {
  Value records = readAddress(b, item.words, SACCADE_WORD_PARTIALS);
  Scalar slot = item.in(b).partial.max(0);
  auto field = [&](size_t offset) {
    return lookupField(b, records, slot, sizeof(SaccadePartial), offset,
                       b.getI32Type())
        .value;
  };
  part = {field(offsetof(SaccadePartial, first)),
          field(offsetof(SaccadePartial, count)),
          field(offsetof(SaccadePartial, counter))};
}

std::pair<SmallVector<TileState>, Value>
AttendEmitter::joinParts(B &b, ArrayRef<TileState> states) {
  Slots slots(b, item, partialFloats(states));
  Scalar partial{&b, item.partial};
  Scalar slot = slots.begin(partial);
  SmallVector<Value> own = flattened(states);
  SmallVector<Type> types(ValueRange(own).getTypes());
  types.push_back(b.getI1Type());

  auto branch = scf::IfOp::create(b, types, partial.atLeast(0), true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  int64_t place = 0;
  for (const TileState &state : states) {
    storeState(b, state, slots, slot, place);
    place += extentOf(state);
  }
  Scalar first{&b, part.first}, count{&b, part.count};
  Value last = tile::ArriveOp::create(
      b, readAddress(b, item.words, SACCADE_WORD_COUNTERS), part.counter,
      count);
  auto merge = scf::IfOp::create(b, ValueRange(own).getTypes(), last, true);
  SmallVector<Value> results(merge.getResults());
  results.push_back(last);
  scf::YieldOp::create(b, results);

  b.setInsertionPointToStart(merge.thenBlock());
  place = 0;
  SmallVector<TileState> merged;
  for (const TileState &state : states) {
    PartLoop parts(slots, first, count,
                   partsAtOnce(state, schedule, dealsKeys()));
    merged.push_back(mergeParts(b, state, slots, place, parts));
    place += extentOf(state);
  }
  scf::YieldOp::create(b, flattened(merged));
  for (Block *block : {merge.elseBlock(), branch.elseBlock()}) {
    b.setInsertionPointToStart(block);
    SmallVector<Value> kept(own);
    if (block == branch.elseBlock())
      kept.push_back(yes(b));
    scf::YieldOp::create(b, kept);
  }

  SmallVector<TileState> joined;
  auto next = branch.getResults().begin();
  for (const TileState &state : states) {
    TileState &whole = joined.emplace_back();
    if (state.max) {
      whole.max = *next++;
      whole.sum = *next++;
    }
    whole.output = *next++;
  }
  return {joined, branch.getResults().back()};
}
