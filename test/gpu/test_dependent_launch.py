# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Runs that begin while the run before still writes what they read: queries and new
# tokens. They give the bits of runs that wait. Needs a GPU of sm_90 or later and
# torch; says so when it is skipped.
import pathlib

import pytest

torch = pytest.importorskip("torch")
saccade = pytest.importorskip("saccade")

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.skipif(
    saccade.cuda_device_count() == 0 or torch.cuda.get_device_capability()[0] < 9,
    reason="there is no GPU that launches early",
)
LAYERS = 12


class Chain:
    """Layers of append_attend: of each the output is the next one's queries and new
    tokens, so every run reads what the one before writes last."""

    def __init__(self, kv_lens, tokens):
        torch.manual_seed(7)
        count = len(kv_lens)
        rows = count * tokens
        pages = max(-(-n // 16) for n in kv_lens)
        self.batch = {"kv_lens": kv_lens}
        table = torch.randperm(count * pages).reshape(count, pages)
        self.batch["page_table"] = table.int()
        self.tokens = [tokens] * count
        self.kernel = saccade.compile(
            EXAMPLES / "append_attend.mlir", device="cuda", query_tokens=tokens
        )

        def random(*shape):
            return torch.randn(shape, device="cuda", dtype=torch.bfloat16)

        self.q = random(rows, 32, 128)
        self.old = [random(2, count * pages, 16, 8, 128) for _ in range(LAYERS)]
        self.caches = [torch.empty_like(x) for x in self.old]
        self.outs = [torch.empty_like(self.q) for _ in range(LAYERS)]
        self.lses = torch.empty(LAYERS, rows, 32, device="cuda")

    def plan(self, dependent):
        capacity = saccade.Capacity(dependent_launch=dependent)
        return self.kernel.plan(self.tokens, **self.batch, capacity=capacity)

    def run(self, plan):
        x = self.q
        for layer, (keys, values) in enumerate(self.caches):
            out = self.outs[layer], self.lses[layer]
            self.kernel.run(plan, x, x[:, :8], x[:, 8:16], (keys, values), out=out)
            x = self.outs[layer]

    def results(self, run):
        for cache, old in zip(self.caches, self.old, strict=True):
            cache.copy_(old)
        for out in self.outs:
            out.fill_(7.0)
        self.lses.fill_(7.0)
        torch.cuda.synchronize()
        run()
        torch.cuda.synchronize()
        return [x.clone() for x in (*self.outs, self.lses, *self.caches)]


def same(xs, ys):
    return all(torch.equal(x, y) for x, y in zip(xs, ys, strict=True))


@pytest.mark.parametrize(
    ("kv_lens", "tokens"),
    [
        ([33, 1, 300, 4096, 17], 1),
        ([200 + 3 * i for i in range(64)], 1),
        ([20000], 1),
        ([5000, 40, 800], 3),
        ([700, 64, 130], 64),  # prefill
    ],
)
def test_a_chain_gives_the_same_bits(kv_lens, tokens):
    chain = Chain([max(n, tokens) for n in kv_lens], tokens)
    waiting, early = chain.plan(False), chain.plan(True)
    want = chain.results(lambda: chain.run(waiting))
    for _ in range(3):
        assert same(chain.results(lambda: chain.run(early)), want)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        chain.run(early)
    for _ in range(3):
        assert same(chain.results(graph.replay), want)


def test_a_plan_made_on_the_device_is_waited_for():
    torch.manual_seed(3)
    kernel = saccade.compile(EXAMPLES / "llama3_decode.mlir", device="cuda")
    table = torch.randperm(24 * 40).reshape(24, 40).int()
    keys, values = torch.randn(2, 960, 16, 8, 128, device="cuda").bfloat16()
    q = torch.randn(24, 32, 128, device="cuda").bfloat16()
    lengths = torch.zeros(24, dtype=torch.int32, device="cuda")
    pages = table.cuda()
    outs = [torch.empty_like(q) for _ in range(4)]
    lse = torch.empty(24, 32, device="cuda")

    def step(plan):
        plan.update_on_device(1, kv_lens=lengths, page_table=pages)
        x = q
        for out in outs:
            kernel.run(plan, x, (keys, values), out=(out, lse))
            x = out

    results = []
    for dependent in (False, True):
        capacity = saccade.Capacity(
            requests=24, query_tokens=24, on_device=True, dependent_launch=dependent
        )
        plan = kernel.plan([0], kv_lens=[0], page_table=table[:1], capacity=capacity)
        step(plan)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step(plan)
        found = []
        for scale in (1, 25, 7):
            lengths.copy_(scale * torch.arange(1, 25, dtype=torch.int32))
            for out in outs:
                out.fill_(float("nan"))
            torch.cuda.synchronize()
            graph.replay()
            torch.cuda.synchronize()
            found += [out.clone() for out in outs]
        results.append(found)
    assert not any(torch.isnan(x).any() for x in results[0])
    assert same(*results)
