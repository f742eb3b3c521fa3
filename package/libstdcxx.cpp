// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// std::condition_variable::wait has a newer version in the libstdc++ of GCC 12
// than distributions of glibc 2.34 have. This one, hidden in libsaccade, does
// the same.
#include <condition_variable>
#include <mutex>

#include <pthread.h>

extern "C" [[gnu::visibility("hidden")]] void
waitOn(std::condition_variable &condition,
       std::unique_lock<std::mutex> &lock) noexcept
    __asm__("_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE");

void waitOn(std::condition_variable &condition,
            std::unique_lock<std::mutex> &lock) noexcept {
  pthread_cond_wait(condition.native_handle(), lock.mutex()->native_handle());
}
