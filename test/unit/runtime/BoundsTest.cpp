// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Programs of masks: what they compute, what is not known of their values, and
// that no JSON makes one that misbehaves.
#include "runtime/Bounds.h"
#include "test/unit/Test.h"

#include <nlohmann/json.hpp>
#include <random>
#include <string>

using namespace saccade::rt;
using nlohmann::json;

namespace {

BoundsProgram program(const char *text) {
  BoundsProgram result;
  const char *expected = BoundsProgram::parse(json::parse(text), result);
  REQUIRE_MESSAGE(!expected, expected);
  return result;
}

std::string refusal(const char *text) {
  BoundsProgram ignored;
  const char *expected = BoundsProgram::parse(json::parse(text), ignored);
  return expected ? expected : "nothing";
}

/// Tiles of one key among 100 that [0, value) takes: the value, clamped.
int64_t valueOf(const std::string &code, int last) {
  std::string text = R"({"code": [0, )" + code + R"(], "keys": [[0, )" +
                     std::to_string(last) + "]]}";
  return program(text.c_str())
      .countTiles({11, 13, 2, 5, 40}, KeyTiles{0, 100, 1});
}

} // namespace

TEST_CASE("bounds: what steps compute") {
  CHECK(valueOf("7", 1) == 7);
  CHECK(valueOf("\"query_first\"", 1) == 11);
  CHECK(valueOf("\"query_last\"", 1) == 13);
  CHECK(valueOf("\"request\"", 1) == 2);
  CHECK(valueOf("\"q_len\"", 1) == 5);
  CHECK(valueOf("\"kv_len\"", 1) == 40);
  CHECK(valueOf("17, 5, [\"add\", 1, 2]", 3) == 22);
  CHECK(valueOf("17, 5, [\"sub\", 1, 2]", 3) == 12);
  CHECK(valueOf("-7, -5, [\"mul\", 1, 2]", 3) == 35);
  CHECK(valueOf("17, 5, [\"min\", 1, 2]", 3) == 5);
  CHECK(valueOf("17, 5, [\"max\", 1, 2]", 3) == 17);
  CHECK(valueOf("17, 5, [\"floordiv\", 1, 2]", 3) == 3);
  CHECK(valueOf("-17, 5, [\"floordiv\", 1, 2], 9, [\"add\", 3, 4]", 5) == 5);
  CHECK(valueOf("-17, -5, [\"floordiv\", 1, 2]", 3) == 3);
  for (auto [name, ifLess, ifEqual, ifMore] :
       {std::tuple("lt", 30, 20, 20), std::tuple("le", 30, 30, 20),
        std::tuple("eq", 20, 30, 20), std::tuple("ne", 30, 20, 30)})
    for (auto [value, wanted] :
         {std::pair(1, ifLess), std::pair(5, ifEqual), std::pair(9, ifMore)})
      CHECK(valueOf(std::to_string(value) + ", 5, [\"" + name +
                        "\", 1, 2], 30, 20, [\"select\", 3, 4, 5]",
                    6) == wanted);
  CHECK(valueOf("1, 0, [\"and\", 1, 2], 30, 20, [\"select\", 3, 4, 5]", 6) ==
        20);
  CHECK(valueOf("1, 0, [\"or\", 1, 2], 30, 20, [\"select\", 3, 4, 5]", 6) ==
        30);
}

TEST_CASE("bounds: what is not known may be anything") {
  CHECK(valueOf("\"unknown\"", 1) == 100);
  CHECK(valueOf("\"unknown\", 13, [\"min\", 1, 2]", 3) == 13);
  CHECK(valueOf("\"unknown\", 13, [\"max\", 1, 2]", 3) == 100);
  CHECK(valueOf("\"unknown\", 13, [\"add\", 1, 2]", 3) == 100);
  CHECK(valueOf("7, \"unknown\", [\"floordiv\", 1, 2]", 3) == 100);
  CHECK(valueOf("7, 0, [\"floordiv\", 1, 2]", 3) == 100);
  // Either of the two.
  CHECK(valueOf("\"unknown\", 1, [\"le\", 2, 1], 30, 20, [\"select\", 3, 4, 5]",
                6) == 30);
  // A window whose width is a scalar of the call: no more than causal.
  BoundsProgram window = program(R"({
      "code": ["query_first", "unknown", ["sub", 0, 1], 1, ["add", 2, 3],
               "query_last", ["add", 5, 3]],
      "keys": [[4, 6]]})");
  CHECK(window.countTiles({11, 13, 0, 5, 40}, KeyTiles{0, 40, 1}) == 14);
}

TEST_CASE("bounds: tiles are counted once, from the start of the cache") {
  BoundsProgram two = program(R"({"code": [3, 9, 11, 30],
                                  "keys": [[0, 1], [2, 3]]})");
  CHECK(two.countTiles({}, KeyTiles{0, 100, 1}) == 6 + 19);
  CHECK(two.countTiles({}, KeyTiles{0, 100, 10}) == 3); // [0, 10) is in both
  CHECK(two.countTiles({}, KeyTiles{5, 25, 10}) == 2);
  CHECK(two.countTiles({}, KeyTiles{12, 13, 10}) == 1);
  CHECK(two.countTiles({}, KeyTiles{40, 50, 10}) == 0);
  CHECK(two.countTiles({}, KeyTiles{5, 5, 10}) == 0);
  BoundsProgram overlap = program(R"({"code": [3, 30, 0, 9, 50, 2],
                                      "keys": [[0, 1], [2, 3], [4, 5]]})");
  CHECK(overlap.countTiles({}, KeyTiles{0, 100, 1}) == 30);
  CHECK(program(R"({"code": [], "keys": []})")
            .countTiles({}, KeyTiles{0, 100, 1}) == 0);
}

TEST_CASE("bounds: refuses programs that are none") {
  const std::string steps =
      "steps: integers below 2^60, names of positions, or [name, places of "
      "earlier steps]";
  CHECK(refusal("[]") == "an object with at most 256 steps of code");
  CHECK(refusal(R"({"code": 1})") ==
        "an object with at most 256 steps of code");
  CHECK(refusal(R"({"code": []})") ==
        "an object with at most 8 intervals of keys");
  for (const char *step :
       {"\"head\"", "1.5", "null", "{}", "[]", "[\"add\"]", "[\"add\", 0]",
        "[\"add\", 0, 1]", "[\"add\", 0, -1]", "[\"pow\", 0, 0]",
        "[\"select\", 0, 0]", "[7, 0, 0]", "2305843009213693952",
        "18446744073709551615", "-9223372036854775808"})
    CHECK(refusal((std::string(R"({"keys": [], "code": [1, )") + step + "]}")
                      .c_str()) == steps);
  for (const char *keys : {"1", "[1]", "[[0]]", "[[0, 1]]", "[[0, -1]]"})
    CHECK(refusal((std::string(R"({"code": [1], "keys": )") + keys + "}")
                      .c_str()) != "nothing");
}

TEST_CASE("bounds: random programs end, and count tiles that are there") {
  std::mt19937 random(5);
  auto below = [&](size_t n) { return size_t(random() % n); };
  const char *leaves[] = {"query_first", "query_last", "request",
                          "q_len",       "kv_len",     "unknown"};
  const char *names[] = {"add", "sub", "mul", "min", "max", "floordiv",
                         "lt",  "le",  "eq",  "ne",  "and", "or"};
  for (int round = 0; round < 2000; ++round) {
    json code = json::array(), keys = json::array();
    for (size_t i = 0, size = 1 + below(60); i < size; ++i) {
      size_t kind = i ? below(5) : 0;
      if (kind == 0)
        code.push_back(static_cast<int64_t>(uint64_t(random()) * random()) >>
                       below(60));
      else if (kind == 1)
        code.push_back(leaves[below(6)]);
      else if (kind == 2)
        code.push_back({"select", below(i), below(i), below(i)});
      else
        code.push_back({names[below(12)], below(i), below(i)});
    }
    for (size_t i = 0, size = below(9); i < size; ++i)
      keys.push_back({below(code.size()), below(code.size())});
    BoundsProgram one;
    if (BoundsProgram::parse({{"code", code}, {"keys", keys}}, one))
      continue;
    KeyTiles all{int64_t(below(50)), 0, int64_t(1 + below(9))};
    all.end = all.begin + int64_t(below(90));
    int64_t count = one.countTiles({5, 9, 1, 5, 90}, all);
    CHECK(count >= 0);
    CHECK(count <= all.count());
  }
}
