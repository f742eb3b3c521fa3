// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads lengths; every complaint says which line or item it is about.

#include "tools/saccade/Lengths.h"

#include "tools/saccade/Command.h"

#include <charconv>
#include <cmath>
#include <fstream>
#include <numeric>
#include <random>

using namespace saccade::cli;

int64_t Lengths::queryTokens() const {
  return std::accumulate(query.begin(), query.end(), int64_t(0));
}
int64_t Lengths::sequenceTokens() const {
  return std::accumulate(sequence.begin(), sequence.end(), int64_t(0));
}

void LengthOptions::addTo(CLI::App &command) {
  auto *group = command.add_option_group("batch", "the requests' lengths");
  group->add_option(
      "--lengths", file,
      "file with one request a line: q_len,kv_len (a header line, "
      "empty lines and # comments are allowed)");
  group->add_option("--batch", line,
                    "requests as q:kv, separated by commas; N*q:kv repeats, a "
                    "single number is both: '32*1:1024,512'");
  group->add_option(
      "--draw", draw,
      "decode:N or prefill:N, N requests with lengths drawn like a "
      "chat service's");
  group->require_option(0, 1);
  command.add_option("--seed", seed, "of everything that is random")
      ->capture_default_str();
}

static std::string trim(std::string text) { return CLI::detail::trim(text); }

static int32_t number(const std::string &text, const std::string &where) {
  int32_t value = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 ||
      value >= SACCADE_MAX_POSITION)
    throw Failure(where + ": expects a length in 0.." +
                  std::to_string(SACCADE_MAX_POSITION - 1) + ", but got '" +
                  text + "'");
  return value;
}

/// "q:kv" or "n".
static void add(Lengths &lengths, const std::string &item, char separator,
                const std::string &where) {
  size_t at = item.find(separator);
  std::string query = trim(item.substr(0, at));
  std::string sequence =
      at == std::string::npos ? query : trim(item.substr(at + 1));
  lengths.query.push_back(number(query, where));
  lengths.sequence.push_back(number(sequence, where));
}

static Lengths readFile(const std::string &path) {
  std::ifstream file(path);
  if (!file)
    throw Failure("expects a readable file of lengths, but got '" + path + "'");
  Lengths lengths;
  std::string text;
  for (int line = 1; std::getline(file, text); ++line) {
    text = trim(text.substr(0, text.find('#')));
    bool header = lengths.query.empty() && !text.empty() &&
                  std::isalpha(static_cast<unsigned char>(text[0]));
    if (!text.empty() && !header)
      add(lengths, text, ',', path + ":" + std::to_string(line));
  }
  return lengths;
}

static Lengths readLine(const std::string &line) {
  Lengths lengths;
  for (std::string item : CLI::detail::split(line, ',')) {
    item = trim(item);
    if (item.empty())
      continue;
    std::string where = "batch item '" + item + "'";
    int32_t count = 1;
    if (size_t star = item.find('*'); star != std::string::npos) {
      count = number(trim(item.substr(0, star)), where);
      item = trim(item.substr(star + 1));
    }
    for (int32_t i = 0; i < count; ++i)
      add(lengths, item, ':', where);
  }
  return lengths;
}

/// Log-normal, fitted to the Azure LLM inference trace 2023, conversation
/// (Patel et al., Splitwise, ISCA 2024): prompts and what has been generated
/// since.
static Lengths drawLengths(const std::string &what, uint64_t seed) {
  size_t colon = what.find(':');
  std::string phase = what.substr(0, colon);
  if ((phase != "decode" && phase != "prefill") || colon == std::string::npos)
    throw Failure("expects --draw to be decode:N or prefill:N, but got '" +
                  what + "'");
  int32_t count = number(what.substr(colon + 1), "--draw");
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> prompt(6.69, 0.94), answer(5.20, 0.91);
  std::uniform_real_distribution<double> progress(0, 1);
  Lengths lengths;
  for (int32_t i = 0; i < count; ++i) {
    auto context =
        static_cast<int32_t>(std::clamp(prompt(random), 1.0, 14000.0));
    auto generated = static_cast<int32_t>(std::min(answer(random), 1000.0) *
                                          progress(random));
    bool decode = phase == "decode";
    lengths.query.push_back(decode ? 1 : context);
    lengths.sequence.push_back(decode ? context + generated + 1 : context);
  }
  return lengths;
}

Lengths LengthOptions::read() const {
  if (!file.empty())
    return readFile(file);
  if (!line.empty())
    return readLine(line);
  return drawLengths(draw.empty() ? "decode:16" : draw, seed);
}
