# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a Python function captures: found quickly on every call, and replaced when the
function is traced.

A function captures through closure cells, defaults, globals that it names, partial
application and its `self`. Numbers and arrays among these are *leaves*: run-time
values of a kernel. Functions, tuples and short lists are walked into; of any other
object, attributes and items are captured as the function asks for them.
"""

from __future__ import annotations

import builtins
import dis
import enum
import functools
import sys
import types
import weakref
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

#: Longer lists and tuples are objects, of which a function captures single items.
_LONG = 64

# How values of a type are captured.
(_FUNCTION, _INT, _FLOAT, _PLAIN, _LIST, _METHOD, _PARTIAL, _NUMPY, _TORCH, _GENERIC,
 _PER_HEAD, _OBJECT, _OPAQUE, _MODULE, _CLASS) = range(15)  # fmt: skip
_OPAQUE_TYPES = (
    types.BuiltinFunctionType, types.MethodWrapperType,
    types.MethodDescriptorType, types.WrapperDescriptorType, np.ufunc, np.dtype,
)  # fmt: skip
_PLAIN_TYPES = (bool, str, bytes, type(None), type(Ellipsis), complex, enum.Enum)


class PerHead:
    """A captured table over query heads, which is read by the head alone."""

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array


class _Forms(dict[type, int]):
    """How values of each type are captured, found out once."""

    def __missing__(self, kind: type) -> int:
        self[kind] = form = self._form(kind)
        return form

    @staticmethod
    def _form(kind: type) -> int:
        if issubclass(kind, _PLAIN_TYPES):
            return _PLAIN
        for base, form in (
            (types.FunctionType, _FUNCTION), (int, _INT), (float, _FLOAT),
            (types.MethodType, _METHOD), (functools.partial, _PARTIAL),
            (np.ndarray, _NUMPY), (np.generic, _GENERIC), (PerHead, _PER_HEAD),
            (types.ModuleType, _MODULE), (type, _CLASS),
        ):  # fmt: skip
            if issubclass(kind, base):
                return form
        if kind is tuple or kind is list:
            return _LIST
        torch = sys.modules.get("torch")
        if torch is not None:
            if issubclass(kind, torch.Tensor):
                return _TORCH
            opaque = (torch.dtype, torch.device, torch.Size)
            if issubclass(kind, opaque) or kind.__module__ == "torch._ops":
                return _OPAQUE
        return _OPAQUE if issubclass(kind, _OPAQUE_TYPES) else _OBJECT


_forms = _Forms()


def is_array(value: Any) -> bool:
    return _forms[type(value)] in (_NUMPY, _TORCH, _PER_HEAD)


def is_number(value: Any) -> bool:
    """Whether a value is captured as a run-time scalar."""
    return _forms[type(value)] in (_INT, _FLOAT) or (
        isinstance(value, np.generic) and value.dtype.kind in "iuf"
    )


def is_plain(value: Any) -> bool:
    """Whether a value is taken as it is, and part of the key."""
    form = _forms[type(value)]
    if form == _MODULE:
        return _is_library(value.__name__)
    return (
        form in (_PLAIN, _OPAQUE, _CLASS) or form == _GENERIC and not is_number(value)
    )


class _Code:
    """A code object as part of a key, and the globals that it may read. It is itself
    in keys: code objects hash and compare slowly."""

    __slots__ = ("code", "globals")

    def __init__(self, function: types.FunctionType):
        self.code = function.__code__
        self.globals = _globals_of(function)


class _Held:
    """An object as part of a key, by identity. Where it can be it is held weakly."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        def forget(_: Any, number: int = id(value), held: Any = _held) -> None:
            held.pop(number, None)

        try:
            self.value: Any = weakref.ref(value, forget)
        except TypeError:
            self.value = value


# By id: what they hold is alive as long as they are here, and keys keep them alive.
_codes: dict[int, _Code] = {}
_held: dict[int, _Held] = {}
_MOST = 1 << 14


def _code_of(function: types.FunctionType) -> _Code:
    if len(_codes) > _MOST:
        _codes.clear()
    return _codes.setdefault(id(function.__code__), _Code(function))


def _held_of(value: Any) -> _Held:
    if len(_held) > _MOST:
        _held.clear()
    return _held.setdefault(id(value), _Held(value))


def _globals_of(function: types.FunctionType) -> tuple[str, ...]:
    """Names of globals that may hold something that is captured."""
    if _is_library(function.__module__):
        return ()
    found: dict[str, None] = {}
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [x for x in code.co_consts if isinstance(x, types.CodeType)]
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                found[step.argval] = None
    return tuple(name for name in found if _may_change(function, name))


def _may_change(function: types.FunctionType, name: str) -> bool:
    if name not in function.__globals__:
        return not hasattr(builtins, name)
    value = function.__globals__[name]
    if isinstance(value, types.FunctionType):
        return not _is_library(value.__module__)
    form = _forms[type(value)]
    if form == _MODULE or form == _CLASS:
        return not _is_library(value.__name__ if form == _MODULE else value.__module__)
    return form != _OPAQUE


def _is_library(module: str | None) -> bool:
    """Whether a module holds nothing that changes."""
    first = (module or "").split(".")[0]
    if first == "torch":
        # Masks of torch's own are closures over masks of users.
        return not (module or "").startswith("torch.nn.attention")
    return first == "numpy" or first in sys.stdlib_module_names and first != "__main__"


def structure_of(value: Any, values: list[Any], objects: list[Any]) -> Hashable:
    """A key that is equal for values that differ in leaves alone. Leaves are appended
    to `values` in the order in which they are met, and objects whose attributes may
    be captured to `objects`. Raises RecursionError."""
    kind = type(value)
    form = _forms[kind]
    if form == _FUNCTION:
        code = _codes.get(id(value.__code__)) or _code_of(value)
        closure, defaults = value.__closure__, value.__defaults__
        keywords = value.__kwdefaults__
        if not (closure or defaults or keywords or code.globals):
            return code
        parts: list[Hashable] = [code]
        if closure:
            for cell in closure:
                try:
                    content = cell.cell_contents
                except ValueError:  # not assigned yet
                    parts.append("unassigned")
                    continue
                parts.append(structure_of(content, values, objects))
        if defaults:
            parts.append(structure_of(defaults, values, objects))
        if keywords:
            for name, x in keywords.items():
                parts += [name, structure_of(x, values, objects)]
        if code.globals:
            names = value.__globals__
            for name in code.globals:
                parts.append(structure_of(names.get(name), values, objects))
        return tuple(parts)
    if form == _INT or form == _FLOAT:
        values.append(value)
        return form
    if form == _TORCH or form == _NUMPY:
        values.append(value)
        return leaf_kind(value)
    if form == _PLAIN:
        return kind, value
    if form == _LIST and len(value) <= _LONG:
        return (kind, *[structure_of(x, values, objects) for x in value])
    if form == _METHOD:
        function = structure_of(value.__func__, values, objects)
        return "method", function, structure_of(value.__self__, values, objects)
    if form == _PARTIAL:
        keywords = value.keywords
        parts = [value.func, value.args, tuple(keywords.values())]
        kinds = [structure_of(x, values, objects) for x in parts]
        return ("partial", *keywords, *kinds)
    if form == _GENERIC:
        if value.dtype.kind not in "iuf":
            return kind, value.item()
        values.append(value.item())
        return _FLOAT if value.dtype.kind == "f" else _INT
    if form == _PER_HEAD:
        values.append(value)
        return "per_head"
    if form == _CLASS:
        if issubclass(value, enum.Enum) or _is_library(value.__module__):
            return _held.get(id(value)) or _held_of(value)
        known = [x for x in vars(value).items() if is_plain(x[1]) or is_number(x[1])]
        return (
            _held.get(id(value)) or _held_of(value),
            *[(name, type(x), x) for name, x in known if _is_hashable(x)],
        )
    if form != _OPAQUE and not (form == _MODULE and _is_library(value.__name__)):
        objects.append(value)
    return _held.get(id(value)) or _held_of(value)


def _is_hashable(value: Any) -> bool:
    return type(value).__hash__ is not None


def leaf_kind(value: Any) -> Hashable:
    """What of a leaf the kernel depends on."""
    form = _forms[type(value)]
    if form == _PER_HEAD:
        return "per_head"
    if form == _TORCH:
        # A number in host memory is read there; one on a device is a table.
        rank = value.ndim
        return value.dtype, rank, rank == 0 and value.device.type == "cpu"
    if form == _NUMPY:
        return value.dtype, value.ndim, value.ndim == 0
    return type(value)


Path = tuple[tuple[str, Any], ...]


class Rebuilder:
    """Rebuilds functions over stand-ins for what they capture: each leaf replaced by
    leaf(value, hint, path), and each object by watched(value, path), in the order of
    structure_of. The path says how an object's attribute leads to what is rebuilt, and
    is None for what a function captures itself."""

    def __init__(
        self,
        leaf: Callable[[Any, str, Path | None], Any],
        watched: Callable[[Any, Path | None], Any],
    ):
        self.leaf, self.watched = leaf, watched

    def of(self, value: Any, hint: str = "captured", path: Path | None = None) -> Any:
        """hint: what the value is called where it is captured."""
        kind = type(value)
        form = _forms[kind]
        if form == _FUNCTION:
            return self._function(value, path)
        if form in (_INT, _FLOAT, _NUMPY, _TORCH, _PER_HEAD):
            return self.leaf(value, hint, path)
        if form == _GENERIC:
            return self.leaf(value, hint, path) if is_number(value) else value.item()
        if form == _LIST and len(value) <= _LONG:
            items = [
                self.of(x, hint, _step(path, ("item", i))) for i, x in enumerate(value)
            ]
            return kind(items)
        if form == _METHOD:
            function = self.of(value.__func__, hint, _attribute(path, "__func__"))
            owner = self.of(value.__self__, hint, _attribute(path, "__self__"))
            return types.MethodType(function, owner)
        if form == _PARTIAL:
            function = self.of(value.func, hint, _attribute(path, "func"))
            args = self.of(value.args, hint, _attribute(path, "args"))
            inside = _attribute(path, "keywords")
            keywords = {
                name: self.of(x, name, _step(inside, ("item", name)))
                for name, x in value.keywords.items()
            }
            return functools.partial(function, *args, **keywords)
        if form in (_PLAIN, _OPAQUE, _CLASS) or is_plain(value):
            return value
        return self.watched(value, path)

    def _function(
        self, function: types.FunctionType, path: Path | None
    ) -> types.FunctionType:
        code = function.__code__
        cells = []
        inside = _attribute(path, "__closure__")
        for i, cell in enumerate(function.__closure__ or ()):
            try:
                content = cell.cell_contents
            except ValueError:
                cells.append(types.CellType())
                continue
            place = _step(inside, ("item", i), ("attribute", "cell_contents"))
            cells.append(types.CellType(self.of(content, code.co_freevars[i], place)))
        defaults, keywords = function.__defaults__, function.__kwdefaults__
        if defaults:
            inside = _attribute(path, "__defaults__")
            called = code.co_varnames[code.co_argcount - len(defaults) :]
            defaults = tuple(
                self.of(x, name, _step(inside, ("item", i)))
                for i, (x, name) in enumerate(zip(defaults, called, strict=False))
            )
        if keywords:
            inside = _attribute(path, "__kwdefaults__")
            keywords = {
                name: self.of(x, name, _step(inside, ("item", name)))
                for name, x in keywords.items()
            }
        names = function.__globals__
        inside = _attribute(path, "__globals__")
        changed = {
            name: self.of(names[name], name, _step(inside, ("item", name)))
            for name in (_codes.get(id(code)) or _code_of(function)).globals
            if name in names
        }
        made = types.FunctionType(
            code,
            {**names, **changed} if changed else names,
            function.__name__,
            defaults,
            tuple(cells) or None,
        )
        made.__kwdefaults__ = keywords
        return made


def _step(path: Path | None, *steps: tuple[str, Any]) -> Path | None:
    return None if path is None else (*path, *steps)


def _attribute(path: Path | None, name: str) -> Path | None:
    return _step(path, ("attribute", name))
