# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the checks of generated code share: expectations, and a line for each kernel."""

import concurrent.futures
import os
import shutil

PTXAS = os.environ.get("PTXAS") or shutil.which("ptxas")


class Unexpected(Exception):
    """What was expected, then what came."""


def expect(what, wanted, got):
    if wanted != got:
        raise Unexpected(f"expects {what} to be {wanted}, but got {got}")


def run(jobs):
    """Prints what each job, a function and its arguments, returns, or what it found
    unexpected; gives an exit code."""
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {name: pool.submit(*job) for name, job in jobs.items()}
        for name, future in running.items():
            try:
                print(f"{name} -> {future.result()}", flush=True)
            except Unexpected as reason:
                failed += 1
                print(f"{name} -> FAILED: {reason}", flush=True)
    print(f"{len(jobs) - failed} kernels as they should be, {failed} not")
    return 1 if failed else 0
