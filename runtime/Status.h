// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Failures inside the runtime: a status code to return and a message for the
// thread. No exceptions cross or start here, so each call that can fail is
// written SACCADE_TRY(call).
#ifndef SACCADE_RUNTIME_STATUS_H
#define SACCADE_RUNTIME_STATUS_H

#include "saccade/Status.h"

#include <concepts>
#include <string>
#include <string_view>

namespace saccade::rt {

/// What a call returns: [[nodiscard]], unlike the C enum that it converts to.
class [[nodiscard]] Status {
public:
  Status(SaccadeStatus code = SACCADE_OK) : code(code) {}
  operator SaccadeStatus() const { return code; }

private:
  SaccadeStatus code;
};

/// Sets the calling thread's message (saccade_last_error).
void setError(std::string message);

inline void appendTo(std::string &out, std::string_view text) { out += text; }
inline void appendTo(std::string &out, std::integral auto number) {
  out += std::to_string(number);
}

/// Joins strings and integers.
template <typename... Parts> std::string join(const Parts &...parts) {
  std::string out;
  (appendTo(out, parts), ...);
  return out;
}

/// Sets the message and gives the code back, for `return fail(...)`.
template <typename... Parts>
Status fail(SaccadeStatus code, const Parts &...parts) {
  setError(join(parts...));
  return code;
}

/// The commonest failure: a wrong value that the caller gave.
template <typename... Parts> Status invalid(const Parts &...parts) {
  return fail(SACCADE_INVALID_ARGUMENT, parts...);
}

} // namespace saccade::rt

/// Returns from the enclosing function when `call` fails.
#define SACCADE_TRY(call)                                                      \
  do {                                                                         \
    if (::saccade::rt::Status status = (call); status != SACCADE_OK)           \
      return status;                                                           \
  } while (false)

#endif // SACCADE_RUNTIME_STATUS_H
