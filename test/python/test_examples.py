# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Every example, compiled and run, against the reference on fresh random lengths;
# also with each pass off that legality does not need.
import ctypes

import metrics
import numpy as np
import pytest
from cases import make_case
from native import has_cuda, library, reference, run
from scenarios import NAMES, VALUES, example, scenario

# Row functions of 16-bit queries and keys: a GPU rounds the rows once more.
ROUNDING = {"streaming_llm"}


def test_a_gpu_is_there():
    if not has_cuda():
        pytest.skip("no CUDA device found: kernels were run on the CPU only")


def compare(case, name, device, **options):
    if device == "cuda" and case.element == "f32":
        pytest.skip("f32 kernels run on the CPU only")
    if device == "cuda" and name == "append_fp8":
        pytest.skip("nothing rounds to 8 bits on the GPU")
    want = reference(case)
    rounds = name in ROUNDING and device == "cuda"
    limit = metrics.ROUNDED_LSE_LIMIT if rounds else metrics.LSE_LIMIT
    metrics.check(run(case, device, **options), want, case.element, limit)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_reference(name, seed, device):
    compare(scenario(name, seed + 10), name, device)


def optional_passes():
    lib = library()
    if not hasattr(lib, "saccade_pass_name"):
        return []
    lib.saccade_pass_name.restype = ctypes.c_char_p
    return [lib.saccade_pass_name(i).decode() for i in range(lib.saccade_pass_count())]


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_each_pass_off_and_with_all_off(name, device):
    case = scenario(name, 20, requests=3, longest=130)
    passes = optional_passes()
    for disabled in [*passes, ",".join(passes)]:
        compare(case, name, device, disabled=disabled)


@pytest.mark.parametrize(
    "name", ["llama3_decode", "llama3_prefill", "gpt_oss", "encoder"]
)
def test_empty_batches_and_rows(name, device):
    for q_len, kv_len in ([], []), ([0], [0]), ([3], [0]), ([0, 2, 0], [5, 1, 0]):
        compare(
            make_case(example(name), q_len, [kv_len], values_of(name)), name, device
        )


def values_of(name):
    return VALUES.get(name)


def test_append_writes_the_new_rows_and_nothing_else(device):
    case = scenario("append_attend", 4)
    cache = case.caches[0]
    before = [cache.keys.copy(), cache.values.copy()]
    want = reference(case)
    metrics.check(run(case, device), want, case.element)
    page = cache.keys.shape[1]
    for tensor, old, name in zip((cache.keys, cache.values), before, "kv", strict=True):
        expected = old
        for request, row in zip(case.requests, page_ids(cache, case), strict=True):
            new = request.named[name]
            length = len(request.keys[0])
            for i, values in enumerate(new):
                at = length - len(new) + i
                expected[row[at // page], at % page] = values
        np.testing.assert_array_equal(tensor.view(np.uint16), expected.view(np.uint16))


def page_ids(cache, case):
    """The page list of each request."""
    if cache.indptr is None:
        return list(cache.indices)
    return [
        cache.indices[a:b] for a, b in zip(cache.indptr, cache.indptr[1:], strict=False)
    ]
