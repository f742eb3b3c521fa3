# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attentions to measure: shapes, the spec that states each of them, inputs on the
device and a reference in single precision. Nothing here knows who computes them."""

import dataclasses
import itertools

CAUSAL = """attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """`requests` of `q_len` new tokens on sequences of `kv_len` each, in bf16. Causal
    masks are aligned to the end. `block`, `density`: of block-sparse layouts.
    `floor`: the least acceptable ratio to the best peer."""

    name: str
    requests: int
    q_len: int
    kv_len: int
    heads: int = 32
    kv_heads: int = 8
    dim: int = 128
    value_dim: int = 128
    causal: bool = True
    layout: str = "dense"
    page: int = 0
    block: int = 128
    density: float = 0.0
    floor: float | None = None

    @property
    def blocks_a_row(self) -> int:
        return max(1, round(self.density * self.kv_len / self.block))

    def pairs(self) -> float:
        """Visible (query, key) pairs of a head; half of the square where a causal
        mask cuts one, as attention papers count."""
        if self.layout == "block_sparse":
            return self.requests * self.q_len * self.blocks_a_row * self.block
        square = self.q_len * self.kv_len
        if not self.causal:
            return self.requests * square
        if self.q_len == self.kv_len:
            return self.requests * square / 2
        return self.requests * (square - self.q_len * (self.q_len - 1) / 2)

    def flops(self) -> float:
        return 2 * self.heads * (self.dim + self.value_dim) * self.pairs()

    def spec(self) -> str:
        rows = "dense" if self.layout == "dense" else "ragged"
        query = f"!attn.{rows}<{self.heads}x{self.dim}xbf16>"
        output = f"!attn.{rows}<{self.heads}x{self.value_dim}xbf16>"
        more = ""
        if self.value_dim != self.dim:
            more += f", value = {self.value_dim}"
        if self.layout == "paged":
            more += f", page = {self.page}"
        if self.layout == "block_sparse":
            more += f", block = {self.block}x{self.block}"
        cache = f"!attn.{self.layout}<{self.kv_heads}x{self.dim}xbf16{more}>"
        state = f"!attn.state<{self.heads}x{self.value_dim}>"
        name = "causal" if self.causal else "full"
        variant = CAUSAL if self.causal else "attn.variant @full() {}\n"
        return f"""{variant}attn.kernel @prefill(%q: {query}, %kv: {cache})
    attributes {{attn.query_tokens = {self.q_len}}} {{
  %s = attn.attend @{name}() %q, %kv : {query}, {cache} -> {state}
  %o = attn.finish @{name}() %s : {state} -> {output}
  attn.return %o : {output}
}}
"""


def _dense(name, requests, tokens, floor, **more):
    return Case(name, requests, tokens, tokens, floor=floor, **more)


def _chunk(page, floor):
    return Case(
        f"chunked 16 x (512 on 4608), page {page}", 16, 512, 4608,
        layout="paged", page=page, floor=floor,
    )  # fmt: skip


def _sparse(density, floor=1.15):
    return Case(
        f"block sparse 128 x 128 of 16384, {density} kept", 1, 16384, 16384,
        kv_heads=32, causal=False, layout="block_sparse", density=density, floor=floor,
    )  # fmt: skip


TABLE = {
    "c1k": _dense("causal 16 x 1024", 16, 1024, 1.05),
    "c4k": _dense("causal 4 x 4096", 4, 4096, 1.05),
    "c8k": _dense("causal 2 x 8192", 2, 8192, 1.05),
    "c16k": _dense("causal 1 x 16384", 1, 16384, 1.05),
    "f8k": _dense("full 2 x 8192", 2, 8192, 1.05, causal=False),
    "d64": _dense("causal 4 x 4096, dim 64", 4, 4096, 1.1, dim=64, value_dim=64),
    "d256": _dense(
        "causal 2 x 8192, dim 256, 16/16 heads", 2, 8192, 1.0,
        heads=16, kv_heads=16, dim=256, value_dim=256,
    ),
    "d192": _dense(
        "causal 2 x 8192, dims 192/128, 32/32 heads", 2, 8192, 1.0,
        kv_heads=32, dim=192,
    ),
    "p16": _chunk(16, 1.2),
    "p1": _chunk(1, 1.08),
    "s11": _sparse(0.11),
    "s31": _sparse(0.31),
}  # fmt: skip


def random_cases(count: int, rng) -> dict[str, Case]:
    """Shapes drawn by a random.Random, each of 10 GFLOP to 2 TFLOP."""
    cases: dict[str, Case] = {}
    while len(cases) < count:
        dim = rng.choice([64, 96, 128, 128, 128, 192, 256])
        kv_heads = rng.choice([1, 2, 4, 8, 16])
        layout = rng.choice(["dense", "dense", "ragged", "paged"])
        kv_len = round(2 ** rng.uniform(7, 15))
        q_len = kv_len
        if layout == "paged" or rng.random() < 0.2:
            q_len = max(16, round(kv_len * rng.uniform(0.02, 1)))
        case = Case(
            "", round(2 ** rng.uniform(0, 5)), q_len, kv_len,
            heads=kv_heads * rng.choice([1, 1, 2, 4, 8]), kv_heads=kv_heads, dim=dim,
            value_dim=128 if dim == 192 else dim, causal=rng.random() < 0.75,
            layout=layout, page=rng.choice([1, 3, 16, 64]) if layout == "paged" else 0,
        )  # fmt: skip
        cached = case.requests * kv_len * kv_heads * (case.dim + case.value_dim)
        if not 1e10 <= case.flops() <= 2e12 or cached > 2**31 or case.heads > 64:
            continue
        mask = "causal" if case.causal else "full"
        dims = f"{dim}" if dim == case.value_dim else f"{dim}/{case.value_dim}"
        place = f"page {case.page}" if case.page else layout
        name = (
            f"{mask} {case.requests} x ({q_len} on {kv_len}), "
            f"{case.heads}/{kv_heads} x {dims}, {place}"
        )
        cases[f"r{len(cases)}"] = dataclasses.replace(case, name=name)
    return cases


class Batch:
    """Inputs of a case on the device. Queries and the output are [tokens, heads,
    dim]; so are keys and values, but for pages: [pages, page, heads, dim], shuffled."""

    def __init__(self, torch, case: Case, seed: int = 0, device: str = "cuda"):
        self.torch, self.case, self.device = torch, case, device
        generator = torch.Generator(device).manual_seed(seed)
        host = torch.Generator("cpu").manual_seed(seed)

        def random(*shape):
            return torch.randn(
                shape, device=device, dtype=torch.bfloat16, generator=generator
            )

        tokens = case.requests * case.q_len
        self.q = random(tokens, case.heads, case.dim)
        self.q_indptr = [case.q_len * i for i in range(case.requests + 1)]
        self.kv_indptr = [case.kv_len * i for i in range(case.requests + 1)]
        self.table = self.block_rows = self.blocks = None
        if case.layout == "paged":
            pages = -(-case.kv_len // case.page)
            order = torch.randperm(case.requests * pages, generator=host)
            self.table = order.reshape(case.requests, pages).int()
            rows = (case.requests * pages, case.page)
        else:
            rows = (case.requests * case.kv_len,)
        self.k = random(*rows, case.kv_heads, case.dim)
        self.v = random(*rows, case.kv_heads, case.value_dim)
        if case.layout == "block_sparse":
            columns, chosen = -(-case.kv_len // case.block), case.blocks_a_row
            count = case.requests * -(-case.q_len // case.block)
            self.blocks = torch.stack(
                [
                    torch.randperm(columns, generator=host)[:chosen].sort().values
                    for _ in range(count)
                ]
            ).int()
            self.block_rows = (torch.arange(count + 1) * chosen).int()

    def empty(self):
        """Room for an output, of which no one can say that it was computed."""
        shape = (*self.q.shape[:2], self.case.value_dim)
        return self.torch.full(
            shape, float("nan"), dtype=self.q.dtype, device=self.device
        )

    def by_request(self, x):
        """[requests, tokens, heads, dim]."""
        return x.view(self.case.requests, -1, *x.shape[-2:])

    def rows_of(self, x, request: int, head: int):
        """Keys or values of a request and a KV head: [kv_len, dim], f32."""
        case = self.case
        if case.layout == "paged":
            pages = x[self.table[request].to(x.device).long(), :, head]
            return pages.flatten(0, 1)[: case.kv_len].float()
        begin = self.kv_indptr[request]
        return x[begin : begin + case.kv_len, head].float()

    def mask(self, first: int, count: int):
        """[count, kv_len]: what rows from `first` on of request 0 see; else None."""
        torch, case = self.torch, self.case
        if case.layout == "block_sparse":
            seen = torch.zeros(count, case.kv_len, dtype=torch.bool)
            for i in range(count):
                for block in self.blocks[(first + i) // case.block].tolist():
                    seen[i, block * case.block : (block + 1) * case.block] = True
            return seen.to(self.device)
        if not case.causal:
            return None
        rows = torch.arange(first, first + count, device=self.device)[:, None]
        columns = torch.arange(case.kv_len, device=self.device)
        return columns <= rows + (case.kv_len - case.q_len)

    def error(self, output) -> float:
        """Norm of the error over that of the reference, the worst of slices of 64 rows
        in single precision: first, middle and last rows, first and last heads and
        requests."""
        torch, case, worst = self.torch, self.case, 0.0
        rows = min(64, case.q_len)
        firsts = {0, (case.q_len - rows) // 2, case.q_len - rows}
        requests = {0} if case.layout == "block_sparse" else {0, case.requests - 1}
        group = case.heads // case.kv_heads
        for request, head, first in itertools.product(
            requests, {0, case.heads - 1}, firsts
        ):
            begin = self.q_indptr[request] + first
            at = slice(begin, begin + rows)
            logits = (
                self.q[at, head].float()
                @ self.rows_of(self.k, request, head // group).T
            )
            logits *= case.dim**-0.5
            seen = self.mask(first, rows)
            if seen is not None:
                logits.masked_fill_(~seen, float("-inf"))
            weights = torch.softmax(logits, -1)
            want = weights @ self.rows_of(self.v, request, head // group)
            got = output[at, head].float()
            error = ((got - want).norm() / want.norm()).item()
            worst = max(worst, error if error == error else float("inf"))
        return worst
