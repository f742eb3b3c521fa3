// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Machine code for this host: a module in the LLVM dialect becomes an object
// file, and an object file becomes functions to call. No threads, no signal
// handlers, no global options: this runs inside of somebody's process.

#ifndef SACCADE_LIB_TARGET_CPUTARGET_H
#define SACCADE_LIB_TARGET_CPUTARGET_H

#include "saccade/KernelABI.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace saccade {

/// The processor that code is made for. Objects for one machine are refused on
/// another: key() belongs into cache keys and manifests.
struct CpuMachine {
  std::string triple, cpu, features;

  /// This host, asked once.
  static const CpuMachine &host();
  /// "znver4+avx2+...": all that code generation depends on.
  std::string key() const { return cpu + features; }
  /// f32 elements of the widest vector register: 16, 8 or 4.
  int64_t lanes() const;
};

/// Optimises a module in the LLVM dialect and assembles it. `ir`, if given,
/// receives the optimised LLVM IR, `assembly` the text of the machine code.
/// Failures are diagnostics at the module.
mlir::LogicalResult emitCpuObject(mlir::ModuleOp module, std::string &object,
                                  std::string *ir = nullptr,
                                  std::string *assembly = nullptr);

/// Keeps the code of object files in memory. Thread-safe; the functions are
/// valid while the loader lives.
class CpuLoader {
public:
  CpuLoader();
  ~CpuLoader();

  /// The function of that name. An object is linked at its first use: it is
  /// known by its contents.
  llvm::Expected<void *> load(llvm::StringRef object, llvm::StringRef symbol);

private:
  struct Session;
  std::unique_ptr<Session> session;
};

} // namespace saccade

#endif // SACCADE_LIB_TARGET_CPUTARGET_H
