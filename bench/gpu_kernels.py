# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""GPU kernels: causal prefill beside PyTorch's scaled_dot_product_attention, and paged
decode, which it does not have. Times by CUDA events, in turn, on fresh random data."""

import pathlib
import statistics

import results
import saccade

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
PREFILL = """
attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}
attn.kernel @prefill(%q: !attn.dense<32x128xbf16, order = HND>,
                     %kv: !attn.dense<8x128xbf16, order = HND>) {
  %s = attn.attend @causal() %q, %kv : !attn.dense<32x128xbf16, order = HND>,
       !attn.dense<8x128xbf16, order = HND> -> !attn.state<32x128>
  %o = attn.finish @causal() %s
       : !attn.state<32x128> -> !attn.dense<32x128xbf16, order = HND>
  attn.return %o : !attn.dense<32x128xbf16, order = HND>
}
"""
PREFILLS = [(16, 1024), (4, 4096), (2, 8192), (1, 16384)]
DECODES = [
    (64, 4096, 16),
    (64, 4096, 1),
    (128, 512, 16),
    (16, 8192, 16),
    (1, 32768, 16),
]
ROUNDS = 15


def interleaved(torch, candidates):
    """Median milliseconds of each candidate, called in turn after two warm-ups."""
    times = {name: [] for name in candidates}
    for attempt in range(ROUNDS + 2):
        for name, call in candidates.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            call()
            end.record()
            end.synchronize()
            if attempt > 1:
                times[name].append(begin.elapsed_time(end))
    return {name: statistics.median(ms) for name, ms in times.items()}


def prefill(torch, batch, tokens):
    def random(heads):
        return torch.randn(
            batch, heads, tokens, 128, device="cuda", dtype=torch.bfloat16
        )

    q, k, v = random(32), random(8), random(8)
    kernel = saccade.compile(PREFILL, device="cuda")
    plan = kernel.plan([tokens] * batch, kv_lens=[tokens] * batch)
    out = torch.empty_like(q)
    attention = torch.nn.functional.scaled_dot_product_attention
    candidates = {
        "saccade": lambda: kernel.run(plan, q, (k, v), out=out),
        "torch": lambda: attention(q, k, v, is_causal=True, enable_gqa=True),
    }
    candidates["saccade"]()
    want = candidates["torch"]().float()
    error = ((out.float() - want).norm() / want.norm()).item()
    assert error < 1e-2, error
    ms = interleaved(torch, candidates)
    flops = 2 * batch * 32 * tokens * tokens * 128  # half of what no mask would be
    rate = {name: flops / value / 1e9 for name, value in ms.items()}
    return {"case": f"causal {batch} x {tokens}", "ms": ms, "tflops": rate}


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
    ms = interleaved(torch, {"saccade": lambda: kernel.run(plan, q, (k, v), out=out)})
    rate = {name: batch * tokens * 4096 / value / 1e9 for name, value in ms.items()}
    return {
        "case": f"decode {batch} x {tokens}, page {page}", "ms": ms, "tb_per_s": rate
    }  # fmt: skip


def main() -> None:
    try:
        import torch
    except ImportError:
        torch = None
    if torch is None or saccade.cuda_device_count() == 0:
        print("needs torch and a CUDA device: skipped")
        return
    torch.manual_seed(0)
    cases = [prefill(torch, *case) for case in PREFILLS]
    cases += [decode(torch, *case) for case in DECODES]
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
