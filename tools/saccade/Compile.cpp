// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `saccade compile`: any stage of a compilation, to standard output or a file.

#include "tools/saccade/Command.h"

#include <cstdio>
#include <fstream>
#include <iostream>

using namespace saccade::cli;

namespace {
struct CompileCommand {
  SpecOptions spec;
  std::string emit, output;
  bool assemble = false;

  void run();
};
} // namespace

void CompileCommand::run() {
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
  command->spec.addTo(*sub);
  sub->add_option("--emit", command->emit,
                  "which stage: spec (as it was understood), mlir (the attn "
                  "dialect after its passes), tile "
                  "(the tile dialect), llvm (LLVM IR), ptx, cubin (needs "
                  "ptxas), obj (CPU), blob (what saccade_module_load reads); "
                  "default: ptx or obj")
      ->check(CLI::IsMember(
          {"spec", "mlir", "tile", "llvm", "ptx", "cubin", "obj", "blob"}));
  sub->add_flag("--assemble", command->assemble,
                "put machine code made by ptxas into the blob");
  sub->add_option("-o,--output", command->output,
                  "file to write (default: standard output)");
  sub->callback([command] { command->run(); });
}
