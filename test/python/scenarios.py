# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Batches for every example: run-time values small enough that windows, chunks and
# caps bite at test lengths, and lengths that meet every edge (nothing, one token,
# exact multiples of tiles and pages, odd ends).
import numpy as np
from cases import example, make_case, signature

EDGES = [0, 1, 2, 15, 16, 17, 63, 64, 65, 100, 127, 128, 129]


class Tree(list):
    """Visible keys of the draft tokens, one boolean array a request, and the tree
    that they come from: parents by request, -1 at a root."""

    def __init__(self, rng, requests):
        super().__init__()
        self.parents = []
        for request in requests:
            rows, keys = len(request.q), request.kv_len
            parents = [int(rng.integers(-1, row)) if row else -1 for row in range(rows)]
            visible = np.zeros((rows, keys), bool)
            for row in range(rows):
                first = keys - rows
                if parents[row] >= 0:
                    visible[row] = visible[parents[row]]
                else:
                    visible[row, : max(0, first)] = True
                if first + row >= 0:
                    visible[row, first + row] = True
            self.parents.append(parents)
            self.append(visible)


def documents(rng, requests):
    return [np.cumsum(rng.random(r.kv_len) < 0.05).astype(np.int32) for r in requests]


def prefixes(rng, requests):
    return np.array([rng.integers(0, r.kv_len + 1) for r in requests], np.int32)


VALUES = {
    "gemma2": {"scale": 144**-0.5, "cap": 2.0, "window": 37},
    "gpt_oss": {
        "window": 29,
        "sinks": lambda rng, _: rng.standard_normal(64, np.float32),
    },
    "bloom": {"slopes": 2.0 ** (-0.25 * np.arange(1, 33))},
    "streaming_llm": {"theta": 10000.0, "sinks": 4, "window": 40},
    "sigmoid": {"bias": -4.0},
    "speculative_tree": {"visible": Tree},
    "packed_documents": {"document": documents},
    "deepseek": {"scale": 0.1147},
    "prefix_lm": {"prefix": prefixes},
    "llama4_chunked": {"chunk": 48},
    "decode_fp8": {
        "key_scale": lambda rng, _: rng.uniform(0.2, 2, 8),
        "value_scale": lambda rng, _: rng.uniform(0.2, 2, 8),
    },
    "append_fp8": {"key_scale": 0.75, "value_scale": 1.5},
}

# Decoding: few new tokens over a longer sequence. Others prefill whole prompts.
DECODES = {
    "llama3_decode",
    "llama3_decode_page1",
    "speculative_tree",
    "append_attend",
    "append_fp8",
    "decode_fp8",
    "shared_prefix",
}
NAMES = sorted({"llama3_prefill", "encoder", "block_sparse", *DECODES, *VALUES})


def lengths(name, rng, requests=5, longest=200):
    """q_len and kv_len (one list a cache) of a batch."""
    sizes = np.where(
        rng.random(requests) < 0.6,
        rng.choice(EDGES, requests),
        rng.integers(0, longest, requests),
    )
    sizes = np.minimum(sizes, longest)
    _, _, caches = signature(example(name))
    kv_len = [list(map(int, sizes))]
    if name == "encoder":
        return list(map(int, rng.integers(0, longest, requests))), kv_len
    if name in DECODES:
        q_len = [int(rng.choice([0, 1, 1, 1, 2, 7])) for _ in sizes]
        if name.startswith("append"):
            q_len = [min(q, int(n)) for q, n in zip(q_len, sizes, strict=True)]
        for _ in caches[1:]:
            kv_len.append(
                [
                    max(q, int(n))
                    for q, n in zip(q_len, rng.choice(EDGES, requests), strict=True)
                ]
            )
        return q_len, kv_len
    chunked = rng.random(requests) < 0.5  # the newest part of a longer sequence
    q_len = [
        int(rng.integers(0, n + 1)) if c else int(n)
        for n, c in zip(sizes, chunked, strict=True)
    ]
    return q_len, kv_len


def scenario(name, seed=0, requests=5, longest=200):
    """A random case of an example."""
    rng = np.random.default_rng([seed, NAMES.index(name)])
    q_len, kv_len = lengths(name, rng, requests, longest)
    return make_case(
        example(name),
        q_len,
        kv_len,
        VALUES.get(name),
        seed=seed + 1,
        padding=int(rng.choice([0, 8])),
        form=int(rng.integers(4)),
        spread=float(rng.choice([1.0, 2.0])),
    )
