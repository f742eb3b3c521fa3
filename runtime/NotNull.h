// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The first check of every C entry point, said once.
#ifndef SACCADE_RUNTIME_NOTNULL_H
#define SACCADE_RUNTIME_NOTNULL_H

#include "runtime/Status.h"

#include <initializer_list>

namespace saccade::rt {

struct NamedPointer {
  std::string_view name;
  const void *pointer;
};

/// Fails with the name of the first null pointer.
inline Status notNull(std::string_view function,
                      std::initializer_list<NamedPointer> pointers) {
  for (auto [name, pointer] : pointers)
    if (!pointer)
      return invalid(function, ": expects ", name, ", but got a null pointer");
  return SACCADE_OK;
}

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_NOTNULL_H
