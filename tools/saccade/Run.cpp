// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `saccade run` and `saccade plan`: inputs for a spec, a plan, a run, a check,
// and one readable table.

#include "tools/saccade/Check.h"
#include "tools/saccade/Command.h"
#include "tools/saccade/Workload.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>

using namespace saccade::cli;
using nlohmann::json;

namespace {
struct RunCommand {
  SpecOptions spec;
  DeviceOptions where;
  LengthOptions lengths;
  std::vector<std::string> parameters;
  int repeat = 0, threads = 0;
  int64_t rows = 200;
  bool check = false;
  int32_t ctas = 8;
  bool batchInvariant = false;
  std::string svg;

  void addTo(CLI::App &sub);
  std::map<std::string, double> scalars() const;
  void run();
  void plan();
};

/// Milliseconds of each run.
struct Timing {
  std::vector<double> ms;
  double median() const {
    std::vector<double> sorted = ms;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
};
} // namespace

void RunCommand::addTo(CLI::App &sub) {
  spec.addTo(sub);
  where.addTo(sub);
  lengths.addTo(sub);
  sub.add_option(
      "--param", parameters,
      "value of a scalar argument, name=value (default: by its name, "
      "such as 1/sqrt(dim) for scale)");
  sub.add_option("--threads", threads, "CPU threads (default: all)");
}

std::map<std::string, double> RunCommand::scalars() const {
  std::map<std::string, double> values;
  for (const std::string &text : parameters) {
    size_t equals = text.find('=');
    double value = 0;
    if (equals == std::string::npos ||
        !CLI::detail::lexical_cast(text.substr(equals + 1), value))
      throw Failure("expects --param to be name=value, but got '" + text + "'");
    values[text.substr(0, equals)] = value;
  }
  return values;
}

static Plan makePlan(SaccadeModule *module, DLDevice device,
                     const Workload &workload, uint32_t flags, int32_t ctas) {
  SaccadeCapacity capacity = workload.capacity();
  capacity.flags = flags;
  capacity.ctas = ctas;
  SaccadePlan *plan = nullptr;
  check(saccade_plan_create(module, device, &capacity, &plan));
  Plan owned(plan);
  check(saccade_plan_update(plan, &workload.batch(), nullptr));
  return owned;
}

static Timing timeRuns(SaccadePlan *plan, Workload &workload, DLDevice device,
                       int repeat) {
  std::vector<SaccadeArgument> arguments = workload.arguments(true, true);
  auto launch = [&] {
    check(saccade_run(plan, arguments.data(),
                      static_cast<int32_t>(arguments.size()), nullptr));
  };
  Timing timing;
  auto begin = std::chrono::steady_clock::now();
  auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                         begin)
        .count();
  };
  launch(); // warms up
  check(saccade_synchronize(device, nullptr));
  SaccadeEvent *from = nullptr, *to = nullptr;
  check(saccade_event_create(device, &from));
  check(saccade_event_create(device, &to));
  int least = repeat > 0 ? repeat : 3, most = repeat > 0 ? repeat : 20;
  while (static_cast<int>(timing.ms.size()) < least ||
         (static_cast<int>(timing.ms.size()) < most && seconds() < 1)) {
    float ms = 0;
    check(saccade_event_record(from, nullptr));
    launch();
    check(saccade_event_record(to, nullptr));
    check(saccade_event_elapsed(from, to, &ms));
    timing.ms.push_back(ms);
  }
  saccade_event_destroy(from);
  saccade_event_destroy(to);
  return timing;
}

static json describe(const CheckReport &report) {
  json errors = json::object();
  for (const ResultError &result : report.results)
    errors[result.name] = {{"error", result.error},
                           {"tolerance", result.tolerance},
                           {"good", result.good()}};
  return {{"rows", report.rows},
          {"results", errors},
          {"wrong", report.wrong},
          {"good", report.good()}};
}

static void print(const json &report, double tflops, double gbps) {
  std::string stages;
  for (const auto &[stage, ms] : report["stages_ms"].items())
    stages +=
        (stages.empty() ? "" : ", ") + stage + " " + digits(ms.get<double>());
  std::string from = report["cache"] == "compiled"
                         ? ""
                         : " (from " + report["cache"].get<std::string>() + ")";
  std::vector<std::pair<std::string, std::string>> rows = {
      {"kernel", report["kernel"]},
      {"device", report["device"].get<std::string>() + " (" +
                     report["target"].get<std::string>() + ")"},
      {"batch", report["requests"].dump() + " requests"},
      {"tokens", report["query_tokens"].dump() + " queries, " +
                     report["kv_tokens"].dump() + " keys"},
      {"compile", digits(report["create_ms"].get<double>()) + " ms" + from +
                      (stages.empty() ? "" : ": " + stages)},
      {"run", digits(report["run_ms"].get<double>()) + " ms (median of " +
                  report["runs"].dump() + ")"},
      {"speed",
       digits(tflops) + " TFLOP/s over all keys, " + digits(gbps) + " GB/s"}};
  if (report.contains("check")) {
    const json &check = report["check"];
    std::string text;
    for (const auto &[name, result] : check["results"].items()) {
      const json &error = result["error"];
      text += name + " " + (error.is_number() ? digits(error) : "NaN") +
              (result["good"] ? " (<= " : " (> ") +
              digits(result["tolerance"].get<double>()) + "), ";
    }
    rows.push_back({"error", text + check["rows"].dump() + " rows"});
    if (check["wrong"] != "")
      rows.push_back({"wrong", check["wrong"]});
    rows.push_back({"check", check["good"] ? "passed" : "FAILED"});
  }
  printTable(rows);
}

void RunCommand::run() {
  if (threads > 0)
    saccade::cli::check(saccade_set_num_threads(threads));
  DLDevice device = where.device();
  LoadedSpec loaded = loadSpec(spec, where, device);
  Lengths batch = lengths.read();
  Workload workload(loaded.manifest, batch, lengths.seed, scalars());
  Plan plan = makePlan(loaded.module(), device, workload, 0, 0);
  workload.upload(device);
  workload.poisonResults(device);
  Timing timing = timeRuns(plan.get(), workload, device, repeat);
  if (check) {
    std::vector<SaccadeArgument> arguments = workload.arguments(true, true);
    workload.poisonResults(device);
    saccade::cli::check(saccade_run(plan.get(), arguments.data(),
                                    static_cast<int32_t>(arguments.size()),
                                    nullptr));
    workload.downloadResults();
  }

  SaccadeDeviceInfo info = {};
  saccade::cli::check(saccade_device_info(device, &info));
  double ms = timing.median();
  double tflops = workload.flops() / ms / 1e9,
         gbps = workload.bytes() / ms / 1e6;
  json report = {
      {"kernel", loaded.manifest["kernel"]},
      {"device", info.name},
      {"target", loaded.manifest["target"]},
      {"requests", batch.requests()},
      {"query_tokens", batch.queryTokens()},
      {"kv_tokens", batch.sequenceTokens()},
      {"scalars", workload.scalars()},
      {"cache", loaded.explanation["cache"]},
      {"create_ms", loaded.explanation["create_ms"]},
      {"stages_ms", loaded.explanation.value("stages_ms", json::object())},
      {"run_ms", ms},
      {"runs", timing.ms.size()},
      {"tflops_all_keys", tflops},
      {"gb_per_s", gbps}};
  bool good = true;
  if (check) {
    CheckReport checked =
        checkResults(workload, spec.text(), spec.kernel, rows, lengths.seed);
    good = checked.good();
    report["check"] = describe(checked);
  }
  if (spec.json)
    std::cout << report.dump(2) << '\n';
  else
    print(report, tflops, gbps);
  if (!good)
    throw CLI::RuntimeError(1);
}

void RunCommand::plan() {
  // A plan can be looked at without the device that it is for.
  DLDevice device = {kDLCPU, 0};
  if (spec.target.empty())
    device = where.device();
  LoadedSpec loaded = loadSpec(spec, where, device);
  Lengths batch = lengths.read();
  Workload workload(loaded.manifest, batch, lengths.seed, scalars());
  uint32_t flags = SACCADE_PLAN_HOST_ONLY;
  if (batchInvariant)
    flags |= SACCADE_PLAN_BATCH_INVARIANT;
  Plan plan = makePlan(loaded.module(), device, workload, flags, ctas);
  if (!svg.empty()) {
    std::ofstream file(svg);
    file << saccade_plan_picture(plan.get());
    if (!file.flush())
      throw Failure(
          "expects --svg to be a file that can be written, but got '" + svg +
          "'");
  }
  const char *text = saccade_plan_describe(plan.get());
  if (spec.json)
    std::cout << json{{"kernel", loaded.manifest["kernel"]},
                      {"target", loaded.manifest["target"]},
                      {"plan", text}}
                     .dump(2)
              << '\n';
  else
    std::cout << text;
}

void saccade::cli::addRun(CLI::App &app) {
  auto command = std::make_shared<RunCommand>();
  CLI::App *sub = app.add_subcommand(
      "run", "Makes inputs for a spec, plans, runs, and prints how it went");
  command->addTo(*sub);
  sub->add_flag("--check", command->check,
                "compare with the reference evaluator; exit code 1 where they "
                "differ");
  sub->add_option("--rows", command->rows, "rows to compare")
      ->capture_default_str();
  sub->add_option("--repeat", command->repeat,
                  "runs to time (default: about a second's worth)");
  sub->callback([command] { command->run(); });
}

void saccade::cli::addPlan(CLI::App &app) {
  auto command = std::make_shared<RunCommand>();
  CLI::App *sub =
      app.add_subcommand("plan", "Prints who computes what, for a batch");
  command->addTo(*sub);
  sub->add_option("--ctas", command->ctas, "blocks of the launch")
      ->capture_default_str();
  sub->add_flag("--batch-invariant", command->batchInvariant,
                "cut each request by its own lengths alone");
  sub->add_option("--svg", command->svg,
                  "file to draw the load of every block to");
  sub->callback([command] { command->plan(); });
}
