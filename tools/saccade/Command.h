// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the subcommands of `saccade` share: options about a spec, failures, and
// the form of results. They use the C API only, as any caller does.

#ifndef SACCADE_TOOLS_COMMAND_H
#define SACCADE_TOOLS_COMMAND_H

#include "saccade/Engine.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace saccade::cli {

/// Ends the command with exit code 1 and a message.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws the thread's message if a call of the C API failed.
void check(SaccadeStatus status);

/// Owns a handle of the C API.
template <typename T, void (*Destroy)(T *)> struct Destroyer {
  void operator()(T *object) const { Destroy(object); }
};
using Engine =
    std::unique_ptr<SaccadeEngine,
                    Destroyer<SaccadeEngine, saccade_engine_destroy>>;
using Kernel =
    std::unique_ptr<SaccadeKernel,
                    Destroyer<SaccadeKernel, saccade_kernel_destroy>>;
using Plan =
    std::unique_ptr<SaccadePlan, Destroyer<SaccadePlan, saccade_plan_destroy>>;
using Reference =
    std::unique_ptr<SaccadeReference,
                    Destroyer<SaccadeReference, saccade_reference_destroy>>;
using Compiled =
    std::unique_ptr<SaccadeCompilation,
                    Destroyer<SaccadeCompilation, saccade_compilation_destroy>>;

/// The spec and how to compile it: options that every subcommand takes.
struct SpecOptions {
  std::string path, kernel, schedule, target;
  std::vector<std::string> disabled;
  uint32_t queryTokens = 0;
  bool json = false;

  /// required: whether a spec must be given.
  void addTo(CLI::App &command, bool required = true);
  /// The text of the file, "-" being standard input.
  std::string text() const;
  /// The fields for the C API; they point into this object.
  SaccadeCompileOptions forCompiler();

private:
  std::string joined;
};

/// Where a kernel runs.
struct DeviceOptions {
  std::string name = "auto";
  bool noCache = false;

  void addTo(CLI::App &command);
  DLDevice device() const;
};

/// A compiled kernel with the engine that made it and its manifest.
struct LoadedSpec {
  Engine engine;
  Kernel kernel;
  nlohmann::json manifest, explanation;

  SaccadeModule *module() const { return saccade_kernel_module(kernel.get()); }
};

/// Compiles (or finds) the kernel for a device; a target in the options wins.
LoadedSpec loadSpec(SpecOptions &spec, const DeviceOptions &where,
                    DLDevice device);

/// Prints "name   value" lines with the names in one column.
void printTable(const std::vector<std::pair<std::string, std::string>> &rows);

/// "1.23" for people: three digits that count.
std::string digits(double value);

void addCompile(CLI::App &app);
void addRun(CLI::App &app);
void addPlan(CLI::App &app);
void addExplain(CLI::App &app);

} // namespace saccade::cli

#endif // SACCADE_TOOLS_COMMAND_H
