# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the benches, or those named, and prints their figures: what ./dev bench does.

Figures go to bench/results, one JSON file a bench.
"""

import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent
BENCHES = [
    "compile_time", "call_overhead", "cpu_prefill", "gpu_kernels", "prefill",
    "decode", "mixed", "plan", "hf_model",
]  # fmt: skip


def main() -> int:
    code = 0
    for name in sys.argv[1:] or BENCHES:
        print(f"==> {name}", flush=True)
        code |= subprocess.run(
            [sys.executable, FOLDER / f"{name}.py"], check=False
        ).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
