// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The whole way from a spec to a blob, stage by stage, with the time that each
// takes. The C API, the engine and the tools compile through this one function.

#ifndef SACCADE_LIB_COMPILER_H
#define SACCADE_LIB_COMPILER_H

#include "lib/Spec.h"

#include "llvm/Support/JSON.h"

#include <string>
#include <utility>
#include <vector>

namespace saccade {

/// What changes the code of a kernel, beside its spec, and what to keep of the
/// way there. Fields mean what they mean in SaccadeCompileOptions.
struct CompileOptions {
  std::string target = "cpu";
  std::string kernel;
  std::string name = "spec"; ///< of the text, in diagnostics
  std::string schedule;
  uint32_t queryTokens = 0;
  std::vector<std::string> disabled;
  std::string until;
  bool keepStages = false;
  bool assemble = false;
};

struct Compilation {
  std::string blob;
  llvm::json::Object report;
  /// Stage and content, in the order in which they came about.
  std::vector<std::pair<std::string, std::string>> stages;

  /// The content of a stage, or null.
  const std::string *stage(llvm::StringRef name) const;
};

/// Names of the targets: "cpu", "sm_80", ...
llvm::ArrayRef<llvm::StringRef> targetNames();

/// Names of stages, in their order.
llvm::ArrayRef<llvm::StringRef> stageNames();

/// Checks target, passes and stage, and sorts the disabled passes.
SaccadeStatus checkOptions(CompileOptions &options, std::string &error);

/// The content key of a kernel: canonical spec, schedule, query tokens, target,
/// passes, and the build of the compiler.
std::string contentKey(Spec &spec, const CompileOptions &options);

/// The same over the text as it stands, which needs no parser. Several texts,
/// and so several text keys, may stand for one content key.
std::string textKey(llvm::StringRef text, const CompileOptions &options);

/// Compiles a parsed spec, which is used up. Options have been checked.
SaccadeStatus compile(Spec &spec, const CompileOptions &options,
                      Compilation &compilation, std::string &error);

/// Parses and compiles.
SaccadeStatus compileText(llvm::StringRef text, const CompileOptions &options,
                          Compilation &compilation, std::string &error);

} // namespace saccade

#endif // SACCADE_LIB_COMPILER_H
