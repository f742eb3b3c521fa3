# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Stand-ins for numbers and arrays while a function is traced."""

from __future__ import annotations

import functools
import operator
import pathlib
import re
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

from . import _torch_names
from ._abi import SpecError
from ._capture import Path, PerHead, Rebuilder, is_array, is_plain, leaf_kind
from ._graph import F32, I1, I32, Graph, Value, is_natural, walk
from ._sources import Leaves, Source

_HERE = str(pathlib.Path(__file__).parent)
_ELEMENTS = {
    "float32": "f32", "float16": "f16", "bfloat16": "bf16", "int64": "i64",
    "int32": "i32", "int8": "i8", "bool": "i1",
}  # fmt: skip


#: What kernels and bodies call values of their own.
_TAKEN = {
    "s", "q", "k", "v", "kv", "h", "r", "o", "lse", "q_len", "kv_len", "sinks", "scale",
    "cache", "key_scale", "value_scale", "true", "false",
}  # fmt: skip
_BOUND = (types.BuiltinMethodType, types.MethodWrapperType)


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

    def leaf(self, value: Any, hint: str, path: Path | None) -> Any:
        """What stands for the next leaf."""
        source = Source(self._name(hint), len(self._met))
        self._met.append(source)
        return self._stand_in(value, source)

    def object(self, value: Any, path: Path | None) -> Any:
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
        if not name[0].isalpha() or name in _TAKEN:
            name = f"p_{name}".replace("__", "_")
        taken = {x.name for x in self.sources()} | _TAKEN
        unique, count = name, 1
        while unique in taken:
            unique, count = f"{name}_{count}", count + 1
        return unique

    def attribute(self, value: Any, index: int, path: Path) -> Any:
        """What stands for an attribute or an item of an object."""
        rebuilder = Rebuilder(
            lambda leaf, hint, place: self._reached(leaf, index, place or ()),
            lambda found, place: Watched(self, found, index, place or ()),
        )
        if is_plain(value):
            owner = getattr(value, "__self__", None)
            if isinstance(value, _BOUND) and isinstance(owner, (dict, list, set)):
                raise fail(
                    f"expects items of {builtin_name(owner)}, but got its "
                    f"'{value.__name__}'"
                )
            self.depend_on(Source("", index, path))
            return value
        if isinstance(value, types.FunctionType):
            self.depend_on(Source("", index, (*path, ("attribute", "__code__"))))
        if isinstance(value, (tuple, list)):
            self.depend_on(Source("", index, (*path, ("length", None))))
        return rebuilder.of(value, "captured", path)

    def _reached(self, value: Any, index: int, path: Path) -> Any:
        """What stands for a number or an array that a path leads to."""
        hints = [name for kind, name in path if isinstance(name, str)]
        hints = [x for x in hints if not x.startswith("__") and x != "cell_contents"]
        source = Source(hints[-1] if hints else "item", index, path)
        try:
            return self._stand_in(value, self._attribute(source))
        except TraceError as error:
            raise fail(str(error)) from None

    def extent(self, source: Source, dim: int, extent: int) -> Traced:
        """A run-time extent of a captured array."""
        wanted = Source(f"{source.name}_size", source.index, source.path, dim)
        return self._stand_in(extent, self._attribute(wanted))

    def _attribute(self, wanted: Source) -> Source:
        """The source of what was met before, or the one that is wanted."""
        place = (wanted.index, wanted.path, wanted.extent)
        for x in self.attributes:
            if (x.index, x.path, x.extent) == place:
                return x
        source = Source(self._name(wanted.name), *place)
        if not self._is_constant(source):
            self.attributes.append(source)
        return source

    def depend_on(self, source: Source) -> None:
        """Makes a value, which the trace used as it is, part of the key."""
        if not self._is_constant(source):
            self.constants.append(source)

    def _is_constant(self, source: Source) -> bool:
        key = (source.index, source.path, source.extent)
        return any((x.index, x.path, x.extent) == key for x in self.constants)

    def _stand_in(self, value: Any, source: Source) -> Any:
        if self._is_constant(source):
            if is_array(value):  # of rank 0
                return self.make(self.graph.constant(value.item()))
            return value.item() if hasattr(value, "item") else value
        if isinstance(value, PerHead):
            self.kinds[source.name] = "!attn.per_head<f32>"
            return Table(self, value, source)
        if not is_array(value):
            number = value.item() if hasattr(value, "item") else value
            return self._parameter(source, I32 if isinstance(number, int) else F32)
        dtype, rank, scalar = leaf_kind(value)  # type: ignore[misc]
        name = str(dtype).removeprefix("torch.")
        if scalar:
            number = self._parameter(source, F32 if "float" in name else I32)
            return number != 0 if "bool" in name else number
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


_FLOAT_USE = "float() or function of math (torch.tanh and its like are traced)"


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
        if function.__name__ == "__getitem__":
            raise fail("expects indices into captured tensors, but got one made here")
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
        if name == "where":  # the condition is the method's first argument
            return lambda condition, other: _torch_names.call(
                name, (condition, self, other), {}
            )
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
        return float(self._tracer.number_of(self._value, _FLOAT_USE))

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
        indices: tuple[tuple[int, Value], ...] = (),
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

    def _free(self) -> list[int]:
        """Dimensions without an index yet."""
        rank = 1 if isinstance(self._array, PerHead) else max(1, self._array.ndim)
        given = {*range(rank)} & {dim for dim, _ in self._indices}
        return [dim for dim in range(rank) if dim not in given]

    def __getitem__(self, index: Any) -> Any:
        free = self._free()
        given = list(index) if isinstance(index, tuple) else [index]
        if Ellipsis in [x for x in given if isinstance(x, type(Ellipsis))]:
            at = next(i for i, x in enumerate(given) if x is Ellipsis)
            given[at : at + 1] = [slice(None)] * (len(free) - len(given) + 1)
        if len(given) > len(free):
            raise fail(
                f"expects at most {len(free)} indices into '{self._source.name}', "
                f"but got {len(given)}"
            )
        indices = list(self._indices)
        for dim, i in zip(free, given, strict=False):
            if not (isinstance(i, slice) and i == slice(None)):
                indices.append((dim, self._index(dim, i)))
        if len(indices) < len(self._indices) + len(free):
            return Table(self._tracer, self._array, self._source, tuple(indices))
        kind = self._tracer.kinds[self._source.name]
        element = re.split("[x<]", kind.rstrip(">"))[-1]
        type_ = {"i1": I1}.get(element, F32 if "f" in element else I32)
        graph = self._tracer.graph
        table = graph.node("parameter", kind, attribute=self._source.name)
        values = [value for _, value in sorted(indices, key=lambda x: x[0])]
        return self._tracer.make(
            graph.node("read", type_, table, *values, attribute=kind)
        )

    def _index(self, dim: int, index: Any) -> Value:
        """An index of a dimension; negative ones count from its end."""
        graph = self._tracer.graph
        value = self._tracer.value_of(index)
        if value is None or value.type != I32:
            got = builtin_name(index) if value is None else f"one of type {value.type}"
            raise fail(
                f"expects integers as indices into '{self._source.name}', but got {got}"
            )
        if isinstance(self._array, PerHead) or is_natural(value, loosely=True):
            return value
        extent = self._extent(dim)._value
        wrapped = graph.arithmetic("add", value, extent)
        if value.op == "constant":
            return wrapped
        negative = graph.compare("lt", value, graph.zero(I32))
        return graph.select(negative, wrapped, value)

    def _extent(self, dim: int) -> Any:
        extent = self._array.shape[dim] if self._array.ndim else 1
        found = self._tracer.extent(self._source, dim, extent)
        if isinstance(found, int):
            found = self._tracer.make(self._tracer.graph.constant(found))
        return found

    @property
    def shape(self) -> tuple[Any, ...]:
        return tuple(self._extent(dim) for dim in self._free())

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> Any:
        return functools.reduce(operator.mul, self.shape, 1)

    def __len__(self) -> int:
        return operator.index(self.shape[0])

    @property
    def ndim(self) -> int:
        return len(self._free())

    dim = property(lambda self: lambda: self.ndim)

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

    def __init__(self, tracer: Tracer, value: Any, index: int, path: Path):
        object.__setattr__(self, "_saccade", (tracer, value, index, path))

    @property
    def __class__(self) -> type:  # for isinstance and super
        return type(_parts(self)[1])

    def __getattr__(self, name: str) -> Any:
        tracer, value, index, path = _parts(self)
        return tracer.attribute(
            getattr(value, name), index, (*path, ("attribute", name))
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise fail(f"expects functions without effects, but one sets '{name}'")

    def __getitem__(self, key: Any) -> Any:
        tracer, value, index, path = _parts(self)
        if isinstance(key, Traced):
            key = key.__index__()
        return tracer.attribute(value[key], index, (*path, ("item", key)))

    def __setitem__(self, key: Any, value: Any) -> None:
        raise fail(f"expects functions without effects, but one sets item {key!r}")

    def __len__(self) -> int:
        tracer, value, index, path = _parts(self)
        tracer.depend_on(Source("", index, (*path, ("length", None))))
        return len(value)

    def __iter__(self) -> Iterator[Any]:
        value = _parts(self)[1]
        if not isinstance(value, (tuple, list)):
            raise fail(f"expects no iteration over {builtin_name(value)}")
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        value = _parts(self)[1]
        if hasattr(type(value), "__bool__"):
            raise fail(f"expects no truth value of {builtin_name(value)}")
        return len(self) > 0 if hasattr(type(value), "__len__") else True

    def __eq__(self, other: object) -> bool:
        raise fail(f"expects no comparison of {builtin_name(_parts(self)[1])}")

    def __hash__(self) -> int:
        return id(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tracer, value, index, path = _parts(self)
        torch = sys.modules.get("torch")
        name = "__call__"
        if torch is not None and isinstance(value, torch.nn.Module):
            name = "forward"  # without hooks
        function = getattr(type(value), name, None)
        if not isinstance(function, types.FunctionType):
            raise fail(
                f"expects calls of functions and methods, but got one of "
                f"{builtin_name(value)}"
            )
        place = (*path, ("attribute", "__class__"), ("attribute", name))
        return tracer.attribute(function, index, place)(self, *args, **kwargs)


def _parts(watched: Watched) -> tuple[Tracer, Any, int, Path]:
    return object.__getattribute__(watched, "_saccade")
