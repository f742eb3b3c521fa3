// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The options of the C API, read and checked: compiler and engine take the same
// ones.

#ifndef SACCADE_LIB_CAPI_COMPILEOPTIONS_H
#define SACCADE_LIB_CAPI_COMPILEOPTIONS_H

#include "lib/Compiler.h"
#include "saccade/Compiler.h"
#include "saccade/Runtime.h"

#include "llvm/ADT/Twine.h"

namespace saccade {

/// Sets the thread's message and gives the status back.
SaccadeStatus fail(SaccadeStatus status, const llvm::Twine &message);

/// Reads options (NULL: the defaults) and checks them.
SaccadeStatus readOptions(const SaccadeCompileOptions *given,
                          CompileOptions &options);

} // namespace saccade

#endif // SACCADE_LIB_CAPI_COMPILEOPTIONS_H
