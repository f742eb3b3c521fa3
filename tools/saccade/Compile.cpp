// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `saccade compile`: any stage of a compilation, to standard output or a file.

#include "tools/saccade/Command.h"

#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <unistd.h>

using namespace saccade::cli;

namespace {
struct CompileCommand {
  SpecOptions spec;
  std::string emit, output;
  std::vector<std::string> all;
  bool assemble = false;

  void run();

private:
  void fill();
};

/// How far a list of kernels has come, in place on a terminal.
class Progress {
public:
  explicit Progress(size_t total) : total(total), shown(isatty(2)) {}
  ~Progress() {
    if (shown)
      std::fprintf(stderr, "\r\033[K");
  }

  void next(const std::string &name) {
    if (!shown)
      return;
    constexpr size_t width = 30;
    std::string bar(width * done / total, '#');
    bar.resize(width, '.');
    std::fprintf(stderr, "\r\033[K[%s] %zu/%zu %s", bar.c_str(), ++done, total,
                 name.c_str());
  }

private:
  size_t total, done = 0;
  bool shown;
};
} // namespace

/// Compiles every kernel of every file into a folder.
void CompileCommand::fill() {
  if (output.empty())
    throw Failure("expects a folder for the kernels: --output FOLDER");
  SaccadeEngineOptions into = {output.c_str(), {}};
  SaccadeEngine *made = nullptr;
  check(saccade_engine_create(&into, &made));
  Engine engine(made);

  struct Work {
    std::string path, text, kernel;
  };
  std::vector<Work> work;
  for (const std::string &path : all) {
    spec.path = path;
    std::string text = spec.text();
    const char *names = nullptr;
    check(saccade_spec_kernels(text.data(), text.size(), path.c_str(), &names));
    std::istringstream lines(names);
    for (std::string name; std::getline(lines, name);)
      work.push_back({path, text, name});
  }
  std::vector<std::pair<std::string, std::string>> rows;
  {
    Progress progress(work.size());
    for (Work &item : work) {
      progress.next(item.kernel);
      spec.path = item.path;
      spec.kernel = item.kernel;
      SaccadeCompileOptions options = spec.forCompiler();
      if (assemble)
        options.flags |= SACCADE_COMPILE_ASSEMBLE;
      SaccadeKernel *kernel = nullptr;
      check(saccade_kernel_create(made, item.text.data(), item.text.size(),
                                  &options, &kernel));
      Kernel owned(kernel);
      const char *report = nullptr;
      check(saccade_kernel_explain(kernel, nullptr, &report));
      auto told = nlohmann::json::parse(report);
      rows.push_back(
          {item.kernel, told["target"].get<std::string>() + ", " +
                            told["cache"].get<std::string>() + " in " +
                            digits(told["create_ms"].get<double>()) + " ms"});
    }
  }
  printTable(rows);
}

void CompileCommand::run() {
  if (!all.empty())
    return fill();
  if (spec.path.empty())
    throw Failure("expects a spec, or --all with some");
  if (emit.empty())
    emit = spec.target.empty() || spec.target == "cpu" ? "obj" : "ptx";
  bool blob = emit == "blob";
  std::string text = spec.text();
  SaccadeCompileOptions options = spec.forCompiler();
  options.flags = SACCADE_COMPILE_KEEP_STAGES;
  if (emit == "cubin" || assemble)
    options.flags |= SACCADE_COMPILE_ASSEMBLE;
  if (!blob)
    options.until = emit.c_str();
  SaccadeCompilation *made = nullptr;
  check(saccade_compile(text.data(), text.size(), &options, &made));
  Compiled compiled(made);

  size_t bytes = 0;
  const char *content =
      blob ? static_cast<const char *>(saccade_compilation_blob(made, &bytes))
           : saccade_compilation_stage(made, emit.c_str(), &bytes);
  if (!content)
    throw Failure("expects a target that has the stage '" + emit + "', but '" +
                  (options.target ? options.target : "cpu") + "' has none");
  if (spec.json) {
    auto report = nlohmann::json::parse(saccade_compilation_report(made));
    report["stage"] = emit;
    if (output.empty() && (emit == "spec" || emit == "mlir" || emit == "tile" ||
                           emit == "llvm" || emit == "ptx"))
      report["text"] = std::string(content, bytes);
    std::cout << report.dump(2) << '\n';
    if (output.empty())
      return;
  }
  if (output.empty() || output == "-") {
    std::fwrite(content, 1, bytes, stdout);
    return;
  }
  std::ofstream file(output, std::ios::binary);
  file.write(content, static_cast<std::streamsize>(bytes));
  if (!file.flush())
    throw Failure("expects a file that can be written, but got '" + output +
                  "'");
}

void saccade::cli::addCompile(CLI::App &app) {
  auto command = std::make_shared<CompileCommand>();
  CLI::App *sub = app.add_subcommand(
      "compile", "Compiles a spec and prints a stage of the way");
  command->spec.addTo(*sub, /*required=*/false);
  sub->add_option("--emit", command->emit,
                  "which stage: spec (as it was understood), mlir (the attn "
                  "dialect after its passes), tile "
                  "(the tile dialect), llvm (LLVM IR), ptx, cubin (needs "
                  "ptxas), obj (CPU), blob (what saccade_module_load reads); "
                  "default: ptx or obj")
      ->check(CLI::IsMember(
          {"spec", "mlir", "tile", "llvm", "ptx", "cubin", "obj", "blob"}));
  sub->add_option("--all", command->all,
                  "compile all kernels of these specs into the folder "
                  "--output, which ships: $SACCADE_KERNELS names it where "
                  "they are used")
      ->check(CLI::ExistingFile);
  sub->add_flag("--assemble", command->assemble,
                "put machine code made by ptxas into the blob");
  sub->add_option("-o,--output", command->output,
                  "file to write (default: standard output), or a folder");
  sub->callback([command] { command->run(); });
}
