# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a call costs beside the work, in Python: imports, first calls of a variant,
and the host's time of later ones on problems that the device finishes sooner."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import report
import results
import saccade
from saccade import _frame

try:
    import torch
except ImportError:
    torch = None

IMPORT = """
import time
begin = time.perf_counter()
import saccade
print(1e3 * (time.perf_counter() - begin))
"""
# The first call in a process also loads the library, and makes the CUDA context if
# torch has not: both are over before the clock starts, by a call of another variant.
FIRST = """
import sys, time
import saccade
if sys.argv[1] == "cuda":
    import torch
    q = torch.zeros(1, 32, 512, 128, device="cuda", dtype=torch.bfloat16)
else:
    import numpy as np
    q = np.zeros((1, 32, 64, 128), np.float32)
k = q[:, :8]
saccade.attention(q, k, k)
begin = time.perf_counter()
saccade.attention(q, k, k, causal=True, window=100, softcap=30.0)
if sys.argv[1] == "cuda":
    torch.cuda.synchronize()
print(1e3 * (time.perf_counter() - begin))
"""


def process(code: str, *arguments: str) -> float:
    """Median of what fresh processes print, each with an empty cache."""
    times = []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-c", code, *arguments],
                env={**os.environ, "SACCADE_CACHE_DIR": folder},
                capture_output=True, text=True, check=True,
            )  # fmt: skip
        times.append(json.loads(done.stdout))
    return statistics.median(times)


def microseconds(call, wait=lambda: None, count: int = 200, rounds: int = 20) -> float:
    """Of the host for one call: the best round, each begun with an idle device."""
    call()
    times = []
    for _ in range(rounds):
        wait()
        begin = time.perf_counter()
        for _ in range(count):
            call()
        times.append(1e6 * (time.perf_counter() - begin) / count)
    wait()
    return min(times)


def calls(device: str) -> dict:
    """Calls with arrays of a device: attention, a planned run, an update."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    dtype = "bfloat16" if device == "cuda" else "float32"

    def zeros(*shape):
        if torch is None:
            return np.zeros(shape, np.float32)
        return torch.zeros(shape, device=device, dtype=getattr(torch, dtype))

    q, k = zeros(1, 8, 1, 64), zeros(1, 2, 16, 64)
    decode = saccade.Attention(
        num_q_heads=8, num_kv_heads=2, head_dim=64, page_size=16, causal=True,
        dtype=dtype, device=device,
    )  # fmt: skip
    table = [[0]]
    decode.plan([1], kv_lens=[16], page_table=table)
    tokens, pages = q[:, :, 0], zeros(1, 2, 16, 2, 64)
    out = decode.run(tokens, pages)
    frame = decode.planned._frame
    return {
        "attention_us": microseconds(lambda: saccade.attention(q, k, k), wait),
        "attention_with_options_us": microseconds(
            lambda: saccade.attention(q, k, k, causal=True, window=9, softcap=2.0), wait
        ),
        "attention_with_mask_mod_us": microseconds(
            lambda: saccade.attention(q, k, k, mask_mod=lambda b, h, i, j: i >= j), wait
        ),
        "run_us": microseconds(lambda: decode.run(tokens, pages, out=out), wait),
        "run_in_c_us": microseconds(lambda: _frame.run_objects(frame.address), wait),
        "run_without_out_us": microseconds(lambda: decode.run(tokens, pages), wait),
        "plan_us": microseconds(
            lambda: decode.plan([1], kv_lens=[16], page_table=table), wait
        ),
    }


ROWS = {
    "attention_us": "`attention`, dense, one query",
    "attention_with_options_us": "the same, causal, with a window and a soft cap",
    "attention_with_mask_mod_us": "the same, with a lambda made anew",
    "run_us": "`Attention.run`, planned, `out=` given",
    "run_in_c_us": "`saccade_run_objects` of the C API, in that",
    "run_without_out_us": "`Attention.run`, planned",
    "plan_us": "`Attention.plan`, one request",
}


def page(figures: dict) -> str:
    """The section of docs/performance.md."""
    device = figures.get("device", figures["cpu"])
    rows = [
        [text, *(f"{figures[where][name]:.1f}" for where in ("calls_cuda", "calls_cpu") if where in figures)]
        for name, text in ROWS.items()
    ]  # fmt: skip
    head = ["microseconds of the host"]
    head += [name for where, name in (("calls_cuda", "GPU"), ("calls_cpu", "CPU, work included")) if where in figures]  # fmt: skip
    first = f"on the CPU {figures['first_call_cpu_ms']:.0f} ms"
    if "first_call_cuda_ms" in figures:
        first += f", on the GPU {figures['first_call_cuda_ms']:.0f} ms"
    return (
        f"\n## Calls from Python\n\n{device}, {figures['cpu']}, {figures['arrays']}, "
        f"{figures['date']}; `bench/call_overhead.py` makes all of it.\n\n"
        f"{report.markdown(head, rows)}\n"
        f"`import saccade` takes {figures['import_ms']:.0f} ms. The first call of a new "
        f"variant, compiled with an empty cache, takes {first}.\n"
    )


def main() -> None:
    if "--report" in sys.argv[1:]:
        print(report.place("calls", page(results.read("call_overhead")), report.DOCS))
        return
    figures = {
        "import_ms": process(IMPORT),
        "first_call_cpu_ms": process(FIRST, "cpu"),
        "arrays": "numpy" if torch is None else f"torch {torch.__version__}",
    }
    saccade.set_num_threads(1)
    figures["calls_cpu"] = calls("cpu")
    if torch is not None and torch.cuda.is_available():
        figures["device"] = torch.cuda.get_device_name()
        figures["first_call_cuda_ms"] = process(FIRST, "cuda")
        figures["calls_cuda"] = calls("cuda")
    results.write("call_overhead", figures)


if __name__ == "__main__":
    main()
