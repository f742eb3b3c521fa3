# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Paged batches to measure: lengths, and the spec that states the attention. Nothing
here needs a GPU, or knows who computes them."""

import csv
import dataclasses
import itertools
import json
import pathlib
import random

DATA = pathlib.Path(__file__).parent / "data"
TYPES = {"bf16": ("bf16", 2), "e4m3": ("f8E4M3FN", 1)}  # in specs, and in bytes
SPEC = """attn.variant @causal() {{
  attn.mask(query %q, key %k) {{
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }}
}}
attn.kernel @paged(%q: {query}, %kv: {cache}){attributes} {{
  %s = attn.attend @causal() %q, %kv : {query}, {cache} -> !attn.state<{heads}x{dim}>
  %o = attn.finish @causal() %s : !attn.state<{heads}x{dim}> -> {query}
  attn.return %o : {query}
}}
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """Requests with `kv_lens` tokens in a paged cache, the last `q_lens` of which
    (default: one each) are queries. Queries and results are bf16; keys and values
    are what `dtype` says.

    floor: the least acceptable ratio to the best peer, L2 cleared before each launch.
    aim: of a launch in a CUDA graph, in TB/s; of mixed batches, in ms.
    """

    name: str
    kv_lens: tuple[int, ...]
    q_lens: tuple[int, ...] = ()
    page: int = 16
    heads: int = 32
    kv_heads: int = 8
    dim: int = 128
    dtype: str = "bf16"
    floor: float | None = None
    aim: float | None = None

    def __post_init__(self):
        if not self.q_lens:
            object.__setattr__(self, "q_lens", (1,) * len(self.kv_lens))

    @property
    def requests(self) -> int:
        return len(self.kv_lens)

    @property
    def pages(self) -> list[int]:
        """Of each request."""
        return [-(-tokens // self.page) for tokens in self.kv_lens]

    @property
    def q_indptr(self) -> list[int]:
        return list(itertools.accumulate(self.q_lens, initial=0))

    @property
    def page_indptr(self) -> list[int]:
        return list(itertools.accumulate(self.pages, initial=0))

    @property
    def last_page_lens(self) -> list[int]:
        return [(tokens - 1) % self.page + 1 for tokens in self.kv_lens]

    @property
    def page_elements(self) -> int:
        """Keys and values of a page."""
        return 2 * self.page * self.kv_heads * self.dim

    def kv_bytes(self) -> int:
        """Of keys and values, each read once."""
        return (
            2 * self.kv_heads * self.dim * TYPES[self.dtype][1] * sum(self.kv_lens)
        )  # fmt: skip

    def part(self, requests: slice) -> "Case":
        """The same kernel's batch of some of the requests."""
        return dataclasses.replace(
            self, kv_lens=self.kv_lens[requests], q_lens=self.q_lens[requests]
        )

    def spec(self, query_tokens: int | None = None) -> str:
        """query_tokens: what the spec says of the length of queries, if anything."""
        query = f"!attn.ragged<{self.heads}x{self.dim}xbf16>"
        element = TYPES[self.dtype][0]
        cache = f"!attn.paged<{self.kv_heads}x{self.dim}x{element}, page = {self.page}>"
        attributes = ""
        if query_tokens is not None:
            attributes = f"\n    attributes {{attn.query_tokens = {query_tokens}}}"
        return SPEC.format(
            query=query, cache=cache, attributes=attributes,
            heads=self.heads, dim=self.dim,
        )  # fmt: skip


#
# Lengths
#


def uniform(count: int, least: int, most: int, seed: int = 0) -> tuple[int, ...]:
    rng = random.Random(seed)
    return tuple(rng.randint(least, most) for _ in range(count))


def zipf(
    count: int, most: int, exponent: float = 0.75, seed: int = 0
) -> tuple[int, ...]:
    """`most` over rank to the `exponent`, in random order: of 128 with 32768 at most,
    the ten longest hold 37 % of 328,531 tokens."""
    lengths = [max(1, round(most / rank**exponent)) for rank in range(1, count + 1)]
    random.Random(seed).shuffle(lengths)
    return tuple(lengths)


def traced(folder: pathlib.Path, seed: int = 0) -> dict[str, Case]:
    """Batches of requests of real services, each at a random moment of its answer.
    Files that `folder` lacks are left out; bench/NOTES.md says what they are."""
    cases, rng = {}, random.Random(seed)

    def moments(requests, count):
        return tuple(
            prompt + rng.randint(1, max(1, answer))
            for prompt, answer in rng.sample(requests, count)
        )

    path = folder / "conversation.jsonl"
    if path.exists():
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        requests = [(row["input_length"], row["output_length"]) for row in rows]
        cases["conversation"] = Case(
            "64 of the Mooncake conversations", moments(requests, 64), floor=1.05
        )
    path = folder / "chat_lengths.csv"
    if path.exists():
        with path.open() as file:
            rows = list(csv.DictReader(file))
        requests = [
            (int(row["context_tokens"]), int(row["generated_tokens"])) for row in rows
        ]
        cases["chat"] = Case(
            "128 of the Azure chats", moments(requests, 128), floor=1.05
        )
    return cases


def _constant(requests: int, tokens: int, **more) -> Case:
    page = more.get("page", 16)
    name = f"{requests} x {tokens}" + (f", page {page}" if page != 16 else "")
    return Case(name, (tokens,) * requests, **more)


UNIFORM, ZIPF = uniform(64, 4096, 8192), zipf(128, 32768)


def _eight_bits(case: Case) -> Case:
    return dataclasses.replace(
        case, name=f"{case.name}, e4m3", dtype="e4m3", floor=1.15, aim=4.1
    )


TABLE = {
    "b64": _constant(64, 4096, floor=1.01, aim=4.35),
    "b128": _constant(128, 4096, floor=1.01, aim=4.35),
    "b64p1": _constant(64, 4096, page=1, floor=1.01, aim=4.35),
    "b128p1": _constant(128, 4096, page=1, floor=1.01, aim=4.35),
    "b16": _constant(16, 8192, floor=1.02, aim=4.2),
    "b1": _constant(1, 32768, floor=1.06, aim=3.5),
    "uniform": Case("64 x uniform 4096-8192", UNIFORM, floor=1.05, aim=4.4),
    "zipf": Case("128 x Zipf, most 32768", ZIPF, floor=1.15, aim=4.3),
    "short": _constant(128, 512, floor=1.05, aim=3.8),
}
TABLE |= {f"{key}_fp8": _eight_bits(TABLE[key]) for key in ("b64", "uniform", "zipf")}


def mixed(seed: int = 0) -> Case:
    """100 decodes of 2048 to 4096 tokens, then 2 chunks of 1024 on 4096."""
    return Case(
        "100 decodes of 2048-4096, 2 x (1024 on 4096)",
        uniform(100, 2048, 4096, seed) + (4096,) * 2, (1,) * 100 + (1024,) * 2,
        floor=1.2, aim=0.45,
    )  # fmt: skip


MIXED = {"mixed": mixed()}


def described(cases: dict[str, Case]) -> str:
    """What would be measured, for people."""
    lines = [f"{'case':14} {'requests':>8} {'queries':>7} {'KV tokens':>10} "
             f"{'longest':>8} {'GB':>6}  floor    aim"]  # fmt: skip
    for key, case in cases.items():
        lines.append(
            f"{key:14} {case.requests:8} {sum(case.q_lens):7} {sum(case.kv_lens):10} "
            f"{max(case.kv_lens):8} {case.kv_bytes() / 1e9:6.2f} "
            f"{case.floor or '-':>6} {case.aim or '-':>6}  {case.name}"
        )
    return "\n".join(lines)
