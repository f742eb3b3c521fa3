# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Stand-ins for numbers and arrays while a function is traced."""

from __future__ import annotations

import re
import sys
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _torch_names
from ._abi import SpecError
from ._capture import PLAIN, Leaves, PerHead, Rebuilder, is_array, leaf_kind
from ._graph import F32, I1, I32, Graph, Value, walk

_HERE = str(Path(__file__).parent)
_ELEMENTS = {
    "float32": "f32", "float16": "f16", "bfloat16": "bf16", "int64": "i64",
    "int32": "i32", "int8": "i8", "bool": "i1",
}  # fmt: skip


class TraceError(SpecError):
    """A function that cannot be traced; the message has its file and line."""


class Specialize(BaseException):
    """Python needs the value of something captured: trace again with it as a constant.
    Not an Exception, so that no function catches it."""

    def __init__(self, source: Source):
        self.source = source


def fail(message: str) -> TraceError:
    """An error that names the line of the function that is being traced."""
    frame = sys._getframe(1)
    while frame and _is_ours(frame.f_code.co_filename) and frame.f_back:
        frame = frame.f_back
    return TraceError(f"{frame.f_code.co_filename}:{frame.f_lineno}: {message}")


def line_of(error: BaseException, function: Callable) -> str:
    """The line of the traced function from which an error came."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = next((i for i, x in enumerate(frames) if x.name == "_call"), -1)
    users = [x for x in frames[inside + 1 :] if not _is_ours(x.filename)]
    code = getattr(function, "__code__", None)
    if users:
        return f"{users[0].filename}:{users[0].lineno}"
    return f"{code.co_filename}:{code.co_firstlineno}" if code else "function"


def _is_ours(filename: str) -> bool:
    return filename.startswith(_HERE) or "/torch/" in filename


@dataclass(frozen=True)
class Source:
    """Where something captured is found again: a leaf, or an object's attribute."""

    name: str
    index: int
    path: tuple[tuple[str, Any], ...] | None = None  # None: a leaf
    shape: bool = False  # of it, not its value

    def find(self, leaves: Leaves) -> Any:
        if self.path is None:
            return leaves.values[self.index]
        value = leaves.objects[self.index]
        for kind, name in self.path:
            value = getattr(value, name) if kind == "attribute" else value[name]
        return value

    def read(self, leaves: Leaves) -> Any:
        """The run-time value of the parameter."""
        value = self.find(leaves)
        kind = type(value)
        if kind is int or kind is float:
            return value
        if kind is PerHead:
            return value.array
        if not is_array(value) or value.ndim:
            return value
        return value.item() if leaf_kind(value)[2] else value.reshape(1)  # type: ignore[index]

    def constant(self, leaves: Leaves) -> Any:
        value = self.find(leaves)
        if self.shape:
            return tuple(value.shape)
        return value.item() if is_array(value) else value

    def kind(self, leaves: Leaves) -> Any:
        return leaf_kind(self.find(leaves))


class Tracer:
    """One run of functions: their graph, and what they captured."""

    def __init__(
        self, leaves: Leaves, attributes: list[Source], constants: list[Source]
    ):
        self.graph = Graph()
        self.kinds: dict[str, str] = {}  # types of parameters
        self.leaves, self.attributes, self.constants = leaves, attributes, constants
        self._met: list[Source] = []
        self._objects = 0

    def sources(self) -> list[Source]:
        """Sources of all parameters, leaves in order before attributes."""
        return self._met + [x for x in self.attributes if x not in self._met]

    def position(self, name: str, type: str = I32) -> Traced:
        return Traced(self, self.graph.node("position", type, attribute=name))

    def leaf(self, value: Any, hint: str) -> Any:
        """What stands for the next leaf."""
        source = Source(self._name(hint), len(self._met))
        self._met.append(source)
        return self._stand_in(value, source)

    def object(self, value: Any) -> Any:
        """What stands for the next object."""
        self._objects += 1
        return Watched(self, value, self._objects - 1, ())

    def result(self, result: Any, type: str, function: Callable) -> Value:
        """What a function returned, as a node of the type that is wanted."""
        code = getattr(function, "__code__", None)
        place = f"{code.co_filename}:{code.co_firstlineno}: " if code else ""
        value = self.value_of(result)
        if value is None:
            kind = builtin_name(result)
            raise TraceError(f"{place}expects a number to be returned, but got {kind}")
        if type == F32 and value.type == I1:
            raise TraceError(
                f"{place}expects a score to be returned, but got a truth value; "
                "give it as mask_mod"
            )
        return self.graph.cast(value, type)

    def value_of(self, x: Any) -> Value | None:
        """The node of a stand-in, or of a number; None for anything else."""
        if isinstance(x, Traced):
            return x._value
        if isinstance(x, (bool, int, float)):
            try:
                return self.graph.constant(x)
            except ValueError as error:
                raise fail(str(error)) from None
        if is_array(x) and not isinstance(x, PerHead) and x.ndim == 0:
            return self.value_of(x.item())  # made in the function
        return None

    def make(self, value: Value) -> Traced:
        return Traced(self, value)

    def _name(self, hint: str) -> str:
        name = re.sub(r"\W", "_", hint) or "captured"
        if name[0].isdigit() or name in ("s", "q", "k", "h", "r", "q_len", "kv_len"):
            name = f"p_{name}"
        taken = {x.name for x in self.sources()} | {
            "sinks",
            "scale",
            "kv",
            "v",
            "cache",
        }
        unique, count = name, 1
        while unique in taken:
            unique, count = f"{name}_{count}", count + 1
        return unique

    def attribute(
        self, value: Any, index: int, path: tuple[tuple[str, Any], ...]
    ) -> Any:
        """What stands for an attribute or an item of an object."""
        kind = type(value)
        if isinstance(value, (int, float)) and kind is not bool or is_array(value):
            found = [x for x in self.attributes if (x.index, x.path) == (index, path)]
            if found:
                return self._stand_in(value, found[0])
            name = next((n for k, n in reversed(path) if k == "attribute"), "item")
            source = Source(self._name(name), index, path)
            if not self._is_constant(source):
                self.attributes.append(source)
            return self._stand_in(value, source)
        if kind in PLAIN:
            self.depend_on(Source("", index, path))
            return value
        if kind is types.MethodType or kind is types.FunctionType:
            function = value.__func__ if kind is types.MethodType else value
            made = Rebuilder(_no_leaf, lambda other: other).of(function)
            if kind is types.FunctionType:
                return made
            return types.MethodType(
                made, Watched(self, value.__self__, index, path[:-1])
            )
        if kind in (tuple, list, dict) or hasattr(value, "__dict__"):
            if isinstance(value, types.ModuleType):
                return value
            return Watched(self, value, index, path)
        return value

    def depend_on(self, source: Source) -> None:
        """Makes a value, which the trace used as it is, part of the key."""
        if not self._is_constant(source):
            self.constants.append(source)

    def _is_constant(self, source: Source) -> bool:
        key = (source.index, source.path, source.shape)
        return any((x.index, x.path, x.shape) == key for x in self.constants)

    def _stand_in(self, value: Any, source: Source) -> Any:
        if self._is_constant(source):
            return value.item() if is_array(value) else value
        if isinstance(value, PerHead):
            self.kinds[source.name] = "!attn.per_head<f32>"
            return Table(self, value, source)
        if not is_array(value):
            type = I32 if isinstance(value, int) else F32
            return self._parameter(source, type)
        dtype, rank, scalar = leaf_kind(value)  # type: ignore[misc]
        name = str(dtype).removeprefix("torch.")
        if scalar:
            return self._parameter(source, F32 if "float" in name else I32)
        if name not in _ELEMENTS:
            raise TraceError(
                f"expects captured tensors of {', '.join(_ELEMENTS)}, but got "
                f"'{source.name}' of {name}"
            )
        if rank > 4:
            raise TraceError(
                f"expects captured tensors of at most 4 dimensions, but got "
                f"'{source.name}' of {rank}"
            )
        extents = "?x" * max(1, rank)
        self.kinds[source.name] = f"!attn.table<{extents}{_ELEMENTS[name]}>"
        table = Table(self, value, source)
        return table[0] if rank == 0 else table

    def _parameter(self, source: Source, type: str) -> Traced:
        self.kinds[source.name] = type
        return self.make(self.graph.node("parameter", type, attribute=source.name))

    def number_of(self, value: Value, use: str) -> Any:
        """The number that Python asks for, if it depends on nothing but captures."""
        if value.op == "constant":
            return value.attribute
        for x in walk(value):
            if x.op in ("position", "read"):
                raise fail(
                    f"expects no {use} of a value that depends on positions; use "
                    "torch.where, &, |, ~, torch.minimum and torch.maximum"
                )
        name = next(x.attribute for x in walk(value) if x.op == "parameter")
        raise Specialize(next(x for x in self.sources() if x.name == name))


def builtin_name(x: Any) -> str:
    return f"a {type(x).__name__}"


def _no_leaf(value: Any, hint: str) -> Any:
    raise fail(
        f"expects methods that capture nothing but self, but one captures '{hint}'"
    )


class Traced:
    """A scalar: what Python and torch do with it becomes nodes."""

    __slots__ = ("_tracer", "_value")
    __array_priority__ = 1000

    def __init__(self, tracer: Tracer, value: Value):
        self._tracer, self._value = tracer, value

    def __repr__(self) -> str:
        return f"<traced {self._value.type}>"

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return _torch_names.call(function.__name__, args, kwargs or {})

    def __array_ufunc__(
        self, ufunc: Any, method: str, *args: Any, **kwargs: Any
    ) -> Any:
        if method != "__call__" or kwargs:
            raise fail(f"expects a plain call of numpy.{ufunc.__name__}")
        return _torch_names.call(ufunc.__name__, args, {})

    def __array_function__(
        self, function: Any, types: Any, args: tuple, kwargs: dict
    ) -> Any:
        return _torch_names.call(function.__name__, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("shape", "ndim", "device", "dtype", "is_cuda", "requires_grad"):
            return self._property(name)
        if name in ("item", "tolist"):
            return lambda: self._tracer.number_of(self._value, f".{name}()")
        return lambda *args, **kwargs: _torch_names.call(name, (self, *args), kwargs)

    def _property(self, name: str) -> Any:
        if name == "dtype":
            names = {F32: "float32", I32: "int32", I1: "bool"}
            module = sys.modules.get("torch") or sys.modules["numpy"]
            return getattr(module, names[self._value.type])
        return {"shape": (), "ndim": 0, "device": None}.get(name, False)

    def __bool__(self) -> bool:
        return bool(self._tracer.number_of(self._value, "if, and, or, min() or max()"))

    def __index__(self) -> int:
        number = self._tracer.number_of(self._value, "use as a Python integer")
        if not isinstance(number, int):
            raise TypeError("expects an integer, but got a float")
        return number

    def __int__(self) -> int:
        return int(self._tracer.number_of(self._value, "int()"))

    def __float__(self) -> float:
        return float(self._tracer.number_of(self._value, "float()"))

    def __len__(self) -> int:
        raise fail("expects no len() of a scalar")

    def __iter__(self) -> Any:
        raise fail("expects no iteration over a scalar")

    def __hash__(self) -> int:
        return id(self._value)

    def __getitem__(self, index: Any) -> Traced:
        if index in ((), None, Ellipsis):
            return self
        raise fail("expects no indexing of a scalar")


def _operator(name: str, reflected: bool) -> Callable:
    def method(self: Any, *others: Any) -> Any:
        args = (*others, self) if reflected else (self, *others)
        return _torch_names.call(name, args, {})

    return method


for _name, _function in _torch_names.OPERATORS.items():
    setattr(Traced, f"__{_name}__", _operator(_function, reflected=False))
    if _name in _torch_names.REFLECTED:
        setattr(Traced, f"__r{_name}__", _operator(_function, reflected=True))


class Table:
    """A captured array, of which elements are read."""

    __slots__ = ("_tracer", "_array", "_source", "_indices")

    def __init__(
        self,
        tracer: Tracer,
        array: Any,
        source: Source,
        indices: tuple[Value, ...] = (),
    ):
        self._tracer, self._array = tracer, array
        self._source, self._indices = source, indices

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        raise fail(
            f"expects elements of captured tensors, such as t[h, q_idx], but got a "
            f"whole one in torch.{function.__name__}"
        )

    def _rank(self) -> int:
        rank = 1 if isinstance(self._array, PerHead) else max(1, self._array.ndim)
        return rank - len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        indices = list(self._indices)
        given = list(index) if isinstance(index, tuple) else [index]
        if len(given) > self._rank():
            raise fail(
                f"expects at most {self._rank()} indices into '{self._source.name}', "
                f"but got {len(given)}"
            )
        for i in given:
            value = self._tracer.value_of(i)
            if value is None or value.type == F32:
                raise fail(
                    f"expects integers as indices into '{self._source.name}', but got "
                    f"{builtin_name(i) if value is None else 'a float'}"
                )
            value = self._tracer.graph.cast(value, I32)
            if value.op == "constant" and value.attribute < 0:
                extent = self.shape[len(indices) - len(self._indices)]
                value = self._tracer.graph.constant(value.attribute + extent, I32)
            indices.append(value)
        if len(indices) < len(self._indices) + self._rank():
            return Table(self._tracer, self._array, self._source, tuple(indices))
        kind = self._tracer.kinds[self._source.name]
        element = re.split("[x<]", kind.rstrip(">"))[-1]
        type = {"i1": I1}.get(element, F32 if "f" in element else I32)
        graph = self._tracer.graph
        table = graph.node("parameter", kind, attribute=self._source.name)
        return self._tracer.make(
            graph.node("read", type, table, *indices, attribute=kind)
        )

    @property
    def shape(self) -> tuple[int, ...]:
        source = Source("", self._source.index, self._source.path, shape=True)
        self._tracer.depend_on(source)
        return tuple(self._array.shape)[len(self._indices) :]

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return self._rank()

    @property
    def dtype(self) -> Any:
        return self._array.dtype

    @property
    def device(self) -> None:
        return None

    def to(self, *args: Any, **kwargs: Any) -> Table:
        return self  # elements are read as f32 or i32, wherever they lie

    def __getattr__(self, name: str) -> Any:
        raise fail(f"expects elements of '{self._source.name}', but got its '{name}'")


class Watched:
    """An object whose attributes are captured when they are read."""

    __slots__ = ("_saccade",)

    def __init__(
        self, tracer: Tracer, value: Any, index: int, path: tuple[tuple[str, Any], ...]
    ):
        object.__setattr__(self, "_saccade", (tracer, value, index, path))

    def __getattr__(self, name: str) -> Any:
        tracer, value, index, path = object.__getattribute__(self, "_saccade")
        return tracer.attribute(
            getattr(value, name), index, (*path, ("attribute", name))
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise fail(f"expects functions without effects, but one sets '{name}'")

    def __getitem__(self, key: Any) -> Any:
        tracer, value, index, path = object.__getattribute__(self, "_saccade")
        if isinstance(key, Traced):
            key = key.__index__()
        return tracer.attribute(value[key], index, (*path, ("item", key)))

    def __len__(self) -> int:
        tracer, value, index, path = object.__getattribute__(self, "_saccade")
        return len(value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        _, value, _, _ = object.__getattribute__(self, "_saccade")
        raise fail(
            f"expects calls of functions and methods, but got one of {builtin_name(value)}"
        )
