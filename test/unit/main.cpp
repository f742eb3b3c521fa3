// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The program of the unit tests: doctest's own main.

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "test/unit/Test.h"
