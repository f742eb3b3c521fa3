# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles specs to machine code and prints one line each: what the kernels use.

assemble.py CHIP SPEC... [-- OPTION...]: options go to `saccade compile`.
"""

import json
import subprocess
import sys
from pathlib import Path


def report(chip, spec, options):
    command = ["saccade", "compile", spec, "--target", chip, "--assemble", "--json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[0]
    entries = json.loads(done.stdout)["entries"]
    return ", ".join(
        f"{e['name']}: {e['format']}, {e['registers']} registers, "
        f"{e['spilled_bytes']} spilled"
        for e in entries
    )


def main(arguments):
    options = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1 :]
    for spec in arguments[1:]:
        print(Path(spec).stem, "->", report(arguments[0], spec, options), flush=True)


main(sys.argv[1:])
