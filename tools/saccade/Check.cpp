// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows are drawn so that the first and last tokens of requests, where masks and
// tiles end, are always among them.

#include "tools/saccade/Check.h"

#include <algorithm>
#include <cmath>

using namespace saccade::cli;
using nlohmann::json;

bool CheckReport::good() const {
  return wrong.empty() &&
         std::all_of(results.begin(), results.end(),
                     [](const ResultError &result) { return result.good(); });
}

static std::vector<SaccadeRow> drawRows(const Lengths &lengths, int32_t heads,
                                        int64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  auto below = [&](int64_t n) {
    return static_cast<int32_t>(random() % static_cast<uint64_t>(n));
  };
  std::vector<int32_t> alive;
  for (int32_t r = 0; r < lengths.requests(); ++r)
    if (lengths.query[r] > 0)
      alive.push_back(r);
  std::vector<SaccadeRow> rows;
  if (alive.empty())
    return rows;
  if (lengths.queryTokens() * heads <= count) {
    for (int32_t r : alive)
      for (int32_t t = 0; t < lengths.query[r]; ++t)
        for (int32_t h = 0; h < heads; ++h)
          rows.push_back({r, t, h});
    return rows;
  }
  std::shuffle(alive.begin(), alive.end(), random);
  for (int32_t r : alive) {
    rows.push_back({r, 0, below(heads)});
    rows.push_back({r, lengths.query[r] - 1, below(heads)});
    if (static_cast<int64_t>(rows.size()) >= count / 2)
      break;
  }
  while (static_cast<int64_t>(rows.size()) < count) {
    int32_t r = alive[below(static_cast<int64_t>(alive.size()))];
    rows.push_back({r, below(lengths.query[r]), below(heads)});
  }
  return rows;
}

namespace {
/// Finds rows of a result in memory.
struct ResultRows {
  ResultRows(const json &result, const Tensor &tensor, const Lengths &lengths)
      : dense(result["layout"] == "dense"),
        headsFirst(result.value("order", "NHD") == "HND"),
        width(result["kind"] == "lse" ? 1 : result["dim"].get<int64_t>()),
        heads(result["heads"]),
        tokens(tensor.shape[size_t(dense) + size_t(headsFirst)]) {
    int64_t begin = 0;
    for (int32_t length : lengths.query) {
      begins.push_back(dense ? 0 : begin);
      begin += length;
    }
  }
  int64_t offset(int64_t batch, int64_t token, int64_t head) const {
    int64_t row = headsFirst ? head * tokens + token : token * heads + head;
    return ((dense ? batch * tokens * heads : 0) + row) * width;
  }
  int64_t offset(SaccadeRow row) const {
    return offset(row.request, begins[row.request] + row.token, row.head);
  }

  bool dense, headsFirst;
  int64_t width, heads, tokens;
  std::vector<int64_t> begins;
};
} // namespace

/// Rows past each request's (dense) or the batch's (ragged) must still be
/// poison.
static bool leftAlone(const Tensor &tensor, const ResultRows &at,
                      const Lengths &lengths) {
  int32_t batches = at.dense ? lengths.requests() : 1;
  for (int32_t b = 0; b < batches; ++b)
    for (int64_t t = at.dense ? lengths.query[b] : lengths.queryTokens();
         t < at.tokens; ++t)
      for (int64_t h = 0; h < at.heads; ++h)
        for (int64_t d = 0; d < at.width; ++d)
          if (!std::isnan(tensor.at(at.offset(b, t, h) + d)))
            return false;
  return true;
}

static double lseError(double got, double want) {
  if (std::isinf(want))
    return got == want ? 0 : INFINITY;
  return std::fabs(got - want);
}

CheckReport saccade::cli::checkResults(Workload &workload,
                                       const std::string &spec,
                                       const std::string &kernel, int64_t count,
                                       uint64_t seed) {
  CheckReport report;
  json outputs = json::array();
  for (const json &result : workload.manifest["results"])
    if (result["kind"] != "cache")
      outputs.push_back(result);
  if (outputs.empty())
    return report;

  std::vector<SaccadeRow> rows =
      drawRows(workload.lengths, outputs[0]["heads"], count, seed);
  report.rows = static_cast<int64_t>(rows.size());
  std::vector<std::vector<double>> wanted;
  std::vector<double *> pointers;
  // A GPU rounds 16-bit rows once more behind a row function, for its matrix
  // instructions; the CPU keeps them in f32.
  bool half = false;
  bool onGpu =
      workload.manifest["target"].get<std::string>().rfind("sm_", 0) == 0;
  bool rounded = onGpu && (spec.find("attn.query(") != std::string::npos ||
                           spec.find("attn.key(") != std::string::npos);
  for (const json &argument : workload.manifest["arguments"])
    half |= argument.value("dtype", "") == "bf16" ||
            argument.value("dtype", "") == "f16";
  for (size_t i = 0; i < outputs.size(); ++i) {
    bool lse = outputs[i]["kind"] == "lse";
    wanted.emplace_back(rows.size() * (lse ? 1 : size_t(outputs[i]["dim"])));
  }
  for (std::vector<double> &values : wanted)
    pointers.push_back(values.data());

  SaccadeReference *made = nullptr;
  check(saccade_reference_create(spec.data(), spec.size(),
                                 kernel.empty() ? nullptr : kernel.c_str(),
                                 &made));
  Reference reference(made);
  std::vector<SaccadeArgument> arguments = workload.arguments(false, false);
  check(saccade_reference_run(made, &workload.batch(), arguments.data(),
                              static_cast<int32_t>(arguments.size()),
                              rows.data(), report.rows, pointers.data()));

  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor &tensor = workload.results[i];
    ResultRows at(outputs[i], tensor, workload.lengths);
    std::string name = outputs[i]["name"];
    bool lse = outputs[i]["kind"] == "lse";
    double difference = 0, size = 0, largest = 0;
    for (size_t r = 0; r < rows.size(); ++r)
      for (int64_t d = 0; d < at.width; ++d) {
        double want = wanted[i][r * at.width + d];
        double got = tensor.at(at.offset(rows[r]) + d);
        if (lse) {
          double error = lseError(got, want);
          largest = std::isnan(error) ? NAN : std::max(largest, error);
        } else {
          difference += (got - want) * (got - want);
          size += want * want;
        }
      }
    ResultError error{name, largest, half && rounded ? 3e-2 : 1e-4};
    if (!lse)
      error = {name,
               size > 0 ? std::sqrt(difference / size) : std::sqrt(difference),
               half ? 4e-3 : 1e-5};
    report.results.push_back(error);
    if (!leftAlone(tensor, at, workload.lengths) && report.wrong.empty())
      report.wrong = "'" + name + "' was written past the batch's rows";
  }
  return report;
}
