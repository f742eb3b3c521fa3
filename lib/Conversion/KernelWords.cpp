// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts the argument words of a kernel's signature as KernelABI.h says, and
// emits the reads of words and records.

#include "lib/Conversion/KernelWords.h"

#include "dialects/Tile/Tile.h"
#include "include/saccade/KernelABI.h"

using namespace mlir;
using namespace saccade;

/// Dimensions of which a table has words.
static int64_t getRank(Type type) {
  auto table = dyn_cast<attn::TableType>(type);
  return table ? table.getRank() : 0;
}

KernelWords::KernelWords(attn::KernelOp kernel) {
  SmallVector<BlockArgument> caches = kernel.getCaches();
  total = SACCADE_HEADER_WORDS;
  for (BlockArgument argument : kernel.getBody().getArguments()) {
    arguments.push_back(total);
    if (llvm::is_contained(caches, argument))
      total += SACCADE_CACHE_WORDS;
    else if (isa<attn::LayoutType, attn::LseType>(argument.getType()))
      total += SACCADE_TENSOR_WORDS;
    else if (isa<FloatType, IntegerType>(argument.getType()))
      total += SACCADE_SCALAR_WORDS;
    else
      total += SACCADE_TABLE_WORDS +
               getRank(argument.getType()) * SACCADE_TABLE_DIMENSION_WORDS;
  }
  for (size_t i = 0; i < kernel.getReturn()->getNumOperands(); ++i) {
    results.push_back(total);
    total += SACCADE_TENSOR_WORDS;
  }
}

int64_t KernelWords::ofCache(Value cache) const {
  while (auto append = cache.getDefiningOp<attn::AppendOp>())
    cache = append.getCache();
  return of(cast<BlockArgument>(cache));
}

Value saccade::readWord(ImplicitLocOpBuilder &b, Value words, int64_t index,
                        Type type) {
  return tile::WordOp::create(b, type, words, index);
}

Scalar saccade::readI64(ImplicitLocOpBuilder &b, Value words, int64_t index) {
  return {&b, readWord(b, words, index, b.getI64Type())};
}

Value saccade::readAddress(ImplicitLocOpBuilder &b, Value words,
                           int64_t index) {
  return readWord(b, words, index, tile::AddressType::get(b.getContext()));
}

Scalar saccade::lookup(ImplicitLocOpBuilder &b, Value base, Value offset,
                       Type type) {
  return {&b, tile::LookupOp::create(b, type, base, offset)};
}

Value saccade::lookUpFloat(ImplicitLocOpBuilder &b, Value base, Value offset,
                           Type element) {
  if (element.isF32())
    return lookup(b, base, offset, element);
  Value bits = lookup(b, base, offset, b.getI16Type());
  if (element.isF16()) {
    Value half = arith::BitcastOp::create(b, element, bits);
    return arith::ExtFOp::create(b, b.getF32Type(), half);
  }
  Value wide = arith::ExtUIOp::create(b, b.getI32Type(), bits);
  wide = arith::ShLIOp::create(b, wide, i32(b, 16)); // the upper half of an f32
  return arith::BitcastOp::create(b, b.getF32Type(), wide);
}

Scalar saccade::lookupField(ImplicitLocOpBuilder &b, Value base, Scalar index,
                            size_t recordBytes, size_t byteOffset, Type type) {
  size_t bytes = type.getIntOrFloatBitWidth() / 8;
  assert(recordBytes % bytes == 0 && byteOffset % bytes == 0);
  return lookup(b, base,
                index.wide() * int64_t(recordBytes / bytes) +
                    int64_t(byteOffset / bytes),
                type);
}
