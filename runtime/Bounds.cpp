// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Interval arithmetic over the programs of masks. What a manifest holds is not
// believed: any program runs to its end, and counts some number of tiles.
#include "runtime/Bounds.h"

#include "saccade/Blob.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

using namespace saccade::rt;
using nlohmann::json;
using Op = BoundsProgram::Op;

namespace {

/// Beyond anything that a kernel computes; sums of two such do not overflow.
constexpr int64_t kFar = int64_t(1) << 60;

int64_t clampFar(__int128 value) {
  return static_cast<int64_t>(
      std::clamp<__int128>(value, -__int128(kFar), __int128(kFar)));
}

int64_t floorDiv(int64_t a, int64_t b) {
  int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

struct Name {
  std::string_view text;
  Op op;
};
constexpr Name kLeaves[] = {
    {"query_first", Op::QueryFirst}, {"query_last", Op::QueryLast},
    {"request", Op::Request},        {"q_len", Op::QLen},
    {"kv_len", Op::KvLen},           {"unknown", Op::Unknown}};
constexpr Name kOperations[] = {
    {"add", Op::Add},      {"sub", Op::Sub},      {"mul", Op::Mul},
    {"min", Op::Min},      {"max", Op::Max},      {"floordiv", Op::FloorDiv},
    {"lt", Op::Less},      {"le", Op::LessEqual}, {"eq", Op::Equal},
    {"ne", Op::Unequal},   {"and", Op::And},      {"or", Op::Or},
    {"select", Op::Select}};

bool find(std::span<const Name> names, const json &text, Op &op) {
  if (!text.is_string())
    return false;
  auto it = std::ranges::find(
      names, std::string_view(text.get_ref<const std::string &>()),
      &Name::text);
  if (it == names.end())
    return false;
  op = it->op;
  return true;
}

/// A place before `end`.
bool readPlace(const json &value, size_t end, uint16_t &place) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() >= end)
    return false;
  place = value.get<uint16_t>();
  return true;
}

} // namespace

const char *BoundsProgram::parseStep(const json &value, size_t place,
                                     Step &step) {
  constexpr const char *expected =
      "steps: integers below 2^60, names of positions, or [name, places of "
      "earlier steps]";
  step = {};
  if (value.is_number_integer()) {
    step.op = Op::Constant;
    step.value = value.get<int64_t>();
    bool fits =
        !value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t(kFar);
    return fits && -kFar <= step.value && step.value <= kFar ? nullptr
                                                             : expected;
  }
  if (!value.is_array())
    return find(kLeaves, value, step.op) ? nullptr : expected;
  if (value.empty() || !find(kOperations, value[0], step.op) ||
      value.size() != (step.op == Op::Select ? 4 : 3))
    return expected;
  for (size_t i = 1; i < value.size(); ++i)
    if (!readPlace(value[i], place, step.operands[i - 1]))
      return expected;
  return nullptr;
}

const char *BoundsProgram::parse(const json &value, BoundsProgram &program) {
  if (!value.is_object() || !value.contains("code") ||
      !value["code"].is_array() || value["code"].size() > SACCADE_BOUNDS_STEPS)
    return "an object with at most 256 steps of code";
  const json &code = value["code"];
  program.code.resize(code.size());
  for (size_t i = 0; i < code.size(); ++i)
    if (const char *expected = parseStep(code[i], i, program.code[i]))
      return expected;
  if (!value.contains("keys") || !value["keys"].is_array() ||
      value["keys"].size() > kMaxIntervals)
    return "an object with at most 8 intervals of keys";
  program.keys.clear();
  for (const json &interval : value["keys"]) {
    uint16_t lo = 0, hi = 0;
    if (!interval.is_array() || interval.size() != 2 ||
        !readPlace(interval[0], code.size(), lo) ||
        !readPlace(interval[1], code.size(), hi))
      return "intervals of keys, each two places of steps";
    program.keys.emplace_back(lo, hi);
  }
  return nullptr;
}

BoundsProgram::Range BoundsProgram::apply(const Step &step,
                                          const TileQueries &queries,
                                          const Range *places) {
  constexpr Range yes = {1, 1}, no = {0, 0}, maybe = {0, 1};
  auto one = [](int64_t value) { return Range{value, value}; };
  const Range &a = places[step.operands[0]], &b = places[step.operands[1]];
  switch (step.op) {
  case Op::Constant:
    return one(step.value);
  case Op::QueryFirst:
    return one(queries.first);
  case Op::QueryLast:
    return one(queries.last);
  case Op::Request:
    return one(queries.request);
  case Op::QLen:
    return one(queries.qLen);
  case Op::KvLen:
    return one(queries.kvLen);
  case Op::Unknown:
    return {-kFar, kFar};
  case Op::Add:
    return {clampFar(a.least + b.least), clampFar(a.most + b.most)};
  case Op::Sub:
    return {clampFar(a.least - b.most), clampFar(a.most - b.least)};
  case Op::Mul: {
    auto [least, most] =
        std::minmax({__int128(a.least) * b.least, __int128(a.least) * b.most,
                     __int128(a.most) * b.least, __int128(a.most) * b.most});
    return {clampFar(least), clampFar(most)};
  }
  case Op::Min:
    return {std::min(a.least, b.least), std::min(a.most, b.most)};
  case Op::Max:
    return {std::max(a.least, b.least), std::max(a.most, b.most)};
  case Op::FloorDiv:
    // Masks divide by constants.
    if (b.least != b.most || b.least == 0)
      return {-kFar, kFar};
    return b.least > 0
               ? Range{floorDiv(a.least, b.least), floorDiv(a.most, b.least)}
               : Range{floorDiv(a.most, b.least), floorDiv(a.least, b.least)};
  case Op::Less:
    return a.most < b.least ? yes : a.least >= b.most ? no : maybe;
  case Op::LessEqual:
    return a.most <= b.least ? yes : a.least > b.most ? no : maybe;
  case Op::Equal:
  case Op::Unequal: {
    bool apart = a.most < b.least || b.most < a.least;
    bool same = a.least == a.most && b.least == b.most && a.least == b.least;
    if (!apart && !same)
      return maybe;
    return same == (step.op == Op::Equal) ? yes : no;
  }
  case Op::And:
    return {std::min(a.least, b.least), std::min(a.most, b.most)};
  case Op::Or:
    return {std::max(a.least, b.least), std::max(a.most, b.most)};
  case Op::Select: {
    const Range &c = places[step.operands[2]];
    if (a.least > 0)
      return b;
    if (a.most <= 0)
      return c;
    return {std::min(b.least, c.least), std::max(b.most, c.most)};
  }
  }
  return {-kFar, kFar};
}

size_t BoundsProgram::findTiles(const TileQueries &queries, const KeyTiles &all,
                                std::span<TileSpan> found) const {
  Range places[SACCADE_BOUNDS_STEPS];
  for (size_t i = 0; i < code.size(); ++i)
    places[i] = apply(code[i], queries, places);

  // The tiles of each interval, in order of the first.
  size_t size = 0;
  for (auto [loPlace, hiPlace] : keys) {
    int64_t lo = std::max(places[loPlace].least, all.begin);
    int64_t hi = std::min(places[hiPlace].most, all.end);
    if (lo >= hi)
      continue;
    TileSpan span = {(lo - all.begin) / all.tile,
                     (hi - all.begin + all.tile - 1) / all.tile};
    size_t at = size++;
    for (; at > 0 && span.first < found[at - 1].first; --at)
      found[at] = found[at - 1];
    found[at] = span;
  }
  // What an earlier interval has is not counted again.
  size_t kept = 0;
  int64_t reached = 0;
  for (size_t i = 0; i < size; ++i) {
    TileSpan span = {std::max(found[i].first, reached), found[i].end};
    if (span.end <= span.first)
      continue;
    reached = span.end;
    found[kept++] = span;
  }
  return kept;
}

int64_t BoundsProgram::countTiles(const TileQueries &queries,
                                  const KeyTiles &all) const {
  TileSpan found[kMaxIntervals];
  int64_t count = 0;
  for (size_t i = 0, size = findTiles(queries, all, found); i < size; ++i)
    count += found[i].end - found[i].first;
  return count;
}
