// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads elements and measures batches. Everything that an evaluation addresses
// is checked here once, so that the rest may index freely.

#include "lib/Reference/Interpreter.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
namespace saccade::reference {

static double fromHalf(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double magnitude = exponent == 31 ? (fraction ? NAN : INFINITY)
                     : exponent == 0
                         ? std::ldexp(fraction, -24)
                         : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/// The fraction of f8E4M3FN has 3 bits, its exponent a bias of 7; only all ones
/// are no number.
static double fromE4M3(uint8_t bits) {
  int exponent = bits >> 3 & 15, fraction = bits & 7;
  double magnitude = (bits & 0x7f) == 0x7f ? NAN
                     : exponent == 0 ? std::ldexp(fraction, -9)
                                     : std::ldexp(8 + fraction, exponent - 10);
  return bits & 0x80 ? -magnitude : magnitude;
}

double roundToBytes(double value, Element element) {
  if (std::isnan(value))
    return value;
  bool e4m3 = element == Element::f8e4m3;
  int fraction = e4m3 ? 3 : 2, least = e4m3 ? -6 : -14;
  double largest = e4m3 ? 448 : 57344;
  int exponent;
  std::frexp(value, &exponent); // value in [2^(exponent - 1), 2^exponent)
  double unit = std::ldexp(1, std::max(exponent - 1, least) - fraction);
  double rounded = std::nearbyint(value / unit) * unit;
  return std::max(-largest, std::min(rounded, largest));
}

double load(const void *data, Element element, int64_t index) {
  switch (element) {
  case Element::f32:
    return static_cast<const float *>(data)[index];
  case Element::f16:
    return fromHalf(static_cast<const uint16_t *>(data)[index]);
  case Element::bf16: // the upper half of a float
    return llvm::bit_cast<float>(
        uint32_t(static_cast<const uint16_t *>(data)[index]) << 16);
  case Element::f8e4m3:
    return fromE4M3(static_cast<const uint8_t *>(data)[index]);
  case Element::f8e5m2: // the upper half of an f16
    return fromHalf(uint16_t(static_cast<const uint8_t *>(data)[index]) << 8);
  case Element::i32:
    return static_cast<const int32_t *>(data)[index];
  case Element::i64: // what i32 holds of it
    return static_cast<int32_t>(static_cast<const int64_t *>(data)[index]);
  case Element::i8:
    return static_cast<const int8_t *>(data)[index];
  case Element::u8:
    return static_cast<const uint8_t *>(data)[index];
  }
  llvm_unreachable("all elements are listed");
}

std::vector<Row> allRows(const ReferenceInputs &inputs, int64_t heads) {
  std::vector<Row> rows;
  for (int32_t r = 0; r < inputs.requests; ++r)
    for (int32_t i = 0; i < inputs.queryLengths[r]; ++i)
      for (int32_t h = 0; h < heads; ++h)
        rows.push_back({r, i, h});
  return rows;
}

template <typename... Parts> static llvm::Error error(Parts &&...parts) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  ((stream << parts), ...);
  return llvm::createStringError(text);
}

/// Whether a request's tokens of a cache lie in its tensors and tables.
static bool fits(Type type, const Cache &cache, int32_t request) {
  int64_t length = cache.lengths[request];
  if (length <= 0)
    return length == 0;
  if (isa<attn::DenseType>(type))
    return request < cache.keys.batches && length <= cache.keys.tokens;
  int64_t end = cache.base[request];
  if (auto paged = dyn_cast<attn::PagedType>(type)) {
    end += llvm::divideCeil(length, paged.getPage());
    return cache.keys.batches > 0 && end <= int64_t(cache.indices.size());
  }
  return end + length <= cache.keys.tokens;
}

/// Whether a request's row blocks have row pointers, and those lie in the list.
static bool blocksFit(attn::BlockSparseType type, const Cache &cache,
                      int32_t request, int32_t queryLength) {
  int64_t begin = cache.blockBegin[request];
  int64_t end = begin + llvm::divideCeil(queryLength, type.getBlockRows());
  if (end >= int64_t(cache.blockRows.size()))
    return queryLength == 0;
  for (int64_t block = begin; block < end; ++block)
    if (cache.blockRows[block] < 0 ||
        cache.blockRows[block] > cache.blockRows[block + 1] ||
        cache.blockRows[block + 1] > int64_t(cache.indices.size()))
      return false;
  return true;
}

/// How the tokens of an argument lie: those of an LSE as its output's.
static Type layoutOf(BlockArgument argument) {
  if (!isa<attn::LseType>(argument.getType()))
    return argument.getType();
  return cast<attn::ResumeOp>(*argument.user_begin()).getOutput().getType();
}

/// Whether the argument holds what its type asks for.
static bool holds(Type type, bool isCache, const Argument &argument) {
  if (isa<attn::LayoutType, attn::LseType>(type))
    return isCache ? std::holds_alternative<Cache>(argument)
                   : std::holds_alternative<Rows>(argument);
  return type.isIntOrFloat() ? std::holds_alternative<double>(argument)
                             : std::holds_alternative<Table>(argument);
}

llvm::Expected<Batch> Batch::measure(attn::KernelOp kernel,
                                     const ReferenceInputs &inputs) {
  auto arguments = kernel.getBody().front().getArguments();
  if (inputs.arguments.size() != arguments.size())
    return error("expects ", arguments.size(), " arguments, but got ",
                 inputs.arguments.size());
  Batch batch;
  batch.inputs = &inputs;
  batch.sequenceLengths.assign(inputs.requests, 0);
  for (auto [argument, given] : llvm::zip_equal(arguments, inputs.arguments)) {
    int index = argument.getArgNumber();
    Type type = argument.getType();
    if (!holds(type, attn::KernelOp::isCache(argument), given))
      return error("expects argument ", index, " to be of type ", type);
    if (auto *rows = std::get_if<Rows>(&given))
      for (int32_t r = 0; r < inputs.requests; ++r) {
        int64_t length = inputs.queryLengths[r];
        bool dense = isa<attn::DenseType>(layoutOf(argument));
        if (length < 0 || (length && dense && r >= rows->batches) ||
            (dense ? 0 : inputs.queryBegin[r]) + length > rows->tokens)
          return error("expects the ", length, " query tokens of request ", r,
                       " to lie in argument ", index);
      }
    auto *cache = std::get_if<Cache>(&given);
    if (!cache)
      continue;
    batch.starts[index] = batch.sequenceLengths;
    auto sparse = dyn_cast<attn::BlockSparseType>(type);
    for (int32_t r = 0; r < inputs.requests; ++r) {
      if (!fits(type, *cache, r) ||
          (sparse && !blocksFit(sparse, *cache, r, inputs.queryLengths[r])))
        return error("expects the ", cache->lengths[r], " tokens of request ",
                     r, " to lie in argument ", index);
      batch.sequenceLengths[r] += cache->lengths[r];
    }
  }
  int64_t tokens = 0, bytes = 0;
  for (int32_t r = 0; r < inputs.requests; ++r) {
    int64_t length = batch.sequenceLengths[r];
    batch.tokenBegin.push_back(tokens);
    batch.bitsBegin.push_back(bytes);
    tokens += length;
    bytes += llvm::divideCeil(inputs.queryLengths[r] * length, 8);
  }
  return batch;
}

} // namespace saccade::reference
