# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Reads of attn.table for generated kernels: of any rank, entries and strides, by
# indices that are computed.
import numpy as np
from cases import ENTRIES


def strided(g, values):
    """The values in memory of a form that is drawn: plain, transposed, with holes,
    reversed, or with the first dimension repeated."""
    form = g.integers(5)
    if form == 1:
        return np.ascontiguousarray(values.T).T
    if form == 2:
        holes = np.zeros([2 * n for n in values.shape], values.dtype)
        view = holes[tuple(slice(None, None, 2) for _ in values.shape)]
        view[...] = values
        return view
    if form == 3:
        return np.ascontiguousarray(values[..., ::-1])[..., ::-1]
    if form == 4:
        return np.broadcast_to(values[:1], values.shape)
    return values


def places(b, rng, rank):
    """Indices, some computed, and the extents of what they name or, at times, less:
    reads are clamped."""
    names = rng.sample(["key", "query", "head", "request"], rank)
    if rng.random() < 0.5:
        names[-1] = "key"
    indices = [b.position(name) for name in names]
    at = rng.randrange(rank)
    indices[at] = rng.choice(
        [
            lambda i: i,
            lambda i: b.integer("divsi", i, b.i32(3)),
            lambda i: b.integer("subi", i, b.i32(2)),
            lambda i: b.integer("remsi", i, b.i32(7)),
        ]
    )(indices[at])
    heads, short = b.variant.heads, rng.random() < 0.2

    def extents(requests):
        longest = max([1, *(r.kv_len for r in requests)])
        size = {"key": longest, "query": longest, "head": heads}
        found = [size.get(name, max(1, len(requests))) for name in names]
        return [max(1, n // 2) if short else n for n in found]

    return indices, extents


def table_bias(b, rng, s):
    element = rng.choice(["f32", "bf16", "f16", "i8"])
    indices, extents = places(b, rng, rng.choice([1, 2, 2, 3, 4]))

    def table(g, requests):
        values = g.standard_normal(extents(requests)) * (3 if element == "i8" else 1)
        return strided(g, values.astype(ENTRIES[element]))

    text = f"!attn.table<{'?x' * len(indices)}{element}>"
    bias = b.read(text, table, *indices)
    return b.float("addf", s, b.to_float(bias) if element == "i8" else bias)


def table_mask(b, rng):
    element = rng.choice(["i1", "i1", "i64", "i32"])
    indices, extents = places(b, rng, rng.choice([1, 2, 2, 3]))

    def table(g, requests):
        truth = g.random(extents(requests)) < 0.7
        return strided(g, truth.astype(ENTRIES[element]))

    text = f"!attn.table<{'?x' * len(indices)}{element}>"
    entry = b.read(text, table, *indices)
    return entry if element == "i1" else b.compare("ne", entry, b.i32(0))
