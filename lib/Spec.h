// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A spec: text of a user's, parsed, verified, and cut down to one kernel with
// the variants that it uses. What it prints is the content that a kernel is
// known by.

#ifndef SACCADE_LIB_SPEC_H
#define SACCADE_LIB_SPEC_H

#include "dialects/Attn/Attn.h"
#include "saccade/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/SourceMgr.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace saccade {

/// Collects what a context reports while it lives: errors with their notes as
/// text with line, column and the line of source; remarks and warnings apart.
class DiagnosticLog {
public:
  DiagnosticLog(mlir::MLIRContext &context, llvm::SourceMgr &sources);
  ~DiagnosticLog();

  /// The errors so far, without a trailing newline.
  std::string errors() const;
  std::vector<std::string> remarks;

private:
  struct Handlers;
  std::string text;
  std::unique_ptr<Handlers> handlers;
};

class Spec {
public:
  /// Parses and verifies `text` and keeps the kernel of that name ("": the only
  /// one). `name` stands in diagnostics. Gives SACCADE_BAD_SPEC and fills
  /// `error` when that is not possible; never crashes, never prints.
  static SaccadeStatus parse(llvm::StringRef text, llvm::StringRef name,
                             llvm::StringRef kernel, Spec &spec,
                             std::string &error);

  /// Names of all kernels of a text, in its order. Fails as parse does.
  static SaccadeStatus kernelNames(llvm::StringRef text, llvm::StringRef name,
                                   std::vector<std::string> &names,
                                   std::string &error);

  mlir::MLIRContext &context() { return *owned; }
  mlir::ModuleOp module() { return *root; }
  attn::KernelOp kernel() const { return picked; }
  llvm::SourceMgr &sources() { return *manager; }

  /// The module's text without locations, layout or comments.
  std::string canonicalText();

private:
  /// Parses and verifies; all errors are in the log.
  bool read(llvm::StringRef text, llvm::StringRef name);
  /// The kernels, or nothing if the module holds other operations.
  std::optional<llvm::SmallVector<attn::KernelOp>> findKernels();
  SaccadeStatus pick(llvm::StringRef kernel, std::string &error);

  // In the order of construction: the module dies before its context.
  std::unique_ptr<llvm::SourceMgr> manager;
  std::unique_ptr<mlir::MLIRContext> owned;
  std::unique_ptr<DiagnosticLog> log; // while it is parsed
  mlir::OwningOpRef<mlir::ModuleOp> root;
  attn::KernelOp picked;
};

} // namespace saccade

#endif // SACCADE_LIB_SPEC_H
