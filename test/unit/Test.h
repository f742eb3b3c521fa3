// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// doctest, set up for a tree without exceptions: a failed REQUIRE ends the
// program. Every unit test includes this header and not doctest's.

#ifndef SACCADE_TEST_UNIT_TEST_H
#define SACCADE_TEST_UNIT_TEST_H

#define DOCTEST_CONFIG_NO_EXCEPTIONS_BUT_WITH_ALL_ASSERTS
#include <doctest/doctest.h>

#endif // SACCADE_TEST_UNIT_TEST_H
