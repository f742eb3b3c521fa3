# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The reference evaluator against independent formulas: both are double precision,
# so they agree to rounding, on every example.
import numpy as np
import pytest
from cases import make_case
from formulas import expected
from metrics import check
from native import Failure, reference
from scenarios import NAMES, example, scenario


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_formula(name, seed):
    case = scenario(name, seed)
    check(
        reference(case), expected(case, name), case.element, lse_limit=1e-9, limit=1e-9
    )


def test_every_example_has_a_formula():
    from cases import EXAMPLES

    assert sorted(p.stem for p in EXAMPLES.glob("*.mlir")) == NAMES


def test_gives_the_rows_that_are_asked_for():
    case = scenario("llama3_prefill", 1)
    rows = case.rows()[::7]
    for some, every in zip(reference(case, rows), reference(case), strict=True):
        np.testing.assert_array_equal(some, every[::7])


def test_a_row_that_sees_nothing_is_zero():
    case = make_case(example("llama3_decode"), [2, 3], [[0, 1]])
    output, lse = reference(case)
    empty = 4 * 32  # both tokens of the first request, two of the second's three
    assert not output[:empty].any() and np.isneginf(lse[:empty]).all()
    assert output[empty:].any() and np.isfinite(lse[empty:]).all()


def test_a_sink_alone_is_the_lse():
    sinks = np.linspace(-3, 3, 64, dtype=np.float32)
    case = make_case(example("gpt_oss"), [1], [[0]], {"window": 8, "sinks": sinks})
    output, lse = reference(case)
    assert not output.any()
    np.testing.assert_allclose(lse, sinks, rtol=1e-12)


def test_zero_requests():
    output, lse = reference(make_case(example("llama3_decode"), [], [[]]))
    assert output.shape == (0, 128) and lse.shape == (0,)


def test_clamps_page_ids_on_reads():
    case = make_case(example("llama3_decode_page1"), [1], [[4]], form=1)
    case.caches[0].indices[:] = [-7, 0, 1, 1 << 30]
    clamped = reference(case)
    case.caches[0].indices[:] = [0, 0, 1, len(case.caches[0].keys) - 1]
    np.testing.assert_array_equal(clamped[1], reference(case)[1])


def test_refuses_lengths_that_do_not_fit():
    case = make_case(example("llama3_prefill"), [4], [[4]])
    case.caches[0].indptr = [0, 40]
    with pytest.raises(
        Failure, match="expects the 40 tokens of request 0 to lie in argument 1"
    ):
        reference(case)


def test_refuses_a_malformed_spec():
    case = make_case(example("llama3_prefill"), [4], [[4]])
    case.spec = case.spec.replace("arith.cmpi", "arith.cmpq")
    with pytest.raises(Failure, match="spec:.*cmpq"):
        reference(case)


SPLIT = """
attn.variant @v(%slopes: !attn.per_head<f32>) normalizer = NORM {
  attn.logits(%s, query %q, key %k, head %h) {
    %slope = attn.read %slopes[%h] : !attn.per_head<f32>
    %d = arith.subi %k, %q : i32
    %f = arith.sitofp %d : i32 to f32
    %r = math.fma %slope, %f, %s : f32
    attn.yield %r : f32
  }
  attn.mask(query %q, key %k) {
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }
}
attn.kernel @k(%q: !attn.ragged<4x16xf32>, ARGUMENTS, %slopes: !attn.per_head<f32>) {
  BODY
  %o = attn.finish @v(%slopes : !attn.per_head<f32>) %s
    : !attn.state<4x16, NORM> -> !attn.ragged<4x16xf32>
  attn.return %o : !attn.ragged<4x16xf32>
}
"""
ATTEND = """%NAME = attn.attend @v(%slopes : !attn.per_head<f32>) %q, %CACHE
    : !attn.ragged<4x16xf32>, !attn.ragged<2x16xf32> -> !attn.state<4x16, NORM>"""


@pytest.mark.parametrize("normalizer", ["softmax", "sigmoid", "none"])
def test_merging_parts_is_attending_to_the_whole(normalizer):
    """Positions count through the caches, and the state algebra is exact."""

    def spec(arguments, body):
        text = SPLIT.replace("ARGUMENTS", arguments).replace("BODY", body)
        return text.replace("NORM", normalizer)

    def attend(name, cache):
        return ATTEND.replace("NAME", name).replace("CACHE", cache)

    cache = "!attn.ragged<2x16xf32>"
    merge = "%s = attn.merge %s0, %s1 : !attn.state<4x16, NORM>"
    parts = spec(
        f"%a: {cache}, %b: {cache}",
        "\n  ".join([attend("s0", "a"), attend("s1", "b"), merge]),
    )
    slopes = {"slopes": np.linspace(0.01, 0.2, 4, dtype=np.float32)}
    two = make_case(parts, [3, 2, 4, 5], [[7, 0, 5, 0], [4, 6, 0, 3]], slopes)
    whole = make_case(
        spec(f"%a: {cache}", attend("s", "a")), [3, 2, 4, 5], [[11, 6, 5, 3]], slopes
    )
    rows = iter(range(len(whole.caches[0].keys)))
    for request in two.requests:
        for i in range(2):
            for key, value in zip(request.keys[i], request.values[i], strict=True):
                row = next(rows)
                whole.caches[0].keys[row], whole.caches[0].values[row] = key, value
    whole.arguments[0][:] = two.arguments[0]
    np.testing.assert_allclose(
        reference(two)[0], reference(whole)[0], rtol=1e-12, atol=1e-15
    )
