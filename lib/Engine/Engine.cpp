// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Look up, else compile, load, keep. A kernel is known by its content key,
// which takes a parser to compute; so that a warm start needs no parser, the
// cache also keeps, under the key of the text as it stands, the content key
// that it led to.

#include "lib/Engine/Kernel.h"

#include "lib/BuildId.h"
#include "lib/Target/CpuTarget.h"
#include "runtime/Status.h"

#include "llvm/Support/FormatVariadic.h"

#include <chrono>

using namespace llvm;
using namespace saccade;

static SaccadeCpuEntry loadObject(void *context, const void *object,
                                  size_t bytes, const char *symbol) {
  Expected<void *> function = static_cast<CpuLoader *>(context)->load(
      StringRef(static_cast<const char *>(object), bytes), symbol);
  if (function)
    return reinterpret_cast<SaccadeCpuEntry>(*function);
  saccade_set_error(toString(function.takeError()).c_str());
  return nullptr;
}

static void releaseLoader(void *context) {
  delete static_cast<CpuLoader *>(context);
}

SaccadeEngine::SaccadeEngine(std::string folder)
    : cache(std::move(folder), buildId(),
            rt::KernelCache::shippedDirectories()) {}

SaccadeEngine::Loaded SaccadeEngine::find(const std::string &key) {
  std::lock_guard lock(mutex);
  auto it = kernels.find(key);
  return it == kernels.end() ? nullptr : it->second;
}

SaccadeStatus SaccadeEngine::load(const std::string &contentKey,
                                  rt::KernelCache::Blob blob, Loaded &loaded) {
  std::lock_guard lock(mutex);
  if (auto it = kernels.find(contentKey); it != kernels.end()) {
    loaded = it->second;
    return SACCADE_OK;
  }
  auto fresh = std::make_shared<LoadedKernel>();
  SaccadeCpuLoader loader = {new CpuLoader, loadObject, releaseLoader};
  SACCADE_TRY(
      saccade_module_load(blob->data(), blob->size(), &loader, &fresh->module));
  loaded = kernels[contentKey] = std::move(fresh);
  return SACCADE_OK;
}

SaccadeStatus SaccadeEngine::create(StringRef text,
                                    const CompileOptions &options,
                                    SaccadeKernel &kernel) {
  auto begin = std::chrono::steady_clock::now();
  auto finish = [&](Loaded loaded, Origin origin) {
    kernel.loaded = std::move(loaded);
    kernel.origin = origin;
    kernel.createMs = std::chrono::duration<double, std::milli>(
                          std::chrono::steady_clock::now() - begin)
                          .count();
    return SACCADE_OK;
  };
  std::string byText = textKey(text, options);
  if (Loaded known = find(byText))
    return finish(std::move(known), Origin::Memory);

  // The spec is parsed when somebody first asks for it.
  Spec spec;
  bool parsed = false;
  auto parse = [&]() -> rt::Status {
    std::string error;
    SaccadeStatus status =
        parsed ? SACCADE_OK
               : Spec::parse(text, options.name, options.kernel, spec, error);
    parsed = true;
    return status == SACCADE_OK ? rt::Status() : rt::fail(status, error);
  };
  auto build = [&](std::string &blob) -> rt::Status {
    SACCADE_TRY(parse());
    Compilation compilation;
    std::string error;
    SaccadeStatus status = compile(spec, options, compilation, error);
    parsed = false; // compiling has used it up
    if (status != SACCADE_OK)
      return rt::fail(status, error);
    blob = std::move(compilation.blob);
    if (const json::Object *ms = compilation.report.getObject("stages_ms"))
      kernel.stagesMs = formatv("{0}", json::Value(json::Object(*ms)));
    return SACCADE_OK;
  };

  rt::CacheKey alias = rt::hashParts({"text", byText});
  std::optional<std::string> content = cache.readDisk(alias);
  bool knownText = content.has_value();
  if (!knownText) {
    SACCADE_TRY(parse());
    content = contentKey(spec, options);
  }
  // Damage that checksums do not find shows when the module is loaded: then the
  // entry is dropped and made once more.
  for (bool again : {false, true}) {
    rt::CacheKey key = rt::hashParts({"kernel", *content});
    rt::KernelCache::Blob blob;
    Origin origin = Origin::Built;
    SACCADE_TRY(cache.get(key, build, blob, &origin));
    Loaded loaded;
    SaccadeStatus status = load(*content, std::move(blob), loaded);
    if (status != SACCADE_OK) {
      cache.forget(key);
      if (!again && origin != Origin::Built)
        continue;
      return status;
    }
    if (!knownText)
      cache.writeDisk(alias, *content);
    std::lock_guard lock(mutex);
    kernels[byText] = loaded;
    return finish(std::move(loaded), origin);
  }
  return SACCADE_INTERNAL_ERROR;
}
