# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Python functions in FlexAttention's form as variants of the attn dialect.

A function runs once on stand-ins for its arguments and for what it captures; what it
does with them becomes the nodes of a graph.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from . import _forked, _symbols
from ._capture import Rebuilder, is_array, structure_of
from ._graph import F32, I1, I32, Graph, Value, positions, print_body, walk
from ._sources import Leaves, Source
from ._symbols import Specialize, Traced, TraceError, Tracer

__all__ = ["Parameter", "TraceError", "Variant", "fingerprint", "trace"]


@dataclass(frozen=True)
class Parameter:
    """A run-time value of a variant. type: as the dialect writes it, "f32", "i32",
    "!attn.per_head<f32>", "!attn.table<?x?xbf16>"."""

    name: str
    type: str


@dataclass(frozen=True)
class Variant:
    """Which attention: the text of an attn.variant and its run-time parameters."""

    name: str
    text: str
    parameters: tuple[Parameter, ...]

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def save(self, path: str | os.PathLike) -> None:
        """Writes the text to a file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.text + "\n")


@dataclass(frozen=True)
class _Functions:
    """What was traced: the bodies, and which captured values they use."""

    logits: Value | None
    mask: Value | None
    used: list[Source]
    kinds: dict[str, str]  # of parameters, by name
    numbers: list[int] | None = None  # which leaves `used` are, if numbers alone


@dataclass
class _Entry:
    """All traces of functions of one structure."""

    sources: list[Source]  # what must be looked at besides the leaves
    constants: list[Source]  # whose values the trace depends on
    traces: dict[Hashable, _Functions]
    only: _Functions | None = None  # where nothing but the structure matters


_entries: dict[Hashable, _Entry] = {}
_lock = threading.RLock()
_MOST = 4096  # structures that are remembered


def _forget() -> None:
    global _lock
    _lock = threading.RLock()


_forked.in_child(_forget)

_NOTHING: tuple[Hashable, list] = (None, [])


def fingerprint(
    score_mod: Callable | None = None, mask_mod: Callable | None = None
) -> tuple[Hashable, list]:
    """A key that is equal for functions that trace to one variant, and what they
    capture now: the values of the variant's parameters, in order."""
    if score_mod is None and mask_mod is None:
        return _NOTHING
    values: list[Any] = []
    objects: list[Any] = []
    structure = _structure(score_mod, mask_mod, values, objects)
    entry = _entries.get(structure)
    key, functions = structure, entry and entry.only
    if functions is None:
        leaves = Leaves(structure, values, objects)
        key, functions = _find(score_mod, mask_mod, leaves)
    if functions.numbers is None:
        leaves = Leaves(structure, values, objects)
        return key, [source.read(leaves) for source in functions.used]
    if len(functions.numbers) == len(values):
        return key, values
    return key, [values[i] for i in functions.numbers]


def trace(
    score_mod: Callable | None = None,
    mask_mod: Callable | None = None,
    *,
    sink: bool = False,
    name: str = "variant",
    first_query: bool = False,
) -> Variant:
    """Traces functions into a variant.

    score_mod: (score, b, h, q_idx, kv_idx) -> score, of the scaled logit.
    mask_mod: (b, h, q_idx, kv_idx) -> whether the query sees the key.
        b is the request, h the query head. Written with Python's operators and torch's
        functions; numbers and tensors that they capture become parameters. Scores
        that are -inf where a condition says so become a mask.
    sink: with a last parameter `sinks`, one logit a head in the denominator.
    first_query: q_idx counts a request's queries from 0, as FlexAttention does; else
        it is the place among the keys: kv_len - q_len + i for query i.

    Raises TraceError, with the line of the function.
    """
    functions = _Functions(None, None, [], {})
    if score_mod is not None or mask_mod is not None:
        leaves = Leaves(None, [], [])
        leaves.structure = _structure(
            score_mod, mask_mod, leaves.values, leaves.objects
        )
        functions = _find(score_mod, mask_mod, leaves)[1]
    parameters = [Parameter(s.name, functions.kinds[s.name]) for s in functions.used]
    if sink:
        parameters.append(Parameter("sinks", "!attn.per_head<f32>"))
    bodies = []
    if functions.logits is not None:
        bodies.append(_body("logits", functions.logits, first_query, parameters))
    if functions.mask is not None:
        bodies.append(_body("mask", functions.mask, first_query, parameters))
    if sink:
        bodies.append(
            "  attn.sink(head %h) {\n"
            "    %0 = attn.read %sinks[%h] : !attn.per_head<f32>\n"
            "    attn.yield %0 : f32\n  }"
        )
    signature = ", ".join(f"%{p.name}: {p.type}" for p in parameters)
    inside = "\n".join(["", *bodies, ""]) if bodies else ""
    text = f"attn.variant @{name}({signature}) {{{inside}}}"
    return Variant(name, text, tuple(parameters))


#: What a body calls the positions that it asks for.
_SHORT = {
    "query": "q", "key": "k", "head": "h", "request": "r", "q_len": "q_len",
    "kv_len": "kv_len",
}  # fmt: skip


def _body(
    kind: str, root: Value, first_query: bool, parameters: list[Parameter]
) -> str:
    if first_query:
        root = _with_rows(root)
    asked = [name for name in _SHORT if name in positions(root)]
    arguments = [f"{name} %{_SHORT[name]}" for name in asked]
    names = {name: _SHORT[name] for name in asked} | {
        p.name: p.name for p in parameters
    }
    if kind == "logits":
        arguments.insert(0, "%s")
        names["score"] = "s"
    body = print_body(root, names, "    ")
    return f"  attn.{kind}({', '.join(arguments)}) {{\n{body}\n  }}"


def _with_rows(root: Value) -> Value:
    """The node with the query counted from its request's first."""
    graph = Graph()
    made: dict[int, Value] = {}
    for value in walk(root):
        copy = graph.node(
            value.op,
            value.type,
            *(made[id(x)] for x in value.operands),
            attribute=value.attribute,
        )
        if value.op == "position" and value.attribute == "query":
            lens = [
                graph.node("position", I32, attribute=name)
                for name in ("kv_len", "q_len")
            ]
            before = graph.arithmetic("sub", *lens)
            copy = graph.arithmetic("sub", copy, before)
        made[id(value)] = copy
    return made[id(root)]


def _structure(
    score_mod: Callable | None,
    mask_mod: Callable | None,
    values: list[Any],
    objects: list[Any],
) -> Hashable:
    try:
        return (
            None if score_mod is None else structure_of(score_mod, values, objects),
            None if mask_mod is None else structure_of(mask_mod, values, objects),
        )
    except RecursionError:
        raise TraceError("expects functions that do not call themselves") from None


def _find(
    score_mod: Callable | None, mask_mod: Callable | None, leaves: Leaves
) -> tuple[Hashable, _Functions]:
    """The trace of functions, made if they are the first of their kind."""
    structure = leaves.structure
    entry = _entries.get(structure)
    if entry is not None:
        if entry.only is not None:
            return structure, entry.only
        key = _key(leaves, entry)
        functions = entry.traces.get(key[1])
        if functions is not None:
            return key, functions
    with _lock:
        if len(_entries) > _MOST:
            _entries.clear()
        entry = _entries.setdefault(structure, _Entry([], [], {}))
        while True:
            try:
                functions = _run(score_mod, mask_mod, leaves, entry)
                break
            except Specialize as found:
                entry.constants.append(found.source)
                entry.traces.clear()  # their keys do not know the constant
        if not entry.constants and not entry.sources:
            entry.only = functions
            return structure, functions
        key = _key(leaves, entry)
        entry.traces[key[1]] = functions
        return key, functions


def _key(leaves: Leaves, entry: _Entry) -> tuple[Hashable, tuple]:
    rest = [source.constant(leaves) for source in entry.constants]
    rest += [source.kind(leaves) for source in entry.sources]
    return leaves.structure, tuple(rest)


def _run(
    score_mod: Callable | None, mask_mod: Callable | None, leaves: Leaves, entry: _Entry
) -> _Functions:
    tracer = Tracer(leaves, entry.sources, entry.constants)
    rebuilder = Rebuilder(tracer.leaf, tracer.object)
    position = {
        name: tracer.position(name) for name in ("request", "head", "query", "key")
    }
    indices = list(position.values())
    logits = mask = None
    if score_mod is not None:
        score = tracer.position("score", F32)
        result = _call(score_mod, rebuilder, [score, *indices])
        logits = tracer.result(result, F32, score_mod)
    if mask_mod is not None:
        result = _call(mask_mod, rebuilder, indices)
        mask = tracer.result(result, I1, mask_mod)
    if logits is not None:
        logits, keep = _without_mask(tracer.graph, logits)
        if keep is not None:
            mask = keep if mask is None else tracer.graph.bitwise("and", mask, keep)
    if logits is not None and logits.attribute == "score":
        logits = None
    if mask is not None and mask.op == "constant" and mask.attribute:
        mask = None
    roots = [root for root in (logits, mask) if root is not None]
    kinds = {
        x.attribute: tracer.kinds[x.attribute]
        for root in roots
        for x in walk(root)
        if x.op == "parameter"
    }
    used = [source for source in tracer.sources() if source.name in kinds]
    numbers = [source.index for source in used]
    if any(x.path or is_array(leaves.values[x.index]) for x in used):
        numbers = None
    return _Functions(logits, mask, used, kinds, numbers)


def _without_mask(graph: Graph, logits: Value) -> tuple[Value, Value | None]:
    """Scores that are -inf where a condition says so, as other scores and a mask:
    tiles that a mask leaves out are skipped."""
    keep = None
    while True:
        rest, condition = _unmasked(graph, logits)
        if condition is None or "score" in positions(condition):
            return logits, keep
        logits = rest
        keep = condition if keep is None else graph.bitwise("and", keep, condition)


def _unmasked(graph: Graph, logits: Value) -> tuple[Value, Value | None]:
    """The score under the outermost select of -inf, and where it is kept."""
    if logits.op == "arith.select":
        condition, x, y = logits.operands
        if y.attribute == -math.inf:
            return x, condition
        if x.attribute == -math.inf:
            return y, graph.bitwise("xor", condition, graph.constant(True))
    if logits.op == "arith.addf":
        for x, y in (logits.operands, logits.operands[::-1]):
            rest, condition = _unmasked(graph, y)
            if condition is not None and rest.op == "constant":
                zero = rest.attribute == 0
                return x if zero else graph.arithmetic("add", x, rest), condition
    return logits, None


def _call(function: Callable, rebuilder: Rebuilder, arguments: list[Traced]) -> Any:
    try:
        made = rebuilder.of(function)
    except TraceError as error:
        raise TraceError(f"{_symbols.line_of(error, function)}: {error}") from None
    try:
        return made(*arguments)
    except (TraceError, Specialize):
        raise
    except Exception as error:
        raise TraceError(
            f"{_symbols.line_of(error, function)}: cannot be traced: "
            f"{type(error).__name__}: {error}"
        ) from error
