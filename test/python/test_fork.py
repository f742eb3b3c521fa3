# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Processes that fork after they have used the library."""

import os
import threading
import traceback

import numpy as np
import pytest
import saccade
from test_attention import draw


def in_child(work):
    """What work() says in a forked child; its traceback if it raises."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = str(work())
        except BaseException:
            said = traceback.format_exc()
        os.write(write, said.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        said = file.read()
    assert os.waitpid(child, 0)[1] == 0
    return said


def test_a_child_runs_and_compiles():
    q = draw(1, 2, 9, 16)
    want = saccade.attention(q, q, q, causal=True)

    def work():
        same = np.array_equal(saccade.attention(q, q, q, causal=True), want)
        other = saccade.attention(q, q, q, softcap=0.9, window=3)
        return same and np.isfinite(other).all()

    stop = threading.Event()

    def busy():  # so that locks are held when the process forks
        while not stop.is_set():
            saccade.attention(q, q, q, causal=True)

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            assert in_child(work) == "True"
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_cuda_is_refused_in_a_child(device):
    if device != "cuda":
        pytest.skip("needs a GPU")
    torch = pytest.importorskip("torch")
    q = torch.zeros(1, 2, 9, 64, device="cuda", dtype=torch.bfloat16)
    saccade.attention(q, q, q)
    decode = saccade.Attention(
        num_q_heads=2, num_kv_heads=2, head_dim=64, cache="ragged", device="cuda"
    )
    said = in_child(lambda: decode.plan([1], kv_lens=[9]))
    assert "saccade._abi.NoDevice: cuda: expects process" in said
