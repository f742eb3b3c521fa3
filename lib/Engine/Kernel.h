// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What lies behind the handles of saccade/Engine.h: the engine's tables, and
// kernels that share a loaded module.

#ifndef SACCADE_LIB_ENGINE_KERNEL_H
#define SACCADE_LIB_ENGINE_KERNEL_H

#include "lib/Compiler.h"
#include "runtime/KernelCache.h"
#include "saccade/Engine.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace saccade {

/// A module that is loaded once, for all handles on it.
struct LoadedKernel {
  LoadedKernel() = default;
  LoadedKernel(const LoadedKernel &) = delete;
  ~LoadedKernel() { saccade_module_destroy(module); }
  SaccadeModule *module = nullptr;
};

using Origin = rt::KernelCache::Origin;

} // namespace saccade

struct SaccadeKernel {
  std::shared_ptr<saccade::LoadedKernel> loaded;
  saccade::Origin origin = saccade::Origin::Memory;
  double createMs = 0;
  std::string stagesMs;    ///< JSON; of this process, if it compiled
  std::string explanation; ///< JSON; the latest
};

struct SaccadeEngine {
  explicit SaccadeEngine(std::string folder);

  /// Fills a kernel from a spec, by the shortest way.
  SaccadeStatus create(llvm::StringRef text,
                       const saccade::CompileOptions &options,
                       SaccadeKernel &kernel);
  const std::string &folder() const { return cache.folder(); }

private:
  using Loaded = std::shared_ptr<saccade::LoadedKernel>;

  Loaded find(const std::string &key);
  SaccadeStatus load(const std::string &contentKey,
                     saccade::rt::KernelCache::Blob blob, Loaded &loaded);

  saccade::rt::KernelCache cache;
  std::mutex mutex; ///< of the table
  /// By text key, and by content key.
  std::map<std::string, Loaded> kernels;
};

#endif // SACCADE_LIB_ENGINE_KERNEL_H
