// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What entries over tiles compute on the CPU, for shapes that fill no vector
// and no register block, at every width of vectors.

#include "test/unit/CpuCode.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace saccade::test;

using Entry = void(const uint64_t *, int32_t);

static uint64_t word(const void *pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

static std::vector<float> randoms(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(count);
  for (float &value : values)
    value = uniform(random);
  return values;
}

static float bf16ToFloat(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}
static uint16_t floatToBf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static std::string entry(const std::string &body) {
  return R"(tile.entry @f attend
    #tile.items<rows = 16, group = 1, heads = 1, keys = 16, row_block = 0>
    #tile.schedule<rows = 16, keys = 16, warps = 1, weights = f32> {
^bb0(%w: !tile.words):
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %zero = arith.constant 0.0 : f32
)" + body +
         "}\n";
}

/// `rows {...}` of a matrix with a pitch, of which `limit` rows are there.
static std::string rows(int pitch, const std::string &limit) {
  std::string n = std::to_string(pitch);
  return R"(rows {
  ^bb0(%row: i32):
    %wide = arith.extsi %row : i32 to i64
    %pitch = arith.constant )" +
         n + R"( : i64
    %offset = arith.muli %wide, %pitch : i64
    %there = arith.cmpi slt, %row, )" +
         limit + R"( : i32
    tile.yield %offset, %there : i64, i1
  })";
}

TEST_CASE("products of tiles") {
  struct Shape {
    int m, n, k;
  };
  for (int64_t lanes : {4, 8, 16})
    for (auto [m, n, k] : {Shape{64, 64, 128}, Shape{7, 24, 5}, Shape{1, 2, 1},
                           Shape{16, 80, 72}, Shape{21, 8, 40}}) {
      CAPTURE(lanes);
      CAPTURE(m);
      CAPTURE(n);
      auto tile = [](int r, int c, const char *type) {
        return "!tile.tile<" + std::to_string(r) + "x" + std::to_string(c) +
               "x" + type + ">";
      };
      std::string a = tile(m, k, "bf16"), b = tile(k, n, "f16"),
                  t = tile(n, k, "f16"), o = tile(m, n, "f32");
      // One row of the left side is absent; the result adds both products.
      CpuCode code(entry("%m = arith.constant " + std::to_string(m - 1) +
                         " : i32\n"
                         "%k = arith.constant " +
                         std::to_string(k) +
                         " : i32\n"
                         "%n = arith.constant " +
                         std::to_string(n) +
                         " : i32\n"
                         "%all = arith.constant " +
                         std::to_string(m) +
                         " : i32\n"
                         "%pa = tile.word %w[0] : !tile.address\n"
                         "%pb = tile.word %w[1] : !tile.address\n"
                         "%pt = tile.word %w[2] : !tile.address\n"
                         "%po = tile.word %w[3] : !tile.address\n"
                         "%a = tile.load %pa " +
                         rows(k, "%m") + ": " + a +
                         "\n"
                         "%b = tile.load %pb " +
                         rows(n, "%k") + ": " + b +
                         "\n"
                         "%t = tile.load %pt " +
                         rows(k, "%n") + ": " + t +
                         "\n"
                         "%x = tile.dot %a, %b : " +
                         a + ", " + b + " -> " + o +
                         "\n"
                         "%y = tile.dot %a, %t into %x : " +
                         o + " transposed : " + a + ", " + t + " -> " + o +
                         "\n"
                         "tile.store %y to %po " +
                         rows(n, "%all") + ": " + o + "\n"),
                   lanes);
      auto fa = randoms(m * k, 1);
      std::vector<uint16_t> ha;
      for (float &x : fa) {
        ha.push_back(floatToBf16(x));
        x = bf16ToFloat(ha.back());
      }
      std::vector<_Float16> hb, ht;
      for (float x : randoms(k * n, 2))
        hb.push_back(static_cast<_Float16>(x));
      for (float x : randoms(n * k, 3))
        ht.push_back(static_cast<_Float16>(x));
      std::vector<float> out(m * n + 1, -77);
      uint64_t words[] = {word(ha.data()), word(hb.data()), word(ht.data()),
                          word(out.data())};
      code.get<Entry>("f")(words, 0);
      double worst = 0;
      for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j) {
          double sum = 0;
          for (int l = 0; l < k && i < m - 1; ++l)
            sum += double(fa[i * k + l]) *
                   (double(hb[l * n + j]) + double(ht[j * k + l]));
          worst = std::max(worst, std::fabs(sum - out[i * n + j]));
        }
      CHECK(worst < 1e-5);
      CHECK(out.back() == -77);
    }
}

TEST_CASE("maps, lookups and reductions") {
  for (int64_t lanes : {4, 8, 16}) {
    CAPTURE(lanes);
    CpuCode code(entry(R"(
  %n = arith.constant 5 : i32
  %px = tile.word %w[0] : !tile.address
  %pf = tile.word %w[1] : !tile.address
  %pi = tile.word %w[2] : !tile.address
  %pb = tile.word %w[3] : !tile.address
  %po = tile.word %w[4] : !tile.address
  %pm = tile.word %w[5] : !tile.address
  %scale = tile.word %w[6] : f32
  %x = tile.load %px )" +
                       rows(21, "%n") + R"( : !tile.tile<5x21xf32>
  %y = tile.map (%x) {
  ^bb0(%e: f32, %row: i32, %column: i32):
    %c21 = arith.constant 21 : i32
    %base = arith.muli %row, %c21 : i32
    %place = arith.addi %base, %column : i32
    %at = arith.extsi %place : i32 to i64
    %f = tile.lookup %pf[%at] : f32
    %i = tile.lookup %pi[%at] : i32
    %b = tile.lookup %pb[%at] : i8
    %wide = arith.extui %b : i8 to i32
    %sum = arith.addi %i, %wide : i32
    %real = arith.sitofp %sum : i32 to f32
    %s = arith.mulf %e, %scale : f32
    %u = arith.addf %s, %f : f32
    %v = arith.addf %u, %real : f32
    tile.yield %v : f32
  } : (!tile.tile<5x21xf32>) -> !tile.tile<5x21xf32>
  %m = tile.reduce max %y : !tile.tile<5x21xf32> -> !tile.tile<5x1xf32>
  %a = tile.reduce add %y : !tile.tile<5x21xf32> -> !tile.tile<5x1xf32>
  %both = tile.map (%m, %a) {
  ^bb0(%e: f32, %g: f32, %row: i32, %column: i32):
    %real = arith.sitofp %row : i32 to f32
    %h = arith.addf %g, %real : f32
    %s = arith.mulf %e, %h : f32
    tile.yield %s : f32
  } : (!tile.tile<5x1xf32>, !tile.tile<5x1xf32>) -> !tile.tile<5x1xf32>
  tile.store %y to %po )" +
                       rows(21, "%n") + R"( : !tile.tile<5x21xf32>
  tile.store %both to %pm )" +
                       rows(1, "%n") + R"( : !tile.tile<5x1xf32>
)"),
                 lanes);
    auto x = randoms(105, 1), f = randoms(105, 2);
    std::vector<int32_t> i(105);
    std::vector<uint8_t> b(105);
    for (int at = 0; at < 105; ++at) {
      i[at] = at * 3 - 50;
      b[at] = static_cast<uint8_t>(at * 7);
    }
    std::vector<float> out(106, -77), columns(6, -77);
    float scale = 2.5f;
    uint64_t scaleWord = 0;
    std::memcpy(&scaleWord, &scale, 4);
    uint64_t words[] = {word(x.data()), word(f.data()),   word(i.data()),
                        word(b.data()), word(out.data()), word(columns.data()),
                        scaleWord};
    code.get<Entry>("f")(words, 0);
    for (int row = 0; row < 5; ++row) {
      double largest = -1e9, sum = 0;
      for (int at = row * 21; at < row * 21 + 21; ++at) {
        double want = 2.5 * x[at] + f[at] + i[at] + b[at];
        CHECK(out[at] == doctest::Approx(want));
        largest = std::max(largest, want);
        sum += want;
      }
      CHECK(columns[row] == doctest::Approx(largest * (sum + row)));
    }
    CHECK(out[105] == -77);
    CHECK(columns[5] == -77);
  }
}

TEST_CASE("tiles through loops and branches") {
  // Exchanges two tiles on every trip, and changes one of them on odd trips
  // while its old value is still needed.
  CpuCode code(entry(R"(
  %n = arith.constant 3 : i32
  %trips = tile.word %w[0] : i32
  %pa = tile.word %w[1] : !tile.address
  %pb = tile.word %w[2] : !tile.address
  %a = tile.load %pa )" +
                     rows(4, "%n") + R"( : !tile.tile<3x4xf32>
  %one = arith.constant 1.0 : f32
  %b = tile.fill %one : f32 -> !tile.tile<3x4xf32>
  %r:2 = scf.for %i = %c0 to %trips step %c1
      iter_args(%x = %a, %y = %b) -> (!tile.tile<3x4xf32>, !tile.tile<3x4xf32>) : i32 {
    %bit = arith.andi %i, %c1 : i32
    %odd = arith.cmpi eq, %bit, %c1 : i32
    %z = scf.if %odd -> (!tile.tile<3x4xf32>) {
      %t = tile.map (%x) {
      ^bb0(%e: f32, %row: i32, %column: i32):
        %d = arith.addf %e, %e : f32
        tile.yield %d : f32
      } : (!tile.tile<3x4xf32>) -> !tile.tile<3x4xf32>
      scf.yield %t : !tile.tile<3x4xf32>
    } else {
      scf.yield %x : !tile.tile<3x4xf32>
    }
    %s = tile.map (%y, %x) {
    ^bb0(%e: f32, %g: f32, %row: i32, %column: i32):
      %d = arith.addf %e, %g : f32
      tile.yield %d : f32
    } : (!tile.tile<3x4xf32>, !tile.tile<3x4xf32>) -> !tile.tile<3x4xf32>
    scf.yield %s, %z : !tile.tile<3x4xf32>, !tile.tile<3x4xf32>
  }
  tile.store %r#0 to %pa )" +
                     rows(4, "%n") + R"( : !tile.tile<3x4xf32>
  tile.store %r#1 to %pb )" +
                     rows(4, "%n") + R"( : !tile.tile<3x4xf32>
)"));
  for (int trips = 0; trips < 6; ++trips) {
    CAPTURE(trips);
    auto a = randoms(12, 5);
    std::vector<float> b(12), x = a, y(12, 1.0f);
    for (int i = 0; i < trips; ++i)
      for (int at = 0; at < 12; ++at) {
        float z = i % 2 ? 2 * x[at] : x[at];
        x[at] = y[at] + x[at];
        y[at] = z;
      }
    uint64_t words[] = {uint64_t(trips), word(a.data()), word(b.data())};
    code.get<Entry>("f")(words, 0);
    CHECK(a == x);
    CHECK(b == y);
  }
}

TEST_CASE("absent rows are not touched, and live rows alone are computed") {
  // Addresses of absent rows are wild; the count of rows is known at run time.
  CpuCode code(entry(R"(
  %n = tile.word %w[0] : i32
  %pa = tile.word %w[1] : !tile.address
  %po = tile.word %w[2] : !tile.address
  %a = tile.load %pa rows {
  ^bb0(%row: i32):
    %there = arith.cmpi slt, %row, %n : i32
    %c8 = arith.constant 8 : i64
    %wild = arith.constant 1000000000000 : i64
    %wide = arith.extsi %row : i32 to i64
    %near = arith.muli %wide, %c8 : i64
    %offset = arith.select %there, %near, %wild : i64
    tile.yield %offset, %there : i64, i1
  } : !tile.tile<64x8xbf16>
  %r = tile.map_rows %a {
  ^bb0(%v: vector<8xf32>, %row: i32):
    %t = vector.shuffle %v, %v [7, 6, 5, 4, 3, 2, 1, 0] : vector<8xf32>, vector<8xf32>
    tile.yield %t : vector<8xf32>
  } : !tile.tile<64x8xbf16> -> !tile.tile<64x8xbf16>
  tile.store %r to %po )" +
                     rows(8, "%n") + R"( : !tile.tile<64x8xbf16>
)"));
  for (int n : {0, 1, 3, 64}) {
    std::vector<uint16_t> in(8 * n + 1), out(8 * n + 1, 7);
    for (int at = 0; at < 8 * n; ++at)
      in[at] = floatToBf16(static_cast<float>(at));
    uint64_t words[] = {uint64_t(n), word(in.data()), word(out.data())};
    code.get<Entry>("f")(words, 0);
    for (int at = 0; at < 8 * n; ++at)
      CHECK(out[at] == in[at / 8 * 8 + 7 - at % 8]);
    CHECK(out.back() == 7);
  }
}
