// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The last step of the compiler, one form for all targets: a module in the LLVM
// dialect becomes machine code or PTX, and the numbers that launching it takes.

#ifndef SACCADE_LIB_TARGETCODE_H
#define SACCADE_LIB_TARGETCODE_H

#include "lib/Compiler.h"

#include "mlir/IR/BuiltinOps.h"

#include <array>

namespace saccade {

/// How one entry is launched.
struct TargetEntry {
  std::string name;
  int64_t threads = 1;
  int64_t sharedBytes = 0;
  /// GPU: tensor maps, each the word of its tensor, heads and tokens.
  int64_t mapWord = 0;
  llvm::SmallVector<std::array<int64_t, 3>> maps;
  /// GPU: whether it waits by itself for the end of the kernel before.
  bool waits = false;
  /// GPU: the entry whose launch computes its items; empty: its own.
  std::string launch;
  /// GPU, once assembled: of a thread. Negative where it is not known.
  int64_t registers = -1, spilledBytes = -1;
};

struct TargetCode {
  std::string binary;
  std::string format; ///< "elf", "ptx", "cubin"
  std::string target; ///< as in the manifest: "cpu:<llvm cpu>" or "sm_90a"
  int64_t driver = 0; ///< least CUDA driver; 0: none is needed
  std::vector<TargetEntry> entries;
  std::vector<std::pair<std::string, std::string>> stages; ///< name, content
  std::vector<std::pair<std::string, double>> stagesMs;    ///< name, time

  const TargetEntry &entry(llvm::StringRef name) const;
};

/// This machine's CPU and its features, as code for "cpu" depends on them.
std::string hostCpu();

/// Generates code up to the stage that the options name. Failures are
/// diagnostics.
mlir::LogicalResult generateCode(mlir::ModuleOp module,
                                 const CompileOptions &options,
                                 TargetCode &code);

} // namespace saccade

#endif // SACCADE_LIB_TARGETCODE_H
