// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Emits the scalars of a work item, and inlines the bodies of variants with
// positions and table reads bound to them. Reads are clamped to the request's
// part of the table, so no index of a spec reaches foreign memory.

#include "lib/Conversion/ItemScope.h"

#include "dialects/Tile/Tile.h"
#include "include/saccade/KernelABI.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace saccade;

/// Field of the request's record.
#define REQUEST_FIELD(b, words, request, field, type)                          \
  lookupField(b, readAddress(b, words, SACCADE_WORD_REQUESTS), request,        \
              sizeof(SaccadeRequest), offsetof(SaccadeRequest, field), type)

ItemScope::ItemScope(ImplicitLocOpBuilder &b, Value words, ValueRange item,
                     int64_t group, int64_t queryHeads)
    : words(words), group(group), queryHeads(queryHeads), request{&b, item[0]},
      kvHead{&b, item[1]}, rowBegin{&b, item[2]}, rowEnd{&b, item[3]},
      kvBegin{&b, item[4]}, kvEnd{&b, item[5]}, partial{&b, item[6]} {
  Type i32 = b.getI32Type();
  qBegin = REQUEST_FIELD(b, words, request, q_begin, i32);
  qLen = REQUEST_FIELD(b, words, request, q_len, i32);
  kvLen = REQUEST_FIELD(b, words, request, kv_len, i32);
}

ItemScope ItemScope::in(ImplicitLocOpBuilder &b) const {
  ItemScope scope = *this;
  for (Scalar *s : {&scope.request, &scope.kvHead, &scope.rowBegin,
                    &scope.rowEnd, &scope.kvBegin, &scope.kvEnd, &scope.partial,
                    &scope.qBegin, &scope.qLen, &scope.kvLen})
    s->b = &b;
  return scope;
}

Scalar ItemScope::tensorOffset(ImplicitLocOpBuilder &b, int64_t first,
                               Scalar token, Scalar head) const {
  Scalar batch =
      request.wide() * readI64(b, words, first + SACCADE_TENSOR_STRIDE_BATCH);
  Scalar rows = (qBegin + token).wide() *
                readI64(b, words, first + SACCADE_TENSOR_STRIDE_TOKEN);
  Scalar heads =
      head.wide() * readI64(b, words, first + SACCADE_TENSOR_STRIDE_HEAD);
  return batch + rows + heads;
}

Value ItemScope::uniformPosition(attn::Position position) const {
  switch (position) {
  case attn::Position::request:
    return request;
  case attn::Position::q_len:
    return qLen;
  case attn::Position::kv_len:
    return kvLen;
  default:
    return {};
  }
}

//===----------------------------------------------------------------------===//
// Table reads
//===----------------------------------------------------------------------===//

/// `index` clamped to [0, size).
static Scalar clamped(Scalar index, Value size) {
  Scalar limit = Scalar{index.b, size} - 1;
  return index.min(limit).max(0);
}

/// An entry of a table as what a read of it gives.
static Value emitEntry(ImplicitLocOpBuilder &b, Value base, Value offset,
                       Type element) {
  if (isa<FloatType>(element))
    return lookUpFloat(b, base, offset, element);
  auto entry = [&](Type stored) -> Value {
    return lookup(b, base, offset, stored);
  };
  Type i32Type = b.getI32Type();
  if (element.isInteger(64))
    return arith::TruncIOp::create(b, i32Type, entry(element));
  if (element.isInteger(8))
    return arith::ExtSIOp::create(b, i32Type, entry(element));
  if (element.isInteger(1)) {
    Value byte = entry(b.getI8Type());
    Value zero = arith::ConstantIntOp::create(b, b.getI8Type(), 0);
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, byte, zero);
  }
  return entry(element);
}

/// Words of the table begin at `word`.
static Value emitRead(ImplicitLocOpBuilder &b, const ItemScope &item,
                      attn::ReadOp read, Value base, int64_t word,
                      ValueRange indices) {
  auto index = [&](unsigned i) { return Scalar{&b, indices[i]}; };
  Value words = item.words;
  Type type = read.getType();

  return llvm::TypeSwitch<Type, Value>(read.getTable().getType())
      .Case([&](attn::PerHeadType) {
        return lookup(b, base,
                      clamped(index(0), i32(b, item.queryHeads)).wide(), type);
      })
      .Case([&](attn::PerRequestType) {
        return lookup(b, base, index(0).wide(), type);
      })
      .Case([&](attn::PerTokenType) {
        Scalar request = index(0);
        Scalar length =
            REQUEST_FIELD(b, words, request, kv_len, b.getI32Type());
        Scalar first =
            REQUEST_FIELD(b, words, request, kv_offset, b.getI64Type());
        return lookup(b, base, first + clamped(index(1), length).wide(), type);
      })
      .Case([&](attn::BitsType) {
        Scalar request = index(0);
        Scalar columns =
            REQUEST_FIELD(b, words, request, kv_len, b.getI32Type());
        Scalar rows = REQUEST_FIELD(b, words, request, q_len, b.getI32Type());
        Scalar first =
            REQUEST_FIELD(b, words, request, bits_offset, b.getI64Type());
        Scalar bit = clamped(index(1), rows).wide() * columns.wide() +
                     clamped(index(2), columns).wide();
        Scalar byte = lookup(b, base, first + bit / 8, b.getI8Type());
        Value shift = arith::TruncIOp::create(b, b.getI8Type(), bit % 8);
        Value low = arith::ShRUIOp::create(b, byte, shift);
        return arith::TruncIOp::create(b, b.getI1Type(), low).getResult();
      })
      .Case([&](attn::TableType table) {
        Value offset;
        for (int64_t i = 0; i < table.getRank(); ++i) {
          int64_t dimension =
              word + SACCADE_TABLE_WORDS + i * SACCADE_TABLE_DIMENSION_WORDS;
          Value last = readWord(b, words, dimension + SACCADE_TABLE_LAST,
                                b.getI32Type());
          Scalar stride = readI64(b, words, dimension + SACCADE_TABLE_STRIDE);
          Scalar term = index(i).min(last).max(0).wide() * stride;
          offset = offset ? (term + offset).value : term.value;
        }
        return emitEntry(b, base, offset, table.getElementType());
      });
}

//===----------------------------------------------------------------------===//
// BoundVariant
//===----------------------------------------------------------------------===//

Value saccade::kernelScalar(ImplicitLocOpBuilder &b, const ItemScope &item,
                            const KernelWords &kernelWords, Value operand) {
  if (auto argument = dyn_cast<BlockArgument>(operand))
    return readWord(b, item.words, kernelWords.of(argument), operand.getType());
  return b.clone(*operand.getDefiningOp())->getResult(0);
}

Value saccade::cacheScale(ImplicitLocOpBuilder &b, const ItemScope &item,
                          const KernelWords &kernelWords, Value operand) {
  if (!operand || operand.getType().isF32())
    return operand ? kernelScalar(b, item, kernelWords, operand) : Value();
  Value table =
      readAddress(b, item.words, kernelWords.of(cast<BlockArgument>(operand)));
  return lookup(b, table, item.in(b).kvHead.wide(), b.getF32Type());
}

BoundVariant::BoundVariant(ImplicitLocOpBuilder &b, const ItemScope &item,
                           const KernelWords &kernelWords,
                           attn::VariantOp variant, ValueRange operands)
    : variant(variant) {
  for (Value operand : operands) {
    auto argument = dyn_cast<BlockArgument>(operand);
    tableWords.push_back(argument ? kernelWords.of(argument) : 0);
    if (isa<FloatType, IntegerType>(operand.getType()))
      parameters.push_back(kernelScalar(b, item, kernelWords, operand));
    else
      parameters.push_back(readAddress(b, item.words, tableWords.back()));
  }
}

SmallVector<Value> BoundVariant::inlined(ImplicitLocOpBuilder &b,
                                         const ItemScope &item,
                                         attn::BodyOpInterface body,
                                         ValueRange data,
                                         attn::PositionFn position) const {
  auto resolve = [&](attn::Position p) {
    Value uniform = item.uniformPosition(p);
    return uniform ? uniform : position(p);
  };
  auto read = [&](attn::ReadOp op, ValueRange indices, OpBuilder &builder) {
    ImplicitLocOpBuilder inner(op.getLoc(), builder);
    unsigned table = attn::getParameterIndex(op.getTable());
    return emitRead(inner, item.in(inner), op, parameters[table],
                    tableWords[table], indices);
  };
  return attn::inlineBody(b, body, data, resolve, parameters, read);
}
