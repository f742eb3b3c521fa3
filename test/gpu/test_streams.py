# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Plans and runs go to the stream that a caller gives: behind a kernel there that takes
# its time, and not behind those of other streams.
import pytest

torch = pytest.importorskip("torch")
saccade = pytest.importorskip("saccade")
pytestmark = pytest.mark.skipif(
    saccade.cuda_device_count() == 0, reason="there is no GPU"
)


@pytest.mark.parametrize("given", [True, False])
def test_runs_go_to_the_stream_that_is_given(given):
    decode = saccade.Attention(
        num_q_heads=8, num_kv_heads=2, head_dim=64, page_size=16, device="cuda"
    )
    q = torch.randn(1, 8, 64, device="cuda", dtype=torch.bfloat16)
    pages = torch.randn(1, 2, 16, 2, 64, device="cuda", dtype=torch.bfloat16)
    out = torch.empty_like(q)
    side = torch.cuda.Stream()
    stream = side.cuda_stream if given else None

    def work(keys):
        decode.plan([1], kv_lens=[keys], page_table=[[0]], stream=stream)
        decode.run(q, pages, out=out, stream=stream)

    for keys in (9, 5):
        work(keys)
    torch.cuda.synchronize()
    want = out.clone()
    out.zero_()
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.current_stream() if given else side):
        torch.cuda._sleep(10**9)  # of the current stream
        work(5)
        if given:  # which is not waited for
            side.synchronize()
            assert not torch.cuda.current_stream().query()
            with torch.cuda.stream(side):
                assert out.equal(want)
        else:
            assert not side.query()
    torch.cuda.synchronize()
    assert out.equal(want)
