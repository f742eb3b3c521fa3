# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Few requests on many ctas: plans split the keys of every item, and the last of
# its parts merges them. Against the reference, and bit for bit from run to run.
# And kernels of two entries, of which one takes the requests of few rows.
import dataclasses

import metrics
import numpy as np
import pytest
from native import reference, run
from scenarios import NAMES, scenario
from test_examples import ROUNDING, optional_passes

CTAS = 61  # no divisor of anything


def split(name, device):
    if device == "cuda" and name == "encoder":
        pytest.skip("f32 kernels run on the CPU only")
    if device == "cuda" and name == "append_fp8":
        pytest.skip("nothing rounds to 8 bits on the GPU")
    return scenario(name, 40, requests=2, longest=700)


@pytest.mark.parametrize("name", NAMES)
def test_parts_agree_with_the_reference_and_with_each_other(name, device):
    case = split(name, device)
    first = run(case, device, ctas=CTAS)
    again = run(case, device, ctas=CTAS)
    rounds = name in ROUNDING and device == "cuda"
    limit = metrics.ROUNDED_LSE_LIMIT if rounds else metrics.LSE_LIMIT
    metrics.check(first, reference(case), case.element, limit)
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("name", ["gpt_oss", "shared_prefix", "sigmoid"])
def test_parts_agree_with_passes_off(name, device):
    case = split(name, device)
    want = reference(case)
    passes = optional_passes()
    for disabled in [*passes, ",".join(passes)]:
        got = run(case, device, disabled=disabled, ctas=CTAS)
        metrics.check(got, want, case.element, metrics.LSE_LIMIT)


@pytest.mark.parametrize("name", ["gemma2", "llama4_chunked", "bloom"])
@pytest.mark.parametrize("ctas", [3, CTAS])
def test_each_request_is_of_one_of_two_entries(name, ctas):
    """Any schedule may be the second: here it is one for the CPU."""
    case = scenario(name, 40, requests=12, longest=150)
    few, many = (
        f"#tile.schedule<rows = {rows}, keys = 32, warps = 1, weights = f32, "
        "splits = true>"
        for rows in (8, 64)
    )
    attributes = f"schedule = {many} attributes {{attn.few_rows_schedule = {few}}}"
    assert case.spec.count(") {\n  %s = ") == 1
    spec = case.spec.replace(") {\n  %s = ", f")\n    {attributes} {{\n  %s = ")
    group = case.query.heads // case.layouts["kv"].heads
    kinds = {tokens * group <= 16 for tokens in case.q_len if tokens}
    assert kinds == {False, True}
    metrics.check(
        run(dataclasses.replace(case, spec=spec), "cpu", ctas=ctas),
        reference(case), case.element, metrics.LSE_LIMIT,
    )  # fmt: skip
