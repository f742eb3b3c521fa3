// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The finish of a state: sink, normalization, output function, LSE, stores.
// Rows that saw nothing are defined here: their normalized output is 0, and
// their LSE is -inf, or the sink's logit.

#include "lib/Conversion/AttendEmitter.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace saccade;

using B = ImplicitLocOpBuilder;

static constexpr float kLn2 = 0.69314718055994530942f;

/// Joins a sink to a state: one more logit in the sum, without a value.
static TileState joinSink(B &b, const TileState &state, Value sink) {
  auto columnType = cast<tile::TileType>(sink.getType());
  TileState joined;
  joined.max = emitMap(b, columnType, {state.max, sink},
                       [](B &b, ValueRange x, Scalar, Scalar) -> Value {
                         return arith::MaximumFOp::create(b, x[0], x[1]);
                       });
  auto weightOf = [&](Value logit) {
    return emitMap(b, columnType, {logit, joined.max},
                   [](B &b, ValueRange x, Scalar, Scalar) {
                     return powerOfDifference(b, x[0], finiteOrZero(b, x[1]));
                   });
  };
  Value kept = weightOf(state.max), added = weightOf(sink);
  joined.sum = emitMap(b, columnType, {state.sum, kept, added},
                       [](B &b, ValueRange x, Scalar, Scalar) -> Value {
                         Value scaled = arith::MulFOp::create(b, x[0], x[1]);
                         return arith::AddFOp::create(b, scaled, x[2]);
                       });
  joined.output = emitMap(b, cast<tile::TileType>(state.output.getType()),
                          {state.output, kept},
                          [](B &b, ValueRange x, Scalar, Scalar) -> Value {
                            return arith::MulFOp::create(b, x[0], x[1]);
                          });
  return joined;
}

void AttendEmitter::store(B &b, Value tile, int64_t word) {
  auto store = tile::StoreOp::create(b, tile, readAddress(b, item.words, word));
  emitRows(b, store.getRows(), [&](B &b, Scalar row) {
    ItemScope scope = item.in(b);
    Scalar offset =
        scope.tensorOffset(b, word, scope.token(row), scope.head(row));
    return std::pair(offset, scope.present(row));
  });
}

void AttendEmitter::finish(B &b, attn::FinishOp finish, TileState state,
                           std::optional<int64_t> outputWord,
                           std::optional<int64_t> lseWord) {
  BoundVariant variant =
      bind(b, finish.getVariantAttr(), finish, finish.getParameters());
  auto rowPositions = [&](B &b, Scalar row) {
    return [&b, row, this](attn::Position p) {
      return item.in(b).rowPosition(p, row);
    };
  };

  if (auto body = variant.body<attn::SinkOp>()) {
    Value sink =
        emitMap(b, column(), {}, [&](B &b, ValueRange, Scalar row, Scalar) {
          Value logit =
              variant.inlined(b, item, body, {}, rowPositions(b, row)).front();
          return arith::MulFOp::create(b, logit, f32(b, kLog2E)).getResult();
        });
    state = joinSink(b, state, sink);
  }

  if (lseWord) {
    Value lse = emitMap(b, column(), {state.max, state.sum},
                        [](B &b, ValueRange x, Scalar, Scalar) -> Value {
                          Value log = math::Log2Op::create(b, x[1]);
                          Value sum = arith::AddFOp::create(b, x[0], log);
                          return arith::MulFOp::create(b, sum, f32(b, kLn2));
                        });
    store(b, lse, *lseWord);
  }
  if (!outputWord)
    return;

  auto outputType = cast<tile::TileType>(state.output.getType());
  Value output = state.output;
  if (state.sum) {
    Value inverse =
        emitMap(b, column(), state.sum,
                [](B &b, ValueRange x, Scalar, Scalar) -> Value {
                  Value zero = f32(b, 0.0f);
                  Value empty = arith::CmpFOp::create(
                      b, arith::CmpFPredicate::OEQ, x[0], zero);
                  // Approximate where the target has an instruction for it.
                  Value quotient = arith::DivFOp::create(
                      b, f32(b, 1.0f), x[0],
                      arith::FastMathFlags::afn | arith::FastMathFlags::arcp);
                  return arith::SelectOp::create(b, empty, zero, quotient);
                });
    output = emitMap(b, outputType, {output, inverse},
                     [](B &b, ValueRange x, Scalar, Scalar) -> Value {
                       return arith::MulFOp::create(b, x[0], x[1]);
                     });
  }
  if (auto body = variant.body<attn::OutputOp>())
    output =
        emitMapRows(b, output, b.getF32Type(), [&](B &b, Value x, Scalar row) {
          return variant.inlined(b, item, body, x, rowPositions(b, row))
              .front();
        });
  Type element = finish.getOutput().getType().getElementType();
  if (!element.isF32())
    output = emitMap(b, outputType.withElementType(element), output,
                     [&](B &b, ValueRange x, Scalar, Scalar) -> Value {
                       return arith::TruncFOp::create(b, element, x[0]);
                     });
  store(b, output, *outputWord);
}
