// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Element conversions and device copies.

#include "tools/saccade/Tensor.h"

#include "tools/saccade/Command.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

using namespace saccade::cli;

DType saccade::cli::dtypeNamed(const std::string &name) {
  static const std::pair<const char *, DType> names[] = {
      {"f32", DType::f32},       {"f16", DType::f16},
      {"bf16", DType::bf16},     {"f8e4m3", DType::f8e4m3},
      {"f8e5m2", DType::f8e5m2}, {"i32", DType::i32},
      {"u8", DType::u8},         {"i64", DType::i64},
      {"i8", DType::i8},         {"bool", DType::boolean}};
  for (auto [text, dtype] : names)
    if (name == text)
      return dtype;
  throw Failure("expects a known dtype, but got '" + name + "'");
}

int64_t saccade::cli::bytesOf(DType dtype) {
  switch (dtype) {
  case DType::f32:
  case DType::i32:
    return 4;
  case DType::f16:
  case DType::bf16:
    return 2;
  case DType::i64:
    return 8;
  default:
    return 1;
  }
}

static double fromHalf(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                : exponent     ? std::ldexp(1024 + fraction, exponent - 25)
                               : std::ldexp(fraction, -24);
  return bits & 0x8000 ? -size : size;
}

static uint16_t toHalf(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  double size = std::fabs(value);
  if (std::isnan(value))
    return sign | 0x7e00;
  if (size >= 65520)
    return sign | 0x7c00;
  int exponent;
  std::frexp(size, &exponent); // size in [2^(exponent-1), 2^exponent)
  exponent = std::max(exponent, -13);
  auto steps = std::lrint(std::ldexp(size, 11 - exponent)); // 1024 .. 2048
  // Carrying over into the next exponent adds up by itself.
  if (steps < 1024)
    return sign | static_cast<uint16_t>(steps);
  return sign | static_cast<uint16_t>(((exponent + 13) << 10) + steps);
}

static uint16_t toBfloat(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value))
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static double fromE4M3(uint8_t bits) {
  int exponent = bits >> 3 & 15, fraction = bits & 7;
  double size = (bits & 0x7f) == 0x7f ? NAN
                : exponent            ? std::ldexp(8 + fraction, exponent - 10)
                                      : std::ldexp(fraction, -9);
  return bits & 0x80 ? -size : size;
}

/// Rounds to a fraction of so many bits and exponents from `least` on; the
/// largest finite value stands for what is beyond it.
static uint8_t toByte(double value, int fraction, int least, double largest) {
  uint8_t sign = std::signbit(value) ? 0x80 : 0;
  if (std::isnan(value))
    return sign | 0x7f;
  double size = std::min(std::fabs(value), largest);
  int exponent;
  std::frexp(size, &exponent); // size in [2^(exponent-1), 2^exponent)
  exponent = std::max(exponent - 1, least);
  auto steps = std::lrint(std::ldexp(size, fraction - exponent));
  // Carrying over into the next exponent adds up by itself.
  long scale = steps < 1 << fraction ? 0 : (exponent - least) << fraction;
  return sign | static_cast<uint8_t>(scale + steps);
}

Tensor::Tensor(DType dtype, std::vector<int64_t> extents)
    : dtype(dtype), shape(std::move(extents)), strides(shape.size(), 1) {
  for (size_t axis = shape.size(); axis-- > 1;)
    strides[axis - 1] = strides[axis] * shape[axis];
  bytes.resize(static_cast<size_t>(elements() * bytesOf(dtype)));
}

int64_t Tensor::elements() const {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

double Tensor::at(int64_t index) const {
  auto read = [&]<typename T>(T value) {
    std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
    return value;
  };
  switch (dtype) {
  case DType::f32:
    return read(float());
  case DType::i32:
    return read(int32_t());
  case DType::i64:
    return static_cast<double>(read(int64_t()));
  case DType::i8:
    return read(int8_t());
  case DType::u8:
  case DType::boolean:
    return read(uint8_t());
  case DType::f16:
    return fromHalf(read(uint16_t()));
  case DType::f8e4m3:
    return fromE4M3(read(uint8_t()));
  case DType::f8e5m2: // the upper half of an f16
    return fromHalf(static_cast<uint16_t>(read(uint8_t()) << 8));
  case DType::bf16:
    return std::bit_cast<float>(uint32_t(read(uint16_t())) << 16);
  }
  return 0;
}

void Tensor::set(int64_t index, double value) {
  auto write = [&](auto element) {
    std::memcpy(bytes.data() + index * sizeof element, &element,
                sizeof element);
  };
  switch (dtype) {
  case DType::f32:
    return write(static_cast<float>(value));
  case DType::i32:
    return write(static_cast<int32_t>(value));
  case DType::i64:
    return write(static_cast<int64_t>(value));
  case DType::i8:
    return write(static_cast<int8_t>(value));
  case DType::u8:
  case DType::boolean:
    return write(static_cast<uint8_t>(value));
  case DType::f16:
    return write(toHalf(value));
  case DType::f8e4m3:
    return write(toByte(value, 3, -6, 448));
  case DType::f8e5m2:
    return write(toByte(value, 2, -14, 57344));
  case DType::bf16:
    return write(toBfloat(static_cast<float>(value)));
  }
}

void Tensor::poison() {
  // All ones is a NaN in each of the float formats.
  std::fill(bytes.begin(), bytes.end(), char(0xff));
}

void Tensor::upload(DLDevice where) {
  device = where;
  if (where.device_type == kDLCPU || bytes.empty())
    return;
  if (!copy) {
    void *memory = nullptr;
    check(saccade_memory_alloc(where, bytes.size(), &memory));
    copy = {memory, FreeMemory{where}};
  }
  check(saccade_memory_copy(copy.get(), where, bytes.data(), {kDLCPU, 0},
                            bytes.size(), nullptr));
}

void Tensor::download() {
  if (copy)
    check(saccade_memory_copy(bytes.data(), {kDLCPU, 0}, copy.get(), device,
                              bytes.size(), nullptr));
}

DLTensor *Tensor::view(DLTensor &tensor, void *data, DLDevice where) {
  constexpr uint8_t e4m3 = 10, e5m2 = 12; // kDLFloat8_*, since DLPack 1.1
  constexpr uint8_t boolean = 6;          // kDLBool
  bool integer =
      dtype == DType::i32 || dtype == DType::i64 || dtype == DType::i8;
  uint8_t code = integer                   ? kDLInt
                 : dtype == DType::u8      ? kDLUInt
                 : dtype == DType::boolean ? boolean
                 : dtype == DType::bf16    ? kDLBfloat
                 : dtype == DType::f8e4m3  ? e4m3
                 : dtype == DType::f8e5m2  ? e5m2
                                           : kDLFloat;
  tensor = {};
  tensor.data = data;
  tensor.device = where;
  tensor.ndim = static_cast<int32_t>(shape.size());
  tensor.dtype = {code, static_cast<uint8_t>(8 * bytesOf(dtype)), 1};
  tensor.shape = shape.data();
  tensor.strides = strides.data();
  return &tensor;
}
