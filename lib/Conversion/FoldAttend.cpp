// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The fold: one loop over the visited KV tiles of a cache with an online
// softmax (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., arXiv
// 2205.14135), in base 2. It is the same loop for every variant and layout.

#include "lib/Conversion/AttendEmitter.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <cmath>
#include <limits>
#include <utility>

using namespace mlir;
using namespace saccade;

static constexpr float kInfinity = std::numeric_limits<float>::infinity();

tile::TileType AttendEmitter::column() const {
  MLIRContext *context = schedule.getContext();
  return tile::TileType::get(context, schedule.getRows(), 1,
                             Float32Type::get(context));
}

BoundVariant AttendEmitter::bind(ImplicitLocOpBuilder &b,
                                 FlatSymbolRefAttr name, Operation *user,
                                 ValueRange parameters) {
  return BoundVariant(b, item, kernelWords, attn::lookupVariant(user, name),
                      parameters);
}

//===----------------------------------------------------------------------===//
// Loads
//===----------------------------------------------------------------------===//

namespace {
/// Where a box of a tensor begins, i32.
struct Box {
  Scalar head, token, batch;
};
} // namespace

bool AttendEmitter::copiesBoxes() const {
  tile::PipelineAttr pipeline = schedule.getPipeline();
  return pipeline && pipeline.getCopy() == tile::CopyKind::tma;
}

/// Says of a load that its rows lie in boxes of the tensor at `word`.
static void
emitBoxes(ImplicitLocOpBuilder &b, tile::LoadOp load, int64_t word,
          int64_t heads, int64_t tokens,
          llvm::function_ref<Box(ImplicitLocOpBuilder &, Scalar row)> place) {
  load.setBoxAttr(tile::BoxAttr::get(b.getContext(), word, heads, tokens));
  OpBuilder::InsertionGuard guard(b);
  Block *block =
      b.createBlock(&load.getBoxes(), {}, {b.getI32Type()}, {b.getLoc()});
  Box box = place(b, {&b, block->getArgument(0)});
  tile::YieldOp::create(b, ValueRange{box.head, box.token, box.batch});
}

/// Elements of 8 bits are widened to the type of weights. Another cache of the
/// kernel may have 16 bits of another kind, and both sides of a product one
/// type.
AttendEmitter::Operands AttendEmitter::operandsOf(attn::AttendOp attend) const {
  attn::LayoutType cache = attend.getCache().getType();
  Type element = cache.getElementType(), computed = schedule.getWeights();
  auto kernel = attend->getParentOfType<attn::KernelOp>();
  bool chosenForBytes =
      !computed.isF32() &&
      llvm::any_of(kernel.getCaches(), [](BlockArgument other) {
        auto type = cast<attn::LayoutType>(other.getType());
        return attn::isEightBits(type.getElementType());
      });
  bool own = chosenForBytes && element.getIntOrFloatBitWidth() == 16;
  return {cache, own ? element : computed, {}};
}

/// Elements converted from one type of floats to another.
static Value emitConverted(ImplicitLocOpBuilder &b, Value tile, Type element) {
  auto type = cast<tile::TileType>(tile.getType());
  return emitMap(
      b, type.withElementType(element), tile,
      [&](ImplicitLocOpBuilder &b, ValueRange x, Scalar, Scalar) -> Value {
        return arith::TruncFOp::create(b, element, widened(b, x[0]));
      });
}

Value AttendEmitter::loadQuery(ImplicitLocOpBuilder &b, attn::AttendOp attend,
                               const BoundVariant &variant, Type computed) {
  attn::LayoutType layout = attend.getQuery().getType();
  int64_t word = kernelWords.of(cast<BlockArgument>(attend.getQuery()));
  auto type = tile::TileType::get(b.getContext(), schedule.getRows(),
                                  layout.getHeadDim(), layout.getElementType());
  auto load = tile::LoadOp::create(b, type, readAddress(b, item.words, word));
  emitRows(b, load.getRows(), [&](ImplicitLocOpBuilder &b, Scalar row) {
    ItemScope scope = item.in(b);
    Scalar offset =
        scope.tensorOffset(b, word, scope.token(row), scope.head(row));
    return std::pair(offset, scope.present(row));
  });
  if (copiesBoxes())
    emitBoxes(b, load, word, item.group, schedule.getRows() / item.group,
              [&](ImplicitLocOpBuilder &b, Scalar row) {
                ItemScope scope = item.in(b);
                Scalar batch =
                    isa<attn::DenseType>(layout) ? scope.request : i32(b, 0);
                return Box{scope.head(row), scope.qBegin + scope.token(row),
                           batch};
              });
  auto body = variant.body<attn::QueryOp>();
  // f32 holds what any queries hold: products widen them.
  if (!body)
    return computed.isF32() || computed == layout.getElementType()
               ? load
               : emitConverted(b, load, computed);
  return emitMapRows(
      b, load, computed, [&](ImplicitLocOpBuilder &b, Value x, Scalar row) {
        ItemScope scope = item.in(b);
        auto position = [&](attn::Position p) {
          return scope.rowPosition(p, row);
        };
        return variant.inlined(b, item, body, x, position).front();
      });
}

Value AttendEmitter::loadCacheTile(ImplicitLocOpBuilder &b,
                                   const CacheWalk &walk,
                                   const BoundVariant &variant,
                                   Scalar tileIndex, const Operands &operands,
                                   bool values) {
  attn::LayoutType layout = operands.cache;
  auto type =
      tile::TileType::get(b.getContext(), schedule.getKeys(),
                          values ? layout.getValueDim() : layout.getHeadDim(),
                          layout.getElementType());
  Scalar first = tileIndex * schedule.getKeys();
  Value limit = copiesBoxes() ? walk.rowsFrom(b, first).value : Value();
  auto load = tile::LoadOp::create(b, type, walk.base(b, values));
  emitRows(b, load.getRows(), [&](ImplicitLocOpBuilder &b, Scalar row) {
    CacheRow there = walk.row(b, Scalar{&b, first} + row);
    return std::pair(walk.offset(b, there, values), there.present);
  });
  if (copiesBoxes()) {
    emitBoxes(b, load, walk.tensorWord(values), /*heads=*/1,
              walk.contiguousRows(), [&](ImplicitLocOpBuilder &b, Scalar row) {
                CacheRow there = walk.row(b, Scalar{&b, first} + row);
                return Box{item.in(b).kvHead, there.token.narrow(),
                           there.batch.narrow()};
              });
    load.getLimitMutable().assign(limit);
    load.setTail(walk.ascends());
  }

  attn::BodyOpInterface body;
  if (values) {
    if (auto value = variant.body<attn::ValueOp>())
      body = cast<attn::BodyOpInterface>(value.getOperation());
  } else if (auto key = variant.body<attn::KeyOp>()) {
    body = cast<attn::BodyOpInterface>(key.getOperation());
  }
  if (!body)
    return load;
  return emitMapRows(
      b, load, operands.computed,
      [&](ImplicitLocOpBuilder &b, Value x, Scalar at) -> Value {
        Scalar j = Scalar{&b, first} + at;
        Value scaled = x;
        if (Value scale = operands.rowScales[values])
          scaled = arith::MulFOp::create(
              b, x, vector::BroadcastOp::create(b, x.getType(), scale));
        auto position = [&](attn::Position p) -> Value {
          if (p == attn::Position::head)
            return item.in(b).kvHead;
          return p == attn::Position::slot ? walk.row(b, j).slot
                                           : walk.position(b, j).first;
        };
        Value row = variant.inlined(b, item, body, scaled, position).front();
        if (!values)
          return row; // the mask takes care of such logits
        // Rows that are not there stay zero: the function may make infinities
        // of them, which a weight of 0 would turn into NaN.
        return arith::SelectOp::create(b, walk.position(b, j).second, row, x);
      });
}

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

SmallVector<Value> AttendEmitter::bounds(ImplicitLocOpBuilder &b,
                                         const BoundVariant &variant) {
  auto body = variant.body<attn::BoundsOp>();
  if (!body)
    return {};
  ItemScope scope = item.in(b);
  auto position = [&](attn::Position p) -> Value {
    Scalar row =
        p == attn::Position::query_first ? scope.rowBegin : scope.rowEnd - 1;
    return scope.queryPosition(row / item.group);
  };
  return variant.inlined(b, item, body, {}, position);
}

static bool isPositiveConstant(Value value) {
  APFloat constant(0.0f);
  return matchPattern(value, m_ConstantFloat(&constant)) &&
         !constant.isNegative() && !constant.isZero() && constant.isFinite();
}

/// Scaled, shaped and masked logits of a tile; for softmax and sigmoid times
/// log2(e), so that weights are powers of two.
///
/// A positive factor that is all that happens to a product may wait: it is left
/// to the exponential, where it costs nothing (an fma instead of a difference).
AttendEmitter::Logits AttendEmitter::maskedLogits(ImplicitLocOpBuilder &b,
                                                  const CacheWalk &walk,
                                                  const BoundVariant &variant,
                                                  Scalar tileIndex, Value full,
                                                  Value products, Value scale) {
  Scalar first = tileIndex * schedule.getKeys();
  auto positions = [&](ImplicitLocOpBuilder &b, Scalar row, Scalar column) {
    return [&b, row, column, first, &walk, this](attn::Position p) -> Value {
      ItemScope scope = item.in(b);
      Scalar j = Scalar{&b, first} + column;
      switch (p) {
      case attn::Position::head:
        return scope.head(row);
      case attn::Position::query:
        return scope.queryPosition(scope.token(row));
      case attn::Position::slot:
        return walk.row(b, j).slot;
      default:
        return walk.position(b, j).first;
      }
    };
  };

  bool powers = variant.normalizer() != attn::Normalizer::none;
  auto logits = variant.body<attn::LogitsOp>();
  auto type = cast<tile::TileType>(products.getType());
  Value log2e = f32(b, kLog2E);
  // The factor is formed once an item where nothing comes between.
  Value factor =
      powers && !logits ? b.createOrFold<arith::MulFOp>(scale, log2e) : scale;
  bool softmax = variant.normalizer() == attn::Normalizer::softmax;
  bool waits = softmax && !logits && isPositiveConstant(factor);
  Value shaped = products;
  if (!waits)
    shaped = emitMap(
        b, type, products,
        [&](ImplicitLocOpBuilder &b, ValueRange x, Scalar row, Scalar column) {
          Value s = arith::MulFOp::create(b, x[0], factor);
          if (!logits)
            return s;
          s = variant.inlined(b, item, logits, s, positions(b, row, column))
                  .front();
          return powers ? arith::MulFOp::create(b, s, log2e).getResult() : s;
        });

  auto mask = variant.body<attn::MaskOp>();
  Value fill = f32(b, powers ? -kInfinity : 0.0f);
  auto masked = tile::MaskOp::create(b, type, shaped, full, fill);
  {
    OpBuilder::InsertionGuard guard(b);
    Type i32Type = b.getI32Type();
    Block *block = b.createBlock(&masked.getBody(), {}, {i32Type, i32Type},
                                 {b.getLoc(), b.getLoc()});
    Scalar row{&b, block->getArgument(0)}, column{&b, block->getArgument(1)};
    Scalar keep = walk.position(b, Scalar{&b, first} + column).second;
    if (mask)
      keep =
          keep &
          variant.inlined(b, item, mask, {}, positions(b, row, column)).front();
    tile::YieldOp::create(b, SmallVector<Value>{keep});
  }
  return {masked, waits ? factor : Value()};
}

//===----------------------------------------------------------------------===//
// Online softmax
//===----------------------------------------------------------------------===//

Value saccade::finiteOrZero(ImplicitLocOpBuilder &b, Value m) {
  Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, m,
                                     f32(b, -kInfinity));
  return arith::SelectOp::create(b, none, f32(b, 0.0f), m);
}

Value saccade::powerOfDifference(ImplicitLocOpBuilder &b, Value x, Value m) {
  return math::Exp2Op::create(b, arith::SubFOp::create(b, x, m));
}

TileState AttendEmitter::emptyState(ImplicitLocOpBuilder &b, int64_t valueDim,
                                    attn::Normalizer normalizer) {
  TileState state;
  if (normalizer == attn::Normalizer::softmax) {
    state.max = tile::FillOp::create(b, column(), f32(b, -kInfinity));
    state.sum = tile::FillOp::create(b, column(), f32(b, 0.0f));
  }
  auto type = tile::TileType::get(b.getContext(), schedule.getRows(), valueDim,
                                  b.getF32Type());
  state.output = tile::FillOp::create(b, type, f32(b, 0.0f));
  return state;
}

/// The maximum after a tile whose own is `tileMax`. With a growth, it stays
/// where logits exceed it by no more: weights are then up to 2^growth, and the
/// output needs no rescaling. Each row decides for itself.
Value AttendEmitter::raisedMax(ImplicitLocOpBuilder &b, Value max,
                               Value tileMax) {
  tile::PipelineAttr pipeline = schedule.getPipeline();
  int64_t growth = pipeline ? pipeline.getGrowth() : 0;
  return emitMap(
      b, column(), {max, tileMax},
      [&](ImplicitLocOpBuilder &b, ValueRange x, Scalar, Scalar) -> Value {
        if (growth == 0)
          return arith::MaximumFOp::create(b, x[0], x[1]);
        Value excess = arith::SubFOp::create(b, x[1], x[0]);
        Value raised = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT,
                                             excess, f32(b, growth));
        return arith::SelectOp::create(b, raised, x[1], x[0]);
      });
}

TileState AttendEmitter::step(ImplicitLocOpBuilder &b,
                              const BoundVariant &variant, Logits logits,
                              Value values, Type weightType, TileState state) {
  using B = ImplicitLocOpBuilder;
  auto tileType = cast<tile::TileType>(logits.tile.getType());
  auto outputType = cast<tile::TileType>(state.output.getType());
  Value weights = logits.tile;
  if (variant.normalizer() == attn::Normalizer::softmax) {
    Value tileMax =
        tile::ReduceOp::create(b, column(), tile::ReduceKind::max, logits.tile);
    if (logits.factor)
      tileMax = emitMap(b, column(), tileMax,
                        [&](B &b, ValueRange x, Scalar, Scalar) -> Value {
                          return arith::MulFOp::create(b, x[0], logits.factor);
                        });
    Value max = raisedMax(b, state.max, tileMax);
    Value pivot =
        emitMap(b, column(), max, [](B &b, ValueRange x, Scalar, Scalar) {
          return finiteOrZero(b, x[0]);
        });
    Value rescale = emitMap(b, column(), {state.max, pivot},
                            [](B &b, ValueRange x, Scalar, Scalar) {
                              return powerOfDifference(b, x[0], x[1]);
                            });
    weights =
        emitMap(b, tileType, {logits.tile, pivot},
                [&](B &b, ValueRange x, Scalar, Scalar) -> Value {
                  if (!logits.factor)
                    return powerOfDifference(b, x[0], x[1]);
                  Value below = arith::NegFOp::create(b, x[1]);
                  return math::Exp2Op::create(
                      b, math::FmaOp::create(b, x[0], logits.factor, below));
                });
    Value tileSum =
        tile::ReduceOp::create(b, column(), tile::ReduceKind::add, weights);
    state.sum = emitMap(b, column(), {state.sum, rescale, tileSum},
                        [](B &b, ValueRange x, Scalar, Scalar) -> Value {
                          Value kept = arith::MulFOp::create(b, x[0], x[1]);
                          return arith::AddFOp::create(b, kept, x[2]);
                        });
    state.output = emitMap(b, outputType, {state.output, rescale},
                           [](B &b, ValueRange x, Scalar, Scalar) -> Value {
                             return arith::MulFOp::create(b, x[0], x[1]);
                           });
    state.max = max;
  } else if (variant.normalizer() == attn::Normalizer::sigmoid) {
    weights = emitMap(b, tileType, logits.tile,
                      [](B &b, ValueRange x, Scalar, Scalar) -> Value {
                        Value one = f32(b, 1.0f);
                        Value power = math::Exp2Op::create(
                            b, arith::NegFOp::create(b, x[0]));
                        Value sum = arith::AddFOp::create(b, one, power);
                        return arith::DivFOp::create(b, one, sum);
                      });
  }
  if (!weightType.isF32())
    weights = emitMap(b, tileType.withElementType(weightType), weights,
                      [&](B &b, ValueRange x, Scalar, Scalar) -> Value {
                        return arith::TruncFOp::create(b, weightType, x[0]);
                      });
  state.output =
      tile::DotOp::create(b, outputType, weights, values, state.output,
                          /*transposed=*/false);
  return state;
}

TileState AttendEmitter::fold(ImplicitLocOpBuilder &b, attn::AttendOp attend) {
  BoundVariant variant =
      bind(b, attend.getVariantAttr(), attend, attend.getParameters());
  attn::LayoutType layout = attend.getCache().getType();
  // What was appended was written by an entry before this one.
  CacheWalk walk(b, item, layout, kernelWords.ofCache(attend.getCache()),
                 schedule.getKeys());

  Value scale =
      attend.getScale()
          ? kernelScalar(b, item, kernelWords, attend.getScale())
          : f32(b, 1.0f / std::sqrt(static_cast<float>(layout.getHeadDim())));
  // Row functions see keys and values times their scales; without them it is
  // cheaper to scale what comes out.
  Operands operands = operandsOf(attend);
  Value keyScale = cacheScale(b, item, kernelWords, attend.getKeyScale());
  Value valueScale = cacheScale(b, item, kernelWords, attend.getValueScale());
  if (variant.body<attn::KeyOp>())
    operands.rowScales[0] = keyScale;
  else if (keyScale)
    scale = arith::MulFOp::create(b, scale, keyScale);
  if (variant.body<attn::ValueOp>())
    operands.rowScales[1] = std::exchange(valueScale, Value());
  Value query = loadQuery(b, attend, variant, operands.computed);
  CacheWalk::Visit visit =
      walk.visit(b, bounds(b, variant), !variant.body<attn::MaskOp>());

  TileState initial = emptyState(b, layout.getValueDim(), variant.normalizer());
  bool softmax = bool(initial.max);
  SmallVector<Value> carried;
  if (softmax)
    carried = {initial.max, initial.sum};
  carried.push_back(initial.output);
  auto loop = scf::ForOp::create(b, i32(b, 0), visit.count, i32(b, 1), carried);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    ValueRange args = loop.getRegionIterArgs();
    TileState state{softmax ? args[0] : Value(), softmax ? args[1] : Value(),
                    args.back()};
    Scalar counter{&b, loop.getInductionVar()};
    // From the last tile to the first where tiles are pipelined: so the tiles
    // that the sequence's end and a causal mask cut come first.
    if (schedule.getPipeline())
      counter = Scalar{&b, visit.count} - 1 - counter;
    Scalar tileIndex = visit.tileAt(b, counter);
    Value full = visit.isFull(b, tileIndex);
    Value keys = loadCacheTile(b, walk, variant, tileIndex, operands,
                               /*values=*/false);
    auto logitsType = tile::TileType::get(b.getContext(), schedule.getRows(),
                                          schedule.getKeys(), b.getF32Type());
    Value products = tile::DotOp::create(b, logitsType, query, keys, Value(),
                                         /*transposed=*/true);
    Logits logits =
        maskedLogits(b, walk, variant, tileIndex, full, products, scale);
    Value values = loadCacheTile(b, walk, variant, tileIndex, operands,
                                 /*values=*/true);
    state = step(b, variant, logits, values, operands.computed, state);
    SmallVector<Value> next;
    if (softmax)
      next = {state.max, state.sum};
    next.push_back(state.output);
    scf::YieldOp::create(b, next);
  }
  ValueRange results = loop.getResults();
  TileState folded{softmax ? results[0] : Value(),
                   softmax ? results[1] : Value(), results.back()};
  if (dealsKeys())
    folded = combineWarps(b, folded);
  if (valueScale)
    folded.output = emitScaled(b, folded.output, valueScale);
  return folded;
}

TileState AttendEmitter::merge(ImplicitLocOpBuilder &b, const TileState &lhs,
                               const TileState &rhs) {
  using B = ImplicitLocOpBuilder;
  auto outputType = cast<tile::TileType>(lhs.output.getType());
  TileState state;
  if (!lhs.max) {
    state.output = emitMap(b, outputType, {lhs.output, rhs.output},
                           [](B &b, ValueRange x, Scalar, Scalar) -> Value {
                             return arith::AddFOp::create(b, x[0], x[1]);
                           });
    return state;
  }
  state.max = emitMap(b, column(), {lhs.max, rhs.max},
                      [](B &b, ValueRange x, Scalar, Scalar) -> Value {
                        return arith::MaximumFOp::create(b, x[0], x[1]);
                      });
  auto factor = [&](Value max) {
    return emitMap(b, column(), {max, state.max},
                   [](B &b, ValueRange x, Scalar, Scalar) {
                     return powerOfDifference(b, x[0], finiteOrZero(b, x[1]));
                   });
  };
  Value left = factor(lhs.max), right = factor(rhs.max);
  auto blend = [&](tile::TileType type, Value x, Value y) {
    return emitMap(b, type, {x, left, y, right},
                   [](B &b, ValueRange v, Scalar, Scalar) -> Value {
                     Value first = arith::MulFOp::create(b, v[0], v[1]);
                     Value second = arith::MulFOp::create(b, v[2], v[3]);
                     return arith::AddFOp::create(b, first, second);
                   });
  };
  state.sum = blend(column(), lhs.sum, rhs.sum);
  state.output = blend(outputType, lhs.output, rhs.output);
  return state;
}
