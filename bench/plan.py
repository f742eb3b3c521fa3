# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What planning a batch of decodes costs on the host, and how even plans are.

Times are of one update of a plan: reading and checking the batch, cutting and
dealing it, and writing it to memory; copies to a device come on top. The page table
lies on the device, as peers have it (nothing of it is read), or on the host (every
id is checked and copied). "call_us" is the C function, "python_us" Plan.update.

--lengths FILE adds lengths of your own: two columns, of which the sum counts.
"""

import argparse
import csv
import ctypes
import json
import re
import statistics
import time
from pathlib import Path

import numpy as np
import results
import saccade
from saccade import _abi
from saccade._abi import lib
from saccade._batch import BatchView, Cache
from saccade._plan import Plan

SPEC = Path(__file__).parents[1] / "examples" / "llama3_decode.mlir"
CTAS = 132
PAGE = 16


def lengths_of(name: str, count: int, file: str | None) -> np.ndarray:
    random = np.random.default_rng(7)
    if name == "4096":
        drawn = np.full(count, 4096)
    elif name == "uniform":
        drawn = random.integers(4096, 8192, count)
    elif name == "zipf":
        drawn = np.maximum(32768 // random.permutation(np.arange(1, count + 1)), 16)
    elif name == "chat":  # as tools/saccade/Lengths.cpp draws them
        prompt = np.clip(random.lognormal(6.69, 0.94, count), 1, 14000)
        drawn = prompt + np.clip(random.lognormal(5.20, 0.91, count), 1, 1000)
    else:
        with open(file, encoding="utf-8") as rows:
            sums = [sum(map(int, row)) for row in csv.reader(rows) if row[0].isdigit()]
        drawn = np.resize(sums, count)
    return drawn.astype(np.int32)


def microseconds(call, count: int) -> float:
    """The median of single calls."""
    for _ in range(20):
        call()
    times = []
    for _ in range(count):
        begin = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begin)
    return round(statistics.median(times) / 1e3, 2)


class Planned:
    """A plan that no device runs, and a batch for it."""

    def __init__(self, kernel, lengths: np.ndarray, on_device: bool):
        count = len(lengths)
        pages = -(-lengths // PAGE)
        table = np.zeros((count, int(pages.max())), np.int32)
        part = Cache(lengths=lengths, indices=table)
        self.lengths, self.table = lengths, table
        self.ones = np.ones(count, np.int32)
        self.batch = BatchView(kernel._caches, self.ones, None, [part])
        capacity = saccade.Capacity(ctas=CTAS, fixed_grid=True)
        # Host-only plans touch no device, so any will do.
        device = _abi.DLDevice(_abi.CUDA, 0)
        self.plan = Plan(kernel, device, self.batch, capacity, _abi.HOST_ONLY, 0)
        if on_device:
            indices = self.batch.struct.caches[0].indices
            indices.contents.device.type = _abi.CUDA

    def call(self) -> None:
        struct = ctypes.byref(self.batch.struct)
        lib.saccade_plan_update(self.plan._handle, struct, 0)

    def update(self) -> None:
        self.plan.update(self.ones, kv_lens=self.lengths, page_table=self.table)


def measure(kernel, lengths: np.ndarray, rounds: int) -> dict:
    device, host = Planned(kernel, lengths, True), Planned(kernel, lengths, False)
    text = device.plan.describe()
    parts = re.search(r"(\d+) tiles in (\d+) parts", text)
    return {
        "requests": len(lengths),
        "keys": int(lengths.sum()),
        "call_us": microseconds(device.call, rounds),
        "call_host_table_us": microseconds(host.call, rounds),
        "python_host_table_us": microseconds(host.update, rounds),
        "imbalance": float(re.search(r"imbalance ([\d.e+-]+)", text)[1]),
        "tiles_cut": int(parts[1]) if parts else 0,
        "parts": int(parts[2]) if parts else 0,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--target", default="sm_90a")
    options.add_argument("--lengths", help="a file of two columns")
    options.add_argument("--rounds", type=int, default=1000)
    given = options.parse_args()
    kernel = saccade.compile(SPEC, target=given.target)
    manifest = json.loads(lib.saccade_module_manifest(kernel._module))
    entry = manifest["entries"][-1]
    figures = {
        "target": given.target,
        "ctas": CTAS,
        "splittable": "partial_floats" in entry,
        "rows": entry["rows_per_item"],
        "kv_tile": entry["kv_tile"],
        "host": {},
    }
    names = ["4096", "uniform", "zipf", "chat"] + (["file"] if given.lengths else [])
    for count in (64, 1024):
        for name in names:
            lengths = lengths_of(name, count, given.lengths)
            figures["host"][f"{count} x {name}"] = measure(
                kernel, lengths, given.rounds
            )
    results.write("plan", figures)


if __name__ == "__main__":
    main()
