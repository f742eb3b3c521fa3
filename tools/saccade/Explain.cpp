// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `saccade explain`: what the compiler chose for a spec, and why.

#include "tools/saccade/Command.h"

#include <cstdio>
#include <iostream>

using namespace saccade::cli;
using nlohmann::json;

namespace {
struct ExplainCommand {
  SpecOptions spec;
  DeviceOptions where;

  void run();
};
} // namespace

static std::string joined(const json &list) {
  std::string text;
  for (const json &item : list)
    text += (text.empty() ? "" : ", ") + item.get<std::string>();
  return text.empty() ? "none" : text;
}

void ExplainCommand::run() {
  DLDevice device = where.device();
  LoadedSpec loaded = loadSpec(spec, where, device);
  const char *text = nullptr;
  // A kernel for another machine is explained without a device.
  const char *native = nullptr;
  bool here = saccade_device_target(device, &native) == SACCADE_OK &&
              (spec.target.empty() || spec.target == native);
  if (here)
    check(saccade_module_prepare(loaded.module(), device));
  check(saccade_kernel_explain(loaded.kernel.get(), here ? &device : nullptr,
                               &text));
  if (spec.json) {
    std::cout << text << '\n';
    return;
  }
  json report = json::parse(text);
  std::vector<std::pair<std::string, std::string>> rows = {
      {"kernel", report["kernel"]}, {"target", report["target"]}};
  if (report.contains("device"))
    rows.push_back({"device", report["device"]});
  if (report.contains("driver"))
    rows.push_back({"least driver", report["driver"].dump()});
  for (const json &entry : report["entries"]) {
    std::string name = entry["name"];
    rows.push_back({name, entry["kind"].get<std::string>() + ", " +
                              entry.value("schedule", "no schedule")});
    rows.push_back({"  item", "up to " + entry["rows_per_item"].dump() +
                                  " packed rows (" + entry["group"].dump() +
                                  " query heads a KV head) x " +
                                  entry["kv_tile"].dump() + " keys a step, " +
                                  entry["kv_heads"].dump() + " KV heads"});
    if (json taken = entry.value("rows", json::object()); !taken.empty())
      rows.push_back({"  requests",
                      (taken.contains("least")
                           ? "of " + taken["least"].dump() + " rows or more"
                           : "") +
                          (taken.contains("most")
                               ? "of " + taken["most"].dump() + " rows or less"
                               : "")});
    if (entry.contains("fused_into"))
      rows.push_back(
          {"  launch",
           "that of " +
               report["entries"][entry["fused_into"].get<size_t>()]["name"]
                   .get<std::string>() +
               ": each CTA has items of one of the two"});
    if (entry.contains("partial_floats"))
      rows.push_back({"  parts", "keys may be split, a state is " +
                                     entry["partial_floats"].dump() +
                                     " floats"});
    std::string resources = entry["threads"].dump() + " threads, " +
                            entry["shared_bytes"].dump() + " shared bytes";
    if (entry.contains("registers"))
      resources += ", " + entry["registers"].dump() + " registers, " +
                   entry["spilled_bytes"].dump() + " bytes spilled";
    if (entry.contains("blocks_per_processor"))
      resources +=
          ", " + entry["blocks_per_processor"].dump() + " blocks per SM";
    rows.push_back({"  resources", resources});
  }
  for (const json &mask : report.value("masks", json::array())) {
    int intervals = mask["intervals"];
    rows.push_back(
        {"mask", "@" + mask["variant"].get<std::string>() + ": " +
                     (intervals ? "bounds in closed form, intervals of keys: " +
                                      std::to_string(intervals)
                                : "no closed form, every key is tested")});
  }
  for (const json &remark : report.value("remarks", json::array()))
    rows.push_back({"remark", remark});
  rows.push_back(
      {"passes off", joined(report.value("disabled", json::array()))});
  json spent = report.value("stages_ms", json::object());
  std::string stages;
  for (const auto &[stage, ms] : spent.items())
    stages += (stages.empty() ? "" : ", ") + stage + " " +
              digits(ms.get<double>()) + " ms";
  rows.push_back({"from", report["cache"].get<std::string>() + " in " +
                              digits(report["create_ms"].get<double>()) +
                              " ms" +
                              (stages.empty() ? "" : " (" + stages + ")")});
  rows.push_back({"key", report.value("key", "")});
  printTable(rows);
}

void saccade::cli::addExplain(CLI::App &app) {
  auto command = std::make_shared<ExplainCommand>();
  CLI::App *sub = app.add_subcommand(
      "explain", "Tells what the compiler chose for a spec, and why");
  command->spec.addTo(*sub);
  command->where.addTo(*sub);
  sub->callback([command] { command->run(); });
}
