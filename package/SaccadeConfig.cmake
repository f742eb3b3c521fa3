# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# find_package(Saccade) gives the target Saccade::saccade: one shared library,
# with nothing else to find.
include(${CMAKE_CURRENT_LIST_DIR}/SaccadeTargets.cmake)
