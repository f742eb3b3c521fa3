// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command line of `saccade`: its subcommands, and what they share.

#include "tools/saccade/Command.h"

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

using namespace saccade::cli;

void saccade::cli::check(SaccadeStatus status) {
  if (status != SACCADE_OK)
    throw Failure(saccade_last_error());
}

void SpecOptions::addTo(CLI::App &command, bool required) {
  command.add_option("spec", path, "file with the spec; - for standard input")
      ->required(required);
  command.add_option("--kernel", kernel,
                     "which attn.kernel of the spec (default: the only one)");
  command.add_option("--schedule", schedule,
                     "a #tile.schedule instead of the chosen one, such as "
                     "'#tile.schedule<rows = 64, keys = 64, warps = 4, "
                     "weights = bf16>'");
  command
      .add_option("--query-tokens", queryTokens,
                  "tokens of a request's query that the kernel is to be "
                  "fast for: 1 for decode (default: what the spec says)")
      ->check(CLI::Range(uint32_t(1), uint32_t(1) << 30));
  std::vector<std::string> passes, targets;
  for (int32_t i = 0; i < saccade_pass_count(); ++i)
    passes.push_back(saccade_pass_name(i));
  for (int32_t i = 0; i < saccade_target_count(); ++i)
    targets.push_back(saccade_target_name(i));
  command
      .add_option("--disable", disabled,
                  "passes to leave out; results stay right, speed does not")
      ->delimiter(',')
      ->check(CLI::IsMember(passes));
  command.add_option("--target", target, "what to compile for")
      ->check(CLI::IsMember(targets));
  command.add_flag("--json", json, "print JSON");
}

std::string SpecOptions::text() const {
  if (path == "-")
    return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file)
    throw Failure("expects a readable file, but got '" + path + "'");
  return text;
}

SaccadeCompileOptions SpecOptions::forCompiler() {
  auto orNull = [](const std::string &text) {
    return text.empty() ? nullptr : text.c_str();
  };
  joined = CLI::detail::join(disabled, ",");
  SaccadeCompileOptions options = {};
  options.name = path == "-" ? "<stdin>" : path.c_str();
  options.target = orNull(target);
  options.kernel = orNull(kernel);
  options.schedule = orNull(schedule);
  options.disabled = orNull(joined);
  options.query_tokens = queryTokens;
  return options;
}

void DeviceOptions::addTo(CLI::App &command) {
  command
      .add_option("--device", name,
                  "cpu, cuda, cuda:N, or auto: the first CUDA device if "
                  "there is one, else the CPU")
      ->capture_default_str();
  command.add_flag("--no-cache", noCache,
                   "compile even if the disk cache has the kernel");
}

DLDevice DeviceOptions::device() const {
  DLDevice device = {};
  check(saccade_device_parse(name.c_str(), &device));
  return device;
}

LoadedSpec saccade::cli::loadSpec(SpecOptions &spec, const DeviceOptions &where,
                                  DLDevice device) {
  LoadedSpec loaded;
  SaccadeEngineOptions engineOptions = {};
  engineOptions.cache_dir = where.noCache ? "" : nullptr;
  SaccadeEngine *engine = nullptr;
  check(saccade_engine_create(&engineOptions, &engine));
  loaded.engine.reset(engine);

  const char *target = nullptr;
  if (spec.target.empty())
    check(saccade_device_target(device, &target));
  std::string text = spec.text();
  SaccadeCompileOptions options = spec.forCompiler();
  if (target)
    options.target = target;
  SaccadeKernel *kernel = nullptr;
  check(saccade_kernel_create(engine, text.data(), text.size(), &options,
                              &kernel));
  loaded.kernel.reset(kernel);
  loaded.manifest =
      nlohmann::json::parse(saccade_module_manifest(loaded.module()));
  const char *explanation = nullptr;
  check(saccade_kernel_explain(kernel, nullptr, &explanation));
  loaded.explanation = nlohmann::json::parse(explanation);
  return loaded;
}

void saccade::cli::printTable(
    const std::vector<std::pair<std::string, std::string>> &rows) {
  size_t width = 0;
  for (const auto &[name, value] : rows)
    width = std::max(width, name.size());
  for (const auto &[name, value] : rows)
    std::printf("%-*s  %s\n", static_cast<int>(width), name.c_str(),
                value.c_str());
}

std::string saccade::cli::digits(double value) {
  char text[32];
  double size = std::fabs(value);
  if (size != 0 && (size < 1e-2 || size >= 1e6))
    std::snprintf(text, sizeof text, "%.1e", value);
  else
    std::snprintf(text, sizeof text, "%.*f",
                  size < 1     ? 3
                  : size < 10  ? 2
                  : size < 100 ? 1
                               : 0,
                  value);
  return text;
}

extern "C" SACCADE_API int saccade_main(int argc, char **argv) {
  CLI::App app("Saccade compiles attention: a spec in, a kernel for this "
               "machine or another out.");
  app.set_help_all_flag("--help-all", "the options of every subcommand");
  app.footer("Specs are written in the attn dialect: see examples/ and docs/.\n"
             "Exit code: 0 when all went well, 1 when not.");
  app.require_subcommand(1);
  addCompile(app);
  addRun(app);
  addPlan(app);
  addExplain(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 1;
  } catch (const Failure &failure) {
    std::fprintf(stderr, "error: %s\n", failure.what());
    return 1;
  } catch (const std::exception &exception) {
    std::fprintf(stderr, "error: %s\n", exception.what());
    return 1;
  }
  return 0;
}
