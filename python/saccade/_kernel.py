# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kernels and plans: compile a spec, say which batch, run it on tensors."""

from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Iterable, Sequence
from ctypes import byref, c_char_p, c_void_p
from typing import Any

from . import _abi, _tensors
from ._abi import lib
from ._batch import BatchView, Cache, cache_parts
from ._plan import Capacity, Plan

_engines: dict[int, c_void_p] = {}
_lock = threading.Lock()


def engine() -> c_void_p:
    """The process's engine; a forked child gets one of its own."""
    with _lock:
        if os.getpid() not in _engines:
            handle = c_void_p()
            lib.saccade_engine_create(None, byref(handle))
            _engines[os.getpid()] = handle
        return _engines[os.getpid()]


def read_spec(spec: str | os.PathLike) -> tuple[str, str]:
    """Text and name: a path is read, a string with a line end or a space is text."""
    if isinstance(spec, str) and (not spec or any(c in spec for c in "\n {")):
        return spec, "spec"
    with open(spec, encoding="utf-8") as file:
        return file.read(), os.fspath(spec)


def _options(**fields: Any) -> _abi.CompileOptions:
    encoded = {
        key: value.encode() if isinstance(value, str) else value
        for key, value in fields.items()
    }
    return _abi.CompileOptions(**encoded)


def parse_device(name: str) -> _abi.DLDevice:
    device = _abi.DLDevice()
    lib.saccade_device_parse(name.encode(), byref(device))
    return device


def compile(
    spec: str | os.PathLike,
    *,
    device: str | None = None,
    target: str | None = None,
    kernel: str | None = None,
    schedule: str | None = None,
    query_tokens: int = 0,
    disable: Iterable[str] = (),
    assemble: bool = False,
) -> Kernel:
    """Compiles a spec, or takes the kernel from the cache in memory or on disk.

    spec: text in the attn dialect, or the path of a file with it.
    device: "cpu", "cuda", "cuda:N", or "auto" (default): CUDA where there is a
        device, else the CPU. Plans are made for it.
    target: "cpu", "sm_90a", ... (default: the device's best).
    kernel: which attn.kernel of the spec (default: the only one).
    schedule: text of a ``#tile.schedule`` instead of the chosen one.
    query_tokens: tokens of a request's query that the kernel is to be fast for: 1 for
        decode. Changes no result. 0: what the spec says, or else many.
    disable: optional passes to leave out (``saccade.passes()``).
    assemble: machine code by ptxas instead of PTX.

    Raises SpecError with the compiler's message, InvalidArgument, or NoDevice.
    """
    text, name = read_spec(spec)
    here, target = where_to_compile(device, target)
    handle = compile_text(
        engine(),
        text,
        target=target,
        kernel=kernel,
        name=name,
        schedule=schedule,
        query_tokens=query_tokens,
        disabled=",".join(disable) or None,
        flags=_abi.ASSEMBLE if assemble else 0,
    )
    return Kernel(handle, here)


def where_to_compile(
    device: str | None, target: str | None
) -> tuple[_abi.DLDevice | None, str]:
    """The device of plans, None if it is not here, and the target to compile for."""
    if device is None:
        device = "auto" if target is None else "cpu" if target == "cpu" else "cuda"
    # A kernel for another machine may be compiled where no such device is.
    here = None
    try:
        here = parse_device(device)
    except _abi.NoDevice:
        if target is None:
            raise
    if target is None:
        found = c_char_p()
        lib.saccade_device_target(here, byref(found))
        target = found.value.decode()
    return here, target


def compile_text(owner: c_void_p, text: str, **fields: Any) -> c_void_p:
    """A kernel of an engine, by the fields of SaccadeCompileOptions."""
    options = _options(**fields)
    encoded = text.encode()
    handle = c_void_p()
    lib.saccade_kernel_create(
        owner, encoded, len(encoded), byref(options), byref(handle)
    )
    return handle


def stage(
    spec: str | os.PathLike,
    emit: str,
    *,
    target: str = "cpu",
    kernel: str | None = None,
    schedule: str | None = None,
    query_tokens: int = 0,
    disable: Iterable[str] = (),
) -> bytes:
    """One stage of a compilation: "spec", "mlir", "tile", "llvm", "ptx", "cubin" or
    "obj". Nothing is cached."""
    text, name = read_spec(spec)
    compilation, _ = _compile_until(
        text, emit, target=target, kernel=kernel, name=name, schedule=schedule,
        query_tokens=query_tokens, disabled=",".join(disable) or None,
    )  # fmt: skip
    return compilation


def _compile_until(text: str, until: str, **fields: Any) -> tuple[bytes, dict]:
    flags = _abi.KEEP_STAGES | (_abi.ASSEMBLE if until == "cubin" else 0)
    options = _options(until=until, flags=flags, **fields)
    encoded = text.encode()
    handle = c_void_p()
    lib.saccade_compile(encoded, len(encoded), byref(options), byref(handle))
    try:
        size = ctypes.c_size_t()
        content = lib.saccade_compilation_stage(handle, until.encode(), byref(size))
        report = json.loads(lib.saccade_compilation_report(handle))
        if content is None:
            raise _abi.InvalidArgument(
                f"expects a stage of {fields.get('target')}, but got '{until}'"
            )
        return ctypes.string_at(content, size.value), report
    finally:
        lib.saccade_compilation_destroy(handle)


class Kernel:
    """A compiled kernel. Make plans with it and run them.

    name, target: of the kernel. arguments, results: what it takes and gives, as the
    manifest says (dicts with kind, name, layout, heads, dim, dtype, ...).
    """

    def __init__(self, handle: c_void_p, device: _abi.DLDevice | None):
        self._handle = handle
        self._module = c_void_p(lib.saccade_kernel_module(handle))
        self._device = device
        manifest = json.loads(lib.saccade_module_manifest(self._module))
        self.name: str = manifest["kernel"]
        self.target: str = manifest["target"]
        self.arguments: list[dict] = manifest["arguments"]
        self.results: list[dict] = [
            result for result in manifest["results"] if result["kind"] != "cache"
        ]
        self._query: int = manifest["query"]
        self._caches = [a for a in self.arguments if a["kind"] == "cache"]
        self._index = {a["name"]: i for i, a in enumerate(self.arguments)}
        self._recipe: tuple[Any, list] = ((), [])  # no query has this shape

    def __del__(self) -> None:
        if getattr(self, "_handle", None) and lib:
            lib.saccade_kernel_destroy(self._handle)
            self._handle = None

    def __repr__(self) -> str:
        names = ", ".join(argument["name"] for argument in self.arguments)
        return f"<saccade.Kernel {self.name}({names}) for {self.target}>"

    def plan(
        self,
        q_lens: Any = None,
        *,
        q_indptr: Any = None,
        kv_lens: Any = None,
        kv_indptr: Any = None,
        page_table: Any = None,
        last_page_len: Any = None,
        block_rows: Any = None,
        caches: Sequence[Cache] | dict[str, Cache] | None = None,
        capacity: Capacity | None = None,
        device: str | None = None,
        host_only: bool = False,
        batch_invariant: bool = False,
        stream: int = 0,
        growth: int = 1,
    ) -> Plan:
        """Plans a batch.

        q_lens: query tokens of each request; or q_indptr, their running sum.
        The only cache of a kernel takes kv_lens, kv_indptr, page_table (or key
        blocks), last_page_len and block_rows: see Cache, whose fields they are. A
        kernel with several takes `caches`, in order or by name.
        capacity: of the batches that the plan is to hold later; see Plan.update.
        device: where to run (default: what the kernel was compiled for).
        host_only: plan and describe only, without a device; give capacity.ctas.
        batch_invariant: cut each request by its own lengths alone, so that it gives
            the same bits in any batch and at any place of it. It costs balance.
        growth: how many times this batch what `capacity` leaves open is to hold.
        """
        parts = cache_parts(
            caches,
            lengths=kv_lens,
            indptr=kv_indptr,
            indices=page_table,
            last_page_len=last_page_len,
            block_rows=block_rows,
        )
        batch = BatchView(self._caches, q_lens, q_indptr, parts)
        where = parse_device(device) if device else self._device
        if where is None:
            if not host_only:
                raise _abi.NoDevice(
                    f"expects a device that can run {self.target}, but got none"
                )
            where = _abi.DLDevice(_abi.CPU, 0)
        flags = (_abi.HOST_ONLY if host_only else 0) | (
            _abi.BATCH_INVARIANT if batch_invariant else 0
        )
        return Plan(self, where, batch, capacity or Capacity(), flags, stream, growth)

    def workspace_bytes(self, capacity: Capacity) -> int:
        """Bytes of device memory that a plan of the capacity takes at most."""
        struct, size = capacity._struct(), ctypes.c_size_t()
        lib.saccade_plan_bytes(self._module, byref(struct), byref(size))
        return size.value

    def run(
        self,
        plan: Plan,
        *args: Any,
        out: Any = None,
        stream: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Runs the kernel on a plan's batch.

        Arguments come in the order of the spec's signature, or by name: tensors and
        tables as NumPy arrays, torch tensors or anything with ``__dlpack__``; caches
        as a pair (keys, values) or one 5-D tensor of both; scalars as numbers. bf16
        in NumPy is ml_dtypes.bfloat16, or uint16 with the bits; f8E4M3FN and f8E5M2
        are float8_e4m3fn and float8_e5m2 of torch or ml_dtypes, or uint8 with the
        bits. Nothing is copied.

        out: where results go, one array or a sequence of them in the order of
        attn.return; None allocates. Returned are the results, a tuple if several.
        stream: a CUstream; default: torch's current stream if torch tensors are
        given, else the default stream. One that was destroyed cannot be told from
        others: the driver itself does not survive it. On the GPU the call does not wait.
        """
        values = self._bind(args, kwargs)
        outputs = self._outputs(plan, values, out)
        plan._launch(values, outputs, stream)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def explain(self, device: bool = True) -> dict:
        """What the compiler chose, and why; with what the device says of the code
        (registers, spills, blocks per SM) if it can be asked."""
        where = byref(self._device) if device and self._device is not None else None
        text = c_char_p()
        lib.saccade_kernel_explain(self._handle, where, byref(text))
        return json.loads(text.value)

    def _bind(self, args: tuple, kwargs: dict) -> list[Any]:
        if not kwargs and len(args) == len(self.arguments):
            return list(args)
        if len(args) > len(self.arguments):
            raise TypeError(
                f"{self.name}: expects {len(self.arguments)} arguments, but got {len(args)}"
            )
        values: list[Any] = list(args) + [None] * (len(self.arguments) - len(args))
        given = [True] * len(args) + [False] * (len(self.arguments) - len(args))
        for name, value in kwargs.items():
            index = self._index.get(name)
            if index is None:
                raise TypeError(f"{self.name}: expects no argument named '{name}'")
            if given[index]:
                raise TypeError(
                    f"{self.name}: expects one value for '{name}', but got two"
                )
            values[index], given[index] = value, True
        if not all(given):
            missing = [
                a["name"] for a, g in zip(self.arguments, given, strict=True) if not g
            ]
            raise TypeError(f"{self.name}: expects values for {', '.join(missing)}")
        return values

    def _outputs(self, plan: Plan, values: list[Any], out: Any) -> list[Any]:
        if out is not None:
            outputs = list(out) if isinstance(out, (tuple, list)) else [out]
            if len(outputs) != len(self.results):
                raise TypeError(
                    f"{self.name}: expects {len(self.results)} arrays in out=, "
                    f"but got {len(outputs)}"
                )
            return outputs
        if not self.results:
            return []
        example = values[self._query]
        recipe = self._recipe
        if recipe[0] != getattr(example, "shape", None):
            recipe = self._recipe = self._shapes(example)
        return [
            _tensors.empty_like(example, shape, dtype) for shape, dtype in recipe[1]
        ]

    def _shapes(self, example: Any) -> tuple[Any, list[tuple[tuple[int, ...], str]]]:
        """The shape of a query, and shapes and dtypes of the results for it."""
        query = self.arguments[self._query]
        tokens, heads = self._token_axes(query, example)
        shapes = []
        for result in self.results:
            # As many tokens as the query has, in the result's own order.
            shape = list(example.shape)
            if result["kind"] == "lse":
                shape = [*shape[: min(tokens, heads)], shape[tokens], result["heads"]]
                dtype = "f32"
            else:
                if query.get("order", "NHD") != result.get("order", "NHD"):
                    shape[tokens], shape[heads] = shape[heads], shape[tokens]
                shape[-1], dtype = result["dim"], result["dtype"]
            shapes.append((tuple(shape), dtype))
        return example.shape, shapes

    @staticmethod
    def _token_axes(query: dict, example: Any) -> tuple[int, int]:
        """The axes of tokens and heads of a query, whose shape results take."""
        name, rank = query["name"], 4 if query["layout"] == "dense" else 3
        if not _tensors.can_allocate(example):
            kind = type(example).__name__
            if hasattr(example, "__dlpack__"):
                raise TypeError(f"expects out=, as results like {kind} cannot be made")
            raise TypeError(
                f"'{name}': expects an array (NumPy, torch, DLPack), but got {kind}"
            )
        if len(example.shape) != rank:
            raise _abi.InvalidArgument(
                f"'{name}': expects {rank} dimensions, but got {len(example.shape)}"
            )
        axes = rank - 3, rank - 2
        return axes if query.get("order", "NHD") == "NHD" else axes[::-1]
