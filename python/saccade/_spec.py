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
