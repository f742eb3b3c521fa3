# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Paged decode on the GPU. Times by CUDA events, on fresh random data; prefill.py
measures prefill."""

import pathlib
import statistics

import results
import saccade

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
DECODES = [
    (64, 4096, 16),
    (64, 4096, 1),
    (128, 512, 16),
    (16, 8192, 16),
    (1, 32768, 16),
]
ROUNDS = 15


def median_ms(torch, call) -> float:
    """Of ROUNDS calls after two warm-ups."""
    times = []
    for attempt in range(ROUNDS + 2):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        if attempt > 1:
            times.append(begin.elapsed_time(end))
    return statistics.median(times)


def decode(torch, batch, tokens, page):
    name = "llama3_decode" if page == 16 else "llama3_decode_page1"
    kernel = saccade.compile(EXAMPLES / f"{name}.mlir", device="cuda")
    pages = tokens // page
    table = torch.randperm(batch * pages).reshape(batch, pages).int()
    q = torch.randn(batch, 32, 128, device="cuda", dtype=torch.bfloat16)
    k, v = (
        torch.randn(batch * pages, page, 8, 128, device="cuda", dtype=torch.bfloat16)
        for _ in range(2)
    )
    plan = kernel.plan([1] * batch, kv_lens=[tokens] * batch, page_table=table)
    out = torch.empty_like(q), torch.empty(batch, 32, device="cuda")
    ms = median_ms(torch, lambda: kernel.run(plan, q, (k, v), out=out))
    return {
        "case": f"decode {batch} x {tokens}, page {page}",
        "ms": {"saccade": ms},
        "tb_per_s": {"saccade": batch * tokens * 4096 / ms / 1e9},
    }


def main() -> None:
    try:
        import torch
    except ImportError:
        torch = None
    if torch is None or saccade.cuda_device_count() == 0:
        print("needs torch and a CUDA device: skipped")
        return
    torch.manual_seed(0)
    cases = [decode(torch, *case) for case in DECODES]
    results.write(
        "gpu_kernels",
        {
            "device": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "cases": cases,
        },
    )


if __name__ == "__main__":
    main()
