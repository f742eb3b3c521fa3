# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Inputs for a spec: a case holds what a kernel is given, laid out as its types
# say, and the same content request by request, for formulas that know no
# layouts. Memory that no token owns is NaN, so whoever reads it is found out.
import pathlib
import re
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
DTYPES = {
    "f32": np.float32,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "f8E4M3FN": ml_dtypes.float8_e4m3fn,
    "f8E5M2": ml_dtypes.float8_e5m2,
}
ENTRIES = DTYPES | {"i32": np.int32, "i64": np.int64, "i8": np.int8, "i1": np.bool_}


class Table(np.ndarray):
    """An array that is a table, whatever its rank."""


@dataclass
class Layout:
    kind: str
    heads: int
    dim: int
    element: str
    value_dim: int
    hnd: bool
    page: int = 0
    block: tuple = ()

    @staticmethod
    def parse(text):
        """`!attn.paged<8x128xbf16, page = 16>` and its sisters; None if it is none."""
        match = re.fullmatch(
            r"!attn\.(ragged|dense|paged|block_sparse)<(\d+)x(\d+)x(\w+)(.*)>", text
        )
        if not match:
            return None
        kind, heads, dim, element, rest = match.groups()
        options = dict(re.findall(r"(\w+) = (\w+)", rest))
        block = (
            tuple(map(int, options["block"].split("x"))) if "block" in options else ()
        )
        return Layout(
            kind,
            int(heads),
            int(dim),
            element,
            int(options.get("value", dim)),
            options.get("order") == "HND",
            int(options.get("page", 0)),
            block,
        )


@dataclass
class Cache:
    """A cache as the C API is told of it."""

    keys: np.ndarray
    values: np.ndarray
    lengths: list = None
    indptr: list = None
    last_page_len: list = None
    indices: np.ndarray = None
    block_rows: np.ndarray = None
    both: np.ndarray = None  # keys and values in one tensor [pages, 2, ...]


@dataclass
class Request:
    """What one request holds, with layouts taken away: [tokens, heads, dim]."""

    index: int
    q: np.ndarray
    keys: list = field(default_factory=list)  # one array a cache
    values: list = field(default_factory=list)
    blocks: list = field(
        default_factory=list
    )  # block-sparse: [row blocks] of key blocks
    named: dict = field(default_factory=dict)  # other tensors, by argument

    @property
    def kv_len(self):
        return sum(len(k) for k in self.keys)

    def positions(self):
        """Query positions as a column, key positions as a row."""
        q_len, kv_len = len(self.q), self.kv_len
        return np.arange(kv_len - q_len, kv_len)[:, None], np.arange(kv_len)[None, :]


@dataclass
class Case:
    spec: str
    names: list
    types: list
    layouts: dict
    q_len: list
    requests: list
    arguments: list
    values: dict
    result_types: list
    form: int = 0  # see make_case

    @property
    def caches(self):
        return [a for a in self.arguments if isinstance(a, Cache)]

    @property
    def query(self):
        return self.layouts[self.names[0]]

    @property
    def result_shapes(self):
        """Of one row of each result: (dim,) or () for an LSE."""
        return [
            () if layout is None else (layout.dim,)
            for layout in map(Layout.parse, self.result_types)
        ]

    @property
    def element(self):
        return self.query.element

    def rows(self):
        return [
            (r, i, h)
            for r, n in enumerate(self.q_len)
            for i in range(n)
            for h in range(self.query.heads)
        ]

    def poisoned_outputs(self):
        """Result tensors full of NaN, longer than the batch needs."""
        outputs = []
        for text in self.result_types:
            layout = Layout.parse(text)
            if layout is None:
                shape, dtype = (self.query.heads,), np.float32
                lead = _lead(self.query, self.q_len)
                outputs.append(np.full((*lead, *shape), np.nan, dtype))
                continue
            outputs.append(_poisoned(layout, _lead(layout, self.q_len), layout.dim))
        return outputs

    def rows_of(self, outputs):
        """The batch's rows of result tensors; the others must still be poison."""
        collected = []
        for output, text in zip(outputs, self.result_types, strict=True):
            layout = Layout.parse(text)
            dense = self.query.kind == "dense"
            tokens = output
            if layout is not None and layout.hnd:
                tokens = np.swapaxes(output, dense, dense + 1)
            starts = np.cumsum([0, *self.q_len])
            parts = [
                tokens[r, :n] if dense else tokens[starts[r] : starts[r] + n]
                for r, n in enumerate(self.q_len)
            ]
            rest = (
                [tokens[r, n:] for r, n in enumerate(self.q_len)]
                if dense
                else [tokens[starts[-1] :]]
            )
            assert all(np.isnan(x.astype(np.float64)).all() for x in rest), (
                "rows of no request were written"
            )
            shape = tokens.shape[2 + dense :]
            collected.append(
                np.concatenate(
                    [p.reshape(-1, *shape) for p in parts] or [np.empty((0, *shape))]
                ).astype(np.float64)
            )
        return collected


def _lead(layout, q_len):
    """Leading extents of a token tensor, two tokens longer than needed."""
    if layout.kind == "dense":
        return (max(1, len(q_len)), max(q_len, default=0) + 2)
    return (sum(q_len) + 2,)


def _poisoned(layout, lead, dim, padding=0):
    """NaN tensor [*lead, heads, dim] in the layout's order; `padding` elements lie
    between the rows."""
    shape = [*lead, layout.heads]
    if layout.hnd:
        shape[-1], shape[-2] = shape[-2], shape[-1]
    whole = np.full((*shape, dim + padding), np.nan, DTYPES[layout.element])
    return whole[..., :dim]


def _tokens(array, layout, axis):
    """The tensor with tokens before heads, whatever its order."""
    return np.swapaxes(array, axis, axis + 1) if layout.hnd else array


def _store(layout, rows, dim, padding):
    """A ragged or dense tensor that holds the rows of each request."""
    lengths = [len(r) for r in rows]
    array = _poisoned(layout, _lead(layout, lengths), dim, padding)
    view = _tokens(array, layout, int(layout.kind == "dense"))
    start = 0
    for r, row in enumerate(rows):
        if layout.kind == "dense":
            view[r, : len(row)] = row
        else:
            view[start : start + len(row)] = row
        start += len(row)
    return array


def _store_paged(layout, keys, values, rng, padding, form):
    """Pages in random order; form: see make_case."""
    page, lengths = layout.page, [len(k) for k in keys]
    counts = [-(-n // page) for n in lengths]
    total = sum(counts) + 3
    ids = rng.permutation(total).astype(np.int32)
    if form == 3 and layout.dim == layout.value_dim:
        both = _poisoned(layout, (total, 2, page), layout.dim, padding)
        kp, vp = both[:, 0], both[:, 1]
    else:
        both = None
        kp = _poisoned(layout, (total, page), layout.dim, padding)
        vp = _poisoned(layout, (total, page), layout.value_dim, padding)
    kv, vv = _tokens(kp, layout, 1), _tokens(vp, layout, 1)
    indptr = np.cumsum([0, *counts])
    for r, n in enumerate(lengths):
        for j in range(0, n, page):
            m, at = min(page, n - j), ids[indptr[r] + j // page]
            kv[at, :m], vv[at, :m] = keys[r][j : j + m], values[r][j : j + m]
    cache = Cache(kp, vp, both=both)
    if form == 2:
        table = np.full(
            (max(1, len(lengths)), max(counts, default=0) + 2), 1 << 29, np.int32
        )
        for r, c in enumerate(counts):
            table[r, :c] = ids[indptr[r] : indptr[r + 1]]
        cache.indices, cache.lengths = table[:, : table.shape[1] - 1], lengths
        return cache
    cache.indices, cache.indptr = ids[: indptr[-1]], indptr
    if form == 0:
        cache.last_page_len = [(n - 1) % page + 1 if n else 0 for n in lengths]
    else:
        cache.lengths = lengths
    return cache


def _block_lists(layout, q_len, lengths, rng):
    """For each request, for each row block, the key blocks it attends to."""
    rows, columns = layout.block
    return [
        [
            np.flatnonzero(rng.random(-(-n // columns)) < 0.6)
            for _ in range(-(-m // rows))
        ]
        for m, n in zip(q_len, lengths, strict=True)
    ]


def make_cache(layout, requests, index, q_len, rng, padding=0, form=0):
    """The cache that holds keys[index] and values[index] of every request."""
    keys = [r.keys[index] for r in requests]
    values = [r.values[index] for r in requests]
    lengths = [len(k) for k in keys]
    if np.dtype(DTYPES[layout.element]).itemsize == 1:
        padding *= 2  # rows begin at multiples of 16 bytes
    if layout.kind == "paged":
        return _store_paged(layout, keys, values, rng, padding, form)
    cache = Cache(
        _store(layout, keys, layout.dim, padding),
        _store(layout, values, layout.value_dim, padding),
    )
    if layout.kind == "dense":
        cache.lengths = lengths
    else:
        cache.indptr = np.cumsum([0, *lengths])
    if layout.kind == "block_sparse":
        lists = _block_lists(layout, q_len, lengths, rng)
        flat = [blocks for r in lists for blocks in r]
        cache.block_rows = np.cumsum([0, *map(len, flat)]).astype(np.int32)
        cache.indices = np.concatenate([np.empty(0, int), *flat]).astype(np.int32)
        for request, blocks in zip(requests, lists, strict=True):
            request.blocks = blocks
    return cache


def signature(spec):
    """Names and types of a kernel's arguments, types of its results, and the names
    of its caches in the order of the signature."""
    head = re.search(
        r"attn\.kernel @\w+\((.*?)\)\s*(?:attributes.*)?\{\n", spec, re.S
    ).group(1)
    head = re.sub(r"\s+", " ", head)
    arguments = re.findall(r"%(\w+): (![\w.]+(?:<[^<>]*>)?|\w+)", head)
    result = re.search(r"attn\.return [^:]*: (.*)", spec)
    results = re.findall(r"![\w.]+<[^<>]*>", result.group(1)) if result else []
    used = re.findall(r"attn\.attend @\w+\([^)]*\) %\w+, %(\w+)", spec)
    used += re.findall(r"into %(\w+)", spec)
    caches = [name for name, _ in arguments if name in used]
    return arguments, results, caches


def make_case(spec, q_len, kv_len, values=None, seed=0, padding=0, form=0, spread=1.0):
    """Random inputs. kv_len: one list of lengths a cache, in the order of the
    signature. values: scalars and tables by argument name; a function is called
    with the case's requests. spread multiplies the queries.

    form is how the batch is told: 0 with lengths of queries and last_page_len, 1 with
    an indptr of packed queries, lengths, and tables on the device, 2 with a padded
    page table, 3 with keys and values of a paged cache in one tensor."""
    rng = np.random.default_rng(seed)
    arguments, results, caches = signature(spec)
    layouts = {name: Layout.parse(text) for name, text in arguments}

    def draw(layout, count, dim, factor=1.0):
        rows = rng.standard_normal((count, layout.heads, dim)) * factor
        return rows.astype(DTYPES[layout.element])

    query = layouts[arguments[0][0]]
    requests = [
        Request(r, draw(query, n, query.dim, spread)) for r, n in enumerate(q_len)
    ]
    for name, lengths in zip(caches, kv_len, strict=True):
        for request, n in zip(requests, lengths, strict=True):
            request.keys.append(draw(layouts[name], n, layouts[name].dim))
            request.values.append(draw(layouts[name], n, layouts[name].value_dim))
    case = Case(
        spec,
        [n for n, _ in arguments],
        [t for _, t in arguments],
        layouts,
        list(q_len),
        requests,
        [],
        {},
        results,
        form,
    )
    for name, text in arguments:
        layout = layouts[name]
        if name in caches:
            value = make_cache(
                layout, requests, caches.index(name), q_len, rng, padding, form
            )
        elif layout is not None:
            for request in requests:
                request.named[name] = (
                    request.q
                    if name == case.names[0]
                    else draw(layout, len(request.q), layout.dim)
                )
            value = _store(
                layout, [r.named[name] for r in requests], layout.dim, padding
            )
        else:
            value = (values or {})[name]
            value = value(rng, requests) if callable(value) else value
            case.values[name] = value
            if text.startswith("!attn."):
                value = flatten_table(text, value)
                if "per_head" in text or "per_request" in text:
                    case.values[name] = value
            elif text == "f32":
                case.values[name] = value = float(np.float32(value))
        case.arguments.append(value)
    return case


def flatten_table(text, value):
    """A table as it lies in memory. Per-token tables and packed masks come as one
    array a request; bits as booleans [q_len, kv_len]."""
    if text.startswith("!attn.table"):  # as it is, strides and all
        value = np.asarray(value)
        dtype = ENTRIES[re.search(r"x(\w+)>", text).group(1)]
        return (value if value.dtype == dtype else value.astype(dtype)).view(Table)
    if text == "!attn.bits":
        packed = [np.packbits(bits.reshape(-1), bitorder="little") for bits in value]
        return np.concatenate([np.empty(0, np.uint8), *packed])
    dtype = np.int32 if "i32" in text else np.float32
    if "per_token" in text:
        value = np.concatenate([np.empty(0), *value])
    return np.ascontiguousarray(value, dtype)


def example(name):
    return (EXAMPLES / f"{name}.mlir").read_text()
