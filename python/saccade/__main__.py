# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The tool ``saccade``, which lies in libsaccade: ``python -m saccade``, or the
console script that the wheel installs."""

import ctypes
import os
import sys

from ._abi import lib


def main() -> int:
    """Runs the tool with this process's arguments; returns its exit code."""
    arguments = [b"saccade", *map(os.fsencode, sys.argv[1:])]
    argv = (ctypes.c_char_p * (len(arguments) + 1))(*arguments)
    return lib.saccade_main(len(arguments), argv)


if __name__ == "__main__":
    sys.exit(main())
