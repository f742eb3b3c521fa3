# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Paged batches on the device: one pool of random keys and values for all cases, page
sets in it that do not overlap, and a reference in single precision."""

import functools

# Offsets into the pool fit 32 bits: some peers compute them so.
POOL_ELEMENTS = 1 << 32
CHUNK = 1 << 27
SETS, SET_BYTES = 16, 7 << 30  # at most; what they cover is far beyond any L2


class Pool:
    """Random numbers of one type, seen as pages of any shape."""

    def __init__(self, torch, dtype, seed=0, elements=POOL_ELEMENTS, device="cuda"):
        self.torch, self.device = torch, device
        kinds = {"bf16": torch.bfloat16, "e4m3": torch.float8_e4m3fn}
        generator = torch.Generator(device).manual_seed(seed)
        self.numbers = torch.empty(elements, dtype=kinds[dtype], device=device)
        for first in range(0, elements, CHUNK):
            part = self.numbers[first : first + CHUNK]
            part.copy_(
                torch.randn(
                    part.shape, dtype=torch.bfloat16, device=device, generator=generator
                )
            )

    def pages(self, case):
        """[pages, 2, page, heads, dim]."""
        count = self.numbers.numel() // case.page_elements
        return self.numbers[: count * case.page_elements].view(
            count, 2, case.page, case.kv_heads, case.dim
        )


class Batch:
    """Inputs of a case. q: [tokens, heads, dim]. cache: keys and values of all pages.
    tables: int32, the pages of all requests one after another, for each set."""

    def __init__(self, torch, case, pool, seed=0, sets=None):
        self.torch, self.case, self.device = torch, case, pool.device
        self.dtype = pool.numbers.dtype
        generator = torch.Generator(pool.device).manual_seed(seed)
        self.q = torch.randn(
            (sum(case.q_lens), case.heads, case.dim),
            dtype=torch.bfloat16, device=pool.device, generator=generator,
        )  # fmt: skip
        self.cache = pool.pages(case)
        needed = sum(case.pages)
        fit = self.cache.shape[0] // needed
        if fit == 0:
            raise ValueError(
                f"expects {needed} pages, but the pool has {self.cache.shape[0]}"
            )
        if sets is None:
            sets = max(2, min(SETS, SET_BYTES // case.kv_bytes()))
        order = torch.randperm(
            self.cache.shape[0], device=pool.device, generator=generator
        )
        self.tables = [
            order[i * needed : (i + 1) * needed].int() for i in range(min(sets, fit))
        ]

    def int32(self, values):
        return self.torch.as_tensor(
            values, dtype=self.torch.int32, device=self.device
        )  # fmt: skip

    def rectangle(self, index: int):
        """A page table [requests, most pages], padded with a page that exists."""
        torch, pages = self.torch, self.int32(self.case.pages)
        columns = torch.arange(int(pages.max()), device=self.device)
        table = torch.zeros(
            (self.case.requests, columns.numel()),
            dtype=torch.int32, device=self.device,
        )  # fmt: skip
        table[columns < pages[:, None]] = self.tables[index]
        return table

    def empty(self):
        """Room for an output, of which no one can say that it was computed."""
        return self.torch.full_like(self.q, float("nan"))

    def _want(self, request: int):
        """[queries, heads, dim] of a request, f32, by the first set."""
        torch, case = self.torch, self.case
        indptr, tokens = case.page_indptr, case.kv_lens[request]
        ids = self.tables[0][indptr[request] : indptr[request + 1]].long()
        bits = self.cache.view({1: torch.uint8, 2: torch.int16}[self.dtype.itemsize])
        keys, values = (
            bits[ids, i].view(self.dtype).flatten(0, 1)[:tokens].float() for i in (0, 1)
        )
        begin, end = case.q_indptr[request : request + 2]
        queries = self.q[begin:end].float()
        queries = queries.view(end - begin, case.kv_heads, -1, case.dim)
        logits = torch.einsum("qhgd,khd->hgqk", queries, keys) * case.dim**-0.5
        if end - begin > 1:
            rows = torch.arange(end - begin, device=self.device)[:, None]
            columns = torch.arange(tokens, device=self.device)
            hidden = columns > rows + tokens - (end - begin)
            logits.masked_fill_(hidden, float("-inf"))
        weights = torch.softmax(logits, -1)
        return torch.einsum("hgqk,khd->qhgd", weights, values).flatten(1, 2)

    @functools.cached_property
    def wanted(self):
        return self.torch.cat([self._want(i) for i in range(self.case.requests)])

    def error(self, output) -> float:
        """Norm of the error over that of the reference, of the worst request."""
        torch, case = self.torch, self.case
        request = torch.repeat_interleave(
            torch.arange(case.requests, device=self.device),
            self.int32(case.q_lens).long(),
        )

        def squares(x):
            sums = torch.zeros(case.requests, device=self.device)
            return sums.index_add_(0, request, x.float().square().sum((1, 2)))

        worst = (squares(output.float() - self.wanted) / squares(self.wanted)).sqrt()
        return float("inf") if worst.isnan().any() else worst.max().item()
