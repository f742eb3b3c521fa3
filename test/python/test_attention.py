# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""saccade.attention and saccade.Attention against NumPy in double precision."""

import threading

import numpy as np
import pytest
import saccade

CLOSE = {"rtol": 2e-5, "atol": 2e-5}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def formula(q, k, v, *, mask=None, logits=None, sinks=None, scale=None):
    """[B, H, S, D] each; mask(b, h, i, j) and logits(s, h, i, j) take index arrays,
    i bottom-right aligned. Gives output and LSE."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
    s = np.einsum("bhid,bhjd->bhij", q, k)
    s *= scale or q.shape[-1] ** -0.5
    b, h, i, j = np.ogrid[tuple(slice(n) for n in s.shape)]
    i = i + k.shape[2] - q.shape[2]
    if logits is not None:
        s = logits(s, h, i, j)
    if mask is not None:
        s = np.where(mask(b, h, i, j), s, -np.inf)
    top = s.max(-1, keepdims=True)
    if sinks is not None:
        top = np.maximum(top, sinks[:, None, None])
    top = np.where(np.isfinite(top), top, 0)
    e = np.exp(s - top)
    total = e.sum(-1, keepdims=True)
    if sinks is not None:
        total = total + np.exp(sinks[:, None, None] - top)
    with np.errstate(divide="ignore", invalid="ignore"):
        lse = (np.log(total) + top)[..., 0]
        out = np.where(total > 0, (e / np.where(total > 0, total, 1)) @ v, 0)
    return out, lse


def check(got, want):
    np.testing.assert_allclose(got[0], want[0], **CLOSE)
    np.testing.assert_allclose(got[1], want[1], **CLOSE)


def problem(batch=2, heads=4, kv_heads=2, queries=7, keys=33, dim=16, value_dim=16):
    return (
        draw(batch, heads, queries, dim, seed=1),
        draw(batch, kv_heads, keys, dim, seed=2),
        draw(batch, kv_heads, keys, value_dim, seed=3),
    )


SLOPES = np.array([0.5, 0.25, 0.125, 0.0625], np.float32)
SINKS = np.array([0.3, -1.0, 2.0, 0.0], np.float32)

OPTIONS = {
    "full": ({}, {}),
    "causal": ({"causal": True}, {"mask": lambda b, h, i, j: i >= j}),
    "window": (
        {"causal": True, "window": 5},
        {"mask": lambda b, h, i, j: (i >= j) & (i - j < 5)},
    ),
    "window_alone": ({"window": 5}, {"mask": lambda b, h, i, j: i - j < 5}),
    "sides": (
        {"window": (3, 2)},
        {"mask": lambda b, h, i, j: (i - j <= 3) & (j - i <= 2)},
    ),
    "right": ({"window": (None, 2)}, {"mask": lambda b, h, i, j: j - i <= 2}),
    "softcap": ({"softcap": 3.0}, {"logits": lambda s, h, i, j: 3 * np.tanh(s / 3)}),
    "alibi": (
        {"alibi": SLOPES, "causal": True},
        {
            "mask": lambda b, h, i, j: i >= j,
            "logits": lambda s, h, i, j: s + SLOPES[h] * (j - i),
        },
    ),
    "softcap_then_alibi": (
        {"alibi": SLOPES, "softcap": 2.0, "window": (4, 0)},
        {
            "mask": lambda b, h, i, j: (i >= j) & (i - j <= 4),
            "logits": lambda s, h, i, j: 2 * np.tanh(s / 2) + SLOPES[h] * (j - i),
        },
    ),
    "sinks": ({"sinks": SINKS}, {"sinks": SINKS}),
    "scale": ({"scale": 0.7}, {"scale": 0.7}),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options(name):
    q, k, v = problem()
    options, meaning = OPTIONS[name]
    got = saccade.attention(q, k, v, return_lse=True, **options)
    check(got, formula(q, k, v, **meaning))
    alone = saccade.attention(q, k, v, **options)
    np.testing.assert_array_equal(alone, got[0])


def test_run_time_values_do_not_recompile():
    q, k, v = problem()
    from saccade import _functional

    saccade.attention(q, k, v, causal=True, window=3, softcap=2.0)
    before = len(_functional._structures)
    for window, cap in ((4, 1.5), (9, 30.0)):
        got = saccade.attention(
            q, k, v, causal=True, window=window, softcap=cap, return_lse=True
        )
        check(
            got,
            formula(
                q, k, v,
                mask=lambda b, h, i, j, w=window: (i >= j) & (i - j < w),
                logits=lambda s, h, i, j, c=cap: c * np.tanh(s / c),
            ),
        )  # fmt: skip
    assert len(_functional._structures) == before + 1  # with an LSE


def test_functions_compose_with_options():
    q, k, v = problem()
    cap, stride = 1.5, 3

    def score_mod(score, b, h, q_idx, kv_idx):
        return score + cap * (h + 1)

    def mask_mod(b, h, q_idx, kv_idx):
        return (kv_idx % stride == 0) | (q_idx == kv_idx)

    for cap, stride in ((1.5, 3), (-0.5, 2)):  # captured: read anew each time
        got = saccade.attention(
            q, k, v, causal=True, score_mod=score_mod, mask_mod=mask_mod,
            return_lse=True,
        )  # fmt: skip
        want = formula(
            q, k, v,
            mask=lambda b, h, i, j, n=stride: (i >= j) & ((j % n == 0) | (i == j)),
            logits=lambda s, h, i, j, c=cap: s + c * (h + 1),
        )  # fmt: skip
        check(got, want)


def test_layouts_and_strides():
    q, k, v = problem(value_dim=24)
    want = formula(q, k, v, mask=lambda b, h, i, j: i >= j)
    swap = [x.swapaxes(1, 2) for x in (q, k, v)]  # views: strides of another order
    got = saccade.attention(*swap, layout="BSHD", causal=True, return_lse=True)
    check(
        [got[0].swapaxes(1, 2), got[1].swapaxes(1, 2)],
        want,
    )
    spread = [np.stack([x, x], -1)[..., 0] for x in (q, k, v)]  # last stride 2
    check(saccade.attention(*spread, causal=True, return_lse=True), want)
    out = np.empty((*q.shape[:-1], 24), np.float32)
    assert saccade.attention(q, k, v, causal=True, out=out) is out
    np.testing.assert_allclose(out, want[0], **CLOSE)


def test_ragged():
    q_lens, kv_lens = [3, 0, 5, 1], [3, 4, 9, 6]
    q, k, v = draw(9, 4, 16), draw(22, 2, 16, seed=1), draw(22, 2, 16, seed=2)
    got, lse = saccade.attention(
        q, k, v, layout="THD", causal=True, q_lens=q_lens,
        kv_indptr=np.cumsum([0, *kv_lens]), return_lse=True,
    )  # fmt: skip
    a = b = 0
    for n, m in zip(q_lens, kv_lens, strict=True):
        part = [
            x[None].swapaxes(1, 2) for x in (q[a : a + n], k[b : b + m], v[b : b + m])
        ]
        if n:
            want = formula(*part, mask=lambda b, h, i, j: i >= j)
            check(
                (
                    got[None, a : a + n].swapaxes(1, 2),
                    lse[None, a : a + n].swapaxes(1, 2),
                ),
                want,
            )
        a, b = a + n, b + m


def test_padded_rows_are_zeros():
    q, k, v = problem(queries=5, keys=9)
    got, lse = saccade.attention(
        q, k, v, causal=True, q_lens=[5, 2], kv_lens=[9, 4], return_lse=True
    )
    for r, (n, m) in enumerate([(5, 9), (2, 4)]):
        want = formula(
            q[r : r + 1, :, :n], k[r : r + 1, :, :m], v[r : r + 1, :, :m],
            mask=lambda b, h, i, j: i >= j,
        )  # fmt: skip
        check((got[r : r + 1, :, :n], lse[r : r + 1, :, :n]), want)
    assert not got[1, :, 2:].any() and np.isneginf(lse[1, :, 2:]).all()


def test_nothing_to_do():
    q, k, v = problem()
    assert saccade.attention(q[:0], k[:0], v[:0]).shape == (0, 4, 7, 16)
    assert saccade.attention(q[:, :, :0], k, v).shape == (2, 4, 0, 16)
    out, lse = saccade.attention(q, k[:, :, :0], v[:, :, :0], return_lse=True)
    assert not out.any() and np.isneginf(lse).all()


def test_many_lengths_take_few_plans():
    from saccade import _functional

    for keys in range(8, 40):  # as in decoding
        q, k, v = problem(queries=1, keys=keys)
        got = saccade.attention(q, k, v, causal=True, return_lse=True)
        check(got, formula(q, k, v))
    assert len(_functional._plans) <= _functional.PLANS
    structures = _functional._structures.values()
    rooms = [p.room for s in structures for p in s.plans]
    assert max(rooms.count(room) for room in set(rooms)) < 32


WRONG = [
    (lambda q, k, v: (q, k[:, :, :, :8], v), "one head dim"),
    (lambda q, k, v: (q, k, v[:, :, :5]), "agree in all but"),
    (lambda q, k, v: (q[:, :3], k, v), "multiple"),
    (lambda q, k, v: (q[:1], k, v), "one batch size"),
    (lambda q, k, v: (q[0], k, v), "4 dimensions"),
    (lambda q, k, v: (q, k.astype(np.float16), v), "one dtype"),
    (lambda q, k, v: (q.astype(int), k.astype(int), v.astype(int)), "dtype"),
]


@pytest.mark.parametrize("change, message", WRONG)
def test_wrong_tensors(change, message):
    with pytest.raises(saccade.InvalidArgument, match=message):
        saccade.attention(*change(*problem()))


def test_wrong_options():
    q, k, v = problem()
    for options, message in (
        ({"layout": "SBHD"}, "BHSD, BSHD or THD"),
        ({"window": 0}, "window"),
        ({"window": (-1, 2)}, "window"),
        ({"kv_lens": [99, 1]}, "0 to 33"),
        ({"kv_lens": [1]}, "2 lengths"),
        ({"sinks": SINKS[:2]}, "4"),
    ):
        with pytest.raises(saccade.InvalidArgument, match=message):
            saccade.attention(q, k, v, **options)
    with pytest.raises(TypeError, match="q_lens or q_indptr"):
        saccade.attention(q[0], q[0], q[0], layout="THD")
    with pytest.raises(TypeError, match="NumPy arrays or torch tensors"):
        saccade.attention(q.tolist(), k, v)


def test_threads():
    q, k, v = problem()
    want = {n: saccade.attention(q, k[:, :, :n], v[:, :, :n]) for n in range(1, 20)}
    wrong = []

    def work(seed):
        for n in np.random.default_rng(seed).integers(1, 20, 60):
            got = saccade.attention(q, k[:, :, :n], v[:, :, :n])
            if not np.array_equal(got, want[n]):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def pages(lengths, page, *, heads=2, dim=16, seed=0):
    """A pool of pages and a table, and the same tokens request by request."""
    rng = np.random.default_rng(seed)
    counts = [-(-n // page) for n in lengths]
    order = rng.permutation(sum(counts) + 3)
    pool = draw(len(order), 2, page, heads, dim, seed=seed)
    table = np.zeros((len(lengths), max(counts)), np.int32)
    tokens, first = [], 0
    for r, (n, count) in enumerate(zip(lengths, counts, strict=True)):
        ids = order[first : first + count]
        table[r, :count] = ids
        both = pool[ids].swapaxes(0, 1).reshape(2, count * page, heads, dim)[:, :n]
        tokens.append(both)
        first += count
    return pool, table, tokens


@pytest.mark.parametrize("page", [1, 3, 16])
@pytest.mark.parametrize("options", ["causal", "window", "softcap_then_alibi", "sinks"])
def test_plan_and_run(page, options):
    keywords, meaning = OPTIONS[options]
    decode = saccade.Attention(
        num_q_heads=4, num_kv_heads=2, head_dim=16, page_size=page, dtype="float32",
        device="cpu", return_lse=True, **keywords,
    )  # fmt: skip
    for lengths, q_lens in (([40, 7, 19], [1, 1, 1]), ([5, 64], [5, 2])):
        pool, table, tokens = pages(lengths, page)
        q = draw(sum(q_lens), 4, 16, seed=9)
        decode.plan(q_lens, kv_lens=lengths, page_table=table)
        for cache in (pool, (pool[:, 0], pool[:, 1])):
            before = saccade.launch_count()
            out, lse = decode.run(q, cache)
            assert saccade.launch_count() == before + 1
            first = 0
            for (k, v), n in zip(tokens, q_lens, strict=True):
                part = slice(first, first + n)
                first += n
                axes = [x[None].swapaxes(1, 2) for x in (q[part], k, v)]
                got = out[None, part].swapaxes(1, 2), lse[None, part].swapaxes(1, 2)
                check(got, formula(*axes, **meaning))


def test_values_of_a_run():
    lengths = [9, 30]
    pool, table, tokens = pages(lengths, 4)
    decode = saccade.Attention(
        num_q_heads=4, num_kv_heads=2, head_dim=16, page_size=4, dtype="float32",
        device="cpu", causal=True, window=4, softcap=5.0, sinks=SINKS,
    )  # fmt: skip
    q = draw(2, 4, 16)
    with pytest.raises(saccade.InvalidArgument, match="plan"):
        decode.run(q, pool)
    decode.plan([1, 1], kv_lens=lengths, page_table=table)
    out = decode.run(q, pool, window=7, softcap=1.0, sinks=SINKS + 1, scale=0.3)
    for r, (k, v) in enumerate(tokens):
        axes = [x[None].swapaxes(1, 2) for x in (q[r : r + 1], k, v)]
        want, _ = formula(
            *axes, scale=0.3, sinks=SINKS + 1, mask=lambda b, h, i, j: i - j < 7,
            logits=lambda s, h, i, j: np.tanh(s),
        )  # fmt: skip
        np.testing.assert_allclose(out[r], want[0, :, 0], **CLOSE)
    with pytest.raises(saccade.InvalidArgument, match="another"):
        decode.run(q, pool, alibi=SLOPES)
    with pytest.raises(TypeError, match="no value named cap"):
        decode.run(q, pool, cap=1.0)
    with pytest.raises(TypeError, match="expects q, kv"):
        decode.run(q, q, q, pool)


def test_append_then_attend():
    lengths, q_lens = [9, 30], [2, 3]
    pool, table, tokens = pages(lengths, 4)
    want = [both.copy() for both in tokens]
    step = saccade.Attention(
        num_q_heads=4, num_kv_heads=2, head_dim=16, page_size=4, dtype="float32",
        device="cpu", causal=True, append=True,
    )  # fmt: skip
    q, k, v = draw(5, 4, 16), draw(5, 2, 16, seed=5), draw(5, 2, 16, seed=6)
    step.plan(q_lens, kv_lens=lengths, page_table=table)
    other = pool.copy()
    out = step.run(q, k, v, pool)
    saccade.append_kv(k, v, other, q_lens=q_lens, kv_lens=lengths, page_table=table)
    np.testing.assert_array_equal(pool, other)
    first = 0
    for both, n in zip(want, q_lens, strict=True):
        part = slice(first, first + n)
        both[0, -n:], both[1, -n:] = k[part], v[part]
        axes = [x[None].swapaxes(1, 2) for x in (q[part], *both)]
        expected, _ = formula(*axes, mask=lambda b, h, i, j: i >= j)
        np.testing.assert_allclose(out[part], expected[0].swapaxes(0, 1), **CLOSE)
        first += n


def test_workspace():
    lengths = [9, 30]
    pool, table, _ = pages(lengths, 4)
    capacity = saccade.Capacity(requests=2, query_tokens=2, indices=20, ctas=8)
    keywords = {
        "num_q_heads": 4, "num_kv_heads": 2, "head_dim": 16, "page_size": 4,
        "dtype": "float32", "device": "cpu", "causal": True,
    }  # fmt: skip
    plain = saccade.Attention(**keywords)
    plain.plan([1, 1], kv_lens=lengths, page_table=table)
    size = plain.workspace_bytes(capacity)
    assert size > 0
    storage = np.zeros(size + 16, np.uint8)
    storage = storage[-storage.ctypes.data % 16 :][:size]
    capacity.workspace = storage
    decode = saccade.Attention(**keywords, capacity=capacity)
    decode.plan([1, 1], kv_lens=lengths, page_table=table)
    q = draw(2, 4, 16)
    np.testing.assert_array_equal(decode.run(q, pool), plain.run(q, pool))
    assert storage.any()
    capacity.workspace = storage[:64]
    with pytest.raises(saccade.Error, match="64"):
        saccade.Attention(**keywords, capacity=capacity).plan(
            [1, 1], kv_lens=lengths, page_table=table
        )
    with pytest.raises(saccade.OutOfCapacity):
        decode.plan([1] * 3, kv_lens=[1] * 3, page_table=[[0]] * 3)


def test_import_is_light():
    import subprocess
    import sys

    code = "import sys, saccade; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_explanations():
    q, k, v = problem()
    told = saccade.explain(saccade.attention, q, k, v, causal=True, window=3)
    assert "intervals of keys: 1" in str(told) and "schedule" in str(told)
    assert len(told.reports) == 1 and told.reports[0]["kernel"] == "attention"

    def model():
        x = saccade.attention(q, k, v, softcap=2.0)
        return saccade.attention(x, k, v, softcap=3.0) + saccade.attention(q, k, v)

    assert len(saccade.explain(model).reports) == 2
    decode = saccade.Attention(
        num_q_heads=4, num_kv_heads=2, head_dim=16, dtype="float32", device="cpu",
        mask_mod=lambda b, h, q, k: (q * k) % 3 != 1,
    )  # fmt: skip
    assert "tests the mask per element" in str(saccade.explain(decode))
    plan = decode.plan([1], kv_lens=[9], page_table=[[0]])
    assert plan._repr_html_().startswith("<svg")
    assert saccade.explain(plan).reports == saccade.explain(plan.kernel).reports
    assert "<pre>" in saccade.explain(plan)._repr_html_()
    with pytest.raises(TypeError, match="expects a Kernel"):
        saccade.explain(3)
