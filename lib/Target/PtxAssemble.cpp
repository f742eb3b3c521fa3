// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From PTX to machine code by NVIDIA's assembler, which is run as a program
// where one is found; and what its report says. Without it the driver does this
// work.

#include "lib/Target/PtxTarget.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"

using namespace saccade;

namespace path = llvm::sys::path;
namespace fs = llvm::sys::fs;

/// `root`/lib/python3*/site-packages/nvidia/*/bin/ptxas, where PyPI packages of
/// the CUDA compiler put it.
static std::string findInPython(llvm::StringRef root) {
  auto entries = [](llvm::Twine folder) {
    llvm::SmallVector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; it != end && !error;
         it.increment(error))
      names.push_back(it->path());
    return names;
  };
  for (const std::string &version : entries(root + "/lib")) {
    if (!path::filename(version).starts_with("python3"))
      continue;
    for (const std::string &package :
         entries(version + "/site-packages/nvidia"))
      if (std::string found = package + "/bin/ptxas"; fs::can_execute(found))
        return found;
  }
  return "";
}

std::string saccade::findPtxas() {
  if (const char *chosen = std::getenv("SACCADE_PTXAS"))
    return chosen;
  for (const char *variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char *root = std::getenv(variable))
      if (std::string found = std::string(root) + "/bin/ptxas";
          fs::can_execute(found))
        return found;
  if (auto found = llvm::sys::findProgramByName("ptxas"))
    return *found;
  for (const char *variable : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const char *root = std::getenv(variable))
      if (std::string found = findInPython(root); !found.empty())
        return found;
  if (fs::can_execute("/usr/local/cuda/bin/ptxas"))
    return "/usr/local/cuda/bin/ptxas";
  return "";
}

llvm::SmallVector<GpuResources> saccade::parseResources(llvm::StringRef log) {
  llvm::SmallVector<GpuResources> resources;
  llvm::Regex entry("Compiling entry function '([^']*)'");
  llvm::Regex spills("([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores, "
                     "([0-9]+) bytes spill loads");
  llvm::Regex used("Used ([0-9]+) registers");
  llvm::SmallVector<llvm::StringRef> lines, match;
  auto number = [&](unsigned i) {
    int64_t value = 0;
    static_cast<void>(match[i].getAsInteger(10, value));
    return value;
  };
  log.split(lines, '\n');
  for (llvm::StringRef line : lines) {
    if (entry.match(line, &match))
      resources.push_back({match[1].str()});
    if (resources.empty())
      continue;
    GpuResources &last = resources.back();
    if (spills.match(line, &match)) {
      last.stackBytes = number(1);
      last.spillStoreBytes = number(2);
      last.spillLoadBytes = number(3);
    }
    if (used.match(line, &match))
      last.registers = number(1);
  }
  return resources;
}

std::optional<llvm::StringRef> saccade::findSerialization(llvm::StringRef log) {
  llvm::SmallVector<llvm::StringRef> lines;
  log.split(lines, '\n');
  llvm::Regex code("\\(C75[0-9][0-9]\\)");
  for (llvm::StringRef line : lines)
    if (code.match(line))
      return line.trim();
  return std::nullopt;
}

namespace {
/// A temporary file that goes when its name does.
struct TemporaryFile {
  llvm::SmallString<128> name;
  std::error_code error;

  explicit TemporaryFile(llvm::StringRef suffix)
      : error(fs::createTemporaryFile("saccade", suffix, name)) {}
  ~TemporaryFile() {
    if (!error)
      fs::remove(name);
  }
  std::string read() const {
    auto buffer = llvm::MemoryBuffer::getFile(name);
    return buffer ? (*buffer)->getBuffer().str() : "";
  }
};
} // namespace

mlir::LogicalResult
saccade::assemblePtx(mlir::Location location, llvm::StringRef ptx,
                     const GpuChip &chip, std::string &cubin,
                     llvm::SmallVectorImpl<GpuResources> &resources) {
  std::string program = findPtxas();
  if (program.empty())
    return mlir::emitError(location,
                           "expects ptxas in $PATH, $CUDA_HOME or the active "
                           "Python environment, or its path in $SACCADE_PTXAS");
  TemporaryFile source("ptx"), object("cubin"), log("log");
  for (const TemporaryFile *file : {&source, &object, &log})
    if (file->error)
      return mlir::emitError(location, "cannot make a temporary file: ")
             << file->error.message();
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(source.name, error);
    stream << ptx;
    stream.close();
    if (error || stream.has_error()) {
      stream.clear_error();
      return mlir::emitError(location, "cannot write ") << source.name;
    }
  }
  std::string arch = ("-arch=" + chip.name).str();
  llvm::StringRef arguments[] = {program,     arch, "-v",
                                 source.name, "-o", object.name};
  std::optional<llvm::StringRef> redirects[] = {
      llvm::StringRef(), llvm::StringRef(log.name), llvm::StringRef(log.name)};
  std::string error;
  int status = llvm::sys::ExecuteAndWait(program, arguments, std::nullopt,
                                         redirects, 0, 0, &error);
  std::string said = log.read();
  if (status != 0)
    return mlir::emitError(location, "ptxas failed: ")
           << llvm::StringRef(error.empty() ? said : error).trim();
  if (auto line = findSerialization(said))
    return mlir::emitError(location, "ptxas undid what the kernel relies on: ")
           << *line;
  resources = parseResources(said);
  cubin = object.read();
  return mlir::success();
}
