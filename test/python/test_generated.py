# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Random kernels, lowering against evaluator. A failure names its seed;
# `python test/python/generate.py SEED` prints the spec, and
# `pytest test/python/test_generated.py --soak 500 --first-seed 1000` goes on, and
# `--device cuda` stays on the GPU.
import metrics
import numpy as np
from generate import generate
from native import reference, run

SEEDS = 60  # of every CI run


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        soak = metafunc.config.getoption("soak")
        first = metafunc.config.getoption("first_seed")
        metafunc.parametrize("seed", range(first, first + (soak or SEEDS)))


def test_lowering_agrees_with_the_reference(seed, device):
    on_gpu = device == "cuda"
    kernel = generate(
        seed, ("bf16", "f16") if on_gpu else ("f32", "bf16", "f16"), not on_gpu
    )
    case = kernel.case()
    want = reference(case)
    got = run(case, device)
    # A GPU rounds keys and queries once more after their row functions.
    rounds = kernel.row_functions and on_gpu
    metrics.check(
        got,
        want,
        kernel.element,
        metrics.ROUNDED_LSE_LIMIT if rounds else metrics.LSE_LIMIT,
    )


def test_reference_of_generated_kernels_is_finite():
    """What the generator makes is worth comparing: finite, and mostly not zero."""
    busy = 0
    for seed in range(12):
        case = generate(seed).case()
        rows = case.rows()[::5]
        output = reference(case, rows)[0]
        assert np.isfinite(output).all()
        busy += output.any()
    assert busy >= 9


def test_a_seed_names_a_kernel_for_good():
    assert generate(3).spec == generate(3).spec
