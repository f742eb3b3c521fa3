// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Names the build of the compiler that runs, so that no kernel of another build
// is ever taken from a cache.

#ifndef SACCADE_LIB_BUILDID_H
#define SACCADE_LIB_BUILDID_H

#include <string>

namespace saccade {

/// The linker's content hash of the binary that holds the compiler, in hex.
const std::string &buildId();

} // namespace saccade

#endif // SACCADE_LIB_BUILDID_H
