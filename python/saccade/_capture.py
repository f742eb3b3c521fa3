# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a Python function captures: found quickly on every call, and replaced when the
function is traced.

A function captures through closure cells, defaults, globals that it names, partial
application and its `self`. Numbers and arrays among these are *leaves*: run-time
values of a kernel. Functions are walked into; all else is part of the structure.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

#: Types of values that are part of the structure.
PLAIN = (bool, str, bytes, type(None), type(Ellipsis), complex, type)


class PerHead:
    """A captured table over query heads, which is read by the head alone."""

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array


def is_array(value: Any) -> bool:
    if isinstance(value, (np.ndarray, PerHead)):
        return True
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


class Leaves:
    """Walks functions: `structure` is equal for functions that differ in leaves alone,
    `values` are the leaves in the order in which they are met, and `objects` what may
    have more of them in attributes. Raises RecursionError."""

    def __init__(self, functions: tuple[Callable | None, ...]):
        self.values: list[Any] = []
        self.objects: list[Any] = []
        self._depth = 0
        self.structure: Hashable = tuple([self._of(f) for f in functions])

    def _of(self, value: Any) -> Hashable:
        kind = type(value)
        if kind is int or kind is float:
            self.values.append(value)
            return kind
        if kind is types.FunctionType:
            return self._function(value)
        if kind in PLAIN:
            return value
        if isinstance(value, (int, float)) or is_array(value):
            self.values.append(value)
            return leaf_kind(value)
        if kind is tuple or kind is list:
            return (kind, *[self._of(x) for x in value])
        if kind is types.MethodType:
            return ("method", self._of(value.__func__), self._of(value.__self__))
        if kind is functools.partial:
            parts = (value.func, value.args, tuple(value.keywords.values()))
            return ("partial", tuple(value.keywords), *[self._of(x) for x in parts])
        if is_watched(value):
            self.objects.append(value)
        return _Identity(value)

    def _function(self, function: types.FunctionType) -> Hashable:
        self._depth += 1
        if self._depth > 40:
            raise RecursionError
        code = function.__code__
        parts: list[Hashable] = [code]
        for cell in function.__closure__ or ():
            parts.append(self._of(_contents(cell)))
        if function.__defaults__:
            parts.append(self._of(function.__defaults__))
        if function.__kwdefaults__:
            parts += [self._of(x) for x in function.__kwdefaults__.values()]
        for name in _globals_of(code, function):
            parts.append(self._of(function.__globals__.get(name)))
        self._depth -= 1
        return tuple(parts)


class _Empty:
    """What a cell holds that was not assigned yet."""


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _Empty


def is_watched(value: Any) -> bool:
    """Whether what an object's attributes hold is captured with it."""
    library = type(value).__module__.split(".")[0] in ("builtins", "functools", "numpy")
    return hasattr(value, "__dict__") and not library


class _Identity:
    """An object as part of a key, by identity; it is kept alive by the key."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.value is self.value


_named: dict[types.CodeType, tuple[str, ...]] = {}


def _globals_of(code: types.CodeType, function: types.FunctionType) -> tuple[str, ...]:
    """Names of globals that the code may read, of a kind that can be captured."""
    found = _named.get(code)
    if found is None:
        names = function.__globals__
        library = function.__module__ and function.__module__.split(".")[0] == "torch"
        found = _named[code] = (
            ()
            if library
            else tuple(
                name
                for name in code.co_names
                if name in names
                and (
                    type(names[name]) in (int, float, types.FunctionType)
                    or is_array(names[name])
                )
                and not _is_library(names[name])
            )
        )
    return found


def _is_library(value: Any) -> bool:
    if not isinstance(value, types.FunctionType):
        return False
    module = getattr(value, "__module__", None) or ""
    return module.split(".")[0] in ("torch", "numpy")


def leaf_kind(value: Any) -> Hashable:
    """What of a leaf the kernel depends on."""
    if isinstance(value, PerHead):
        return "per_head"
    if is_array(value):
        place = getattr(value, "device", None)
        # A number in host memory is read there; one on a device is a table.
        scalar = value.ndim == 0 and (place is None or str(place) == "cpu")
        return (value.dtype, value.ndim, scalar)
    return int if isinstance(value, int) else float


class Rebuilder:
    """Makes a function again with each leaf, in the order of Leaves, replaced by
    leaf(value), and each object by object(value)."""

    def __init__(self, leaf: Callable[[Any, str], Any], watched: Callable[[Any], Any]):
        self.leaf, self.watched = leaf, watched

    def of(self, value: Any, hint: str = "captured") -> Any:
        """hint: what the value is called where it is captured."""
        kind = type(value)
        if kind is int or kind is float:
            return self.leaf(value, hint)
        if kind is types.FunctionType:
            return self._function(value)
        if kind in PLAIN:
            return value
        if isinstance(value, (int, float)) or is_array(value):
            return self.leaf(value, hint)
        if kind is tuple or kind is list:
            return kind([self.of(x, hint) for x in value])
        if kind is types.MethodType:
            function = self.of(value.__func__)
            return types.MethodType(function, self.of(value.__self__))
        if kind is functools.partial:
            function, args = self.of(value.func), self.of(value.args)
            given = self.of(tuple(value.keywords.values()))
            keywords = dict(zip(value.keywords, given, strict=True))
            return functools.partial(function, *args, **keywords)
        return self.watched(value) if is_watched(value) else value

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        cells = []
        names = function.__code__.co_freevars
        for name, cell in zip(names, function.__closure__ or (), strict=True):
            value = self.of(_contents(cell), name)
            cells.append(types.CellType() if value is _Empty else types.CellType(value))
        defaults, keywords = function.__defaults__, function.__kwdefaults__
        if defaults:
            count = function.__code__.co_argcount
            called = function.__code__.co_varnames[count - len(defaults) : count]
            defaults = tuple(map(self.of, defaults, called))
        if keywords:
            keywords = {name: self.of(x, name) for name, x in keywords.items()}
        names = function.__globals__
        changed = {
            name: self.of(names.get(name), name)
            for name in _globals_of(function.__code__, function)
        }
        made = types.FunctionType(
            function.__code__,
            {**names, **changed} if changed else names,
            function.__name__,
            defaults,
            tuple(cells) or None,
        )
        made.__kwdefaults__ = keywords
        return made
