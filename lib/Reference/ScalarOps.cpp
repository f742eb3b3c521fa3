// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tables from operations to what they do with one lane. Integer entries see
// their operands signed or unsigned at full width; the result is wrapped.

#include "lib/Reference/ScalarOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <cstring>

using namespace mlir;
namespace saccade::reference {

using I = int64_t;
using D = double;

double maximum(D a, D b) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::fmax(a, b);
}
double minimum(D a, D b) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::fmin(a, b);
}

static D wrap(I value, unsigned width) {
  return width == 1 ? value & 1 : llvm::SignExtend64(value, width);
}
static I asSigned(D value, unsigned width) {
  return width == 1 ? -static_cast<I>(value) : static_cast<I>(value);
}
static I asUnsigned(D value, unsigned width) {
  return static_cast<I>(value) & llvm::maskTrailingOnes<uint64_t>(width);
}

/// Operations on signed integers.
static const llvm::StringMap<I (*)(I, I)> &signedOps() {
  static const llvm::StringMap<I (*)(I, I)> ops = {
      {"arith.addi", [](I a, I b) { return a + b; }},
      {"arith.subi", [](I a, I b) { return a - b; }},
      {"arith.muli", [](I a, I b) { return a * b; }},
      {"arith.divsi", [](I a, I b) { return b ? a / b : 0; }},
      {"arith.remsi", [](I a, I b) { return b ? a % b : 0; }},
      {"arith.floordivsi",
       [](I a, I b) { return b ? llvm::divideFloorSigned(a, b) : 0; }},
      {"arith.ceildivsi",
       [](I a, I b) { return b ? llvm::divideCeilSigned(a, b) : 0; }},
      {"arith.andi", [](I a, I b) { return a & b; }},
      {"arith.ori", [](I a, I b) { return a | b; }},
      {"arith.xori", [](I a, I b) { return a ^ b; }},
      {"arith.maxsi", [](I a, I b) { return std::max(a, b); }},
      {"arith.minsi", [](I a, I b) { return std::min(a, b); }},
      {"arith.shrsi", [](I a, I b) { return a >> std::min<uint64_t>(b, 31); }},
      {"arith.trunci", [](I a, I) { return a; }},
      {"arith.extsi", [](I a, I) { return a; }},
      {"arith.sitofp", [](I a, I) { return a; }},
      {"math.absi", [](I a, I) { return std::abs(a); }}};
  return ops;
}

/// Operations on unsigned integers.
static const llvm::StringMap<I (*)(I, I)> &unsignedOps() {
  static const llvm::StringMap<I (*)(I, I)> ops = {
      {"arith.divui", [](I a, I b) { return b ? a / b : 0; }},
      {"arith.remui", [](I a, I b) { return b ? a % b : 0; }},
      {"arith.ceildivui",
       [](I a, I b) { return b ? a / b + (a % b != 0) : 0; }},
      {"arith.maxui", [](I a, I b) { return std::max(a, b); }},
      {"arith.minui", [](I a, I b) { return std::min(a, b); }},
      {"arith.shli", [](I a, I b) { return b < 32 ? a << b : 0; }},
      {"arith.shrui", [](I a, I b) { return b < 32 ? a >> b : 0; }},
      {"arith.extui", [](I a, I) { return a; }},
      {"arith.uitofp", [](I a, I) { return a; }}};
  return ops;
}

/// Operations on floats, and select.
static const llvm::StringMap<D (*)(D, D, D)> &floatOps() {
  static const llvm::StringMap<D (*)(D, D, D)> ops = {
      {"arith.addf", [](D x, D y, D) { return x + y; }},
      {"arith.subf", [](D x, D y, D) { return x - y; }},
      {"arith.mulf", [](D x, D y, D) { return x * y; }},
      {"arith.divf", [](D x, D y, D) { return x / y; }},
      {"arith.remf", [](D x, D y, D) { return std::fmod(x, y); }},
      {"arith.negf", [](D x, D, D) { return -x; }},
      {"arith.maximumf", [](D x, D y, D) { return maximum(x, y); }},
      {"arith.minimumf", [](D x, D y, D) { return minimum(x, y); }},
      {"arith.maxnumf", [](D x, D y, D) { return std::fmax(x, y); }},
      {"arith.minnumf", [](D x, D y, D) { return std::fmin(x, y); }},
      {"arith.select", [](D c, D x, D y) { return c != 0 ? x : y; }},
      {"math.absf", [](D x, D, D) { return std::fabs(x); }},
      {"math.ceil", [](D x, D, D) { return std::ceil(x); }},
      {"math.floor", [](D x, D, D) { return std::floor(x); }},
      {"math.fma", [](D x, D y, D z) { return std::fma(x, y, z); }},
      {"vector.fma", [](D x, D y, D z) { return std::fma(x, y, z); }},
      {"math.exp", [](D x, D, D) { return std::exp(x); }},
      {"math.exp2", [](D x, D, D) { return std::exp2(x); }},
      {"math.log", [](D x, D, D) { return std::log(x); }},
      {"math.log2", [](D x, D, D) { return std::log2(x); }},
      {"math.sqrt", [](D x, D, D) { return std::sqrt(x); }},
      {"math.rsqrt", [](D x, D, D) { return 1 / std::sqrt(x); }},
      {"math.tanh", [](D x, D, D) { return std::tanh(x); }},
      {"math.sin", [](D x, D, D) { return std::sin(x); }},
      {"math.cos", [](D x, D, D) { return std::cos(x); }},
      {"math.powf", [](D x, D y, D) { return std::pow(x, y); }}};
  return ops;
}

/// Saturates, and NaN is 0: the cases that arith leaves open.
static D toInteger(D value, D low, D high) {
  return std::isnan(value)
             ? 0
             : wrap(static_cast<I>(std::clamp(value, low, high)), 32);
}

static LaneFunction getConversion(Operation &op) {
  return llvm::TypeSwitch<Operation *, LaneFunction>(&op)
      .Case([](arith::FPToSIOp) {
        return [](D x, D, D) { return toInteger(x, -0x1p31, 0x1p31 - 1); };
      })
      .Case([](arith::FPToUIOp) {
        return [](D x, D, D) { return toInteger(x, 0, 0x1p32 - 1); };
      })
      .Case([](arith::BitcastOp cast) -> LaneFunction {
        Type from = getElementTypeOrSelf(cast.getIn().getType());
        Type to = getElementTypeOrSelf(cast.getType());
        if (from.isF32() == to.isF32())
          return [](D x, D, D) { return x; };
        if (to.isF32())
          return [](D x, D, D) -> D {
            return llvm::bit_cast<float>(static_cast<int32_t>(x));
          };
        return [](D x, D, D) -> D {
          return llvm::bit_cast<int32_t>(static_cast<float>(x));
        };
      })
      .Default(LaneFunction());
}

LaneFunction getLaneFunction(Operation &op) {
  if (op.getNumOperands() == 0 || op.getNumResults() != 1)
    return {};
  StringRef name = op.getName().getStringRef();
  if (auto function = floatOps().lookup(name))
    return function;
  Type operand = getElementTypeOrSelf(op.getOperand(0).getType());
  Type result = getElementTypeOrSelf(op.getResult(0).getType());
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    return [predicate = compare.getPredicate()](D x, D y, D) -> D {
      return arith::applyCmpPredicate(predicate, APFloat(x), APFloat(y));
    };
  if (!operand.isIntOrFloat() || !result.isIntOrFloat())
    return {};
  unsigned width = operand.getIntOrFloatBitWidth();
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return [predicate = compare.getPredicate(), width](D x, D y, D) -> D {
      return arith::applyCmpPredicate(predicate,
                                      APInt(width, asUnsigned(x, width)),
                                      APInt(width, asUnsigned(y, width)));
    };
  // A conversion to a float takes the integer as it is.
  unsigned kept = result.isInteger() ? result.getIntOrFloatBitWidth() : 64;
  if (auto function = signedOps().lookup(name))
    return [=](D x, D y, D) {
      return wrap(function(asSigned(x, width), asSigned(y, width)), kept);
    };
  if (auto function = unsignedOps().lookup(name))
    return [=](D x, D y, D) {
      return wrap(function(asUnsigned(x, width), asUnsigned(y, width)), kept);
    };
  return getConversion(op);
}

} // namespace saccade::reference
