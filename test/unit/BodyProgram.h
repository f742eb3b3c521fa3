// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs a block of integer operations as it stands, one number a value. Tests
// compare derived code with the code it came from on many inputs, and neither
// folding nor lowering may stand between.

#ifndef SACCADE_TEST_UNIT_BODYPROGRAM_H
#define SACCADE_TEST_UNIT_BODYPROGRAM_H

#include "dialects/Attn/Attn.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

#include <functional>

namespace saccade {

class BodyProgram {
public:
  /// `outer` are values from outside that the block uses.
  BodyProgram(mlir::Block &block, mlir::ValueRange outer = {});

  /// Values for the block's arguments, then for the outer ones. A `per_request`
  /// table is its entry; entries of other tables are noise made of theirs.
  llvm::SmallVector<int64_t> run(llvm::ArrayRef<int64_t> inputs);

private:
  using Values = llvm::SmallVectorImpl<int64_t>;
  void compile(mlir::Operation &op);
  unsigned slot(mlir::Value value) { return slots.at(value); }

  llvm::DenseMap<mlir::Value, unsigned> slots;
  std::vector<std::function<void(Values &)>> steps;
  llvm::SmallVector<unsigned> results;
  unsigned numInputs;
  llvm::SmallVector<int64_t> values;
};

inline BodyProgram::BodyProgram(mlir::Block &block, mlir::ValueRange outer) {
  for (mlir::Value argument : block.getArguments())
    slots.try_emplace(argument, slots.size());
  for (mlir::Value value : outer)
    slots.try_emplace(value, slots.size());
  numInputs = slots.size();
  for (mlir::Operation &op : block.without_terminator())
    compile(op);
  for (mlir::Value value : block.getTerminator()->getOperands())
    results.push_back(slot(value));
}

inline llvm::SmallVector<int64_t>
BodyProgram::run(llvm::ArrayRef<int64_t> inputs) {
  assert(inputs.size() == numInputs && "one number for each input");
  values.assign(slots.size(), 0);
  llvm::copy(inputs, values.begin());
  for (auto &step : steps)
    step(values);
  return llvm::map_to_vector(results, [&](unsigned r) { return values[r]; });
}

inline void BodyProgram::compile(mlir::Operation &op) {
  using namespace mlir;
  Value result = op.getResult(0);
  unsigned width = result.getType().getIntOrFloatBitWidth();
  unsigned out = slots.try_emplace(result, slots.size()).first->second;
  unsigned a = op.getNumOperands() > 0 ? slot(op.getOperand(0)) : 0;
  unsigned b = op.getNumOperands() > 1 ? slot(op.getOperand(1)) : 0;
  unsigned c = op.getNumOperands() > 2 ? slot(op.getOperand(2)) : 0;
  auto wrap = [width](int64_t value) -> int64_t {
    return width == 1 ? value & 1 : llvm::SignExtend64(value, width);
  };
  auto binary = [&](auto compute) {
    steps.push_back([=](Values &v) { v[out] = wrap(compute(v[a], v[b])); });
  };
  auto all = [](int64_t x) { return static_cast<uint64_t>(x); };
  llvm::TypeSwitch<Operation *>(&op)
      .Case([&](arith::ConstantOp constant) {
        int64_t value = cast<IntegerAttr>(constant.getValue()).getInt();
        steps.push_back([=](Values &v) { v[out] = wrap(value); });
      })
      .Case([&](arith::AddIOp) {
        binary([=](int64_t x, int64_t y) { return all(x) + all(y); });
      })
      .Case([&](arith::SubIOp) {
        binary([=](int64_t x, int64_t y) { return all(x) - all(y); });
      })
      .Case([&](arith::MulIOp) {
        binary([=](int64_t x, int64_t y) { return all(x) * all(y); });
      })
      .Case<arith::DivUIOp, arith::FloorDivSIOp>([&](Operation *) {
        // Unsigned ones are only emitted for what is not negative.
        binary([=](int64_t x, int64_t y) -> int64_t {
          return y == 0 ? 0 : llvm::divideFloorSigned(x, y);
        });
      })
      .Case([&](arith::RemSIOp) {
        binary([](int64_t x, int64_t y) { return y == 0 ? 0 : x % y; });
      })
      .Case([&](arith::MaxSIOp) {
        binary([](int64_t x, int64_t y) { return std::max(x, y); });
      })
      .Case([&](arith::MinSIOp) {
        binary([](int64_t x, int64_t y) { return std::min(x, y); });
      })
      .Case([&](arith::AndIOp) {
        binary([](int64_t x, int64_t y) { return x & y; });
      })
      .Case([&](arith::OrIOp) {
        binary([](int64_t x, int64_t y) { return x | y; });
      })
      .Case([&](arith::XOrIOp) {
        binary([](int64_t x, int64_t y) { return x ^ y; });
      })
      .Case([&](arith::CmpIOp compare) {
        unsigned bits = compare.getLhs().getType().getIntOrFloatBitWidth();
        arith::CmpIPredicate predicate = compare.getPredicate();
        binary([=](int64_t x, int64_t y) {
          return arith::applyCmpPredicate(predicate, APInt(bits, x, true, true),
                                          APInt(bits, y, true, true));
        });
      })
      .Case([&](arith::SelectOp) {
        steps.push_back([=](Values &v) { v[out] = v[a] ? v[b] : v[c]; });
      })
      .Case<arith::ExtSIOp, arith::TruncIOp>([&](Operation *) {
        steps.push_back([=](Values &v) { v[out] = wrap(v[a]); });
      })
      .Case([&](arith::ExtUIOp) {
        steps.push_back([=](Values &v) { v[out] = v[a]; });
      })
      .Case([&](attn::ReadOp read) {
        bool isEntry = isa<attn::PerRequestType>(read.getTable().getType());
        steps.push_back([=](Values &v) {
          uint64_t noise = all(v[a]) * 31 + all(v[b]) * 7 + all(v[c]) * 13;
          v[out] = isEntry ? v[a] : wrap((noise * 2654435761u >> 16) % 16);
        });
      })
      .Default([](Operation *op) {
        llvm::report_fatal_error("no program for " +
                                 op->getName().getStringRef());
      });
}

} // namespace saccade

#endif // SACCADE_TEST_UNIT_BODYPROGRAM_H
