# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Specs as text: an attn.kernel from layouts and a variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ._abi import InvalidArgument

_ELEMENTS = {
    "float32": "f32",
    "float16": "f16",
    "bfloat16": "bf16",
    "float8_e4m3fn": "f8E4M3FN",
    "float8_e5m2": "f8E5M2",
}
_elements: dict[Any, str] = {}


def element_of(dtype: Any) -> str:
    """The element type that the dialect calls a dtype of torch, NumPy or ml_dtypes,
    or its name ("bfloat16"). Raises InvalidArgument for others."""
    found = _elements.get(dtype)
    if found is None:
        name = getattr(dtype, "name", None) or getattr(dtype, "__name__", str(dtype))
        name = name.removeprefix("torch.")
        if name not in _ELEMENTS:
            raise InvalidArgument(
                f"expects a dtype among {', '.join(_ELEMENTS)}, but got {name}"
            )
        found = _elements[dtype] = _ELEMENTS[name]
    return found


@dataclass(frozen=True)
class Layout:
    """How tokens of queries, or of keys and values, lie in memory.

    kind: "ragged", "dense", "paged" or "block_sparse". element: as element_of says.
    value_dim: of values, where it is not `dim`. order: "NHD" or "HND", which of
    tokens and heads comes first. page: tokens of a page. block: (queries, keys).
    """

    kind: str
    heads: int
    dim: int
    element: str
    value_dim: int | None = None
    order: str = "NHD"
    page: int | None = None
    block: tuple[int, int] | None = None

    def __str__(self) -> str:
        options = []
        if self.value_dim not in (None, self.dim):
            options.append(f", value = {self.value_dim}")
        if self.page is not None:
            options.append(f", page = {self.page}")
        if self.block is not None:
            options.append(f", block = {self.block[0]}x{self.block[1]}")
        if self.order != "NHD":
            options.append(f", order = {self.order}")
        shape = f"{self.heads}x{self.dim}x{self.element}"
        return f"!attn.{self.kind}<{shape}{''.join(options)}>"


class _Parameter(Protocol):
    name: str
    type: str


class _Variant(Protocol):
    name: str
    text: str
    parameters: tuple[_Parameter, ...]


@dataclass(frozen=True)
class KernelSpec:
    """One kernel: `query` attends to `cache` by a variant.

    Its arguments are the query, with `append` new keys and values, the cache, with
    `cache_scales` the scales of an 8-bit cache (f32 [kv heads]), the scale (f32), and
    the variant's parameters.
    """

    variant: Any
    query: Layout
    cache: Layout
    output_order: str = "NHD"
    lse: bool = False
    append: bool = False
    cache_scales: bool = False
    query_tokens: int = 0
    name: str = "attention"

    def text(self) -> str:
        variant: _Variant = self.variant
        query, cache = self.query, self.cache
        value_dim = cache.value_dim or cache.dim
        state = f"!attn.state<{query.heads}x{value_dim}>"
        output = Layout(
            query.kind, query.heads, value_dim, query.element, order=self.output_order
        )
        arguments = [f"%q: {query}"]
        if self.append:
            new = Layout("ragged", cache.heads, cache.dim, query.element)
            news = Layout("ragged", cache.heads, value_dim, query.element)
            arguments += [f"%k: {new}", f"%v: {news}"]
        arguments.append(f"%kv: {cache}")
        scales = ""
        if self.cache_scales:
            table = "!attn.per_head<f32>"
            arguments += [f"%key_scale: {table}", f"%value_scale: {table}"]
            scales = (
                f" key_scale %key_scale : {table} value_scale %value_scale : {table}"
            )
        arguments.append("%scale: f32")
        arguments += [f"%{p.name}: {p.type}" for p in variant.parameters]
        names = ", ".join(f"%{p.name}" for p in variant.parameters)
        types = ", ".join(p.type for p in variant.parameters)
        call = f"@{variant.name}({names} : {types})" if names else f"@{variant.name}()"

        lines = []
        source = "%kv"
        if self.append:
            lines.append(f"%cache = attn.append %k, %v into %kv{scales}")
            lines.append(f"  : {new}, {news} into {cache}")
            source = "%cache"
        lines.append(f"%s = attn.attend {call} %q, {source} scale %scale{scales}")
        lines.append(f"  : {query}, {cache} -> {state}")
        results, kinds = "%o", f"{output}"
        if self.lse:
            results, kinds = "%o, %lse", f"{output}, !attn.lse<{query.heads}>"
        lines.append(f"{results} = attn.finish {call} %s : {state} -> {kinds}")
        lines.append(f"attn.return {results} : {kinds}")
        hint = ""
        if self.query_tokens:
            hint = f"\n    attributes {{attn.query_tokens = {self.query_tokens} : i32}}"
        body = "\n".join(f"  {line}" for line in lines)
        return (
            f"{variant.text}\n\n"
            f"attn.kernel @{self.name}({', '.join(arguments)}){hint} {{\n{body}\n}}\n"
        )


def append_text(cache: Layout) -> str:
    """A kernel that writes new keys and values into a paged cache."""
    value_dim = cache.value_dim or cache.dim
    key = Layout("ragged", cache.heads, cache.dim, cache.element)
    value = Layout("ragged", cache.heads, value_dim, cache.element)
    return (
        f"attn.kernel @append(%k: {key}, %v: {value}, %kv: {cache}) {{\n"
        f"  %cache = attn.append %k, %v into %kv : {key}, {value} into {cache}\n"
        f"  attn.return\n}}\n"
    )


def merge_text(count: int, element: str, dim: int) -> str:
    """A kernel that merges outputs and LSEs, one head of rows each."""
    tokens, lse = Layout("ragged", 1, dim, element), "!attn.lse<1>"
    state = f"!attn.state<1x{dim}>"
    arguments = ", ".join(f"%o{i}: {tokens}, %l{i}: {lse}" for i in range(count))
    lines, last = [], "%s0"
    for i in range(count):
        lines.append(f"  %s{i} = attn.resume %o{i}, %l{i} : {tokens}, {lse} -> {state}")
        if i:
            lines.append(f"  %m{i} = attn.merge {last}, %s{i} : {state}")
            last = f"%m{i}"
    body = "\n".join(lines)
    return (
        "attn.variant @all() {}\n\n"
        f"attn.kernel @merge_states({arguments}) {{\n{body}\n"
        f"  %out, %lse = attn.finish @all() {last} : {state} -> {tokens}, {lse}\n"
        f"  attn.return %out, %lse : {tokens}, {lse}\n}}\n"
    )


def rope_text(
    heads: int,
    dim: int,
    turned: int,
    interleaved: bool,
    llama31: bool,
    element: str,
    positions: str,
) -> str:
    """A kernel that turns the first `turned` elements of rows by their positions."""
    tokens = Layout("ragged", heads, dim, element)
    table = f"!attn.table<?x{'i64' if positions == 'int64' else 'i32'}>"
    half = turned // 2
    row, part, wide = (f"vector<{n}xf32>" for n in (dim, half, turned))
    scalars = ["theta", "rate"]
    if llama31:
        scalars += ["factor", "low", "high", "length"]
    signature = "".join(f", %{name}: f32" for name in scalars)
    names = ", ".join(["%positions", *(f"%{name}" for name in scalars)])
    types = ", ".join([table, *("f32" for _ in scalars)])
    exponents = ", ".join(f"{-2 * i / turned:.9e}" for i in range(half))
    lines = [
        "%token = arith.addi %q, %n : i32",
        f"%place = attn.read %positions[%token] : {table}",
        "%p = arith.sitofp %place : i32 to f32",
        "%scaled = arith.mulf %p, %rate : f32",
        f"%exponents = arith.constant dense<[{exponents}]> : {part}",
        "%log_theta = math.log2 %theta : f32",
        f"%logs = vector.broadcast %log_theta : f32 to {part}",
        f"%powers = arith.mulf %exponents, %logs : {part}",
        f"%plain = math.exp2 %powers : {part}",
    ]
    frequency = "%plain"
    if llama31:
        lines += _llama31(part)
        frequency = "%blended"
    lines += [
        f"%places = vector.broadcast %scaled : f32 to {part}",
        f"%angle = arith.mulf %places, {frequency} : {part}",
        f"%cos = math.cos %angle : {part}",
        f"%sin = math.sin %angle : {part}",
    ]

    def piece(offset: int, size: int) -> str:
        return f"{{offsets = [{offset}], sizes = [{size}], strides = [1]}} : {row} to vector<{size}xf32>"

    if interleaved:
        even, odd = (", ".join(str(2 * i + k) for i in range(half)) for k in (0, 1))
        lines += [
            f"%a = vector.shuffle %x, %x [{even}] : {row}, {row}",
            f"%b = vector.shuffle %x, %x [{odd}] : {row}, {row}",
        ]
    else:
        lines += [
            f"%a = vector.extract_strided_slice %x {piece(0, half)}",
            f"%b = vector.extract_strided_slice %x {piece(half, half)}",
        ]
    lines += [
        f"%a_cos = arith.mulf %a, %cos : {part}",
        f"%b_sin = arith.mulf %b, %sin : {part}",
        f"%low_turned = arith.subf %a_cos, %b_sin : {part}",
        f"%b_cos = arith.mulf %b, %cos : {part}",
        f"%a_sin = arith.mulf %a, %sin : {part}",
        f"%high_turned = arith.addf %b_cos, %a_sin : {part}",
    ]

    def put(value: str, kind: str, offset: int, into: str, result: str) -> str:
        return (
            f"%{result} = vector.insert_strided_slice %{value}, %{into} "
            f"{{offsets = [{offset}], strides = [1]}} : {kind} into {row}"
        )

    if interleaved:
        lines.append(
            f"%both = vector.interleave %low_turned, %high_turned : {part} -> {wide}"
        )
        lines.append(put("both", wide, 0, "x", "turned"))
    else:
        lines.append(put("low_turned", part, 0, "x", "first"))
        lines.append(put("high_turned", part, half, "first", "turned"))
    body = "\n".join(f"    {line}" for line in lines)
    return (
        f"attn.variant @rope(%positions: {table}{signature}) {{\n"
        f"  attn.query(%x: {row}, query %q, q_len %n) {{\n{body}\n"
        f"    attn.yield %turned : {row}\n  }}\n}}\n\n"
        f"attn.kernel @rotate(%x: {tokens}, %positions: {table}{signature}) {{\n"
        f"  %y = attn.map_rows @rope({names} : {types}) %x : {tokens} -> {tokens}\n"
        f"  attn.return %y : {tokens}\n}}\n"
    )


def _llama31(part: str) -> list[str]:
    """Frequencies of long waves divided by the factor, of short ones kept, between
    them blended: plain * ((1 - s) / factor + s), where s in [0, 1] grows from waves of
    length / low to such of length / high."""
    return [
        "%per_turn = arith.constant 1.591549431e-01 : f32",  # 1 / (2 pi)
        "%turns = arith.mulf %length, %per_turn : f32",
        f"%turns_v = vector.broadcast %turns : f32 to {part}",
        f"%waves = arith.mulf %plain, %turns_v : {part}",
        f"%low_v = vector.broadcast %low : f32 to {part}",
        "%between = arith.subf %high, %low : f32",
        f"%between_v = vector.broadcast %between : f32 to {part}",
        f"%above = arith.subf %waves, %low_v : {part}",
        f"%share = arith.divf %above, %between_v : {part}",
        f"%zeros = arith.constant dense<0.0> : {part}",
        f"%ones = arith.constant dense<1.0> : {part}",
        f"%at_least = arith.maximumf %share, %zeros : {part}",
        f"%s = arith.minimumf %at_least, %ones : {part}",
        f"%rest = arith.subf %ones, %s : {part}",
        f"%factor_v = vector.broadcast %factor : f32 to {part}",
        f"%slow = arith.divf %rest, %factor_v : {part}",
        f"%blend = arith.addf %slow, %s : {part}",
        f"%blended = arith.mulf %plain, %blend : {part}",
    ]
