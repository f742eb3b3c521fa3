/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The packaged LLVM archives ask for arc4random, which glibc has from 2.36 on.
 * This one, hidden in libsaccade, lets the library load on glibc 2.34.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

__attribute__((visibility("hidden"))) uint32_t arc4random(void) {
  uint32_t value;
  if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
    abort(); /* cannot fail for so few bytes on any kernel with getrandom */
  return value;
}
