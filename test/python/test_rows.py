# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Rows without keys: outputs taken up as states, merged with each other and with
# what is attended to, and row functions of tokens; against NumPy formulas.
import metrics
import numpy as np
import pytest
from cases import make_case
from native import reference, run

HEADS, DIM = 4, 64


def element_of(device):
    return "bf16" if device == "cuda" else "f32"


def layout(kind, device, heads=HEADS, options=""):
    return f"!attn.{kind}<{heads}x{DIM}x{element_of(device)}{options}>"


def check(case, want, device, **how):
    for got, expected in zip(reference(case), want, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
    metrics.check(run(case, device, **how), want, case.element)


def lead(kind, q_len):
    return (len(q_len), max(q_len)) if kind == "dense" else (sum(q_len),)


def lses(rng, kind, q_len, device):
    """LSEs of a batch, some of them of rows that saw nothing."""
    values = rng.standard_normal((*lead(kind, q_len), HEADS)) * 3
    return np.where(rng.random(values.shape) < 0.2, -np.inf, values).astype(np.float32)


def by_request(values, kind, q_len):
    starts = np.cumsum([0, *q_len])
    if kind == "dense":
        return [values[r, :n] for r, n in enumerate(q_len)]
    return [values[starts[r] : starts[r] + n] for r, n in enumerate(q_len)]


def merged(states):
    """(output, LSE) of several, in double precision."""
    outputs, weights = zip(*states, strict=True)
    weights = np.stack(weights).astype(np.float64)
    most = weights.max(0)
    pivot = np.where(np.isneginf(most), 0, most)
    factors = np.exp(weights - pivot)
    total = factors.sum(0)
    stack = np.stack(outputs).astype(np.float64)
    stack[np.isneginf(weights)] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        output = (stack * factors[..., None]).sum(0) / total[..., None]
        lse = np.log(total) + pivot
    return np.where(total[..., None] > 0, output, 0), lse


@pytest.mark.parametrize("order", ["", ", order = HND"])
@pytest.mark.parametrize("kind", ["ragged", "dense"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_outputs_and_lses_are_merged(count, kind, order, device):
    tokens = layout(kind, device, options=order)
    state, lse = f"!attn.state<{HEADS}x{DIM}>", f"!attn.lse<{HEADS}>"
    names = "abc"[:count]
    signature = ", ".join(f"%{n}: {tokens}, %l{n}: {lse}" for n in names)
    lines = [
        f"  %s{n} = attn.resume %{n}, %l{n} : {tokens}, {lse} -> {state}" for n in names
    ]
    last = "sa"
    for n in names[1:]:
        lines.append(f"  %m{n} = attn.merge %{last}, %s{n} : {state}")
        last = f"m{n}"
    text = "\n".join(
        [
            "attn.variant @full() {",
            "}",
            f"attn.kernel @k({signature}) {{",
            *lines,
            f"  %o, %lse = attn.finish @full() %{last} : {state} -> {tokens}, {lse}",
            f"  attn.return %o, %lse : {tokens}, {lse}",
            "}",
            "",
        ]
    )
    rng = np.random.default_rng(3)
    q_len = [70, 0, 1, 130]
    values = {f"l{n}": lses(rng, kind, q_len, device) for n in names}
    case = make_case(text, q_len, [], values, seed=4)
    want = []
    for r in range(len(q_len)):
        rows = [
            case.requests[r].q if n == "a" else case.requests[r].named[n] for n in names
        ]
        given = [by_request(values[f"l{n}"], kind, q_len)[r] for n in names]
        want.append(merged(zip(rows, given, strict=True)))
    check(
        case,
        [
            np.concatenate([o.reshape(-1, DIM) for o, _ in want]),
            np.concatenate([x.reshape(-1) for _, x in want]),
        ],
        device,
    )


def test_what_an_empty_state_holds_does_not_matter(device):
    tokens = layout("ragged", device)
    state, lse = f"!attn.state<{HEADS}x{DIM}>", f"!attn.lse<{HEADS}>"
    text = f"""
attn.variant @full() {{
}}
attn.kernel @k(%a: {tokens}, %la: {lse}, %b: {tokens}, %lb: {lse}) {{
  %s = attn.resume %a, %la : {tokens}, {lse} -> {state}
  %t = attn.resume %b, %lb : {tokens}, {lse} -> {state}
  %m = attn.merge %s, %t : {state}
  %o, %lse = attn.finish @full() %m : {state} -> {tokens}, {lse}
  attn.return %o, %lse : {tokens}, {lse}
}}
"""
    nothing = np.full((9, HEADS), -np.inf, np.float32)
    some = nothing.copy()
    some[3:] = 1.5
    case = make_case(text, [9], [], {"la": nothing, "lb": some}, seed=4)
    case.arguments[0][:] = np.nan
    rows = case.requests[0].named["b"].astype(np.float64)
    rows[:3] = 0
    case.arguments[2][:3] = np.inf
    check(case, [rows.reshape(-1, DIM), some.reshape(-1)], device)


@pytest.mark.parametrize("q_len, kv_len", [([1, 3], [1500, 40]), ([90], [300])])
@pytest.mark.parametrize("first", [True, False])
def test_attention_goes_on_from_an_output(first, q_len, kv_len, device):
    """In one item and in many parts: the output counts once."""
    query = layout("ragged", device)
    cache = layout("ragged", device, heads=2)
    state, lse = f"!attn.state<{HEADS}x{DIM}>", f"!attn.lse<{HEADS}>"
    order = "%s, %t" if first else "%t, %s"
    text = f"""
attn.variant @full() {{
}}
attn.kernel @k(%q: {query}, %kv: {cache}, %a: {query}, %la: {lse}) {{
  %s = attn.resume %a, %la : {query}, {lse} -> {state}
  %t = attn.attend @full() %q, %kv : {query}, {cache} -> {state}
  %m = attn.merge {order} : {state}
  %o, %lse = attn.finish @full() %m : {state} -> {query}, {lse}
  attn.return %o, %lse : {query}, {lse}
}}
"""
    rng = np.random.default_rng(3)
    values = {"la": lses(rng, "ragged", q_len, device) + 4}
    case = make_case(text, q_len, [kv_len], values, seed=6)
    want = []
    for r, request in enumerate(case.requests):
        outputs, weights = np.zeros(request.q.shape), np.zeros(request.q.shape[:2])
        for h in range(HEADS):
            x = request.q[:, h].astype(np.float64)
            k, v = (
                y[0][:, h // 2].astype(np.float64)
                for y in (request.keys, request.values)
            )
            logits = x @ k.T / np.sqrt(DIM)
            weights[:, h] = np.log(np.exp(logits).sum(1))
            outputs[:, h] = np.exp(logits - weights[:, h, None]) @ v
        given = by_request(values["la"], "ragged", q_len)[r]
        want.append(merged([(request.named["a"], given), (outputs, weights)]))
    want = [
        np.concatenate([o.reshape(-1, DIM) for o, _ in want]),
        np.concatenate([x.reshape(-1) for _, x in want]),
    ]
    check(case, want, device)
    check(case, want, device, ctas=13)


ROTATE = """
attn.variant @rotate(%places: !attn.table<?x?xi64>, %rate: f32) {
  attn.query(%x: vector<64xf32>, query %q, q_len %n, kv_len %m, request %r) {
    %first = arith.subi %m, %n : i32
    %token = arith.subi %q, %first : i32
    %p = attn.read %places[%r, %token] : !attn.table<?x?xi64>
    %pf = arith.sitofp %p : i32 to f32
    %a = arith.mulf %pf, %rate : f32
    %c = math.cos %a : f32
    %s = math.sin %a : f32
    %cv = vector.broadcast %c : f32 to vector<32xf32>
    %sv = vector.broadcast %s : f32 to vector<32xf32>
    %x0 = vector.extract_strided_slice %x {offsets = [0], sizes = [32], strides = [1]} : vector<64xf32> to vector<32xf32>
    %x1 = vector.extract_strided_slice %x {offsets = [32], sizes = [32], strides = [1]} : vector<64xf32> to vector<32xf32>
    %b = arith.mulf %x0, %cv : vector<32xf32>
    %d = arith.mulf %x1, %sv : vector<32xf32>
    %y0 = arith.subf %b, %d : vector<32xf32>
    %e = arith.mulf %x1, %cv : vector<32xf32>
    %f = arith.mulf %x0, %sv : vector<32xf32>
    %y1 = arith.addf %e, %f : vector<32xf32>
    %y = vector.shuffle %y0, %y1 [LANES] : vector<32xf32>, vector<32xf32>
    attn.yield %y : vector<64xf32>
  }
}
""".replace("LANES", ", ".join(map(str, range(64))))


def rotated(x, places, rate):
    angle = (places * np.float64(np.float32(rate)))[:, None, None]
    x0, x1 = x[..., :32].astype(np.float64), x[..., 32:].astype(np.float64)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([x0 * cos - x1 * sin, x1 * cos + x0 * sin], -1)


@pytest.mark.parametrize("appends", [False, True])
@pytest.mark.parametrize("kind", ["ragged", "dense"])
def test_tokens_are_rotated(kind, appends, device):
    """At places from a table; alone, and beside an append, which has lengths."""
    tokens, new = layout(kind, device), layout(kind, device, heads=2)
    cache = layout("paged", device, heads=2, options=", page = 16")
    table = "!attn.table<?x?xi64>"
    more = f", %k: {new}, %v: {new}, %kv: {cache}" if appends else ""
    append = f"%c = attn.append %k, %v into %kv : {new}, {new} into {cache}"
    text = f"""{ROTATE}
attn.kernel @k(%x: {tokens}{more}, %places: {table}, %rate: f32) {{
  {append if appends else ""}
  %y = attn.map_rows @rotate(%places, %rate : {table}, f32) %x : {tokens} -> {tokens}
  attn.return %y : {tokens}
}}
"""
    q_len = [70, 0, 1, 130]
    rng = np.random.default_rng(3)
    places = rng.integers(0, 5000, (4, 130))
    values = {"places": places, "rate": 0.01}
    case = make_case(text, q_len, [[80, 3, 1, 130]] if appends else [], values, seed=4)
    want = [
        rotated(request.q, places[r, : len(request.q)], 0.01)
        for r, request in enumerate(case.requests)
    ]
    want = [np.concatenate([rows.reshape(-1, DIM) for rows in want])]
    metrics.check(reference(case), want, "f32")
    metrics.check(run(case, device), want, case.element)


def test_the_package_plans_without_a_cache(device):
    saccade = pytest.importorskip("saccade")
    if device == "cuda":
        pytest.skip("NumPy arrays are on the host")
    tokens, lse = "!attn.ragged<4x64xf32>", "!attn.lse<4>"
    text = f"""
attn.variant @full() {{
}}
attn.kernel @k(%a: {tokens}, %la: {lse}, %b: {tokens}, %lb: {lse}) {{
  %s = attn.resume %a, %la : {tokens}, {lse} -> !attn.state<4x64>
  %t = attn.resume %b, %lb : {tokens}, {lse} -> !attn.state<4x64>
  %m = attn.merge %s, %t : !attn.state<4x64>
  %o, %lse = attn.finish @full() %m : !attn.state<4x64> -> {tokens}, {lse}
  attn.return %o, %lse : {tokens}, {lse}
}}
"""
    rng = np.random.default_rng(5)
    a, b = (rng.standard_normal((20, 4, 64), np.float32) for _ in range(2))
    la, lb = (rng.standard_normal((20, 4), np.float32) for _ in range(2))
    kernel = saccade.compile(text, device="cpu")
    out, out_lse = kernel.plan([7, 13]).run(a, la, b, lb)
    want, want_lse = merged([(a, la), (b, lb)])
    np.testing.assert_allclose(out, want, atol=1e-5)
    np.testing.assert_allclose(out_lse, want_lse, atol=1e-5)
    again, _ = saccade.reference(text, a, la, b, lb, q_lens=[20])
    np.testing.assert_allclose(again, want, atol=1e-6)
