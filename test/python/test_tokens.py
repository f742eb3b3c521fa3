# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""merge_states and rope against NumPy in double precision."""

import numpy as np
import pytest
import saccade
from test_attention import CLOSE, draw, problem


def test_parts_of_keys_merge_into_all():
    q, k, v = problem(keys=40)
    options = {"scale": 0.4, "softcap": 4.0}
    want = saccade.attention(q, k, v, return_lse=True, **options)
    parts = [(0, 7), (7, 8), (8, 40), (40, 40)]
    outputs, lses = zip(
        *(
            saccade.attention(q, k[:, :, a:b], v[:, :, a:b], return_lse=True, **options)
            for a, b in parts
        ),
        strict=True,
    )
    got = saccade.merge_states(outputs, lses)
    np.testing.assert_allclose(got[0], want[0], **CLOSE)
    np.testing.assert_allclose(got[1], want[1], **CLOSE)
    again = saccade.merge_states(outputs, lses)
    np.testing.assert_array_equal(again[0], got[0])
    empty = saccade.merge_states(outputs[-1:], lses[-1:])
    assert not empty[0].any() and np.isneginf(empty[1]).all()


def turned(x, positions, theta, dim, interleaved, scale=1.0, llama31=None):
    x = x.astype(np.float64)
    frequency = theta ** (-np.arange(0, dim, 2) / dim)
    if llama31:
        factor, low, high, length = llama31
        share = np.clip((length * frequency / (2 * np.pi) - low) / (high - low), 0, 1)
        frequency = frequency * ((1 - share) / factor + share)
    angle = positions[:, None, None] / scale * frequency
    cos, sin = np.cos(angle), np.sin(angle)
    half = dim // 2
    first, second = slice(0, half), slice(half, dim)
    if interleaved:
        first, second = slice(0, dim, 2), slice(1, dim, 2)
    out = x.copy()
    a, b = x[..., first], x[..., second]
    out[..., first], out[..., second] = a * cos - b * sin, b * cos + a * sin
    return out


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("llama31", [None, (8.0, 1.0, 4.0, 8192)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_rope(interleaved, llama31, dtype):
    x = draw(9, 3, 32)
    positions = np.array([0, 1, 2, 3, 17, 100, 999, 5, 5000], dtype)
    for theta, scale in ((10000.0, 1.0), (500000.0, 2.0)):
        for dim in (32, 16):
            got = saccade.rope(
                x, positions, theta=theta, rotary_dim=dim, interleaved=interleaved,
                scale=scale, llama31=llama31,
            )  # fmt: skip
            want = turned(x, positions, theta, dim, interleaved, scale, llama31)
            np.testing.assert_allclose(got, want, atol=2e-3)  # f32 angles
            np.testing.assert_allclose(got[:4], want[:4], atol=3e-6)


def test_wrong_tokens():
    x, positions = draw(9, 3, 32), np.arange(9)
    for call, message in (
        (lambda: saccade.rope(x[0], positions), "tokens, heads, dim"),
        (lambda: saccade.rope(x, positions[:4]), "positions"),
        (lambda: saccade.rope(x, positions.astype(np.float32)), "int32 or int64"),
        (lambda: saccade.rope(x, positions, rotary_dim=5), "even"),
        (lambda: saccade.merge_states([x], [x]), "lses of shape"),
        (lambda: saccade.merge_states([], []), "1 to 8"),
    ):
        with pytest.raises(saccade.InvalidArgument, match=message):
            call()
    assert saccade.rope(x[:0], positions[:0]).shape == (0, 3, 32)
