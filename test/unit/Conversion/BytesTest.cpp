// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Floats of 8 bits on the CPU: all of them widened, and around all of them
// rounded, against LLVM's arithmetic of arbitrary formats.

#include "test/unit/CpuCode.h"

#include "llvm/ADT/APFloat.h"

#include <cmath>
#include <limits>

using namespace saccade::test;
using llvm::APFloat;

using Entry = void(const uint64_t *, int32_t);

namespace {
struct Format {
  const char *name;
  const llvm::fltSemantics &semantics;
};
} // namespace

static float toFloat(const Format &format, unsigned bits) {
  APFloat value(format.semantics, llvm::APInt(8, bits));
  bool loses;
  value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &loses);
  return value.convertToFloat();
}

static unsigned toBits(const Format &format, float x) {
  APFloat value(x);
  bool loses;
  value.convert(format.semantics, APFloat::rmNearestTiesToEven, &loses);
  return value.bitcastToAPInt().getZExtValue();
}

static uint64_t word(const void *pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

/// Tiles of 37 columns, which fill no vector: 8-bit elements to f32 by a map
/// and by a store alone, and f32 to 8 bits.
static std::string conversions(const std::string &type, int64_t rows) {
  std::string body = R"(
#items = #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
#schedule = #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32>
!wide = !tile.tile<ROWSx37xf32>
!narrow = !tile.tile<ROWSx37xTYPE>
tile.entry @f attend #items #schedule {
^bb0(%w: !tile.words):
  %bytes = tile.word %w[0] : !tile.address
  %widened = tile.word %w[1] : !tile.address
  %copied = tile.word %w[2] : !tile.address
  %floats = tile.word %w[3] : !tile.address
  %rounded = tile.word %w[4] : !tile.address
  %a = tile.load %bytes PLACE : !narrow
  %b = tile.map (%a) {
  ^bb0(%x: TYPE, %row: i32, %column: i32):
    %y = arith.extf %x : TYPE to f32
    tile.yield %y : f32
  } : (!narrow) -> !wide
  tile.store %b to %widened PLACE : !wide
  tile.store %a to %copied PLACE : !narrow
  %c = tile.load %floats PLACE : !wide
  %d = tile.map (%c) {
  ^bb0(%x: f32, %row: i32, %column: i32):
    %y = arith.truncf %x : f32 to TYPE
    tile.yield %y : TYPE
  } : (!wide) -> !narrow
  tile.store %d to %rounded PLACE : !narrow
}
)";
  const std::string place = R"(rows {
  ^bb0(%row: i32):
    %wide = arith.extsi %row : i32 to i64
    %pitch = arith.constant 37 : i64
    %offset = arith.muli %wide, %pitch : i64
    %there = arith.constant true
    tile.yield %offset, %there : i64, i1
  })";
  auto replace = [&](const std::string &from, const std::string &to) {
    for (size_t at = 0; (at = body.find(from, at)) != std::string::npos;
         at += to.size())
      body.replace(at, from.size(), to);
  };
  replace("PLACE", place);
  replace("ROWS", std::to_string(rows));
  replace("TYPE", type);
  return body;
}

/// The positive values of a format, what lies in the middle between two, and
/// the floats beside these; with both signs, and what is no number.
static std::vector<float> hardFloats(const Format &format) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> values = {0, infinity, 1e-30f, 1e-44f, 1e6f, 3e38f, NAN};
  for (unsigned bits = 0; bits < 0x7f; ++bits) {
    float x = toFloat(format, bits), next = toFloat(format, bits + 1);
    if (!std::isfinite(x))
      break;
    float middle = std::isfinite(next) ? x + (next - x) / 2
                                       : x * 1.0625f; // past the largest
    for (float value : {x, middle})
      for (float toward : {0.0f, value, infinity})
        values.push_back(std::nextafter(value, toward));
  }
  for (size_t i = 0, count = values.size(); i < count; ++i)
    values.push_back(-values[i]);
  return values;
}

static bool same(float x, float y) {
  return std::isnan(x) ? std::isnan(y)
                       : x == y && std::signbit(x) == std::signbit(y);
}

TEST_CASE("floats of 8 bits") {
  for (const Format &format : {Format{"f8E4M3FN", APFloat::Float8E4M3FN()},
                               Format{"f8E5M2", APFloat::Float8E5M2()}})
    for (int64_t lanes : {4, 8, 16}) {
      CAPTURE(format.name);
      CAPTURE(lanes);
      std::vector<float> floats = hardFloats(format);
      int64_t rows = (floats.size() + 36) / 37;
      floats.resize(rows * 37);
      std::vector<uint8_t> bytes(floats.size()), copied(bytes), rounded(bytes);
      for (size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = i;
      std::vector<float> widened(floats.size());
      CpuCode code(conversions(format.name, rows), lanes);
      uint64_t words[] = {word(bytes.data()), word(widened.data()),
                          word(copied.data()), word(floats.data()),
                          word(rounded.data())};
      code.get<Entry>("f")(words, 0);
      int wrong = 0;
      for (size_t i = 0; i < bytes.size(); ++i) {
        float exact = toFloat(format, bytes[i]);
        wrong += !same(widened[i], exact);
        wrong += copied[i] != bytes[i] && !std::isnan(exact);
        float got = toFloat(format, rounded[i]);
        wrong += !same(got, toFloat(format, toBits(format, floats[i])));
      }
      CHECK(wrong == 0);
    }
}
