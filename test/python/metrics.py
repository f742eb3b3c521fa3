# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# How far a result may lie from the reference, said once for all numeric tests.
# Rows are also looked at one by one, so that a single bad row cannot hide in the
# norm of a large result.
import numpy as np

OUTPUT_LIMIT = {"f32": 1e-5, "f16": 4e-3, "bf16": 4e-3}
LSE_LIMIT = 1e-4
# 16-bit queries and keys that are rounded again after a row function.
ROUNDED_LSE_LIMIT = 3e-2
ROW_SLACK = 8


def relative_error(got, want):
    """Norm of the difference over the norm; 0 where both are zero."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if not np.isfinite(got).all():
        return np.inf
    norm = np.linalg.norm(want)
    difference = np.linalg.norm(got - want)
    return difference / norm if norm > 0 else difference


def worst_row_error(got, want):
    """The largest relative error of a row; rows are the last axis. Rows much
    smaller than usual are held against the usual size."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if want.size == 0:
        return 0.0
    if not np.isfinite(got).all():
        return np.inf
    norms = np.linalg.norm(want, axis=-1)
    usual = np.sqrt(np.mean(norms**2))
    differences = np.linalg.norm(got - want, axis=-1)
    sizes = np.maximum(norms, usual)
    return float(
        np.max(
            np.where(
                sizes > 0, differences / np.where(sizes > 0, sizes, 1), differences
            )
        )
    )


def lse_error(got, want):
    """The largest absolute difference; infinite where -inf stands on one side."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if want.size == 0:
        return 0.0
    if np.isnan(got).any() or not np.array_equal(np.isneginf(got), np.isneginf(want)):
        return np.inf
    finite = np.isfinite(want)
    return float(np.max(np.abs(got[finite] - want[finite]), initial=0.0))


def check(got, want, element, lse_limit=LSE_LIMIT, limit=None):
    """Asserts that results agree: a list of (output or LSE) rows on each side, an
    output with a last axis of head_dim, an LSE without."""
    limit = OUTPUT_LIMIT[element] if limit is None else limit
    for g, w in zip(got, want, strict=True):
        if w.ndim == 1:
            error = lse_error(g, w)
            assert error <= lse_limit, (
                f"LSE is off by {error:.2e} (limit {lse_limit:.0e})"
            )
            continue
        error = relative_error(g, w)
        assert error <= limit, f"output is off by {error:.2e} (limit {limit:.0e})"
        error = worst_row_error(g, w)
        assert error <= ROW_SLACK * limit, f"a row of the output is off by {error:.2e}"
