# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Caches of 8-bit floats: every bit pattern against the formats' definition, what
# appending does to numbers that do not fit, and scales in all their places.
import metrics
import ml_dtypes
import numpy as np
import pytest
from cases import make_case
from native import reference, run

FORMATS = {"f8E4M3FN": ml_dtypes.float8_e4m3fn, "f8E5M2": ml_dtypes.float8_e5m2}


@pytest.fixture(autouse=True)
def on_the_cpu(device):
    if device == "cuda":
        pytest.skip("kernels over 8-bit caches run on the CPU only")


def decoded(element):
    """The values of all 256 bit patterns (Micikevicius et al., arXiv 2209.05433)."""
    bits = np.arange(256)
    fraction_bits, bias = (3, 7) if element == "f8E4M3FN" else (2, 15)
    sign = np.where(bits & 0x80, -1.0, 1.0)
    exponent = (bits & 0x7F) >> fraction_bits
    fraction = (bits & (2**fraction_bits - 1)) / 2**fraction_bits
    normal = (1 + fraction) * 2.0 ** (exponent - bias)
    values = sign * np.where(exponent > 0, normal, fraction * 2.0 ** (1 - bias))
    if element == "f8E4M3FN":
        values[bits & 0x7F == 0x7F] = np.nan
    else:
        values[bits & 0x7F == 0x7C] = np.copysign(np.inf, sign[bits & 0x7F == 0x7C])
        values[bits & 0x7F > 0x7C] = np.nan
    return values


def one_key(element, body=""):
    """A row's output is the value of the only key."""
    return f"""
attn.variant @v() {{{body}}}
attn.kernel @k(%q: !attn.ragged<1x256xf32>, %kv: !attn.ragged<1x256x{element}>) {{
  %s = attn.attend @v() %q, %kv : !attn.ragged<1x256xf32>, !attn.ragged<1x256x{element}> -> !attn.state<1x256>
  %o = attn.finish @v() %s : !attn.state<1x256> -> !attn.ragged<1x256xf32>
  attn.return %o : !attn.ragged<1x256xf32>
}}
"""


DOUBLED = """
  attn.value(%x: vector<256xf32>) {
    %y = arith.addf %x, %x : vector<256xf32>
    attn.yield %y : vector<256xf32>
  }
"""


@pytest.mark.parametrize("body, factor", [("", 1), (DOUBLED, 2)])
@pytest.mark.parametrize("element", FORMATS)
def test_every_finite_value_is_exact(element, body, factor, device):
    case = make_case(one_key(element, body), [1], [[1]])
    values = decoded(element)
    bits = np.where(np.isfinite(values), np.arange(256), 0).astype(np.uint8)
    case.caches[0].values[0, 0] = bits.view(FORMATS[element])
    want = factor * values[bits]
    np.testing.assert_array_equal(reference(case)[0][0], want)
    np.testing.assert_array_equal(run(case, device)[0][0], want)


@pytest.mark.parametrize("element", FORMATS)
def test_what_is_no_number_stays_none(element, device):
    case = make_case(one_key(element), [1], [[1]])
    case.caches[0].values[0, 0] = np.arange(256, dtype=np.uint8).view(FORMATS[element])
    want = decoded(element)
    np.testing.assert_array_equal(reference(case)[0][0], want)
    np.testing.assert_array_equal(run(case, device)[0][0], want)


def appending(element, wide):
    new, cache = f"!attn.ragged<2x64x{wide}>", f"!attn.paged<2x64x{element}, page = 4>"
    return f"""
attn.variant @v() {{}}
attn.kernel @k(%q: !attn.ragged<2x64x{wide}>, %k: {new}, %v: {new}, %kv: {cache}, %ks: f32, %vs: !attn.per_head<f32>) {{
  %c = attn.append %k, %v into %kv key_scale %ks : f32 value_scale %vs : !attn.per_head<f32> : {new}, {new} into {cache}
  %s = attn.attend @v() %q, %c key_scale %ks : f32 value_scale %vs : !attn.per_head<f32> : !attn.ragged<2x64x{wide}>, {cache} -> !attn.state<2x64>
  %o = attn.finish @v() %s : !attn.state<2x64> -> !attn.ragged<2x64x{wide}>
  attn.return %o : !attn.ragged<2x64x{wide}>
}}
"""


@pytest.mark.parametrize("wide", ["f32", "bf16", "f16"])
@pytest.mark.parametrize("element", FORMATS)
def test_appending_rounds_to_even_and_saturates(element, wide, device):
    scales = {"ks": 0.3, "vs": np.array([1.7, 0.01], np.float32)}
    case = make_case(appending(element, wide), [3, 2], [[9, 2]], scales, form=1)
    keys, values = case.arguments[1], case.arguments[2]
    keys[0, 0, :6] = [60000, -60000, 0, -0.0, 1e-7, np.inf]
    values[4, 1, :3] = [np.nan, 1e-4, -700]
    cache = case.caches[0]
    before = [cache.keys.copy(), cache.values.copy()]
    run(case, device)
    largest = float(ml_dtypes.finfo(FORMATS[element]).max)
    with np.errstate(over="ignore", invalid="ignore"):
        units = [
            keys.astype(np.float32) / np.float32(scales["ks"]),
            values.astype(np.float32) / scales["vs"][:, None],
        ]
    for tensor, old, rows in zip(
        (cache.keys, cache.values), before, units, strict=True
    ):
        stored = np.clip(rows, -largest, largest).astype(FORMATS[element])
        for r, tokens in enumerate([range(6, 9), range(2)]):
            for i, token in enumerate(tokens):
                page = cache.indices[cache.indptr[r] + token // 4]
                old[page, token % 4] = stored[3 * r + i]
        number = ~np.isnan(old.astype(np.float32))
        np.testing.assert_array_equal(np.isnan(tensor.astype(np.float32)), ~number)
        np.testing.assert_array_equal(
            tensor.view(np.uint8)[number], old.view(np.uint8)[number]
        )


MERGED = """
attn.variant @v() {}
attn.kernel @k(%q: !attn.ragged<4x64xbf16>, %a: !attn.ragged<2x64xf8E4M3FN>, %b: !attn.ragged<2x64xbf16>,
               %ks: !attn.per_head<f32>, %vs: f32, %ws: !attn.per_head<f32>) {
  %one = arith.constant 0.5 : f32
  %s = attn.attend @v() %q, %a key_scale %ks : !attn.per_head<f32> value_scale %vs : f32
    : !attn.ragged<4x64xbf16>, !attn.ragged<2x64xf8E4M3FN> -> !attn.state<4x64>
  %t = attn.attend @v() %q, %b key_scale %one : f32 value_scale %ws : !attn.per_head<f32>
    : !attn.ragged<4x64xbf16>, !attn.ragged<2x64xbf16> -> !attn.state<4x64>
  %m = attn.merge %s, %t : !attn.state<4x64>
  %o, %lse = attn.finish @v() %m : !attn.state<4x64> -> !attn.ragged<4x64xbf16>, !attn.lse<4>
  attn.return %o, %lse : !attn.ragged<4x64xbf16>, !attn.lse<4>
}
"""


@pytest.mark.parametrize("disabled", [None, "canonicalize,cse"])
def test_merges_caches_of_different_scales(disabled, device):
    scales = {"ks": [0.3, 2.0], "vs": 0.7, "ws": [-1.5, 0.1]}
    case = make_case(MERGED, [3, 0, 1], [[70, 5, 0], [130, 0, 9]], scales)
    want = reference(case)
    metrics.check(run(case, device, disabled=disabled), want, "bf16")

    # The same in NumPy, with the scales multiplied into keys and values.
    rows = []
    for request in case.requests:
        k, v = (
            [np.asarray(x, np.float64) for x in side]
            for side in (request.keys, request.values)
        )
        column = lambda x: np.asarray(x, np.float64).reshape(-1, 1)  # noqa: E731
        k = np.concatenate([k[0] * column(scales["ks"]), k[1] * 0.5])
        v = np.concatenate([v[0] * 0.7, v[1] * column(scales["ws"])])
        q = np.asarray(request.q, np.float64)
        for i in range(len(q)):
            for head in range(4):
                logits = k[:, head // 2] @ q[i, head] / 8
                weights = np.exp(logits - logits.max())
                rows.append(weights @ v[:, head // 2] / weights.sum())
    np.testing.assert_allclose(want[0], np.array(rows), rtol=1e-6, atol=1e-6)
