# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Causal attention, 1 x 32 heads x 2048 x 128 in f32, beside PyTorch's
scaled_dot_product_attention on the same CPUs and the same memory."""

import argparse
import os

import numpy as np
import results
import saccade

SPEC = """
attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}
attn.kernel @prefill(%q: !attn.dense<32x128xf32, order = HND>,
                     %kv: !attn.dense<32x128xf32, order = HND>) {
  %s = attn.attend @causal() %q, %kv : !attn.dense<32x128xf32, order = HND>,
       !attn.dense<32x128xf32, order = HND> -> !attn.state<32x128>
  %o, %lse = attn.finish @causal() %s
       : !attn.state<32x128> -> !attn.dense<32x128xf32, order = HND>, !attn.lse<32>
  attn.return %o, %lse : !attn.dense<32x128xf32, order = HND>, !attn.lse<32>
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()

    tokens, threads = options.tokens, options.threads
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((1, 32, tokens, 128), np.float32) for _ in range(3))
    out = np.empty_like(q), np.empty((1, tokens, 32), np.float32)
    saccade.set_num_threads(threads)
    kernel = saccade.compile(SPEC, device="cpu")
    plan = kernel.plan([tokens], kv_lens=[tokens])
    candidates = {"saccade": lambda: kernel.run(plan, q, (k, v), out=out)}
    try:
        import torch
    except ImportError:
        print("torch is not installed: no comparison")
    else:
        torch.set_num_threads(threads)
        tensors = [torch.from_numpy(x) for x in (q, k, v)]
        attention = torch.nn.functional.scaled_dot_product_attention
        candidates["torch"] = lambda: attention(*tensors, is_causal=True)
        kernel.run(plan, q, (k, v), out=out)
        want = attention(*tensors, is_causal=True).numpy()
        error = np.linalg.norm(out[0] - want) / np.linalg.norm(want)
        assert error < 1e-5, error

    ms = results.interleaved(candidates, options.rounds)
    flops = 2 * 32 * 256 * tokens * (tokens + 1) / 2
    figures = {
        "case": f"causal 1 x 32 heads x {tokens} x 128, f32",
        "threads": threads,
        "ms": ms,
        "gflops": {name: flops / t / 1e6 for name, t in ms.items()},
    }
    if "torch" in ms:
        figures["saccade_over_torch"] = ms["saccade"] / ms["torch"]
    results.write("cpu_prefill", figures)


if __name__ == "__main__":
    main()
