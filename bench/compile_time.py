# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How long a kernel takes to come about: from spec to PTX and to CPU code in one
process, and from the disk cache in a fresh one."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import results
import saccade

SPEC = pathlib.Path(__file__).parents[1] / "examples" / "llama3_decode.mlir"
WARM = """
import json, sys, time
import saccade
begin = time.perf_counter()
kernel = saccade.compile(sys.argv[1], device="cpu")
plan = kernel.plan([1], kv_lens=[20], page_table=[[0, 1]])  # loads the code
print(json.dumps([1e3 * (time.perf_counter() - begin), kernel.explain()["cache"]]))
"""


def cold(stage: str, target: str) -> float:
    text, times = SPEC.read_text(), []
    for _ in range(5):
        begin = time.perf_counter()
        saccade.stage(text, stage, target=target)
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times)


def warm() -> float:
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for attempt in range(6):
            done = subprocess.run(
                [sys.executable, "-c", WARM, SPEC],
                env={**os.environ, "SACCADE_CACHE_DIR": folder},
                capture_output=True,
                text=True,
                check=True,
            )
            ms, origin = json.loads(done.stdout)
            assert origin == ("disk" if attempt else "compiled")
            if attempt:
                times.append(ms)
    return statistics.median(times)


def main() -> None:
    figures = {
        "case": "Llama-3 paged decode",
        "spec_to_ptx_ms": cold("ptx", "sm_90a"),
        "spec_to_cpu_object_ms": cold("obj", "cpu"),
        "warm_start_from_disk_ms": warm(),
    }
    results.write("compile_time", figures)


if __name__ == "__main__":
    main()
