# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The arguments of a call of the C API, filled again for each run.

What costs here is paid once a layer: frameworks whose arrays C code can read (DLPack's
exchange API) are read, and run, in a single call.
"""

from __future__ import annotations

import ctypes
import operator
import struct
from ctypes import c_void_p
from typing import Any

from . import _abi, _tensors

_KINDS = {"cache": _abi.CACHE, "scalar": _abi.SCALAR, "table": _abi.TABLE}
_NOTHING = object()


class _Slot:
    """Where one value goes."""

    __slots__ = ("argument", "dtype", "is_cache", "is_result", "is_scalar", "last",
                 "name", "paired", "view", "view_of_values")  # fmt: skip

    def __init__(
        self, description: dict, argument: _abi.Argument, is_result: bool
    ) -> None:
        kind, self.is_result = description["kind"], is_result
        self.name, self.argument = description["name"], argument
        self.dtype = description.get("dtype", "f32")
        self.is_scalar, self.is_cache = kind == "scalar", kind == "cache"
        argument.kind = _KINDS.get(kind, _abi.TENSOR)
        self.paired = False  # whether a cache came as (keys, values)
        self.last: Any = _NOTHING
        if self.is_scalar:
            return
        self.view = _tensors.View(self.dtype, self.name)
        argument.tensor = self.view.pointer
        if self.is_cache:
            self.view_of_values = _tensors.View(self.dtype, self.name)

    def views(self) -> list[_tensors.View]:
        """What its arrays are shown through."""
        if self.is_scalar:
            return []
        return [self.view, self.view_of_values] if self.is_cache else [self.view]

    def pair(self, paired: bool) -> None:
        self.paired = paired
        self.argument.values = self.view_of_values.pointer if paired else None

    def show(self, value: Any, stream: int) -> None:
        """An array, or the arrays of a cache."""
        if self.is_result:
            _tensors.check_writable(value)
        pair = self.is_cache and isinstance(value, (tuple, list))
        if not pair:
            self.view.show(value, stream)
        else:
            if len(value) != 2:
                raise TypeError(f"'{self.name}': expects keys and values")
            self.view.show(value[0], stream)
            self.view_of_values.show(value[1], stream)
        if pair is not self.paired:
            self.pair(pair)

    def put(self, value: Any) -> None:
        """A scalar."""
        name, argument = self.name, self.argument
        try:
            number = float(value) if self.dtype == "f32" else int(value)
        except (TypeError, ValueError):
            raise TypeError(f"'{name}': expects a number, but got {value!r}") from None
        if self.dtype == "f32":
            argument.real = number
        else:
            if number != value or not -(2**31) <= number < 2**31:
                raise _abi.InvalidArgument(
                    f"'{name}': expects an integer of 32 bits, but got {value!r}"
                )
            argument.integer = number
        # The same object says the same again, if it cannot change.
        self.last = value if type(value) in (int, float) else _NOTHING


class Frame:
    """The arguments of a kernel, and of its runs with a plan (by its address)."""

    def __init__(
        self,
        arguments: list[dict],
        results: list[dict],
        plan: int | None = None,
        device: _abi.DLDevice | None = None,
    ):
        descriptions = arguments + results
        self.count = len(descriptions)
        self.arguments = (_abi.Argument * max(1, self.count))()
        self._slots = [
            _Slot(description, self.arguments[i], is_result=i >= len(arguments))
            for i, description in enumerate(descriptions)
        ]
        self._run = _abi.ObjectRun(
            plan=plan,
            arguments=ctypes.addressof(self.arguments),
            count=self.count,
            device=device or _abi.DLDevice(_abi.CPU, 0),
            unlock=_UNLOCK,
            lock=_LOCK,
        )
        self.address = ctypes.addressof(self._run)
        self._scalars = [
            (i, slot) for i, slot in enumerate(self._slots) if slot.is_scalar
        ]
        # The type of the arrays that are read in C, and which caches come as pairs;
        # and how many the last run left to C.
        self._kind: type | None = None
        self._form: Any = None
        self._handed = 0
        self._stream: int | None = 0
        self._current_stream: int | None = None

    def fill(self, values: list[Any], stream: int = 0) -> None:
        """Shows values, results last, one by one. Raises what is wrong with one."""
        if len(values) != self.count:
            raise TypeError(f"expects {self.count} values, but got {len(values)}")
        for slot, value in zip(self._slots, values, strict=True):
            if slot.is_scalar:
                slot.put(value)
                continue
            if self._handed:  # the framework wrote them since
                for view in slot.views():
                    view.form = None
            slot.show(value, stream)

    def run(self, values: list[Any], stream: int | None) -> int:
        """Runs on values, results last, and a stream; None: the current one of their
        framework. Gives the status of the call in C."""
        count, run = 0, self._run
        if self._kind is not None and len(values) == self.count:
            count = self._hand_over(values)
        if not count:
            if stream is None:
                stream = _tensors.current_stream(values, run.device)
            self.fill(values, stream)
            self._learn(values)
        if count != self._handed:
            run.num_objects = self._handed = count
        if stream != self._stream:
            run.stream = self._stream = stream
            run.current_stream = self._current_stream if stream is None else None
        try:
            return run_objects(self.address)
        except (RuntimeError, BufferError):
            self.fill(values, stream or 0)  # says which one cannot be read
            raise

    def _hand_over(self, values: list[Any]) -> int:
        """Leaves arrays to C, with scalars put, and says how many; 0 where they are to
        be shown one by one."""
        arrays = self._pick(values)
        for at in self._pairs:
            pair = arrays[at]
            if type(pair) is not tuple or len(pair) != 2:
                return 0
            arrays = *arrays[:at], *pair, *arrays[at + 1 :]
        if {*map(type, arrays)} != self._kinds:
            return 0
        for at, slot in self._scalars:
            if values[at] is not slot.last:
                slot.put(values[at])
        self._pack(self._buffer, 0, *map(id, arrays))
        return len(arrays)

    def _learn(self, values: list[Any]) -> None:
        """Makes ready to leave values like these to C, if their framework can."""
        places = [i for i, slot in enumerate(self._slots) if not slot.is_scalar]
        pairs = [at for at, i in enumerate(places) if self._slots[i].paired]
        first = values[places[0]]
        kind = type(first[0] if pairs[:1] == [0] else first)
        if (kind, pairs) == self._form:
            return
        self._form = kind, pairs
        exchange = _tensors.exchange_of(kind)
        self._kind = None
        if exchange is None or len(places) < 2:
            return
        on_gpu = self._run.device.type == _abi.CUDA
        if on_gpu and not exchange.current_stream:
            return
        self._kind = kind
        self._current_stream = exchange.current_stream if on_gpu else None
        views: list[_tensors.View] = []
        for i in places:
            slot = self._slots[i]
            views += slot.views() if slot.paired else [slot.view]
        self._kinds, self._pick = {kind}, operator.itemgetter(*places)
        self._pairs = pairs[::-1]  # so that places before stay
        self._tensors = (c_void_p * len(views))(*(view.address for view in views))
        self._buffer = (c_void_p * len(views))()
        self._pack = struct.Struct(f"{len(views)}P").pack_into
        self._run.tensors = ctypes.addressof(self._tensors)
        self._run.objects = ctypes.addressof(self._buffer)
        self._run.read = exchange.tensor_from_object


# One number, a frame's, is what a call takes least time for. The interpreter's lock
# is held while objects are read, and left before anything is launched.
run_objects = _abi.locked_function_of_numbers("saccade_run_objects")
_UNLOCK = ctypes.cast(ctypes.pythonapi.PyEval_SaveThread, c_void_p)
_LOCK = ctypes.cast(ctypes.pythonapi.PyEval_RestoreThread, c_void_p)
