# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Traced functions beside torch's own evaluation of them, and all that they capture."""

import dataclasses
import enum
import functools
import math
import sys
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import saccade  # noqa: E402
from saccade._trace import fingerprint  # noqa: E402

BATCH, HEADS, QUERIES, KEYS = 2, 3, 9, 21


def draw(heads_and_tokens, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(BATCH, *heads_and_tokens, 16, generator=generator)


def evaluate(function, *first):
    """The function at all places, one at a time, as torch's vmap calls it."""
    lead = (0,) * len(first)
    for dims in (
        (None, None, None, 0),
        (None, None, 0, None),
        (None, 0, None, None),
        (0, None, None, None),
    ):
        function = torch.vmap(function, in_dims=lead + dims)
    places = [torch.arange(n, dtype=torch.int32) for n in (BATCH, HEADS, QUERIES, KEYS)]
    got = function(*first, *places)
    return got.broadcast_to(BATCH, HEADS, QUERIES, KEYS)


def agree(score_mod=None, mask_mod=None):
    """The LSE of scores tells them all apart; masks are seen in it too."""
    q, k, v = draw((HEADS, QUERIES), 0), draw((HEADS, KEYS), 1), draw((HEADS, KEYS), 2)
    scores = q @ k.mT / 4
    if score_mod is not None:
        scores = evaluate(score_mod, scores).float()
    if mask_mod is not None:
        scores = torch.where(evaluate(mask_mod).bool(), scores, -math.inf)
    want = torch.logsumexp(scores, -1)
    _, got = saccade.flex_attention(q, k, v, score_mod, mask_mod, return_lse=True)
    torch.testing.assert_close(got, want, rtol=2e-4, atol=2e-4)


UNARY = """exp exp2 sin cos tanh sigmoid relu floor ceil sign abs neg square trunc frac
    sinh cosh tan rsqrt sqrt log log2 log10 reciprocal isfinite""".split()


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_a_score(name):
    function = getattr(torch, name)
    if name in ("rsqrt", "sqrt", "log", "log2", "log10", "reciprocal"):
        agree(lambda s, b, h, i, j: function(s * s + 0.1))
    else:
        agree(lambda s, b, h, i, j: function(s * 0.5) * 1.0)


n, m = 5, -3
SCORES = {
    "powers": lambda s, b, h, i, j: s**2 + s**3 + s**5 * 0.1 + s**0 + i**3 * 1e-3,
    "roots": lambda s, b, h, i, j: s.abs() ** 0.5 + 2 ** (-s) + 0.5 ** (j - i).abs(),
    "alibi": lambda s, b, h, i, j: s + torch.exp2(-((h + 1) * 8.0 / HEADS)) * (j - i),
    "floor division": lambda s, b, h, i, j: s + (i - j) // n + (i - j) // m + j // 4,
    "remainder": lambda s, b, h, i, j: s + (i - j) % n + (i - j) % m + j % 4,
    "remainder of constants": lambda s, b, h, i, j: (
        s + (i - j) % 7 + (i - j) % -7 + 100 // (j + 1) + 100 % (j + 1)
    ),
    "float division": lambda s, b, h, i, j: s // 0.3 + s % 0.7 + s % -0.7 + (i - j) / n,
    "division modes": lambda s, b, h, i, j: (
        torch.div(i - j, n, rounding_mode="trunc")
        + torch.div(s, 0.3, rounding_mode="trunc")
        + torch.div(i - j, n, rounding_mode="floor")
        + torch.fmod(s, 0.7)
        + torch.fmod(i - j, 3)
    ),
    "bits": lambda s, b, h, i, j: (
        s + (i << 2) + ((i - j) >> 1) + (i & j) + (i | 3) + (i ^ j) + ~i
    ),
    "where": lambda s, b, h, i, j: torch.where(i >= j, s, -float("inf")),
    "where of a score": lambda s, b, h, i, j: s.where(i < j, -1e4),
    "masked_fill": lambda s, b, h, i, j: s.masked_fill(i < j, -math.inf),
    "extremes": lambda s, b, h, i, j: (
        torch.minimum(s, torch.maximum(i - j, torch.tensor(0)) * 1.0)
        + torch.clamp(s, -1, 1)
        + s.clamp(max=0.5)
        + (i - j).clamp(min=-1.5)
        + torch.max(i, j)
    ),
    "constants": lambda s, b, h, i, j: (
        s
        + torch.tensor(0.5)
        + torch.full_like(s, 2.0)
        + torch.zeros_like(s)
        + torch.ones_like(i)
        + s.new_full((), 2.0)
    ),
    "types": lambda s, b, h, i, j: (
        (i - j).to(torch.float32)
        + (i > j).to(s.dtype)
        + s.to(torch.int32)
        + (i > j).int()
        + s.bool()
        + i.type_as(s)
    ),
    "sums of truth values": lambda s, b, h, i, j: (
        s + ((i > j) + (i > 3)) * 1.0 + (i > j) * (i > 3) + (i > j) * 2
    ),
    "logic": lambda s, b, h, i, j: torch.where(
        torch.logical_and(i > j, torch.logical_not(j > 3))
        | torch.logical_xor(i > 1, j > 1)
        | torch.logical_or(i > 5, j > 8),
        s,
        s * 2,
    ),
    "nn.functional": lambda s, b, h, i, j: (
        torch.nn.functional.relu(s)
        + torch.nn.functional.silu(s)
        + torch.nn.functional.softplus(s)
    ),
    "combinations": lambda s, b, h, i, j: (
        torch.lerp(s, s * 2, 0.5)
        + torch.addcmul(s, s, s, value=0.5)
        + torch.add(s, i - j, alpha=0.1)
    ),
    "attributes": lambda s, b, h, i, j: (
        s + torch.tensor(1.0, dtype=s.dtype) if s.shape == () and s.ndim == 0 else s
    ),
}


@pytest.mark.parametrize("name", SCORES)
def test_scores(name):
    agree(SCORES[name])


CAUSAL_SCORES = {
    "where": lambda s, b, h, i, j: torch.where(i >= j, s, -math.inf),
    "where not": lambda s, b, h, i, j: torch.where(i < j, -math.inf, s * 2),
    "method": lambda s, b, h, i, j: s.masked_fill(i < j, -math.inf),
    "sum": lambda s, b, h, i, j: torch.where(i >= j, 0.0, -math.inf) + s,
    "sum of more": lambda s, b, h, i, j: s + torch.where(i < j, -math.inf, 3.0),
    "twice": lambda s, b, h, i, j: torch.where(
        i >= j, s + torch.where(h > 0, 0.0, -math.inf), -math.inf
    ),
}


@pytest.mark.parametrize("name", CAUSAL_SCORES)
def test_scores_of_minus_infinity_are_masks(name):
    text = str(saccade.trace(CAUSAL_SCORES[name]))
    assert "attn.mask(" in text and "arith.select" not in text
    agree(CAUSAL_SCORES[name], None if name == "twice" else lambda b, h, i, j: j < 15)


def test_scores_that_decide_themselves_are_no_masks():
    assert "attn.mask(" not in str(
        saccade.trace(lambda s, b, h, i, j: torch.where(s > 0, s, -math.inf))
    )


lengths = torch.tensor([[5, 7, 9], [3, 20, 21]])
offsets, limit, flag = torch.tensor([3, 5]), torch.tensor(4), torch.tensor(True)
MASKS = {
    "chained": lambda b, h, i, j: (i >= j) & (i - j < n) | (j < 2) & ~(h == 1),
    "of truth values": lambda b, h, i, j: ((i > j) == (h > 0)) ^ ((i > j) <= (b > 0)),
    "an integer": lambda b, h, i, j: (i - j) % 3,
    "functions": lambda b, h, i, j: (
        torch.eq(i // 4, j // 4) | torch.ge(i, j) & torch.lt(j, 5) | torch.ne(i, 3)
    ),
    "numbers in tensors": lambda b, h, i, j: (i - j < limit) & flag | (j < int(limit)),
    "control flow on a tensor": lambda b, h, i, j: i >= j if flag else i < j,
    "item": lambda b, h, i, j: j < limit.item() + 1,
    "entries": lambda b, h, i, j: (j < lengths[b, h])
    | (j < lengths[b][h] - offsets[b]),
    "negative indices": lambda b, h, i, j: (
        (j < lengths[-1, h]) & (j < offsets[b - 1]) | (j > offsets[-1] + 7)
    ),
    "slices": lambda b, h, i, j: (j < lengths[..., 0][b]) | (j == lengths[:, 1][b]),
    "extents": lambda b, h, i, j: j < lengths.shape[1] + lengths.size(0) * len(offsets),
    "computed indices": lambda b, h, i, j: j < offsets[(b + i) % 2],
}


@pytest.mark.parametrize("name", MASKS)
def test_masks(name):
    agree(mask_mod=MASKS[name])


class Mode(enum.Enum):
    NEAR = 1
    CAUSAL = 2


@dataclasses.dataclass
class Config:
    window: int = 4
    mode: Mode = Mode.NEAR


class Defaults:
    WINDOW = 3


class Window:
    def __init__(self, size):
        self.size = size

    def __call__(self, b, h, i, j):
        return self.within(i - j)

    def within(self, distance, more=1):
        return distance < self.size + more


class Documents(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("document", torch.arange(KEYS) // 3)
        self.order = Order()

    def forward(self, b, h, i, j):
        return (self.document[i] == self.document[j]) | self.order(i, j)


class Order(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rank = torch.nn.Parameter(torch.arange(KEYS).float())

    def forward(self, i, j):
        return self.rank[i] > self.rank[j] + 4


config, table = Config(), torch.arange(KEYS)
options = {"window": 3, "mode": "near"}
number: object = 5
constants = types.ModuleType("constants_of_a_test")
constants.WINDOW = 4


def by_config(b, h, i, j):
    return i - j < config.window if config.mode is Mode.NEAR else i >= j


def by_options(b, h, i, j):
    return i - j < options["window"] if options["mode"] == "near" else i >= j


def by_number(b, h, i, j):
    return (lambda x: x if number is None else x - number)(i - j) < 2


def test_what_is_named_is_looked_at_in_every_call(monkeypatch):
    """Wherever a value lies, the next call sees its change."""
    here = sys.modules[__name__]
    for mask in (by_config, by_options, by_number):
        agree(mask_mod=mask)
    first, _ = fingerprint(None, by_config)
    monkeypatch.setattr(config, "window", 7)
    assert fingerprint(None, by_config) == (first, [7])
    monkeypatch.setitem(options, "window", 6)
    for value in (2, 3.5, None, True, np.int64(4)):
        monkeypatch.setattr(here, "number", value)
        agree(mask_mod=by_number)
    for mask in (by_config, by_options):
        agree(mask_mod=mask)
    monkeypatch.setattr(config, "mode", Mode.CAUSAL)
    monkeypatch.setitem(options, "mode", "causal")
    for mask in (by_config, by_options):
        agree(mask_mod=mask)

    def by_names(b, h, i, j):
        near = i - j < constants.WINDOW + Defaults.WINDOW
        return near & (table[i] - table[j] < 4)

    agree(mask_mod=by_names)
    monkeypatch.setattr(constants, "WINDOW", 1)
    agree(mask_mod=by_names)
    monkeypatch.setattr(Defaults, "WINDOW", 1)
    agree(mask_mod=by_names)
    for changed in (table // 2, table.float(), table.numpy()[::-1].copy() // 4):
        monkeypatch.setattr(here, "table", torch.as_tensor(changed))
        agree(mask_mod=by_names)


def test_objects_that_are_called():
    window = Window(3)
    for mask in (window, window.__call__, functools.partial(window)):
        agree(mask_mod=mask)
    window.size = 6
    agree(mask_mod=window)
    documents = Documents()
    with torch.no_grad():
        agree(mask_mod=documents)
        documents.document = torch.arange(KEYS) // 5
        documents.order.rank.neg_()
        agree(mask_mod=documents)
    with pytest.raises(saccade.InvalidArgument, match="'rank', which requires_grad"):
        agree(mask_mod=documents)


def test_values_of_all_kinds():
    half, off, many = np.float32(2.5), np.bool_(False), list(range(100))
    for mask in (
        lambda b, h, i, j: i - j < half,
        lambda b, h, i, j, w=(2, (3.5,), None): i - j < w[0] + w[1][0],
        lambda b, h, i, j, *, w=4: i - j < w,
        lambda b, h, i, j, f=(torch.ge, torch.maximum): f[0](i, j) | (f[1](i, j) < 6),
        lambda b, h, i, j: i - j < many[5],
        lambda b, h, i, j, w=16: i - j < math.sqrt(w),
        lambda b, h, i, j, w=3, x=5: i - j < max(w, x),
        lambda b, h, i, j: i >= j if off else i <= j,
    ):
        agree(mask_mod=mask)


def test_masks_of_transformers():
    masks = pytest.importorskip("transformers.masking_utils")
    padding = torch.ones(BATCH, KEYS, dtype=torch.bool)
    padding[0, :3], padding[1, -2:] = False, False
    left = torch.tensor([3, 0])
    packed = torch.arange(KEYS).repeat(BATCH, 1) // torch.tensor([[5], [7]])
    places = torch.arange(KEYS).repeat(BATCH, 1) % torch.tensor([[5], [7]])
    causal = masks.causal_mask_function
    for mask in (
        causal,
        masks.bidirectional_mask_function,
        masks.sliding_window_causal_mask_function(4),
        masks.sliding_window_bidirectional_mask_function(3),
        masks.chunked_causal_mask_function(4, left),
        masks.and_masks(causal, masks.padding_mask_function(padding)),
        masks.or_masks(causal, masks.packed_sequence_mask_function(packed)),
        masks.add_offsets_to_mask_function(
            masks.sliding_window_causal_mask_function(4), 2, 0
        ),
        masks.add_offsets_to_mask_function(causal, torch.tensor(2), 0),
    ):
        agree(mask_mod=mask)
    if not hasattr(masks, "packed_sequence_compatibility_function"):
        return  # not in every version
    agree(mask_mod=masks.packed_sequence_compatibility_function(causal, places, packed))


# Integer expressions, which must agree to the last bit.
INTEGERS = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x & y,
    lambda x, y: x | ~y,
    lambda x, y: x ^ y,
    lambda x, y: torch.minimum(x, -y),
    lambda x, y: torch.maximum(x, y),
    lambda x, y: torch.where(x < y, x, y // 2),
    lambda x, y: torch.where((x >= y) | (y == 2), abs(x), y),
    lambda x, y: x // (abs(y) + 1),
    lambda x, y: x % (abs(y) + 1),
    lambda x, y: x // -(abs(y) + 2) + x % -(abs(y) + 2),
    lambda x, y: x // 3 - y % 5,
    lambda x, y: x // -4 + y % -3,
    lambda x, y: torch.fmod(x, 7) + (y >> 1),
    lambda x, y: ((x > y) + (x == 3)) * x + (x < y).int(),
    lambda x, y: lengths[x % 2, y % 3] - offsets[torch.clamp(x, -2, 1)],
]


def leaves():
    places = st.sampled_from(range(4)).map(lambda n: lambda *p: p[n])
    return places | st.integers(-5, 5).map(lambda n: lambda *p: p[0] * 0 + n)


def binary(inner):
    return st.builds(
        lambda f, x, y: lambda *p: f(x(*p), y(*p)),
        st.sampled_from(INTEGERS),
        inner,
        inner,
    )


@settings(max_examples=40, deadline=None)
@given(st.recursive(leaves(), binary, max_leaves=8), st.integers(-3, 3))
def test_integers_agree_to_the_bit(expression, rest):
    agree(mask_mod=lambda b, h, i, j: (expression(b, h, i, j) % 4 != rest) | (j == 0))


def test_refusals():
    near = torch.tensor([1, 2])
    for message, mask in (
        ("torch.tanh and its like", lambda b, h, i, j: math.sqrt(i) > j),
        ("got one made here", lambda b, h, i, j: torch.tensor([1, 2])[b] > j),
        ("but got one of type i1", lambda b, h, i, j: near[b > 0] > j),
        ("two truth values", lambda b, h, i, j: (i > j) - (i > 3)),
        ("truth value as condition", lambda b, h, i, j: torch.where(i, i, j) > 3),
        ("scalar functions, but got 'isin'", lambda b, h, i, j: torch.isin(i, near)),
        ("items of a dict", lambda b, h, i, j: i - j < options.get("window")),
    ):
        with pytest.raises(saccade.TraceError, match=message) as caught:
            saccade.trace(mask_mod=mask)
        line = f"{__file__}:{mask.__code__.co_firstlineno}: "
        assert str(caught.value).startswith(line)
