// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `saccade explain`: what the compiler chose for a spec, and why.

#include "tools/saccade/Command.h"

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
  std::vector<std::pair<std::string, std::string>> rows;
  const json report = json::parse(text);
  for (const json &row : report["table"])
    rows.emplace_back(row[0], row[1]);
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
