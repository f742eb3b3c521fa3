# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Writes the file PTX as a string literal to the file TEXT.
file(READ ${PTX} contents)
file(WRITE ${TEXT} "R\"PTX(${contents})PTX\"\n")
