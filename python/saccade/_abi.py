# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""libsaccade through ctypes: its structs, its functions, its errors.

Mirrors include/saccade/*.h field by field. ctypes and not cffi: it is there in
every Python, and a run costs a few microseconds either way (bench/call_overhead.py).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from ctypes import (
    POINTER,
    Structure,
    c_char,
    c_char_p,
    c_double,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from pathlib import Path
from typing import Any

CPU, CUDA = 1, 2  # DLDeviceType
TENSOR, CACHE, SCALAR, TABLE = 0, 1, 2, 3  # SaccadeArgumentKind
FIXED_GRID, HOST_ONLY, BATCH_INVARIANT = 1, 2, 4  # SaccadePlanFlags
ON_DEVICE, CHECKED, DEPENDENT_LAUNCH = 8, 16, 32
KEEP_STAGES, ASSEMBLE = 1, 2  # SaccadeCompileFlags


class DLDevice(Structure):
    _fields_ = [("type", c_int32), ("id", c_int32)]


class DLTensor(Structure):
    _fields_ = [
        ("data", c_void_p),
        ("device", DLDevice),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


class CompileOptions(Structure):
    _fields_ = [
        ("target", c_char_p),
        ("kernel", c_char_p),
        ("name", c_char_p),
        ("schedule", c_char_p),
        ("disabled", c_char_p),
        ("until", c_char_p),
        ("flags", c_uint32),
        ("query_tokens", c_uint32),
    ]


class EngineOptions(Structure):
    _fields_ = [("cache_dir", c_char_p), ("reserved", c_void_p * 3)]


class DeviceInfo(Structure):
    _fields_ = [
        ("name", c_char * 128),
        ("target", c_char * 32),
        ("processors", c_int32),
        ("capability", c_int32),
        ("driver", c_int32),
        ("reserved", c_int32),
        ("shared_bytes", c_int64),
        ("memory_bytes", c_int64),
    ]


class Capacity(Structure):
    _fields_ = [
        ("requests", c_int32),
        ("ctas", c_int32),
        ("query_tokens", c_int64),
        ("indices", c_int64),
        ("row_blocks", c_int64),
        ("keys", c_int64),
        ("flags", c_uint32),
        ("reserved", c_uint32),
        ("workspace", c_void_p),
        ("workspace_bytes", c_size_t),
    ]


class CacheBatch(Structure):
    _fields_ = [
        ("lengths", c_void_p),  # these three const int32_t *
        ("indptr", c_void_p),
        ("last_page_len", c_void_p),
        ("indices", POINTER(DLTensor)),
        ("block_rows", POINTER(DLTensor)),
        ("reserved", c_void_p * 3),
    ]


class Batch(Structure):
    _fields_ = [
        ("requests", c_int32),
        ("num_caches", c_int32),
        ("q_len", c_void_p),  # const int32_t *, like the next
        ("q_indptr", c_void_p),
        ("caches", POINTER(CacheBatch)),
        ("reserved", c_void_p * 3),
    ]


class DeviceBatch(Structure):
    _fields_ = [
        ("requests", c_int32),
        ("q_len", c_int32),
        ("q_indptr", POINTER(DLTensor)),
        ("lengths", POINTER(DLTensor)),
        ("indices", POINTER(DLTensor)),
        ("reserved", c_void_p * 4),
    ]


class Argument(Structure):
    _fields_ = [
        ("kind", c_int32),
        ("reserved", c_int32),
        ("tensor", POINTER(DLTensor)),
        ("values", POINTER(DLTensor)),
        ("real", c_double),
        ("integer", c_int64),
    ]


class ObjectRun(Structure):
    _fields_ = [
        ("plan", c_void_p),
        ("arguments", c_void_p),
        ("stream", c_void_p),
        ("count", c_int32),
        ("num_objects", c_int32),
        ("objects", c_void_p),
        ("tensors", c_void_p),
        ("read", c_void_p),  # a function, like the next
        ("current_stream", c_void_p),
        ("device", DLDevice),
        ("unlock", c_void_p),  # as well
        ("lock", c_void_p),
        ("reserved", c_void_p * 3),
    ]


class Row(Structure):
    _fields_ = [("request", c_int32), ("token", c_int32), ("head", c_int32)]


class Error(RuntimeError):
    """A failure that libsaccade reports; ``status`` is its SaccadeStatus."""

    status = 8


class InvalidArgument(Error, ValueError):
    """A value, shape, dtype or pointer is wrong."""

    status = 1


class OutOfCapacity(Error):
    """More work than the plan was made for."""

    status = 2


class BadBlob(Error):
    """A kernel binary is damaged or of another version."""

    status = 3


class NoDevice(Error):
    """No driver, no such device, or one that cannot run this target."""

    status = 4


class DriverError(Error):
    """The CUDA driver refused; the message quotes it."""

    status = 5


class OutOfMemory(Error, MemoryError):
    """Host or device memory is not enough."""

    status = 6


class SpecError(Error, ValueError):
    """The spec does not parse, verify or compile; the message says where."""

    status = 7


_ERRORS = {
    kind.status: kind
    for kind in (
        Error,
        InvalidArgument,
        OutOfCapacity,
        BadBlob,
        NoDevice,
        DriverError,
        OutOfMemory,
        SpecError,
    )
}


def _load() -> ctypes.CDLL:
    given = os.environ.get("SACCADE_LIBRARY")
    path = Path(given) if given else Path(__file__).with_name("libsaccade.so")
    if not path.exists():
        raise ImportError(
            f"expects libsaccade at {path}: set SACCADE_LIBRARY to that of a build"
        )
    # RTLD_LOCAL: the LLVM inside must not meet those of torch, triton or jaxlib.
    return ctypes.CDLL(str(path), mode=os.RTLD_NOW | os.RTLD_LOCAL)


lib = _load()

_handle, _text, _out = c_void_p, c_char_p, POINTER(c_void_p)
_SIGNATURES = {
    # name: (result, arguments); "status" is turned into exceptions
    "saccade_last_error": (_text, []),
    "saccade_build_id": (_text, []),
    "saccade_target_count": (c_int32, []),
    "saccade_target_name": (_text, [c_int32]),
    "saccade_pass_count": (c_int32, []),
    "saccade_pass_name": (_text, [c_int32]),
    "saccade_spec_kernels": (
        "status",
        [_text, c_size_t, _text, POINTER(c_char_p)],
    ),
    "saccade_compile": (
        "status",
        [_text, c_size_t, POINTER(CompileOptions), _out],
    ),
    "saccade_compilation_stage": (c_void_p, [_handle, _text, POINTER(c_size_t)]),
    "saccade_compilation_blob": (c_void_p, [_handle, POINTER(c_size_t)]),
    "saccade_compilation_report": (_text, [_handle]),
    "saccade_compilation_destroy": (None, [_handle]),
    "saccade_engine_create": ("status", [POINTER(EngineOptions), _out]),
    "saccade_engine_destroy": (None, [_handle]),
    "saccade_engine_cache_dir": (_text, [_handle]),
    "saccade_device_parse": ("status", [_text, POINTER(DLDevice)]),
    "saccade_device_target": ("status", [DLDevice, POINTER(c_char_p)]),
    "saccade_device_info": ("status", [DLDevice, POINTER(DeviceInfo)]),
    "saccade_cuda_device_count": (c_int32, []),
    "saccade_set_num_threads": ("status", [c_int32]),
    "saccade_synchronize": ("status", [DLDevice, c_void_p]),
    "saccade_kernel_create": (
        "status",
        [_handle, _text, c_size_t, POINTER(CompileOptions), _out],
    ),
    "saccade_kernel_destroy": (None, [_handle]),
    "saccade_kernel_module": (c_void_p, [_handle]),
    "saccade_kernel_explain": (
        "status",
        [_handle, POINTER(DLDevice), POINTER(c_char_p)],
    ),
    "saccade_module_manifest": (_text, [_handle]),
    "saccade_module_prepare": ("status", [_handle, DLDevice]),
    "saccade_plan_bytes": (
        "status",
        [_handle, POINTER(Capacity), POINTER(c_size_t)],
    ),
    "saccade_plan_create": ("status", [_handle, DLDevice, POINTER(Capacity), _out]),
    "saccade_plan_update": ("status", [_handle, POINTER(Batch), c_void_p]),
    "saccade_plan_update_on_device": (
        "status",
        [_handle, POINTER(DeviceBatch), c_void_p],
    ),
    "saccade_plan_check": ("status", [_handle, c_void_p]),
    "saccade_plan_describe": (_text, [_handle]),
    "saccade_plan_picture": (_text, [_handle]),
    "saccade_plan_destroy": (None, [_handle]),
    "saccade_run": ("status", [_handle, POINTER(Argument), c_int32, c_void_p]),
    "saccade_run_objects": ("status", [POINTER(ObjectRun)]),
    "saccade_run_count": (c_int64, []),
    "saccade_reference_create": ("status", [_text, c_size_t, _text, _out]),
    "saccade_reference_destroy": (None, [_handle]),
    "saccade_reference_run": (
        "status",
        [
            _handle,
            POINTER(Batch),
            POINTER(Argument),
            c_int32,
            POINTER(Row),
            c_int64,
            POINTER(POINTER(c_double)),
        ],
    ),
}


def fail(status: int) -> None:
    """Raises what the last call said."""
    message = (lib.saccade_last_error() or b"").decode(errors="replace")
    raise _ERRORS.get(status, Error)(message)


def _check(status: int, function: Any, arguments: Any) -> None:
    if status:
        fail(status)


def locked_function_of_numbers(name: str) -> Callable[..., int]:
    """A function that returns its status, takes addresses as numbers, and is called
    with the interpreter's lock held: for calls that must be quick."""
    function = ctypes.PYFUNCTYPE(c_int32, *[c_void_p for _ in _SIGNATURES[name][1]])
    return function((name, lib))


for _name, (_result, _arguments) in _SIGNATURES.items():
    _function = getattr(lib, _name)
    _function.argtypes = _arguments
    _function.restype = c_int32 if _result == "status" else _result
    if _result == "status":
        _function.errcheck = _check
