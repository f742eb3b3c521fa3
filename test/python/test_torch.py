# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch tensors: eager, under torch.compile and torch.export, in CUDA graphs."""

import pytest

torch = pytest.importorskip("torch")

import saccade  # noqa: E402
import saccade._torch_ops  # noqa: E402


def close(got, want):
    bound = 2e-2 if got.dtype in (torch.bfloat16, torch.float16) else 2e-5
    torch.testing.assert_close(got.float(), want.float(), rtol=bound, atol=bound)


def problem(device, queries=9, keys=9, heads=4, kv_heads=2, dim=64):
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, h, n, dim, generator=generator).to(device, dtype)
        for h, n in ((heads, queries), (kv_heads, keys), (kv_heads, keys))
    ]


def sdpa(q, k, v, **options):
    q, k, v = (x.float() for x in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(
        q, k, v, enable_gqa=True, **options
    )


def test_eager(device):
    q, k, v = problem(device)
    close(saccade.attention(q, k, v, causal=True), sdpa(q, k, v, is_causal=True))
    # Strides of [B, S, H, D] in, and out.
    swapped = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    out = saccade.attention(*swapped, causal=True)
    close(out, sdpa(q, k, v, is_causal=True))
    assert out.transpose(1, 2).is_contiguous()
    spread = [torch.stack([x, x], -1)[..., 0] for x in (q, k, v)]
    close(saccade.attention(*spread), sdpa(q, k, v))
    out, lse = saccade.attention(q, k, v, return_lse=True)
    assert out.dtype == q.dtype and lse.dtype == torch.float32
    assert lse.shape == q.shape[:3] and lse.device == q.device


def test_captured_tensors(device):
    q, k, v = problem(device)
    bias = torch.randn(4, 9, 9, generator=torch.Generator().manual_seed(1)).to(device)
    got = saccade.attention(q, k, v, score_mod=lambda s, b, h, i, j: s + bias[h, i, j])
    close(got, sdpa(q, k, v, attn_mask=bias))


@pytest.mark.parametrize("dynamic", [False, True])
def test_compile_keeps_attention_whole(device, dynamic):
    q, k, v = problem(device)

    def layer(q, k, v, window):
        out, lse = saccade.attention(
            q * 2, k, v, causal=True, window=window, return_lse=True
        )
        return out + 1, lse

    compiled = torch.compile(
        layer, fullgraph=True, dynamic=dynamic, backend="aot_eager"
    )
    for window in (3, 5):
        want = layer(q, k, v, window)
        got = compiled(q, k, v, window)
        torch.testing.assert_close(got[0], want[0])
        torch.testing.assert_close(got[1], want[1])


SHIFT = 0.25


def shifted(score, b, h, q_idx, kv_idx):
    return score + SHIFT * (q_idx - kv_idx)


def test_compile_with_a_function():
    q, k, v = problem("cpu")

    def layer(q, k, v):
        return saccade.attention(q, k, v, score_mod=shifted) * 2

    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(q, k, v), layer(q, k, v))


def test_export():
    class Layer(torch.nn.Module):
        def forward(self, q, k, v):
            return saccade.attention(q, k, v, causal=True, softcap=2.0)

    q, k, v = problem("cpu")
    program = torch.export.export(Layer(), (q, k, v))
    targets = [str(node.target) for node in program.graph.nodes]
    assert any("saccade.attention" in target for target in targets)
    torch.testing.assert_close(program.module()(q, k, v), Layer()(q, k, v))


def test_operators_are_well_formed():
    q, k, v = problem("cpu")
    nothing = (None,) * 5
    torch.library.opcheck(
        torch.ops.saccade.attention.default,
        (
            q,
            k,
            v,
            "BHSD",
            True,
            *nothing,
            None,
            "",
            None,
            None,
            None,
            None,
            True,
            False,
        ),
        test_utils=("test_schema", "test_faketensor"),
    )


def test_compiled_plan_and_run(device):
    q, k, v = problem(device)
    dtype = str(q.dtype).removeprefix("torch.")
    decode = saccade.Attention(
        num_q_heads=4, num_kv_heads=2, head_dim=64, page_size=4, causal=True,
        dtype=dtype, device=device,
    )  # fmt: skip
    pages = torch.randn(8, 2, 4, 2, 64).to(q)
    query = torch.randn(3, 4, 64).to(q)
    compiled = torch.compile(
        lambda q, kv: decode.run(q * 1, kv) + 1, fullgraph=True, backend="aot_eager"
    )
    for lengths in ([7, 9], [1, 12]):
        decode.plan(
            [1, 2],
            kv_lens=[n + 2 for n in lengths],
            page_table=[[0, 1, 2, 3], [4, 5, 6, 7]],
        )
        torch.testing.assert_close(compiled(query, pages), decode.run(query, pages) + 1)


def test_wrong_places():
    q, k, v = problem("cpu")
    with pytest.raises(saccade.InvalidArgument, match="requires_grad"):
        saccade.attention(q.requires_grad_(), k, v)
    with torch.no_grad():
        saccade.attention(q, k, v)
    q = q.detach()
    with pytest.raises(saccade.InvalidArgument, match="meta"):
        saccade.attention(q.to("meta"), k, v)
    if torch.cuda.is_available():
        with pytest.raises(saccade.InvalidArgument, match="one device"):
            saccade.attention(q.cuda(), k, v)


def test_graph(device):
    if device != "cuda":
        pytest.skip("CUDA graphs need a GPU")
    q, k, v = problem("cuda", queries=1, keys=40)
    want = saccade.attention(q, k, v, causal=True)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        saccade.attention(q, k, v, causal=True)  # plans for this stream
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        out = saccade.attention(q, k, v, causal=True)
    for n in range(100):  # other lengths, which must not take the graph's plan
        with torch.cuda.stream(stream):
            saccade.attention(q, k[:, :, : n % 39 + 1], v[:, :, : n % 39 + 1])
    graph.replay()
    torch.cuda.synchronize()
    torch.testing.assert_close(out, want)
    graph = torch.cuda.CUDAGraph()
    with pytest.raises(saccade.InvalidArgument, match="before the capture"):
        with torch.cuda.graph(graph, stream=stream):
            saccade.attention(q, k[:, :, :33], v[:, :, :33], causal=True)
