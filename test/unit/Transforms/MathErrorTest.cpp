// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The error of every expanded math function, swept through the CPU's code and
// stated here as a bound: these figures are what the documentation quotes.

#include "test/unit/CpuCode.h"

#include <cmath>
#include <functional>
#include <limits>
#include <random>

using namespace saccade::test;

static constexpr float infinity = std::numeric_limits<float>::infinity();
static constexpr float nan32 = std::numeric_limits<float>::quiet_NaN();

/// A function over arrays of n = 0 modulo 16 floats: out = op(x, y).
static std::string overArrays(const std::string &name, const std::string &op) {
  return "func.func @" + name +
         R"((%x: !llvm.ptr, %y: !llvm.ptr, %out: !llvm.ptr, %n: i64) {
  %c0 = arith.constant 0 : i64
  %c16 = arith.constant 16 : i64
  scf.for %i = %c0 to %n step %c16 : i64 {
    %px = llvm.getelementptr %x[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %py = llvm.getelementptr %y[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %po = llvm.getelementptr %out[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %a = llvm.load %px {alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
    %b = llvm.load %py {alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
    )" + op +
         R"(
    llvm.store %r, %po {alignment = 4 : i64} : vector<16xf32>, !llvm.ptr
  }
  return
}
)";
}

using Function = void(const float *, const float *, float *, int64_t);

static std::vector<float> apply(Function *function, std::vector<float> x,
                                std::vector<float> y = {}) {
  size_t count = x.size();
  x.resize((count + 15) / 16 * 16, 1.0f);
  y.resize(x.size(), 1.0f);
  std::vector<float> out(x.size(), -77.0f);
  function(x.data(), y.data(), out.data(), static_cast<int64_t>(x.size()));
  out.resize(count);
  return out;
}

static std::vector<float> sweep(float low, float high, int count = 400000) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(count);
  for (float &value : values)
    value = uniform(random);
  return values;
}

/// Every exponent equally often.
static std::vector<float> sweepExponents(int low, int high,
                                         int count = 400000) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> mantissa(1.0f, 2.0f);
  std::uniform_int_distribution<int> exponent(low, high);
  std::vector<float> values(count);
  for (float &value : values)
    value = std::ldexp(mantissa(random), exponent(random));
  return values;
}

struct Error {
  double relative = 0, absolute = 0;
};

static Error errorOf(const std::vector<float> &x, const std::vector<float> &y,
                     const std::vector<float> &got,
                     const std::function<double(double, double)> &exact) {
  Error error;
  for (size_t i = 0; i < x.size(); ++i) {
    double want = exact(x[i], y.empty() ? 0.0 : y[i]);
    if (std::fabs(want) < 3e-38 || std::fabs(want) > 3.4e38)
      continue;
    double difference = std::fabs(got[i] - want);
    if (!(difference <= error.absolute))
      error.absolute = difference;
    if (!(difference / std::fabs(want) <= error.relative))
      error.relative = difference / std::fabs(want);
  }
  return error;
}

TEST_CASE("errors of expanded math functions") {
  std::string text;
  for (const char *name :
       {"exp", "exp2", "log", "log2", "tanh", "sin", "cos", "rsqrt"})
    text += overArrays(name, std::string("%r = math.") + name +
                                 " %a : vector<16xf32>");
  text += overArrays("powf", "%r = math.powf %a, %b : vector<16xf32>");
  text += overArrays("remf", "%r = arith.remf %a, %b : vector<16xf32>");
  CpuCode code(text);

  auto check = [&](const char *name, const std::vector<float> &x,
                   const std::vector<float> &y,
                   const std::function<double(double, double)> &exact,
                   double relative, double absolute) {
    Error error = errorOf(x, y, apply(code.get<Function>(name), x, y), exact);
    MESSAGE(std::string(name), ": relative ", error.relative, ", absolute ",
            error.absolute);
    CHECK(error.relative <= relative);
    CHECK(error.absolute <= absolute);
  };
  auto unary = [](double (*f)(double)) {
    return [f](double x, double) { return f(x); };
  };
  const double any = infinity;

  check("exp2", sweep(-125, 128), {}, unary(std::exp2), 2e-7, any);
  check("exp2", sweep(-1, 1), {}, unary(std::exp2), 2e-7, any);
  check("exp", sweep(-86, 88.7f), {}, unary(std::exp), 4e-7, any);
  check("exp", sweep(-1, 1), {}, unary(std::exp), 4e-7, any);
  check("log2", sweepExponents(-149, 127), {}, unary(std::log2), 2e-7, any);
  check("log2", sweep(0.5f, 2), {}, unary(std::log2), 3e-7, any);
  check("log", sweep(0.5f, 2), {}, unary(std::log), 4e-7, any);
  check("log", sweepExponents(-149, 127), {}, unary(std::log), 3e-7, any);
  check("tanh", sweep(-10, 10), {}, unary(std::tanh), 3e-7, 2e-7);
  check("tanh", sweepExponents(-40, 4), {}, unary(std::tanh), 3e-7, 2e-7);
  check("sin", sweep(-1e6f, 1e6f), {}, unary(std::sin), any, 1.5e-7);
  check("cos", sweep(-1e6f, 1e6f), {}, unary(std::cos), any, 1.5e-7);
  check("sin", sweep(-4e6f, 4e6f), {}, unary(std::sin), any, 1e-6);
  check("sin", sweep(-10, 10), {}, unary(std::sin), any, 1.5e-7);
  check("cos", sweep(-10, 10), {}, unary(std::cos), any, 1.5e-7);
  check(
      "rsqrt", sweepExponents(-126, 127), {},
      [](double x, double) { return 1 / std::sqrt(x); }, 2e-7, any);

  // theta^(-2i/d): the frequencies of rotary embeddings.
  check(
      "powf", sweep(1e3f, 1e6f), sweep(-1, 0),
      [](double x, double y) { return std::pow(x, y); }, 3e-7, any);
  check(
      "powf", sweepExponents(-20, 20), sweep(-6, 6),
      [](double x, double y) { return std::pow(x, y); }, 4e-7, any);
  check(
      "remf", sweep(-1e5f, 1e5f), sweep(-30, 30),
      [](double x, double y) { return std::fmod(x, y); }, 1e-7, any);
}

TEST_CASE("math functions at the ends of their ranges") {
  std::string text;
  for (const char *name : {"exp", "exp2", "log", "log2", "tanh", "sin", "cos"})
    text += overArrays(name, std::string("%r = math.") + name +
                                 " %a : vector<16xf32>");
  text += overArrays("powf", "%r = math.powf %a, %b : vector<16xf32>");
  CpuCode code(text);
  auto at = [&](const char *name, float x, float y = 1) {
    return apply(code.get<Function>(name), {x}, {y})[0];
  };
  CHECK(at("exp2", -infinity) == 0);
  CHECK(at("exp2", -1e30f) == 0);
  CHECK(at("exp2", -127) == 0);
  CHECK(at("exp2", 0) == 1);
  CHECK(at("exp2", 10) == 1024);
  CHECK(at("exp2", 127.9f) == doctest::Approx(std::exp2(127.9f)).epsilon(1e-6));
  CHECK(at("exp2", 128) == infinity);
  CHECK(at("exp2", infinity) == infinity);
  CHECK(std::isnan(at("exp2", nan32)));
  CHECK(at("exp", -infinity) == 0);
  CHECK(at("exp", 0) == 1);
  CHECK(at("exp", 88.8f) == infinity);
  CHECK(at("exp", infinity) == infinity);
  CHECK(std::isnan(at("exp", nan32)));
  CHECK(at("log2", 0) == -infinity);
  CHECK(at("log2", -0.0f) == -infinity);
  CHECK(at("log2", 8) == 3);
  CHECK(at("log2", infinity) == infinity);
  CHECK(std::isnan(at("log2", -1)));
  CHECK(std::isnan(at("log2", nan32)));
  CHECK(at("log", 0) == -infinity);
  CHECK(at("log", 1) == 0);
  CHECK(at("tanh", infinity) == 1);
  CHECK(at("tanh", -infinity) == -1);
  CHECK(at("tanh", 0) == 0);
  CHECK(std::isnan(at("tanh", nan32)));
  CHECK(std::isnan(at("sin", infinity)));
  CHECK(std::isnan(at("cos", nan32)));
  CHECK(std::fabs(at("sin", 3e38f)) <= 1);
  CHECK(at("cos", 0) == 1);
  struct {
    float x, y, want;
  } powers[] = {{0, 2, 0},
                {0, -2, infinity},
                {0, 0, 1},
                {2, 10, 1024},
                {-2, 3, -8},
                {-2, 2, 4},
                {1, infinity, 1},
                {2, infinity, infinity},
                {2, -infinity, 0},
                {infinity, -1, 0},
                {infinity, 2, infinity},
                {10, 60, infinity},
                {10, -60, 0},
                {nan32, 0, 1}};
  for (auto &[x, y, want] : powers) {
    CAPTURE(x);
    CAPTURE(y);
    CHECK(at("powf", x, y) == want);
  }
  CHECK(std::isnan(at("powf", -2, 0.5f)));
  CHECK(std::isnan(at("powf", nan32, 2)));
}
