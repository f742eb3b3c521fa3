# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plans from Python: parts of tiles, batch invariance bit for bit, pictures."""

import numpy as np
import pytest
import saccade

SPEC = """
attn.variant @causal() {
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}
attn.kernel @decode(%q: !attn.ragged<4x16xf32>, %kv: !attn.paged<2x16xf32, page = 16>) {
  %s = attn.attend @causal() %q, %kv
    : !attn.ragged<4x16xf32>, !attn.paged<2x16xf32, page = 16> -> !attn.state<4x16>
  %o, %lse = attn.finish @causal() %s
    : !attn.state<4x16> -> !attn.ragged<4x16xf32>, !attn.lse<4>
  attn.return %o, %lse : !attn.ragged<4x16xf32>, !attn.lse<4>
}
"""
LENGTH = 9000


@pytest.fixture(scope="module")
def kernel():
    return saccade.compile(SPEC, device="cpu")


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(3)
    return rng.standard_normal((3000, 2, 16, 2, 16), np.float32)


@pytest.fixture(scope="module")
def query():
    return np.random.default_rng(4).standard_normal((2, 4, 16), np.float32)


def run(kernel, pool, query, others, place, fixed_grid=False, **options):
    """The request of `query`, at a place among others that decode one token."""
    rng = np.random.default_rng(5)
    lengths = list(others)
    lengths.insert(place, LENGTH)
    q_lens = [1] * len(lengths)
    q_lens[place] = len(query)
    q = rng.standard_normal((sum(q_lens), 4, 16), np.float32)
    q[place : place + len(query)] = query
    mine = np.random.default_rng(6).permutation(2000)[: -(-LENGTH // 16)]
    table = rng.integers(2000, 3000, (len(lengths), -(-max(lengths) // 16)))
    # The same tokens on pages of other numbers.
    moved = pool.copy()
    shift = rng.permutation(2000)
    moved[shift[mine]] = pool[mine]
    table[place, : len(mine)] = shift[mine]
    plan = kernel.plan(
        q_lens,
        kv_lens=lengths,
        page_table=table,
        capacity=saccade.Capacity(ctas=options.pop("ctas", 0), fixed_grid=fixed_grid),
        **options,
    )
    out, lse = kernel.run(plan, q, moved)
    rows = slice(place, place + len(query))
    return plan, out[rows].copy(), lse[rows].copy()


def test_a_batch_invariant_request_has_the_same_bits_in_any_batch(kernel, pool, query):
    plan, alone, lse = run(kernel, pool, query, [], 0, batch_invariant=True)
    assert "part 2 of " in plan.describe()
    for others, place, ctas in [
        ([], 0, 3),
        ([5, 700, 12000], 2, 0),
        ([3000] * 20, 20, 7),
        ([1] * 9, 4, 40),
    ]:
        for fixed_grid in (False, True):
            _, out, other = run(
                kernel, pool, query, others, place, fixed_grid,
                ctas=ctas, batch_invariant=True,
            )  # fmt: skip
            assert np.array_equal(out.view(np.int32), alone.view(np.int32))
            assert np.array_equal(other.view(np.int32), lse.view(np.int32))


def test_parts_merge_into_what_whole_tiles_give(kernel, pool, query):
    plan, whole, lse = run(kernel, pool, query, [], 0, ctas=1)
    assert "part" not in plan.describe()
    for ctas in (3, 20, 100):
        plan, out, other = run(kernel, pool, query, [40, 3000], 1, ctas=ctas)
        assert "part 2 of " in plan.describe()
        np.testing.assert_allclose(out, whole, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(other, lse, rtol=1e-6)


def test_batch_invariant_plans_hold_so_many_keys(kernel):
    table = np.zeros((2, 10), np.int32)
    plan = kernel.plan([1, 1], kv_lens=[9, 9], page_table=table, batch_invariant=True)
    with pytest.raises(saccade.OutOfCapacity, match="at most 18 keys .* up to request"):
        plan.update([1, 1], kv_lens=[9, 10], page_table=table)


def test_lengths_beyond_the_page_table_are_named(kernel):
    table = np.zeros((2, 10), np.int32)
    with pytest.raises(
        saccade.InvalidArgument, match="161 tokens of request 1 .* in 10 pages of 16"
    ):
        kernel.plan([1, 1], kv_lens=[9, 161], page_table=table)
    with pytest.raises(saccade.InvalidArgument, match="-1 for request 0"):
        kernel.plan([1, 1], kv_lens=[-1, 3], page_table=table)


RESUMED = """
attn.variant @full() {
}
attn.kernel @k(%a: !attn.ragged<4x64xbf16>, %l: !attn.lse<4>) {
  %s = attn.resume %a, %l : !attn.ragged<4x64xbf16>, !attn.lse<4> -> !attn.state<4x64>
  %o, %lse = attn.finish @full() %s
    : !attn.state<4x64> -> !attn.ragged<4x64xbf16>, !attn.lse<4>
  attn.return %o, %lse : !attn.ragged<4x64xbf16>, !attn.lse<4>
}
"""


def test_kernels_that_read_ahead_are_not_launched_early(kernel):
    capacity = saccade.Capacity(ctas=4, dependent_launch=True)
    table = np.zeros((1, 1), np.int32)

    def refuses(kernel, why, **batch):
        with pytest.raises(saccade.InvalidArgument, match=why):
            kernel.plan([1], host_only=True, capacity=capacity, **batch)

    refuses(kernel, "wait for the one before", kv_lens=[2], page_table=table)
    spec = SPEC.replace("16xf32", "64xbf16").replace("state<4x16>", "state<4x64>")
    older = saccade.compile(spec, target="sm_80")
    refuses(older, "for sm_80 does not", kv_lens=[2], page_table=table)
    refuses(saccade.compile(RESUMED, target="sm_90a"), "no output to be resumed .* 'l'")
    waits = saccade.compile(spec, target="sm_90a")
    waits.plan([1], kv_lens=[2], page_table=table, host_only=True, capacity=capacity)


def test_a_picture_is_drawn(kernel):
    table = np.zeros((1, 600), np.int32)
    plan = kernel.plan(
        [1], kv_lens=[LENGTH], page_table=table, host_only=True,
        capacity=saccade.Capacity(ctas=6),
    )  # fmt: skip
    assert plan.picture().startswith("<svg ")
    assert "request 0, KV head 1" in plan.picture()
