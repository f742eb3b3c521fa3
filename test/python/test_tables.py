# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# attn.table: tensors of any rank, entries and strides, read by computed indices, in
# every kind of body, against NumPy formulas and the reference.
import metrics
import ml_dtypes
import numpy as np
import pytest
from cases import make_case
from native import Failure, reference, run

HEADS, KV_HEADS, DIM = 4, 2, 64
ELEMENTS = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}


def spec(tables, bodies, element="f32"):
    """A kernel with tables (name: type) and the bodies of a variant that read them."""
    parameters = ", ".join(f"%{name}: {text}" for name, text in tables.items())
    names = ", ".join(f"%{name}" for name in tables)
    call = f"@v({names} : {', '.join(tables.values())})"
    query = f"!attn.ragged<{HEADS}x{DIM}x{element}>"
    cache = f"!attn.ragged<{KV_HEADS}x{DIM}x{element}>"
    state = f"!attn.state<{HEADS}x{DIM}>"
    return f"""
attn.variant @v({parameters}) {{
{bodies}
}}
attn.kernel @k(%q: {query}, %kv: {cache}, {parameters}) {{
  %s = attn.attend {call} %q, %kv : {query}, {cache} -> {state}
  %o, %lse = attn.finish {call} %s : {state} -> {query}, !attn.lse<{HEADS}>
  attn.return %o, %lse : {query}, !attn.lse<{HEADS}>
}}
"""


def outputs(case, score):
    """Softmax attention in double precision: score(request, head, q, k, logits) with
    positions as column and row gives the logits that count."""
    out, lses = [], []
    for request in case.requests:
        q, k = request.positions()
        keys, values = request.keys[0], request.values[0]
        rows, row_lses = [], []
        for head in range(HEADS):
            of = head // (HEADS // KV_HEADS)
            x = request.q[:, head].astype(np.float64)
            logits = x @ keys[:, of].astype(np.float64).T / np.sqrt(DIM)
            logits = score(request.index, head, q, k, logits)
            weights = np.exp(logits)
            total = weights.sum(1)
            with np.errstate(divide="ignore", invalid="ignore"):
                row = weights @ values[:, of].astype(np.float64) / total[:, None]
                rows.append(np.where(total[:, None] > 0, row, 0))
                row_lses.append(np.log(total))
        out.append(np.stack(rows, 1).reshape(-1, DIM))
        lses.append(np.stack(row_lses, 1).reshape(-1))
    return [np.concatenate(out), np.concatenate(lses)]


def check(text, kinds, values, device, score, **lengths):
    """Tables keep their types where layouts are made to fit the device."""
    if device == "cuda":
        text = text.replace("xf32>", "xbf16>")
    for name, kind in kinds.items():
        text = text.replace(name, kind)
    element = "bf16" if device == "cuda" else "f32"
    q_len, kv_len = (
        lengths.get("q_len", [70, 1, 33]),
        lengths.get("kv_len", [130, 41, 33]),
    )
    case = make_case(text, q_len, [kv_len], values, seed=5)
    want = outputs(case, score)
    for got, expected in zip(reference(case), want, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)
    metrics.check(run(case, device), want, element)


BIAS = """
  attn.logits(%s, request %r, head %h, query %q, key %k) {
    %b = attn.read %t[%r, %h, %q, %k] : TYPE
    %y = arith.addf %s, %b : f32
    attn.yield %y : f32
  }"""


def views(values):
    """One array in memory of several forms."""
    yield values
    yield np.ascontiguousarray(values.transpose(3, 1, 0, 2)).transpose(2, 1, 3, 0)
    holes = np.zeros([n + 1 + i for i, n in enumerate(values.shape)], values.dtype)
    view = holes[tuple(slice(1, 1 + n) for n in values.shape)]
    view[...] = values
    yield view
    yield np.ascontiguousarray(values[:, ::-1, :, ::-1])[:, ::-1, :, ::-1]


@pytest.mark.parametrize("form", range(4))
@pytest.mark.parametrize("entry", ELEMENTS)
def test_a_bias_of_four_dimensions(entry, form, device):
    rng = np.random.default_rng(7)
    bias = rng.standard_normal((3, HEADS, 130, 130)).astype(ELEMENTS[entry])
    bias = list(views(bias))[form]
    kind = f"!attn.table<?x?x?x?x{entry}>"
    text = spec({"t": "KIND"}, BIAS.replace("TYPE", "KIND"))
    check(text, {"KIND": kind}, {"t": bias}, device, score_of(bias))


def score_of(bias):
    def score(r, h, q, k, logits):
        return logits + bias[r, h, q, k].astype(np.float64)

    return score


def test_documents_of_64_bits(device):
    rng = np.random.default_rng(8)
    ids = np.cumsum(rng.random((3, 130)) < 0.05, 1).astype(np.int64)
    ids += np.int64(7) << 40  # reads keep the low half
    text = spec(
        {"t": "KIND"},
        """
  attn.mask(request %r, query %q, key %k) {
    %a = attn.read %t[%r, %q] : KIND
    %b = attn.read %t[%r, %k] : KIND
    %same = arith.cmpi eq, %a, %b : i32
    %causal = arith.cmpi sge, %q, %k : i32
    %keep = arith.andi %same, %causal : i1
    attn.yield %keep : i1
  }""",
    )

    def score(r, h, q, k, logits):
        return np.where((ids[r, q] == ids[r, k]) & (q >= k), logits, -np.inf)

    check(text, {"KIND": "!attn.table<?x?xi64>"}, {"t": ids}, device, score)


@pytest.mark.parametrize("expanded", [False, True])
def test_a_mask_of_truths(expanded, device):
    rng = np.random.default_rng(9)
    keep = rng.random((HEADS, 130, 130)) < 0.5
    keep[:, 3] = False  # rows that see nothing
    if expanded:
        keep = np.broadcast_to(keep[:1], keep.shape)
    text = spec(
        {"t": "KIND"},
        """
  attn.mask(head %h, query %q, key %k) {
    %keep = attn.read %t[%h, %q, %k] : KIND
    attn.yield %keep : i1
  }""",
    )

    def score(r, h, q, k, logits):
        return np.where(keep[h, q, k], logits, -np.inf)

    check(
        text, {"KIND": "!attn.table<?x?x?xi1>"}, {"t": keep}, device, score,
        q_len=[130, 1, 33],
    )  # fmt: skip


@pytest.mark.parametrize("entry", ["i64", "i32", "i8"])
def test_a_prefix_of_each_request_bounds_the_keys(entry, device):
    prefix = np.array([90, 100, 7], np.int64)
    text = spec(
        {"t": "KIND"},
        """
  attn.mask(request %r, query %q, key %k) {
    %p = attn.read %t[%r] : KIND
    %early = arith.cmpi slt, %k, %p : i32
    %causal = arith.cmpi sge, %q, %k : i32
    %keep = arith.ori %early, %causal : i1
    attn.yield %keep : i1
  }""",
    )

    def score(r, h, q, k, logits):
        return np.where((k < prefix[r]) | (q >= k), logits, -np.inf)

    check(text, {"KIND": f"!attn.table<?x{entry}>"}, {"t": prefix}, device, score)


def test_every_body_reads_tables(device):
    """Rows scaled by entries of 16 bits, and a sink."""
    rng = np.random.default_rng(10)
    scale = rng.uniform(0.5, 1.5, (130, HEADS)).astype(ml_dtypes.bfloat16)
    sink = rng.standard_normal((3, HEADS)).astype(np.float16)
    rows = "vector<64xf32>"
    body = """
  attn.KIND(%x: ROW, POS %p, head %h) {
    %f = attn.read %scale[%p, %h] : SCALE
    %b = vector.broadcast %f : f32 to ROW
    %y = arith.mulf %x, %b : ROW
    attn.yield %y : ROW
  }""".replace("ROW", rows)
    text = spec(
        {"scale": "SCALE", "sink": "SINK"},
        body.replace("KIND", "query").replace("POS", "query")
        + body.replace("KIND", "key").replace("POS", "key")
        + body.replace("KIND", "output").replace("POS", "query")
        + """
  attn.sink(request %r, head %h) {
    %z = attn.read %sink[%r, %h] : SINK
    attn.yield %z : f32
  }""",
    )
    kinds = {"SCALE": "!attn.table<?x?xbf16>", "SINK": "!attn.table<?x?xf16>"}
    if device == "cuda":
        text = text.replace("xf32>", "xbf16>").replace("vector<64xbf16>", rows)
    for name, kind in kinds.items():
        text = text.replace(f": {name}", f": {kind}").replace(f", {name}", f", {kind}")
    case = make_case(text, [33, 5], [[64, 70]], {"scale": scale, "sink": sink}, seed=1)
    metrics.check(
        run(case, device),
        reference(case),
        "bf16" if device == "cuda" else "f32",
        metrics.ROUNDED_LSE_LIMIT,
    )


def test_indices_are_clamped_in_each_dimension(device):
    table = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
    text = spec(
        {"t": "KIND"},
        """
  attn.logits(%s, query %q, key %k) {
    %c = arith.constant 40 : i32
    %i = arith.subi %q, %c : i32
    %t0 = arith.constant -1000000000 : i32
    %big = arith.muli %k, %t0 : i32
    %b = attn.read %t[%i, %big] : KIND
    %y = arith.addf %s, %b : f32
    attn.yield %y : f32
  }""",
    )

    def score(r, h, q, k, logits):
        wrapped = (k.astype(np.int64) * -1000000000 + 2**31) % 2**32 - 2**31
        return logits + table[np.clip(q - 40, 0, 2), np.clip(wrapped, 0, 3)]

    check(text, {"KIND": "!attn.table<?x?xf32>"}, {"t": table}, device, score)


def test_strides_beyond_32_bits(device):
    """Entries that lie more than 2^31 apart."""
    far = (1 << 31) + 5
    keep = np.zeros((2, far), np.bool_)[:, :130]
    keep[0, ::2] = keep[1, ::3] = True
    text = spec(
        {"t": "KIND"},
        """
  attn.mask(head %h, key %k) {
    %one = arith.constant 1 : i32
    %odd = arith.andi %h, %one : i32
    %keep = attn.read %t[%odd, %k] : KIND
    attn.yield %keep : i1
  }""",
    )

    def score(r, h, q, k, logits):
        return np.where(k % (2 + h % 2) == 0, logits, -np.inf)

    check(text, {"KIND": "!attn.table<?x?xi1>"}, {"t": keep}, device, score)


def test_wrong_tables_are_refused(device):
    text = spec(
        {"t": "!attn.table<?x?xi32>"},
        """
  attn.mask(head %h, key %k) {
    %x = attn.read %t[%h, %k] : !attn.table<?x?xi32>
    %zero = arith.constant 0 : i32
    %keep = arith.cmpi ne, %x, %zero : i32
    attn.yield %keep : i1
  }""",
        "bf16",
    )
    case = make_case(text, [1], [[4]], {"t": np.ones((4, 4), np.int32)})

    def refuses(value, message):
        case.arguments[2] = value.view(type(case.arguments[2]))
        with pytest.raises(Failure, match=message):
            run(case, device)

    refuses(np.ones((4, 4, 1), np.int32), "'t' to have 2 dimensions, but got shape")
    refuses(np.ones(4, np.int32), "'t' to have 2 dimensions, but got shape")
    refuses(
        np.ones((0, 4), np.int32),
        r"'t' to have extents of 1 or more, but got shape \[0, 4\]",
    )
    refuses(np.ones((4, 4), np.int64), "'t' to be i32, but got i64")
    refuses(np.ones((4, 4), np.bool_), "'t' to be i32, but got bool")


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_the_package_takes_arrays_as_they_are(framework, device):
    """int64, bool and 16-bit floats, transposed, as NumPy or torch arrays."""
    saccade = pytest.importorskip("saccade")
    torch = pytest.importorskip("torch") if framework == "torch" else None
    if device == "cuda" and torch is None:
        pytest.skip("NumPy arrays are on the host")
    kinds = {
        "ids": "!attn.table<?xi64>",
        "keep": "!attn.table<?x?xi1>",
        "bias": "!attn.table<?x?xf16>",
    }
    body = """
  attn.logits(%s, query %q, key %k) {
    %b = attn.read %bias[%q, %k] : !attn.table<?x?xf16>
    %y = arith.addf %s, %b : f32
    attn.yield %y : f32
  }
  attn.mask(query %q, key %k) {
    %a = attn.read %ids[%q] : !attn.table<?xi64>
    %c = attn.read %ids[%k] : !attn.table<?xi64>
    %same = arith.cmpi eq, %a, %c : i32
    %kept = attn.read %keep[%q, %k] : !attn.table<?x?xi1>
    %both = arith.ori %same, %kept : i1
    attn.yield %both : i1
  }"""
    rng = np.random.default_rng(11)
    n = 50
    q, k, v = (
        rng.standard_normal((n, heads, DIM)).astype(np.float16)
        for heads in (HEADS, KV_HEADS, KV_HEADS)
    )
    ids = np.cumsum(rng.random(n) < 0.1)
    keep, bias = rng.random((n, n)) < 0.3, rng.standard_normal((n, n))
    bias = bias.astype(np.float16)
    text = spec(kinds, body, "f16")
    want = saccade.reference(
        text, q, (k, v), ids, keep.T, bias.T, q_lens=[n], kv_lens=[n]
    )
    kernel = saccade.compile(text, device=device)
    arrays = [q, k, v, ids, keep, bias]
    if torch is not None:
        arrays = [torch.from_numpy(array).to(device) for array in arrays]
    q, k, v, ids, keep, bias = arrays
    out, _ = kernel.plan([n], kv_lens=[n]).run(q, (k, v), ids, keep.T, bias.T)
    got = np.asarray(out.cpu() if torch is not None else out, np.float64)
    assert np.linalg.norm(got - want[0]) <= 4e-3 * np.linalg.norm(want[0])
