// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The message of each thread's last failure. It lives in the runtime because
// the runtime is the part that every user of the C API links.
#include "runtime/Status.h"

#include "saccade/Runtime.h"

#include <utility>

namespace {
std::string &lastMessage() {
  thread_local std::string text;
  return text;
}
} // namespace

void saccade::rt::setError(std::string message) {
  lastMessage() = std::move(message);
}

const char *saccade_last_error(void) { return lastMessage().c_str(); }

void saccade_set_error(const char *text) { lastMessage() = text ? text : ""; }
