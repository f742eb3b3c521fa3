// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Modules of a plain kernel, loaded through the C API.
#ifndef SACCADE_TEST_UNIT_RUNTIME_PLAINMODULE_H
#define SACCADE_TEST_UNIT_RUNTIME_PLAINMODULE_H

#include "test/unit/Test.h"
#include "test/unit/runtime/PlainKernel.h"
#include "test/unit/runtime/Samples.h"

#include <atomic>
#include <cstring>

namespace saccade::test {

/// A loader whose "object file" is the address of a function.
inline std::atomic<int> releases = 0;
inline const SaccadeCpuLoader kLoader = {
    nullptr,
    [](void *, const void *object, size_t bytes, const char *symbol) {
      SaccadeCpuEntry entry = nullptr;
      if (bytes == sizeof entry && std::string(symbol) == "attend")
        memcpy(&entry, object, sizeof entry);
      else
        saccade_set_error("expects a function");
      return entry;
    },
    [](void *) { ++releases; }};

inline SaccadeModule *load(const json &manifest, SaccadeCpuEntry entry) {
  std::string_view code(reinterpret_cast<const char *>(&entry), sizeof entry);
  std::string bytes = blob(manifest, code);
  SaccadeModule *module = nullptr;
  CHECK(saccade_module_load(bytes.data(), bytes.size(), &kLoader, &module) ==
        SACCADE_OK);
  return module;
}

} // namespace saccade::test
#endif // SACCADE_TEST_UNIT_RUNTIME_PLAINMODULE_H
