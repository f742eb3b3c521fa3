# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where benches leave their figures: one JSON file each in bench/results, with the
machine that they were taken on."""

import json
import os
import pathlib
import platform
import statistics
import time

import saccade

FOLDER = pathlib.Path(__file__).parent / "results"


def cpu_name() -> str:
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()


def read(name: str) -> dict:
    """What an earlier run left; empty if none did."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write(name: str, figures: dict, show: bool = True) -> None:
    FOLDER.mkdir(exist_ok=True)
    record = {
        "bench": name,
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)),
        "build": saccade.build_id(),
    }
    # Figures that were read before bring the head of their run along.
    record |= {key: value for key, value in figures.items() if key not in record}
    (FOLDER / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    if show:
        print(json.dumps(figures, indent=2))


def interleaved(candidates: dict, rounds: int) -> dict:
    """Median milliseconds of each candidate, called in turn, so that whatever
    else the machine does falls on all of them."""
    times: dict = {name: [] for name in candidates}
    for call in candidates.values():
        call()  # warms up
    for _ in range(rounds):
        for name, call in candidates.items():
            begin = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - begin))
    return {name: statistics.median(ms) for name, ms in times.items()}
