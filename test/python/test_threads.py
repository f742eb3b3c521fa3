# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Many threads that compile, plan and run at once."""

import threading

import numpy as np
import saccade
from test_attention import draw

SPEC = {
    "num_q_heads": 4, "num_kv_heads": 2, "head_dim": 16, "cache": "ragged",
    "dtype": "float32", "device": "cpu",
}  # fmt: skip


def together(work, count=8):
    """Calls work(i) in `count` threads that begin at once; raises what they raised."""
    begin, raised = threading.Barrier(count), []

    def one(i):
        begin.wait()
        try:
            work(i)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def test_plans_of_one_kernel():
    kernel = saccade.Attention(**SPEC, causal=True).kernel
    shared = draw(1, 40, 2, 16)[0], draw(1, 40, 2, 16, seed=1)[0]

    def work(seed):
        rng = np.random.default_rng(seed)
        q = draw(1, 5, 4, 16, seed=seed)[0]
        rows = q.swapaxes(0, 1)[None]
        for n in rng.integers(5, 40, 30):
            plan = kernel.plan([5], kv_lens=[int(n)])
            k, v = (x[:n] for x in shared)
            got = kernel.run(plan, q, (k, v), 0.25)
            want = saccade.attention(
                rows, k.swapaxes(0, 1)[None], v.swapaxes(0, 1)[None], causal=True
            )
            assert np.allclose(got.swapaxes(0, 1), want[0], atol=1e-5)

    together(work)


def test_kernels_of_many_kinds():
    q = draw(1, 2, 9, 16)
    kinds = [{"window": 3}, {"softcap": 0.7}, {"causal": True}, {"scale": 0.5}]
    kinds += [{"causal": True, "softcap": 0.7}, {"window": (2, 1), "return_lse": True}]
    found = [[] for _ in kinds]

    def work(seed):
        for i in np.random.default_rng(seed).permutation(len(kinds)):
            got = saccade.attention(q, q, q, **kinds[i])
            found[i].append(got if isinstance(got, tuple) else (got,))

    together(work)
    for results in found:
        for result in results:
            assert all(map(np.array_equal, result, results[0]))


def test_an_attention_for_each_thread():
    def work(seed):
        attend = saccade.Attention(**SPEC, causal=True, window=4 + seed % 2)
        for n in range(1, 20):
            kv = draw(1, n, 2, 16, seed=seed)[0]
            attend.plan([1], kv_lens=[n])
            q = draw(1, 1, 4, 16, seed=n)[0]
            out = attend.run(q, (kv, np.ones_like(kv)))
            assert np.allclose(out, 1, atol=1e-6)

    together(work)
