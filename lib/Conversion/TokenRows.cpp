// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows that come without keys: outputs that are taken up as states, and tokens
// that pass through a row function.

#include "lib/Conversion/AttendEmitter.h"

#include <limits>

using namespace mlir;
using namespace saccade;

using B = ImplicitLocOpBuilder;

static constexpr float kNothing = -std::numeric_limits<float>::infinity();

/// The rows of the item in a tensor of the kernel's arguments.
Value AttendEmitter::loadTokens(B &b, Value tokens) {
  auto layout = cast<attn::LayoutType>(tokens.getType());
  int64_t word = kernelWords.of(cast<BlockArgument>(tokens));
  auto type = tile::TileType::get(b.getContext(), schedule.getRows(),
                                  layout.getHeadDim(), layout.getElementType());
  auto load = tile::LoadOp::create(b, type, readAddress(b, item.words, word));
  emitRows(b, load.getRows(), [&](B &b, Scalar row) {
    ItemScope scope = item.in(b);
    Scalar offset =
        scope.tensorOffset(b, word, scope.token(row), scope.head(row));
    return std::pair(offset, scope.present(row));
  });
  return load;
}

/// Whether the item is the first part of its query tile, or all of it.
Value AttendEmitter::isFirstPart(B &b) {
  Scalar partial = item.in(b).partial;
  Scalar whole = partial.less(0);
  return arith::OrIOp::create(b, whole, partial.lessEqual(part.first));
}

TileState AttendEmitter::resume(B &b, attn::ResumeOp resume) {
  attn::LayoutType layout = resume.getOutput().getType();
  Type element = layout.getElementType();
  // Rows that are not there read the item's last: their state goes nowhere.
  auto offsetOf = [&](B &b, int64_t word, Scalar row) {
    ItemScope scope = item.in(b);
    Scalar at = row.min(scope.rowEnd - 1 - scope.rowBegin);
    return scope.tensorOffset(b, word, scope.token(at), scope.head(at));
  };

  // The other parts of a tile that is split have nothing to go on with.
  Value counts = schedule.getSplits() ? isFirstPart(b) : Value();
  int64_t lseWord = kernelWords.of(cast<BlockArgument>(resume.getLse()));
  Value lses = readAddress(b, item.words, lseWord);
  TileState state;
  state.max = emitMap(
      b, column(), {}, [&](B &b, ValueRange, Scalar row, Scalar) -> Value {
        Scalar lse = lookup(b, lses, offsetOf(b, lseWord, row), b.getF32Type());
        Value max = arith::MulFOp::create(b, lse, f32(b, kLog2E));
        return counts
                   ? arith::SelectOp::create(b, counts, max, f32(b, kNothing))
                   : max;
      });
  auto unlessEmpty = [](B &b, Value max, Value x) -> Value {
    Value empty = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, max,
                                        f32(b, kNothing));
    return arith::SelectOp::create(b, empty, f32(b, 0.0f), x);
  };
  state.sum =
      emitMap(b, column(), state.max, [&](B &b, ValueRange x, Scalar, Scalar) {
        return unlessEmpty(b, x[0], f32(b, 1.0f));
      });

  auto type = tile::TileType::get(b.getContext(), schedule.getRows(),
                                  layout.getHeadDim(), b.getF32Type());
  // Where the item has no more to do than this, rows come 16 bytes at a time.
  // Beside a fold, which has the shared memory, it is once an item, and each
  // thread reads what it computes with.
  bool onCpu = schedule.getWeights().isF32();
  if (onCpu || (!folds && !element.isF32())) {
    state.output =
        emitMap(b, type, {loadTokens(b, resume.getOutput()), state.max},
                [&](B &b, ValueRange x, Scalar, Scalar) {
                  return unlessEmpty(b, x[1], widened(b, x[0]));
                });
    return state;
  }
  int64_t word = kernelWords.of(cast<BlockArgument>(resume.getOutput()));
  Value base = readAddress(b, item.words, word);
  state.output = emitMap(
      b, type, state.max, [&](B &b, ValueRange x, Scalar row, Scalar column) {
        Scalar offset = offsetOf(b, word, row) + column.wide();
        return unlessEmpty(b, x[0], lookUpFloat(b, base, offset, element));
      });
  return state;
}

void AttendEmitter::mapRows(B &b, attn::MapRowsOp map, int64_t word) {
  BoundVariant variant =
      bind(b, map.getVariantAttr(), map, map.getParameters());
  auto body = variant.body<attn::QueryOp>();
  Value rows =
      emitMapRows(b, loadTokens(b, map.getTokens()),
                  map.getOutput().getType().getElementType(),
                  [&](B &b, Value x, Scalar row) {
                    ItemScope scope = item.in(b);
                    auto position = [&](attn::Position p) {
                      return scope.rowPosition(p, row);
                    };
                    return variant.inlined(b, item, body, x, position).front();
                  });
  store(b, rows, word);
}
