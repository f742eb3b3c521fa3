# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The Python package on CUDA tensors: torch's current stream, no copies, graphs.
# Needs a GPU and torch; says so when it is skipped.
import pathlib
from random import Random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
saccade = pytest.importorskip("saccade")

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.skipif(
    saccade.cuda_device_count() == 0, reason="there is no GPU"
)


def paged(kv_lens, seed=3):
    """A decode batch on the GPU: kernel, plan, inputs."""
    torch.manual_seed(seed)
    kernel = saccade.compile(EXAMPLES / "llama3_decode.mlir", device="cuda")
    pages = max(1, max(-(-n // 16) for n in kv_lens))
    table = torch.randperm(len(kv_lens) * pages).reshape(len(kv_lens), pages).int()
    count = len(kv_lens)
    q = torch.randn(count, 32, 128, device="cuda", dtype=torch.bfloat16)
    shape = (table.numel(), 16, 8, 128)
    keys, values = (
        torch.randn(shape, device="cuda", dtype=torch.bfloat16) for _ in range(2)
    )
    return kernel, table, q, keys, values


def reference(kv_lens, table, q, keys, values):
    bits = [
        x.cpu().view(torch.int16).numpy().view(np.uint16) for x in (q, keys, values)
    ]
    return saccade.reference(
        EXAMPLES / "llama3_decode.mlir", bits[0], tuple(bits[1:]),
        q_lens=[1] * len(kv_lens), kv_lens=kv_lens, page_table=table,
    )  # fmt: skip


def close(got, want, limit=4e-3):
    got = got.double().cpu().numpy()
    assert np.linalg.norm(got - want) <= limit * np.linalg.norm(want)


TABLES = """
attn.variant @v(%bias: !attn.table<?x?x?x?xbf16>, %ids: !attn.table<?x?xi64>, %keep: !attn.table<?x?x?xi1>) {
  attn.logits(%s, request %r, head %h, query %q, key %k) {
    %b = attn.read %bias[%r, %h, %q, %k] : !attn.table<?x?x?x?xbf16>
    %y = arith.addf %s, %b : f32
    attn.yield %y : f32
  }
  attn.mask(request %r, head %h, query %q, key %k) {
    %a = attn.read %ids[%r, %q] : !attn.table<?x?xi64>
    %c = attn.read %ids[%r, %k] : !attn.table<?x?xi64>
    %same = arith.cmpi eq, %a, %c : i32
    %kept = attn.read %keep[%h, %q, %k] : !attn.table<?x?x?xi1>
    %both = arith.andi %same, %kept : i1
    attn.yield %both : i1
  }
}
attn.kernel @k(%q: !attn.dense<4x128xbf16>, %kv: !attn.dense<2x128xbf16>,
               %bias: !attn.table<?x?x?x?xbf16>, %ids: !attn.table<?x?xi64>, %keep: !attn.table<?x?x?xi1>) {
  %s = attn.attend @v(%bias, %ids, %keep : !attn.table<?x?x?x?xbf16>, !attn.table<?x?xi64>, !attn.table<?x?x?xi1>)
    %q, %kv : !attn.dense<4x128xbf16>, !attn.dense<2x128xbf16> -> !attn.state<4x128>
  %o = attn.finish @v(%bias, %ids, %keep : !attn.table<?x?x?x?xbf16>, !attn.table<?x?xi64>, !attn.table<?x?x?xi1>)
    %s : !attn.state<4x128> -> !attn.dense<4x128xbf16>
  attn.return %o : !attn.dense<4x128xbf16>
}
"""


@pytest.mark.parametrize("tokens", [1, 77, 300])
def test_tables_of_any_strides(tokens):
    """As pipelines of sm_90a read them, for many query rows and for few."""
    torch.manual_seed(tokens)
    batch, keys = 2, 300
    cuda = {"device": "cuda", "dtype": torch.bfloat16}
    q = torch.randn(batch, tokens, 4, 128, **cuda)
    k, v = (torch.randn(batch, keys, 2, 128, **cuda) for _ in range(2))
    bias = torch.randn(4, keys, keys + 3, **cuda)[:, :, 3:].transpose(1, 2)
    bias = bias.expand(batch, 4, keys, keys)
    ids = (torch.rand(batch, keys, device="cuda") < 0.02).cumsum(1)
    keep = torch.rand(4, keys, keys, device="cuda") < 0.6
    kernel = saccade.compile(TABLES, device="cuda")
    plan = kernel.plan([tokens] * batch, kv_lens=[keys] * batch)
    got = plan.run(q, (k, v), bias, ids, keep)

    at = slice(keys - tokens, keys)
    grouped = k.double().repeat_interleave(2, 2).permute(0, 2, 3, 1)
    score = q.double().transpose(1, 2) @ grouped / 128**0.5 + bias[:, :, at].double()
    mask = (ids[:, None, at, None] == ids[:, None, None]) & keep[None, :, at]
    weights = score.masked_fill(~mask, -torch.inf).softmax(-1).nan_to_num()
    want = weights @ v.double().repeat_interleave(2, 2).transpose(1, 2)
    close(got, want.transpose(1, 2).cpu().numpy())


MERGE = """
attn.variant @full() {}
attn.kernel @merge_states(%a: !attn.ragged<32x128xELEMENT>, %la: !attn.lse<32>,
                          %b: !attn.ragged<32x128xELEMENT>, %lb: !attn.lse<32>) {
  %s = attn.resume %a, %la : !attn.ragged<32x128xELEMENT>, !attn.lse<32> -> !attn.state<32x128>
  %t = attn.resume %b, %lb : !attn.ragged<32x128xELEMENT>, !attn.lse<32> -> !attn.state<32x128>
  %m = attn.merge %s, %t : !attn.state<32x128>
  %o, %lse = attn.finish @full() %m : !attn.state<32x128> -> !attn.ragged<32x128xbf16>, !attn.lse<32>
  attn.return %o, %lse : !attn.ragged<32x128xbf16>, !attn.lse<32>
}
"""


@pytest.mark.parametrize("element", ["bf16", "f16", "f32"])
def test_merges_outputs_of_any_origin(element):
    kinds = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
    torch.manual_seed(1)
    tokens = 1000
    a, b = (
        torch.randn(tokens, 32, 128, device="cuda", dtype=kinds[element])
        for _ in range(2)
    )
    la, lb = (3 * torch.randn(tokens, 32, device="cuda") for _ in range(2))
    la[:7], lb[5:9] = -torch.inf, -torch.inf
    a[:7] = torch.nan  # of an empty state, which does not count
    kernel = saccade.compile(MERGE.replace("ELEMENT", element), device="cuda")
    out = torch.empty(tokens, 32, 128, device="cuda", dtype=torch.bfloat16)
    lse = torch.empty(tokens, 32, device="cuda")
    kernel.plan([tokens]).run(a, la, b, lb, out=(out, lse))
    weights = torch.stack([la, lb]).double()
    want_lse = weights.logsumexp(0)
    shares = (weights - want_lse).exp().nan_to_num()[..., None]
    want = shares[0] * a.double().nan_to_num() + shares[1] * b.double()
    close(out, want.cpu().numpy())
    torch.testing.assert_close(lse.double(), want_lse, atol=1e-4, rtol=0)


def test_runs_on_the_current_stream():
    kv_lens = [70, 0, 16, 1]
    kernel, table, q, keys, values = paged(kv_lens)
    plan = kernel.plan([1] * 4, kv_lens=kv_lens, page_table=table)
    want, want_lse = reference(kv_lens, table, q, keys, values)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        late = torch.empty_like(q)
        torch.cuda._sleep(20_000_000)
        late.copy_(q)  # the kernel must come after this
        out, lse = kernel.run(plan, late, (keys, values))
    side.synchronize()
    assert out.is_cuda and out.dtype == torch.bfloat16
    close(out, want)
    np.testing.assert_allclose(lse.cpu().numpy(), want_lse, atol=1e-4)


def test_page_tables_on_the_device_are_used_in_place():
    kv_lens = [70, 3]
    kernel, table, q, keys, values = paged(kv_lens)
    plan = kernel.plan([1, 1], kv_lens=kv_lens, page_table=table.cuda())
    out, _ = kernel.run(plan, q, (keys, values))
    close(out, reference(kv_lens, table, q, keys, values)[0])


def test_page_ids_on_the_device_cannot_leave_the_cache():
    kv_lens = [70, 33]
    kernel, table, q, keys, values = paged(kv_lens)
    wild = table.clone()
    wild[0, 1], wild[1, 0], wild[1, 2] = 2**31 - 1, -(2**31), table.numel()
    plan = kernel.plan([1, 1], kv_lens=kv_lens, page_table=wild.cuda())
    out, _ = kernel.run(plan, q, (keys, values))
    tame = wild.clamp(0, table.numel() - 1)
    close(out, reference(kv_lens, tame, q, keys, values)[0])


def test_appends_to_wild_pages_are_dropped():
    kernel = saccade.compile(EXAMPLES / "append_attend.mlir", device="cuda")
    shape = (4, 16, 8, 128)
    keys, values = (
        torch.randn(shape, device="cuda", dtype=torch.bfloat16) for _ in range(2)
    )
    before = keys.clone(), values.clone()
    table = torch.tensor([[2**30, 1], [-5, 3]], dtype=torch.int32)
    plan = kernel.plan([3, 2], kv_lens=[16, 17], page_table=table.cuda())
    q = torch.randn(5, 32, 128, device="cuda", dtype=torch.bfloat16)
    new = [torch.randn(5, 8, 128, device="cuda", dtype=torch.bfloat16) for _ in "kv"]
    kernel.run(plan, q, *new, (keys, values))
    # Of five new tokens one lies in a page that exists: token 16 of request 1.
    for cache, old, rows in zip((keys, values), before, new, strict=True):
        old[3, 0] = rows[4]
        assert torch.equal(cache, old)


def test_a_captured_graph_replays_with_the_next_plan():
    kernel, table, q, keys, values = paged([90, 90])
    capacity = saccade.Capacity(requests=2, query_tokens=2, indices=16, fixed_grid=True)
    plan = kernel.plan([1, 1], kv_lens=[90, 90], page_table=table, capacity=capacity)
    out = torch.zeros_like(q), torch.zeros(2, 32, device="cuda")
    kernel.run(plan, q, (keys, values), out=out)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kernel.run(plan, q, (keys, values), out=out)
    for kv_lens in ([5, 90], [33, 1]):
        plan.update([1, 1], kv_lens=kv_lens, page_table=table)
        torch.cuda.synchronize()
        out[0].fill_(float("nan"))
        graph.replay()
        torch.cuda.synchronize()
        close(out[0], reference(kv_lens, table, q, keys, values)[0])


def random_lengths(random, requests, longest=700):
    """Lengths of all kinds: none, one, around pages and tiles, long."""
    special = [0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129]
    return [
        random.choice(special) if random.random() < 0.4 else random.randint(0, longest)
        for _ in range(requests)
    ]


def truth(kv_lens, table, q, keys, values):
    """In float32 on the GPU, request by request."""
    out = torch.zeros(len(kv_lens), 32, 128, device="cuda")
    for r, length in enumerate(kv_lens):
        if length == 0:
            continue
        pages = table[r, : -(-length // 16)].long().cuda()
        k, v = (x[pages].flatten(0, 1)[:length].float() for x in (keys, values))
        k, v = (x.repeat_interleave(4, 1) for x in (k, v))
        logits = torch.einsum("hd,khd->hk", q[r].float(), k) / 128**0.5
        out[r] = torch.einsum("hk,khd->hd", logits.softmax(-1), v)
    return out.cpu().numpy()


def test_a_captured_graph_replays_over_fifty_random_batches():
    random = Random(11)
    kernel, table, q, keys, values = paged([700] * 24)
    capacity = saccade.Capacity(
        requests=24, query_tokens=24, indices=table.numel(), fixed_grid=True
    )
    plan = kernel.plan(
        [1] * 24, kv_lens=[700] * 24, page_table=table, capacity=capacity
    )
    out = torch.zeros_like(q), torch.zeros(24, 32, device="cuda")
    kernel.run(plan, q, (keys, values), out=out)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kernel.run(plan, q, (keys, values), out=out)
    for _ in range(50):
        count = random.randint(1, 24)
        kv_lens = random_lengths(random, count)
        rows = table[torch.randperm(24)[:count]].contiguous()
        plan.update([1] * count, kv_lens=kv_lens, page_table=rows)
        out[0].fill_(float("nan"))
        graph.replay()
        torch.cuda.synchronize()
        close(out[0][:count], truth(kv_lens, rows, q, keys, values))
        assert torch.isnan(out[0][count:]).all()  # rows of no request


def test_plans_on_the_device_are_captured_with_their_runs():
    random = Random(12)
    kernel, table, q, keys, values = paged([700] * 24)
    capacity = saccade.Capacity(requests=24, query_tokens=24, on_device=True)
    plan = kernel.plan([0], kv_lens=[0], page_table=table[:1], capacity=capacity)
    lengths = torch.tensor([700] * 24, dtype=torch.int32, device="cuda")
    pages = table.cuda()
    out = torch.zeros_like(q), torch.zeros(24, 32, device="cuda")

    def step():
        plan.update_on_device(1, kv_lens=lengths, page_table=pages)
        kernel.run(plan, q, (keys, values), out=out)

    step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    for _ in range(20):
        kv_lens = random_lengths(random, 24)
        lengths.copy_(torch.tensor(kv_lens, dtype=torch.int32))
        pages.copy_(table[torch.randperm(24)])
        out[0].fill_(float("nan"))
        graph.replay()
        torch.cuda.synchronize()
        close(out[0], truth(kv_lens, pages, q, keys, values))
    plan.check()
    # A length beyond the table is cut, and found.
    lengths[3] = 10**6
    step()
    with pytest.raises(saccade.InvalidArgument, match="request 3"):
        plan.check()
    plan.check()


def test_checked_plans_find_wild_page_ids():
    kernel, table, q, keys, values = paged([90, 90])
    capacity = saccade.Capacity(checked=True)
    pages = table.cuda()
    plan = kernel.plan([1, 1], kv_lens=[90, 90], page_table=pages, capacity=capacity)
    kernel.run(plan, q, (keys, values))
    plan.check()
    pages[1, 2] = 10**6
    kernel.run(plan, q, (keys, values))
    with pytest.raises(saccade.InvalidArgument, match="page 2 of request 1"):
        plan.check()


def test_the_same_input_gives_the_same_bits():
    kv_lens = [333] * 5
    kernel, table, q, keys, values = paged(kv_lens)
    plan = kernel.plan([1] * 5, kv_lens=kv_lens, page_table=table)
    first = kernel.run(plan, q, (keys, values))[0].clone()
    for _ in range(10):
        assert torch.equal(kernel.run(plan, q, (keys, values))[0], first)


def test_tensors_elsewhere_are_refused():
    kernel, table, q, keys, values = paged([5])
    plan = kernel.plan([1], kv_lens=[5], page_table=table)
    with pytest.raises(saccade.InvalidArgument, match="'q'"):
        kernel.run(plan, q.cpu(), (keys, values), out=(q, q))
    cpu = saccade.compile(EXAMPLES / "llama3_decode.mlir", device="cpu")
    plan = cpu.plan([1], kv_lens=[5], page_table=table)
    with pytest.raises(saccade.InvalidArgument, match="'q'"):
        cpu.run(plan, q, (keys, values))


def test_explain_knows_registers():
    kernel = saccade.compile(EXAMPLES / "llama3_decode.mlir", device="cuda")
    entry = kernel.explain()["entries"][0]
    assert entry["registers"] > 0 and entry["blocks_per_processor"] > 0
