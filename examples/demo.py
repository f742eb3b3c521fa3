# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What ./dev demo shows: two attentions, from spec to a checked result.

Compiles the paged decode and the causal prefill of Llama 3, draws lengths like those
of a chat service, runs them on the GPU if there is one and else on the CPU, compares
rows with the reference evaluator, and prints a table for each.
"""

import pathlib
import subprocess
import sys

EXAMPLES = pathlib.Path(__file__).parent


def main() -> int:
    code = 0
    for spec, draw in (("llama3_decode", "decode:16"), ("llama3_prefill", "prefill:2")):
        command = ["saccade", "run", EXAMPLES / f"{spec}.mlir", "--check"]
        done = subprocess.run([*command, "--draw", draw, *sys.argv[1:]], check=False)
        code |= done.returncode
        print()
    return code


if __name__ == "__main__":
    sys.exit(main())
