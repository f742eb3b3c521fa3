# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Every operation that bodies admit, on every operand that may hurt: division by
# zero, wide shifts, saturation, signs. The weight of key j is the operation's
# result on the j-th pair of operands, and value j is the j-th unit vector, so an
# output row lists all results. Evaluator against NumPy, lowering against both.
import math

import numpy as np
import pytest
from cases import make_case
from native import reference, run

LEAST, MOST = -(2**31), 2**31 - 1
LEFT = np.array([0, 1, -1, 7, -7, 100, LEAST, MOST], np.int64)
RIGHT = np.array([0, 1, -1, 3, -3, 31, 32, LEAST], np.int64)
A, B = (x.ravel() for x in np.meshgrid(LEFT, RIGHT, indexing="ij"))
UA, UB = A % 2**32, B % 2**32


def wrap(x):
    return (np.asarray(x, object).astype(object) + 2**31) % 2**32 - 2**31


def by_pair(function, a=A, b=B):
    return wrap([function(int(x), int(y)) for x, y in zip(a, b, strict=True)])


def truncated(x, y):
    return 0 if y == 0 else abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


INTEGERS = {
    "addi": by_pair(lambda x, y: x + y),
    "subi": by_pair(lambda x, y: x - y),
    "muli": by_pair(lambda x, y: x * y),
    "divsi": by_pair(truncated),
    "remsi": by_pair(lambda x, y: 0 if y == 0 else x - truncated(x, y) * y),
    "floordivsi": by_pair(lambda x, y: 0 if y == 0 else x // y),
    "ceildivsi": by_pair(lambda x, y: 0 if y == 0 else -(-x // y)),
    "divui": by_pair(lambda x, y: 0 if y == 0 else x // y, UA, UB),
    "remui": by_pair(lambda x, y: 0 if y == 0 else x % y, UA, UB),
    "andi": by_pair(lambda x, y: x & y),
    "ori": by_pair(lambda x, y: x | y),
    "xori": by_pair(lambda x, y: x ^ y),
    "maxsi": by_pair(max),
    "minsi": by_pair(min),
    "maxui": by_pair(max, UA, UB),
    "minui": by_pair(min, UA, UB),
    "shli": by_pair(lambda x, y: x << y if y < 32 else 0, UA, UB),
    "shrui": by_pair(lambda x, y: x >> y if y < 32 else 0, UA, UB),
    "shrsi": by_pair(lambda x, y: x >> min(y, 31), A, UB),
}
COMPARISONS = {
    "eq": A == B, "ne": A != B, "slt": A < B, "sle": A <= B, "sgt": A > B, "sge": A >= B,
    "ult": UA < UB, "ule": UA <= UB, "ugt": UA > UB, "uge": UA >= UB,
}  # fmt: skip

INF = math.inf
X = np.repeat(np.float32([-100, -2.5, -1, -0.25, 0.375, 1, 3.5, 80]), 8).astype(
    np.float64
)
Y = np.tile(np.float32([-3, -1, -0.5, 0.125, 0.75, 1, 2, 5]), 8).astype(np.float64)
FLOATS = {
    "arith.addf": X + Y, "arith.subf": X - Y, "arith.mulf": X * Y, "arith.divf": X / Y,
    "arith.maximumf": np.maximum(X, Y), "arith.minimumf": np.minimum(X, Y),
    "arith.maxnumf": np.fmax(X, Y), "arith.minnumf": np.fmin(X, Y),
}  # fmt: skip
P = np.abs(X)
UNARY = {
    "arith.negf": (X, np.negative), "math.absf": (X, np.abs), "math.ceil": (X, np.ceil),
    "math.floor": (X, np.floor), "math.exp": (X / 2, np.exp), "math.exp2": (X / 2, np.exp2),
    "math.log": (P, np.log), "math.log2": (P, np.log2), "math.sqrt": (P, np.sqrt),
    "math.rsqrt": (P, lambda x: x**-0.5), "math.tanh": (X, np.tanh), "math.sin": (X, np.sin),
    "math.cos": (X, np.cos),
}  # fmt: skip
EDGE = np.float32([0, -0.0, INF, -INF, math.nan, 1e30, -1e30, 3e9, -3e9, 2.5, -2.5, 0.999,
                   -0.999, 2**31 - 128, -(2**31), 4.2e9])  # fmt: skip


def spec(element, text, yielded, on_gpu):
    """On the CPU the weights of `none` come out as they are, in f32. GPU kernels have
    16-bit outputs, but their LSE is f32: there head j sees key j alone, and its LSE is
    the logit."""
    table = f"!attn.per_token<{element}>"
    layout = "!attn.ragged<{}x64x" + ("bf16>" if on_gpu else "f32>")
    query, cache = layout.format(64 if on_gpu else 1), layout.format(1)
    state = "!attn.state<64x64>" if on_gpu else "!attn.state<1x64, none>"
    results = f"{query}, !attn.lse<64>" if on_gpu else query
    names = "%o, %lse" if on_gpu else "%o"
    mask = """
  attn.mask(key %k, head %h) {
    %keep = arith.cmpi eq, %k, %h : i32
    attn.yield %keep : i1
  }"""
    call = f"@v(%a, %b : {table}, {table})"
    return f"""
attn.variant @v(%a: {table}, %b: {table}) {"" if on_gpu else "normalizer = none "}{{
  attn.logits(%s, key %k, request %r) {{
    %x = attn.read %a[%r, %k] : {table}
    %y = attn.read %b[%r, %k] : {table}
    {text}
    attn.yield {yielded} : f32
  }}{mask if on_gpu else ""}
}}
attn.kernel @k(%q: {query}, %kv: {cache}, %a: {table}, %b: {table}) {{
  %s = attn.attend {call} %q, %kv : {query}, {cache} -> {state}
  {names} = attn.finish {call} %s : {state} -> {results}
  attn.return {names} : {results}
}}
"""


def check(element, text, yielded, a, b, want, device, error=0.0):
    want = np.array(want, np.float64)
    values = {"a": [np.asarray(a)], "b": [np.asarray(b)]}
    on_gpu = device == "cuda"
    text = spec(element, text, yielded, on_gpu)
    case = make_case(text, [1], [[len(want)]], values)
    cache = case.caches[0]
    cache.keys[:] = 0
    cache.values[: len(want)] = np.eye(64, dtype=np.float32)[: len(want), None]

    def results(outputs):
        return outputs[1][: len(want)] if on_gpu else outputs[0][0, : len(want)]

    np.testing.assert_allclose(results(reference(case)), want, rtol=1e-12)
    if on_gpu:  # logits are kept in base 2
        error += 3e-7
    computed = results(run(case, device))
    np.testing.assert_allclose(computed, np.float32(want), rtol=error, atol=error)


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name, device):
    text = f"%z = arith.{name} %x, %y : i32\n    %f = arith.sitofp %z : i32 to f32"
    check("i32", text, "%f", A, B, INTEGERS[name], device)


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(name, device):
    text = f"%z = arith.cmpi {name}, %x, %y : i32\n    %f = arith.uitofp %z : i1 to f32"
    check("i32", text, "%f", A, B, COMPARISONS[name], device)


def test_unsigned_to_float(device):
    check("i32", "%f = arith.uitofp %x : i32 to f32", "%f", A, B, UA, device)


@pytest.mark.parametrize("name", FLOATS)
def test_floats(name, device):
    check("f32", f"%z = {name} %x, %y : f32", "%z", X, Y, FLOATS[name], device, 1e-7)


@pytest.mark.parametrize("name", UNARY)
def test_functions(name, device):
    x, function = UNARY[name]
    x = np.float32(x).astype(np.float64)
    check("f32", f"%z = {name} %x : f32", "%z", x, x, function(x), device, 1e-6)


def test_power(device):
    check("f32", "%z = math.powf %x, %y : f32", "%z", P, Y, P**Y, device, 2e-6)


def test_fused_multiply_add(device):
    check("f32", "%z = math.fma %x, %y, %x : f32", "%z", X, Y, X * Y + X, device, 1e-7)


@pytest.mark.parametrize("name", ["fptosi", "fptoui"])
def test_floats_to_integers_saturate(name, device):
    low, high = (LEAST, MOST) if name == "fptosi" else (0, 2**32 - 1)
    want = np.trunc(np.clip(np.nan_to_num(EDGE.astype(np.float64)), low, high))
    back = "sitofp" if name == "fptosi" else "uitofp"
    text = f"%z = arith.{name} %x : f32 to i32\n    %f = arith.{back} %z : i32 to f32"
    check("f32", text, "%f", EDGE, EDGE, want, device)


@pytest.mark.parametrize(
    "name", ["oeq", "one", "olt", "oge", "ord", "ueq", "une", "ult", "uno"]
)
def test_float_comparisons(name, device):
    a, b = np.repeat(EDGE[[0, 2, 4, 9]], 4), np.tile(EDGE[[1, 2, 4, 10]], 4)
    nan = np.isnan(a) | np.isnan(b)
    plain = {"eq": a == b, "ne": (a != b) & ~nan, "lt": a < b, "ge": a >= b}
    want = ~nan if name == "ord" else nan if name == "uno" else plain[name[1:]]
    want = want | nan if name[0] == "u" else want & ~nan
    text = f"%z = arith.cmpf {name}, %x, %y : f32\n    %f = arith.uitofp %z : i1 to f32"
    check("f32", text, "%f", a, b, want, device)
