// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The attn dialect, whole: what is computed, free of any target.
// Everything that TableGen makes of the dialect starts from this file.

#ifndef SACCADE_ATTN_TD
#define SACCADE_ATTN_TD

include "dialects/Attn/AttnDialect.td"
include "dialects/Attn/AttnAttrs.td"
include "dialects/Attn/AttnTypes.td"
include "dialects/Attn/AttnOps.td"

#endif // SACCADE_ATTN_TD
