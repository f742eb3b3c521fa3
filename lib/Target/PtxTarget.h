// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Code for NVIDIA GPUs: a module in the LLVM dialect becomes PTX, and PTX
// becomes machine code where ptxas is at hand. No CUDA library is needed for
// either. No threads, no signal handlers, no global options: this runs inside
// of somebody's process, and no input may end it.

#ifndef SACCADE_LIB_TARGET_PTXTARGET_H
#define SACCADE_LIB_TARGET_PTXTARGET_H

#include "mlir/IR/BuiltinOps.h"

#include <array>
#include <optional>
#include <string>

namespace saccade {

/// A GPU architecture that we compile for.
struct GpuChip {
  llvm::StringLiteral name;
  /// PTX ISA version, 10 * major + minor: the least that knows the chip, so
  /// that the oldest driver can load the code.
  unsigned ptx;
  /// The least cuDriverGetVersion() of a driver that reads this PTX.
  int driver;
  /// Shared memory that one CTA may have, in bytes.
  int64_t sharedBytes;

  /// Whether a kernel may begin before the one before it has ended: sm_90 and
  /// later, all of which came after PTX 7.8 (PTX ISA, "griddepcontrol").
  bool startsEarly() const { return ptx > 78; }

  static llvm::ArrayRef<GpuChip> all();
  /// The chip of that name ("sm_90a"), or null.
  static const GpuChip *find(llvm::StringRef name);
};

/// What a launch has to know of a kernel in a lowered module.
struct GpuEntry {
  std::string name;
  int64_t threads;     // of a CTA
  int64_t sharedBytes; // dynamic shared memory of a CTA
  /// Tensor maps behind its words: the word of the first (tile.map_word), and
  /// of each the tensor's word, heads and tokens (tile.tensor_maps).
  int64_t mapWord = 0;
  llvm::SmallVector<std::array<int64_t, 3>> maps;
  /// Whether it waits by itself for the end of the kernel before.
  bool waits = false;
  /// Entries whose items it computes beside its own (tile.fused).
  llvm::SmallVector<std::string> fused;
};
llvm::SmallVector<GpuEntry> gpuEntries(mlir::ModuleOp module);

/// Optimises a module in the LLVM dialect and writes it as PTX. `ir`, if given,
/// receives the optimised LLVM IR. Failures are diagnostics at the module.
mlir::LogicalResult emitPtx(mlir::ModuleOp module, const GpuChip &chip,
                            std::string &ptx, std::string *ir = nullptr);

/// What ptxas says of one kernel.
struct GpuResources {
  std::string name;
  int64_t registers = 0; // of a thread
  int64_t stackBytes = 0, spillStoreBytes = 0, spillLoadBytes = 0;
};

/// Reads the report of `ptxas -v`.
llvm::SmallVector<GpuResources> parseResources(llvm::StringRef log);
/// The first line of the log that says that a pipeline of matrix instructions
/// was serialised or a register directive ignored (C75xx). ptxas calls these
/// "info".
std::optional<llvm::StringRef> findSerialization(llvm::StringRef log);

/// The assembler: $SACCADE_PTXAS, else bin/ptxas below $CUDA_HOME or
/// $CUDA_PATH, in $PATH, in the packages of the active Python environment, in
/// /usr/local/cuda. Empty where there is none.
std::string findPtxas();

/// Assembles PTX into a cubin. An error, also a serialised pipeline, is a
/// diagnostic at the location; `resources` receives the report.
mlir::LogicalResult assemblePtx(mlir::Location location, llvm::StringRef ptx,
                                const GpuChip &chip, std::string &cubin,
                                llvm::SmallVectorImpl<GpuResources> &resources);

} // namespace saccade

#endif // SACCADE_LIB_TARGET_PTXTARGET_H
