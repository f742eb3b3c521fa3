# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Random well-typed kernels: variants from a grammar of logits, masks, row
# functions, sinks and normalizers, times layouts, head dims, ratios of heads and
# lengths. A seed names a kernel for good. No body compares computed floats, since
# single and double precision may then rightly disagree.
#
#   python test/python/generate.py SEED     prints the spec of a seed
import random
import sys
from dataclasses import dataclass, field

import numpy as np
from cases import make_case
from generate_storage import Storage
from generate_tables import table_bias, table_mask
from scenarios import EDGES

POSITIONS = ["query", "key", "head", "request", "q_len", "kv_len", "slot"]


class Body:
    """The text of one body; positions are asked for by the first use."""

    def __init__(self, variant, kind, data=None):
        self.variant, self.kind, self.data = variant, kind, data
        self.lines, self.positions = [], []

    def position(self, name):
        if name not in self.positions:
            self.positions.append(name)
        return f"%{name}"

    def op(self, text):
        name = f"%{len(self.lines)}"
        self.lines.append(f"    {name} = {text}")
        return name

    def i32(self, value):
        return self.op(f"arith.constant {value} : i32")

    def f32(self, value):
        return self.op(f"arith.constant {np.float32(value):.9e} : f32")

    def integer(self, name, *operands):
        return self.op(f"arith.{name} {', '.join(operands)} : i32")

    def float(self, name, *operands):
        dialect = "arith" if name.endswith("f") and name != "powf" else "math"
        return self.op(f"{dialect}.{name} {', '.join(operands)} : f32")

    def compare(self, predicate, a, b):
        return self.op(f"arith.cmpi {predicate}, {a}, {b} : i32")

    def to_float(self, value):
        return self.op(f"arith.sitofp {value} : i32 to f32")

    def parameter(self, text, value):
        return self.variant.parameter(text, value)

    def read(self, text, value, *indices):
        table = self.parameter(text, value)
        return self.op(f"attn.read {table}[{', '.join(indices)}] : {text}")

    def distance(self):
        return self.integer("subi", self.position("query"), self.position("key"))

    def finish(self, result, kind="f32"):
        data = (
            [f"%x: {self.data}"]
            if self.data
            else ["%s"]
            if self.kind == "logits"
            else []
        )
        arguments = ", ".join(data + [f"{p} %{p}" for p in self.positions])
        self.variant.bodies.append(
            "\n".join(
                [
                    f"  attn.{self.kind}({arguments}) {{",
                    *self.lines,
                    f"    attn.yield {result} : {kind}",
                    "  }",
                ]
            )
        )


@dataclass
class Variant:
    heads: int
    normalizer: str = "softmax"
    parameters: list = field(default_factory=list)  # (name, type, value)
    bodies: list = field(default_factory=list)
    row_functions: bool = False
    tables: random.Random = None  # of attn.table, drawn apart from all else

    def parameter(self, text, value):
        name = f"p{len(self.parameters)}"
        self.parameters.append((name, text, value))
        return f"%{name}"

    def spec(self):
        arguments = ", ".join(f"%{n}: {t}" for n, t, _ in self.parameters)
        suffix = (
            "" if self.normalizer == "softmax" else f" normalizer = {self.normalizer}"
        )
        return "\n".join(
            [f"attn.variant @v({arguments}){suffix} {{", *self.bodies, "}"]
        )

    def call(self):
        names = ", ".join(f"%{n}" for n, _, _ in self.parameters)
        types = ", ".join(t for _, t, _ in self.parameters)
        return f"@v({names} : {types})" if names else "@v()"


# ---- Logits ---------------------------------------------------------------------


def soft_cap(b, rng, s):
    cap = b.parameter("f32", rng.choice([1.5, 5.0, 30.0]))
    return b.float("mulf", b.float("tanh", b.float("divf", s, cap)), cap)


def alibi(b, rng, s):
    slopes = lambda g, _: g.uniform(-0.1, 0.1, b.variant.heads)  # noqa: E731
    slope = b.read("!attn.per_head<f32>", slopes, b.position("head"))
    return b.float("fma", slope, b.to_float(b.distance()), s)


def key_bias(b, rng, s):
    table = lambda g, requests: [g.standard_normal(r.kv_len) for r in requests]  # noqa: E731
    bias = b.read(
        "!attn.per_token<f32>", table, b.position("request"), b.position("key")
    )
    return b.float("addf", s, bias)


def temperature(b, rng, s):
    table = lambda g, requests: g.uniform(0.5, 1.5, len(requests))  # noqa: E731
    return b.float(
        "mulf", s, b.read("!attn.per_request<f32>", table, b.position("request"))
    )


def wave(b, rng, s):
    angle = b.float("mulf", b.to_float(b.distance()), b.f32(rng.choice([0.01, 0.05])))
    return b.float("addf", s, b.float(rng.choice(["sin", "cos"]), angle))


def fade(b, rng, s):
    far = b.to_float(b.op(f"math.absi {b.distance()} : i32"))
    near = b.float("addf", far, b.f32(1.0))
    kind = rng.choice(["log", "log2", "sqrt", "rsqrt", "powf", "exp"])
    if kind == "powf":
        term = b.float("powf", near, b.f32(-0.3))
    elif kind == "exp":
        term = b.float("exp", b.float("negf", b.float("mulf", far, b.f32(0.1))))
    else:
        term = b.float("mulf", b.float(kind, near), b.f32(-0.125))
    return b.float("addf", s, term)


def clamp(b, rng, s):
    low = b.float(rng.choice(["maximumf", "maxnumf"]), s, b.f32(-1.5))
    return b.float(rng.choice(["minimumf", "minnumf"]), low, b.f32(2.0))


def soft_plus(b, rng, s):
    return b.float("log", b.float("addf", b.float("exp", s), b.f32(1.0)))


def step(b, rng, s):
    near = b.compare("slt", b.distance(), b.i32(rng.choice([4, 33, 100])))
    half = b.float("mulf", s, b.f32(0.5))
    return b.op(f"arith.select {near}, {s}, {half} : f32")


LOGITS = [soft_cap, alibi, key_bias, temperature, wave, fade, clamp, soft_plus, step]


def logits(variant, rng):
    body = Body(variant, "logits")
    s = "%s"
    for transform in rng.sample(LOGITS, rng.choice([1, 1, 2, 3])):
        s = transform(body, rng, s)
    if variant.tables.random() < 0.25:
        s = table_bias(body, variant.tables, s)
    body.finish(s)


# ---- Masks ----------------------------------------------------------------------


def causal(b, rng):
    return b.compare("sge", b.position("query"), b.position("key"))


def window(b, rng):
    return b.compare(
        rng.choice(["slt", "sle"]),
        b.distance(),
        b.parameter("i32", rng.choice([1, 16, 37, 64, 1 << 29])),
    )


def far_enough(b, rng):
    return b.compare("sge", b.distance(), b.i32(rng.choice([-3, 0, 2, 20])))


def sinks(b, rng):
    return b.compare(
        "slt", b.position("key"), b.parameter("i32", rng.choice([0, 4, 16]))
    )


def prefix(b, rng):
    table = lambda g, requests: [g.integers(0, r.kv_len + 1) for r in requests]  # noqa: E731
    length = b.read("!attn.per_request<i32>", table, b.position("request"))
    return b.compare("ult", b.position("key"), length)


def not_last(b, rng):
    limit = b.integer("subi", b.position("kv_len"), b.i32(rng.choice([0, 1, 9])))
    return b.compare("slt", b.position("key"), limit)


def chunks(b, rng):
    chunk = b.parameter("i32", rng.choice([1, 16, 48, 64]))
    kind = rng.choice(["divsi", "floordivsi"])
    mine = b.integer(kind, b.position("query"), chunk)
    return b.compare("eq", mine, b.integer(kind, b.position("key"), chunk))


def dilation(b, rng):
    rest = b.integer("remsi", b.distance(), b.i32(rng.choice([2, 3, 8])))
    return b.compare("eq", rest, b.i32(0))


def shifted(b, rng):
    by = b.i32(rng.choice([3, 5, 6]))
    mine = b.integer("shrsi", b.position("query"), by)
    return b.compare("eq", mine, b.integer("shrsi", b.position("key"), by))


def head_window(b, rng):
    table = lambda g, _: g.integers(1, 100, b.variant.heads)  # noqa: E731
    size = b.read("!attn.per_head<i32>", table, b.position("head"))
    return b.compare("slt", b.distance(), size)


def documents(b, rng):
    def table(g, requests):
        return [np.cumsum(g.random(r.kv_len) < 0.08) for r in requests]

    ids, r = b.parameter("!attn.per_token<i32>", table), b.position("request")
    mine, theirs = (
        b.op(f"attn.read {ids}[{r}, {b.position(p)}] : !attn.per_token<i32>")
        for p in ("query", "key")
    )
    return b.compare("eq", mine, theirs)


def bits(b, rng):
    def table(g, requests):
        return [g.random((len(r.q), r.kv_len)) < 0.7 for r in requests]

    first = b.integer("subi", b.position("kv_len"), b.position("q_len"))
    row = b.integer("subi", b.position("query"), first)
    return b.read("!attn.bits", table, b.position("request"), row, b.position("key"))


def slots(b, rng):
    rest = b.integer("remui", b.position("slot"), b.i32(5))
    return b.compare("ne", rest, b.i32(3))


def even_heads(b, rng):
    odd = b.integer("andi", b.position("head"), b.i32(1))
    return b.compare("eq", odd, b.i32(0))


AFFINE = [causal, causal, window, window, far_enough, sinks, prefix, not_last]
OTHERS = [chunks, dilation, shifted, head_window, documents, bits, slots, even_heads]


def mask_tree(b, rng, depth):
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(AFFINE if rng.random() < 0.65 else OTHERS)(b, rng)
    kind = rng.choice(["andi", "andi", "ori", "not", "select", "xori"])
    a = mask_tree(b, rng, depth - 1)
    if kind == "not":
        true = b.op("arith.constant true")
        return b.op(f"arith.xori {a}, {true} : i1")
    c = mask_tree(b, rng, depth - 1)
    if kind == "select":
        return b.op(f"arith.select {a}, {c}, {mask_tree(b, rng, 0)} : i1")
    return b.op(f"arith.{kind} {a}, {c} : i1")


def mask(variant, rng):
    body = Body(variant, "mask")
    keep = mask_tree(body, rng, rng.choice([0, 1, 1, 2, 3]))
    if variant.tables.random() < 0.2:
        table = table_mask(body, variant.tables)
        keep = body.op(f"arith.andi {keep}, {table} : i1")
    body.finish(keep, "i1")


# ---- Row functions and sinks ----------------------------------------------------


def splat(b, value, dim):
    return b.op(f"vector.broadcast {value} : f32 to vector<{dim}xf32>")


def rotate(b, rng, dim, place):
    """Rotary embedding, half-split or interleaved."""
    half = f"vector<{dim // 2}xf32>"
    lanes = ", ".join(map(str, range(dim // 2)))
    lane = b.op(f"arith.constant dense<[{lanes}]> : vector<{dim // 2}xi32>")
    lane = b.op(f"arith.sitofp {lane} : vector<{dim // 2}xi32> to {half}")
    rate = splat(b, b.f32(-8.0 / dim), dim // 2)
    frequency = b.op(
        f"math.exp2 {b.op(f'arith.mulf {lane}, {rate} : {half}')} : {half}"
    )
    start = b.float("mulf", b.to_float(b.position(place)), b.f32(0.1))
    angle = b.op(f"arith.mulf {frequency}, {splat(b, start, dim // 2)} : {half}")
    cos, sin = (b.op(f"math.{f} {angle} : {half}") for f in ("cos", "sin"))
    both = f"vector<{dim}xf32>"
    if rng.random() < 0.5:
        x0, x1 = (
            b.op(
                f"vector.extract_strided_slice %x {{offsets = [{o}], sizes = [{dim // 2}], "
                f"strides = [1]}} : {both} to {half}"
            )
            for o in (0, dim // 2)
        )
        merge = list(range(dim))
    else:
        x0, x1 = (
            b.op(f"vector.shuffle %x, %x {list(range(o, dim, 2))} : {both}, {both}")
            for o in (0, 1)
        )
        merge = [i // 2 + i % 2 * (dim // 2) for i in range(dim)]
    product = lambda a, c: b.op(f"arith.mulf {a}, {c} : {half}")  # noqa: E731
    y0 = b.op(f"arith.subf {product(x0, cos)}, {product(x1, sin)} : {half}")
    y1 = b.op(f"arith.addf {product(x1, cos)}, {product(x0, sin)} : {half}")
    return b.op(f"vector.shuffle {y0}, {y1} {merge} : {half}, {half}")


def rms_norm(b, rng, dim, place, epsilon=1e-2):
    row = f"vector<{dim}xf32>"
    squares = b.op(f"arith.mulf %x, %x : {row}")
    total = b.op(f"vector.reduction <add>, {squares} : {row} into f32")
    mean = b.float("mulf", total, b.f32(1 / dim))
    norm = b.float("rsqrt", b.float("addf", mean, b.f32(epsilon)) if epsilon else mean)
    return b.op(f"arith.mulf %x, {splat(b, norm, dim)} : {row}")


def rms_norm_bare(b, rng, dim, place):
    """Not finite on rows of zeros, which padding must not let through."""
    return rms_norm(b, rng, dim, place, epsilon=None)


def head_scale(b, rng, dim, place):
    table = lambda g, _: g.uniform(0.5, 1.5, b.variant.heads)  # noqa: E731
    scale = b.read("!attn.per_head<f32>", table, b.position("head"))
    return b.op(f"arith.mulf %x, {splat(b, scale, dim)} : vector<{dim}xf32>")


def squash(b, rng, dim, place):
    return b.op(f"math.tanh %x : vector<{dim}xf32>")


def row_function(variant, rng, kind, dim):
    body = Body(variant, kind, f"vector<{dim}xf32>")
    place = "query" if kind in ("query", "output") else "key"
    choices = [head_scale, squash, rms_norm]
    if kind == "output" and variant.normalizer != "softmax":
        choices.remove(squash)  # of large sums, it magnifies the rounding of weights
    if kind == "value":  # rows of zeros happen among outputs, not among values
        choices += [rms_norm_bare]
    if kind in ("query", "key"):
        choices = [rms_norm, head_scale, rotate, rotate]
    body.finish(rng.choice(choices)(body, rng, dim, place), f"vector<{dim}xf32>")


def sink(variant, rng):
    body = Body(variant, "sink")
    table = lambda g, _: g.standard_normal(variant.heads)  # noqa: E731
    body.finish(body.read("!attn.per_head<f32>", table, body.position("head")))


# ---- Kernels --------------------------------------------------------------------


def layout(rng, kind, heads, dim, element, value_dim=None):
    options = "" if value_dim in (None, dim) else f", value = {value_dim}"
    if rng.random() < 0.3:
        options += ", order = HND"
    if kind == "paged":
        options += f", page = {rng.choice([1, 3, 8, 16, 16, 48, 64])}"
    if kind == "block_sparse":
        options += (
            f", block = {rng.choice(['16x16', '64x64', '128x32', '48x80', '1x8'])}"
        )
    return f"!attn.{kind}<{heads}x{dim}x{element}{options}>"


@dataclass
class Generated:
    seed: int
    spec: str
    element: str
    row_functions: bool
    q_len: list
    kv_len: list
    values: dict
    padding: int
    form: int

    def case(self):
        return make_case(
            self.spec,
            self.q_len,
            self.kv_len,
            self.values,
            self.seed,
            self.padding,
            self.form,
        )


def variant_of(rng, heads, dim, value_dim, tables):
    variant = Variant(heads, rng.choice(["softmax"] * 6 + ["sigmoid", "none"]))
    variant.tables = tables
    for kind, chance in ("query", 0.2), ("key", 0.2), ("value", 0.12), ("output", 0.12):
        if rng.random() < chance:
            row_function(
                variant, rng, kind, dim if kind in ("query", "key") else value_dim
            )
            variant.row_functions |= kind in ("query", "key")
    if rng.random() < 0.6:
        logits(variant, rng)
    if rng.random() < 0.85:
        mask(variant, rng)
    if variant.normalizer == "softmax" and rng.random() < 0.25:
        sink(variant, rng)
    return variant


def lengths(rng, caches, appends):
    requests = rng.choice([1, 2, 3, 4])
    size = lambda: rng.choice(EDGES) if rng.random() < 0.6 else rng.randrange(260)  # noqa: E731
    kv_len = [[size() for _ in range(requests)] for _ in range(caches)]
    q_len = []
    for r in range(requests):
        total = kv_len[-1][r] if appends else sum(c[r] for c in kv_len)
        few = rng.choice([0, 1, 1, 2, 5])
        q_len.append(rng.choice([few, rng.randint(0, total), total]))
        if appends:
            q_len[-1] = min(q_len[-1], total)
    return q_len, kv_len


def resume(signature, output, heads, values):
    """The head of a kernel that goes on from an output and its LSE as well."""

    def lse(g, requests):
        lengths = [len(r.q) for r in requests]
        dense = output.startswith("!attn.dense")
        lead = (len(lengths), max(lengths)) if dense else (sum(lengths),)
        found = 2 * g.standard_normal((*lead, heads))
        return np.where(g.random(found.shape) < 0.2, -np.inf, found)

    values["la"] = lse
    more = f", %a: {output}, %la: !attn.lse<{heads}>) {{"
    return signature.removesuffix(") {") + more


def generate(seed, elements=("f32", "bf16", "f16"), narrow=True):
    """The kernel of a seed. With `narrow`, caches may be stored in 8 bits."""
    rng = random.Random(seed)
    element = rng.choice(elements)
    dim = rng.choice([64, 128, 128, 64, 32, 96, 16, 80, 192, 256])
    value_dim = rng.choice([dim, dim, dim, 64, 128])
    kv_heads, group = rng.choice([1, 2, 3]), rng.choice([1, 2, 4, 5, 7, 8])
    heads = kv_heads * group
    tables = random.Random(f"tables of {seed}")
    variant = variant_of(rng, heads, dim, value_dim, tables)

    query_kind = rng.choice(["ragged", "ragged", "dense"])
    query = layout(rng, query_kind, heads, dim, element)
    output = layout(rng, query_kind, heads, value_dim, element)
    appends = rng.random() < 0.12
    kinds = [
        rng.choice(["ragged", "dense", "paged", "paged", "block_sparse"])
        for _ in range(rng.choice([1, 1, 1, 2]))
    ]
    if appends:
        kinds[-1] = "paged"
    storage = Storage(seed, kv_heads, narrow)
    stored = [storage.element(element) for _ in kinds]
    caches = [
        layout(rng, kind, kv_heads, dim, bits, value_dim)
        for kind, (bits, _) in zip(kinds, stored, strict=True)
    ]
    units = [storage.scales(i) for i in range(len(kinds))]
    arguments = [("q", query)]
    if appends:
        arguments += [
            ("k", layout(rng, query_kind, kv_heads, dim, stored[-1][1])),
            ("v", layout(rng, query_kind, kv_heads, value_dim, stored[-1][1])),
        ]
    arguments += [(f"c{i}", text) for i, text in enumerate(caches)]
    values = {n: value for n, _, value in variant.parameters}
    scale = ""
    if rng.random() < 0.4:
        arguments.append(("scale", "f32"))
        values["scale"], scale = rng.choice([0.1, 0.05, dim**-0.5]), " scale %scale"
    arguments += [(n, text) for n, text, _ in variant.parameters]
    arguments += storage.arguments
    values |= storage.values

    suffix = "" if variant.normalizer == "softmax" else f", {variant.normalizer}"
    state = f"!attn.state<{heads}x{value_dim}{suffix}>"
    signature = ", ".join(f"%{n}: {t}" for n, t in arguments)
    lines = [variant.spec(), f"attn.kernel @k({signature}) {{"]
    names = [f"%c{i}" for i in range(len(caches))]
    if appends:
        types = dict(arguments)
        rounds = stored[-1][0] != stored[-1][1]
        lines.append(
            f"  %appended = attn.append %k, %v into {names[-1]}"
            f"{units[-1] if rounds else ''} : "
            f"{types['k']}, {types['v']} into {caches[-1]}"
        )
        names[-1] = "%appended"
    for i, (name, text) in enumerate(zip(names, caches, strict=True)):
        lines.append(
            f"  %s{i} = attn.attend {variant.call()} %q, {name}{scale}{units[i]} : "
            f"{query}, {text} -> {state}"
        )
    if len(caches) == 2:
        lines.append(f"  %s2 = attn.merge %s0, %s1 : {state}")
    last = 0 if len(caches) == 1 else 2
    if variant.normalizer == "softmax" and tables.random() < 0.2:
        lines[1] = resume(lines[1], output, heads, values)
        lse = f"!attn.lse<{heads}>"
        lines += [
            f"  %r = attn.resume %a, %la : {output}, {lse} -> {state}",
            f"  %s3 = attn.merge %s{last}, %r : {state}",
        ]
        last = 3
    lse = variant.normalizer == "softmax" and rng.random() < 0.8
    results = f"{output}, !attn.lse<{heads}>" if lse else output
    outs = "%o, %lse" if lse else "%o"
    lines += [
        f"  {outs} = attn.finish {variant.call()} %s{last} : {state} -> {results}",
        f"  attn.return {outs} : {results}",
        "}",
        "",
    ]
    q_len, kv_len = lengths(rng, len(caches), appends)
    return Generated(
        seed,
        "\n".join(lines),
        element,
        variant.row_functions,
        q_len,
        kv_len,
        values,
        rng.choice([0, 8]),
        rng.randrange(4),
    )


if __name__ == "__main__":
    print(generate(int(sys.argv[1])).spec, end="")
