# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tracing: what functions become, what they capture, and what is refused."""

import functools
import operator

import numpy as np
import pytest
import saccade
from hypothesis import given, settings
from hypothesis import strategies as st
from saccade._trace import fingerprint
from test_attention import check, formula, problem


def compiles(variant):
    arguments = "".join(f", %{p.name}: {p.type}" for p in variant.parameters)
    names = ", ".join(f"%{p.name}" for p in variant.parameters)
    types = ", ".join(p.type for p in variant.parameters)
    call = f"@{variant.name}({names} : {types})" if names else f"@{variant.name}()"
    spec = f"""{variant}
attn.kernel @k(%q: !attn.dense<4x16xf32>, %kv: !attn.dense<2x16xf32>{arguments}) {{
  %s = attn.attend {call} %q, %kv : !attn.dense<4x16xf32>, !attn.dense<2x16xf32> -> !attn.state<4x16>
  %o = attn.finish {call} %s : !attn.state<4x16> -> !attn.dense<4x16xf32>
  attn.return %o : !attn.dense<4x16xf32>
}}
"""
    return saccade.stage(spec, "tile").decode()


def test_text():
    cap, window = 30.0, 128
    variant = saccade.trace(
        lambda score, b, h, q_idx, kv_idx: cap * np.tanh(score / cap),
        lambda b, h, q_idx, kv_idx: (q_idx >= kv_idx) & (q_idx - kv_idx < window),
        sink=True,
        name="capped",
    )
    assert (
        str(variant)
        == """\
attn.variant @capped(%cap: f32, %window: i32, %sinks: !attn.per_head<f32>) {
  attn.logits(%s) {
    %0 = arith.divf %s, %cap : f32
    %1 = math.tanh %0 : f32
    %2 = arith.mulf %cap, %1 : f32
    attn.yield %2 : f32
  }
  attn.mask(query %q, key %k) {
    %0 = arith.cmpi sge, %q, %k : i32
    %1 = arith.subi %q, %k : i32
    %2 = arith.cmpi slt, %1, %window : i32
    %3 = arith.andi %0, %2 : i1
    attn.yield %3 : i1
  }
  attn.sink(head %h) {
    %0 = attn.read %sinks[%h] : !attn.per_head<f32>
    attn.yield %0 : f32
  }
}"""
    )
    assert repr(variant) == str(variant)  # as a notebook shows it
    assert [p.type for p in variant.parameters] == ["f32", "i32", "!attn.per_head<f32>"]
    compiles(variant)


def test_save(tmp_path):
    variant = saccade.trace(mask_mod=lambda b, h, q, k: q >= k)
    variant.save(tmp_path / "causal.mlir")
    assert (tmp_path / "causal.mlir").read_text() == f"{variant}\n"
    assert saccade.trace(lambda s, b, h, q, k: s).text == "attn.variant @variant() {}"


def test_numbers_are_parameters_whatever_holds_them():
    class Model:
        shift = 0.5

        def __init__(self, window):
            self.window = window
            self.sizes = [3, window]
            self.options = {"cap": 2.0}

        def mask(self, b, h, q, k):
            return (q - k < self.window) & (k < self.sizes[0] + self.sizes[1])

        def score(self, s, b, h, q, k, gain=2.0):
            return self.scaled(s, gain) + self.shift + self.options["cap"]

        def scaled(self, s, gain):
            return s * gain

    def partial(gain, window, s, b, h, q, k):
        return s * gain + window

    q, k, v = problem()
    model = Model(4)
    first, values = fingerprint(model.score, model.mask)
    assert sorted(map(float, values)) == [0.5, 2.0, 2.0, 3.0, 4.0, 4.0]
    model.window, model.shift = 6, -1.0
    second, values = fingerprint(model.score, model.mask)
    assert first == second and 6 in values and -1.0 in values
    model.sizes[1] = 6
    got = saccade.attention(
        q, k, v, score_mod=model.score, mask_mod=model.mask, return_lse=True
    )
    want = formula(
        q, k, v,
        logits=lambda s, h, i, j: s * 2 - 1 + 2.0,
        mask=lambda b, h, i, j: (i - j < 6) & (j < 9),
    )  # fmt: skip
    check(got, want)
    one, a = fingerprint(functools.partial(partial, 2.0, 3))
    two, b = fingerprint(functools.partial(partial, 5.0, 7))
    assert one == two and a == [2.0, 3] and b == [5.0, 7]
    assert fingerprint(functools.partial(partial, 2, 3))[0] != one  # an int


def test_new_lambdas_find_their_kernel():
    def make(window):
        return lambda b, h, q, k: q - k < window

    one, first = fingerprint(None, make(3))
    two, second = fingerprint(None, make(9))
    assert one == two and first == [3] and second == [9]
    assert fingerprint(None, saccade.and_masks(make(3), make(4)))[1] == [3, 4]
    assert fingerprint(None, make(3.5))[0] != one
    other = fingerprint(None, lambda b, h, q, k: q - k < 3)[0]
    assert other != one


def test_control_flow_over_captures_makes_them_constants():
    def make(window, count, causal):
        def mask(b, h, q, k):
            keep = q >= k if causal else q == q
            if window > 0:
                keep = keep & (q - k < window)
            for n in range(count):
                keep = keep | (k == n)
            return keep

        return mask

    q, k, v = problem()
    keys = set()
    for window, count, causal in (
        (4, 2, True),
        (0, 2, True),
        (5, 2, True),
        (4, 0, False),
    ):
        mask = make(window, count, causal)
        keys.add(fingerprint(None, mask)[0])
        got = saccade.attention(q, k, v, mask_mod=mask, return_lse=True)

        def meaning(b, h, i, j, w=window, n=count, c=causal):
            keep = (i >= j) if c else (i == i) & (j == j)
            if w > 0:
                keep = keep & (i - j < w)
            return keep | (j < n)

        check(got, formula(q, k, v, mask=meaning))
    assert len(keys) == 4


def test_tables():
    rng = np.random.default_rng(3)
    q, k, v = problem()
    bias = rng.standard_normal((4, 66, 33)).astype(np.float32)[:, ::2]  # strides
    document = np.sort(rng.integers(0, 5, 33))  # int64
    keep = rng.random((2, 33)) < 0.7
    got = saccade.attention(
        q, k, v, return_lse=True,
        score_mod=lambda s, b, h, q, k: s + bias[h, q][k] + bias[-1, 0, k],
        mask_mod=lambda b, h, q, k: (document[q] >= document[k]) & keep[b, k],
    )  # fmt: skip
    want = formula(
        q, k, v,
        logits=lambda s, h, i, j: s + bias[h, i, j] + bias[-1, 0, j],
        mask=lambda b, h, i, j: (document[i] >= document[j]) & keep[b, j],
    )  # fmt: skip
    check(got, want)
    _, first = fingerprint(lambda s, b, h, q, k: s + bias[h, q, k])
    assert first[0] is bias


def line(function, offset=0):
    return f"{__file__}:{function.__code__.co_firstlineno + offset}: "


def refused(message, function, offset=0, **options):
    with pytest.raises(saccade.TraceError, match=message) as caught:
        saccade.trace(**{options.pop("kind", "mask_mod"): function})
    assert line(function, offset) in str(caught.value)


def test_refusals_name_the_line():
    def branches(b, h, q, k):
        x = q - k
        if x > 3:
            return q >= k
        return q > k

    def unknown(b, h, q, k):
        import torch

        return torch.fft.fft(q)

    def effects(b, h, q, k):
        box.value = 3
        return q >= k

    class Box:
        pass

    box = Box()
    table = np.zeros((3, 3), np.float32)
    wide = np.zeros(3, np.float64)
    refused("no if, and, or", branches, 2)
    refused("no if, and, or", lambda b, h, q, k: q > 3 and k > 3)
    refused("no if, and, or", lambda b, h, q, k: min(q, k) > 3)
    refused("Python integer", lambda b, h, q, k: sum(range(q)) > k)
    refused("without effects", effects, 1)
    refused("at most 2 indices", lambda b, h, q, k: table[q, k, h] > 0)
    refused("integers as indices", lambda b, h, q, k: table[q / 2, k] > 0)
    refused("elements of 'table'", lambda b, h, q, k: table.sum() > q)
    refused("truth values or integers", lambda b, h, q, k: (q * 0.5) & (k > 1))
    refused("32 bits", lambda b, h, q, k: q > 2**31)
    refused("a number to be returned", lambda b, h, q, k: None)
    refused("truth value", lambda s, b, h, q, k: q >= k, kind="score_mod")
    refused("missing 1 required", lambda s, b, h, q, k: q >= k)
    refused("'wide' of float64", lambda s, b, h, q, k: s + wide[h], kind="score_mod")
    pytest.importorskip("torch")
    refused("scalar functions, but got 'fft", unknown, 3)

    def again(b, h, q, k):
        return again(b, h, q, k)

    with pytest.raises(saccade.TraceError, match="call themselves"):
        saccade.trace(mask_mod=again)


# Expressions over score, positions and numbers, as Python evaluates them on arrays.
LEAVES = [
    lambda s, b, h, i, j: s,
    lambda s, b, h, i, j: i,
    lambda s, b, h, i, j: j,
    lambda s, b, h, i, j: h,
    lambda s, b, h, i, j: b + 1,
]
UNARY = [operator.neg, abs, np.tanh, np.sin, lambda x: x * x]
BINARY = [
    operator.add, operator.sub, operator.mul, np.minimum, np.maximum,
    lambda x, y: x // 3 + y, lambda x, y: x % 5 - y,
    lambda x, y: np.where(x > y, x, y * 0.5), lambda x, y: np.where((x < y) | (x == 2), 1, y),
]  # fmt: skip


def _tree(depth):
    leaf = st.sampled_from(LEAVES) | st.integers(-4, 4).map(
        lambda n: lambda s, b, h, i, j: n
    )
    if depth == 0:
        return leaf
    inner = _tree(depth - 1)
    unary = st.builds(lambda f, x: lambda *p: f(x(*p)), st.sampled_from(UNARY), inner)
    binary = st.builds(
        lambda f, x, y: lambda *p: f(x(*p), y(*p)),
        st.sampled_from(BINARY),
        inner,
        inner,
    )
    return leaf | unary | binary


@settings(max_examples=25, deadline=None)
@given(_tree(3), _tree(2))
def test_expressions_mean_what_python_says(score, keep):
    q, k, v = problem(queries=3, keys=9)

    def score_mod(s, b, h, i, j):
        return np.tanh((score(s, b, h, i, j) + s * 0.0) * 0.25)

    def mask_mod(b, h, i, j):
        return keep(i * 0.5, b, h, i, j) > -1

    got = saccade.attention(
        q, k, v, score_mod=score_mod, mask_mod=mask_mod, return_lse=True
    )
    b = np.arange(2)[:, None, None, None]
    with np.errstate(all="ignore"):
        want = formula(
            q, k, v,
            logits=lambda s, h, i, j: score_mod(s.astype(np.float32), b, h, i, j),
            mask=lambda b, h, i, j: mask_mod(b, h, i, j) & (h > -1) & (b > -1) & (i > -99) & (j > -1),
        )  # fmt: skip
    # Steps (floor, comparisons) of values that float differs on are rare but there.
    close = np.isclose(got[0], want[0], rtol=2e-3, atol=2e-3)
    assert close.mean() > 0.9
