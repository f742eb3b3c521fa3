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
