// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Registers -print-ptx, which only saccade-opt has.

#ifndef SACCADE_TOOLS_SACCADE_OPT_PRINTPTX_H
#define SACCADE_TOOLS_SACCADE_OPT_PRINTPTX_H

namespace saccade {
void registerPrintPtxPass();
} // namespace saccade

#endif // SACCADE_TOOLS_SACCADE_OPT_PRINTPTX_H
