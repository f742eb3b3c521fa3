# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Streams of the caller's own: runs go to them, and a closed one is an error. In a
# process of its own, as a driver may take a closed stream badly.
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
saccade = pytest.importorskip("saccade")
pytestmark = pytest.mark.skipif(
    saccade.cuda_device_count() == 0, reason="there is no GPU"
)

CODE = """
import ctypes, torch, saccade
cuda = ctypes.CDLL("libcuda.so.1")
decode = saccade.Attention(
    num_q_heads=8, num_kv_heads=2, head_dim=64, page_size=16, device="cuda"
)
q = torch.randn(1, 8, 64, device="cuda", dtype=torch.bfloat16)
pages = torch.randn(1, 2, 16, 2, 64, device="cuda", dtype=torch.bfloat16)
decode.plan([1], kv_lens=[9], page_table=[[0]])
want = decode.run(q, pages)
torch.cuda.synchronize()
stream = ctypes.c_void_p()
assert cuda.cuStreamCreate(ctypes.byref(stream), 1) == 0
got = decode.run(q, pages, stream=stream.value)
assert cuda.cuStreamSynchronize(stream) == 0
assert got.equal(want)
assert cuda.cuStreamDestroy_v2(stream) == 0
for call in (
    lambda: decode.run(q, pages, stream=stream.value),
    lambda: decode.plan([1], kv_lens=[8], page_table=[[0]], stream=stream.value),
):
    try:
        call()
        print("nothing")
    except saccade.Error as error:
        print(type(error).__name__, error)
assert decode.run(q, pages).equal(want)  # the next one works again
"""


def test_a_closed_stream_is_refused():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stdout
    assert all(line.startswith("DriverError cuda: ") for line in lines), lines
