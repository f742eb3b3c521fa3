# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays of any framework as DLTensors, without copies.

NumPy arrays and torch tensors are read through their own attributes, which is
quickest; everything else through ``__dlpack__``. torch is never imported here: its
tensors bring it along.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable
from ctypes import POINTER, byref, c_int64, c_void_p
from typing import Any

import numpy as np

from . import _abi
from ._abi import CPU, CUDA, DLDevice, DLTensor

_NAMES = {"f32": (2, 32), "f16": (2, 16), "bf16": (4, 16), "i32": (0, 32), "u8": (1, 8),
          "f8e4m3": (10, 8), "f8e5m2": (12, 8), "i64": (0, 64), "i8": (0, 8),
          "bool": (6, 8)}  # fmt: skip
_NUMPY = {np.dtype(np.float32): (2, 32), np.dtype(np.float16): (2, 16),
          np.dtype(np.int32): (0, 32), np.dtype(np.uint8): (1, 8),
          np.dtype(np.int64): (0, 64), np.dtype(np.int8): (0, 8),
          np.dtype(np.bool_): (6, 8)}  # fmt: skip
_ML_DTYPES = {"bfloat16": (4, 16), "float8_e4m3fn": (10, 8), "float8_e5m2": (12, 8)}
_KINDS = {"i": 0, "u": 1, "f": 2}
_torch_dtypes: dict[Any, tuple[int, int]] = {}

MAX_RANK = 5


def is_torch(array: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def _torch_code(dtype: Any) -> tuple[int, int]:
    if not _torch_dtypes:
        torch = sys.modules["torch"]
        _torch_dtypes.update(
            {
                torch.float32: (2, 32),
                torch.float16: (2, 16),
                torch.bfloat16: (4, 16),
                torch.int32: (0, 32),
                torch.uint8: (1, 8),
                torch.int64: (0, 64),
                torch.int8: (0, 8),
                torch.float64: (2, 64),
                torch.bool: (6, 8),
            }
        )
        for name in ("float8_e4m3fn", "float8_e5m2"):  # not in every torch
            if hasattr(torch, name):
                _torch_dtypes[getattr(torch, name)] = _ML_DTYPES[name]
    return _torch_dtypes.get(dtype, (3, 0))


def _numpy_code(dtype: np.dtype, wanted: tuple[int, int]) -> tuple[int, int]:
    code = _NUMPY.get(dtype)
    if code is not None:
        return code
    if dtype.name in _ML_DTYPES:
        return _ML_DTYPES[dtype.name]
    if dtype == np.uint16 and wanted[1] == 16:  # the bits of a 16-bit float
        return wanted
    return (_KINDS.get(dtype.kind, 3), 8 * dtype.itemsize)


class View:
    """One DLTensor that is filled again for each array that it shows. What stayed
    as it was since the last time is not written again: runs repeat themselves."""

    __slots__ = (
        "dtype", "name", "tensor", "address", "shape", "strides", "kept", "pointer",
        "form",
    )  # fmt: skip

    def __init__(self, dtype: str, name: str) -> None:
        self.dtype, self.name = dtype, name  # what is wanted, and for what
        # The caller keeps arrays alive; here only what __dlpack__ gave is kept.
        self.shape = (c_int64 * MAX_RANK)()
        self.strides = (c_int64 * MAX_RANK)()
        self.tensor = DLTensor()
        self.address = ctypes.addressof(self.tensor)
        self.pointer = ctypes.pointer(self.tensor)
        self.kept: Any = None
        self.form: Any = None

    def show(self, array: Any, stream: int = 0) -> Any:
        """Fills the view and gives a pointer to it, valid while `array` lives."""
        read = _reader_of(type(array))
        if read is not None:
            self.form = None  # shape and strides are the framework's own now
            try:
                read(id(array), self.address)
            except (RuntimeError, BufferError):
                raise unreadable(array, self.name) from None
            return self.pointer
        if isinstance(array, np.ndarray):
            form = (array.shape, array.strides, array.dtype)
            data = array.__array_interface__["data"][0]
        elif is_torch(array):
            form = (array.shape, array.stride(), array.dtype, array.device)
            data = array.data_ptr()
        elif hasattr(array, "__dlpack__"):
            return self._show_dlpack(array, stream)
        else:
            raise TypeError(
                f"'{self.name}': expects an array (NumPy, torch, DLPack), "
                f"but got {type(array).__name__}"
            )
        if form != self.form:
            self._fill(array)
            self.form = form
        self.tensor.data = data
        return self.pointer

    def _fill(self, array: Any) -> None:
        device = (CPU, 0)
        if isinstance(array, np.ndarray):
            size = array.itemsize
            strides = tuple(s // size for s in array.strides)
            if any(s % size for s in array.strides):
                raise _abi.InvalidArgument(
                    f"'{self.name}': expects strides of whole elements"
                )
            if not array.dtype.isnative:
                raise _abi.InvalidArgument(
                    f"'{self.name}': expects this machine's byte order, but got "
                    f"{array.dtype.str}"
                )
            code = _numpy_code(array.dtype, _NAMES[self.dtype])
        else:
            strides, code, where = (
                array.stride(),
                _torch_code(array.dtype),
                array.device,
            )
            if where.type not in ("cpu", "cuda"):
                raise _abi.InvalidArgument(
                    f"'{self.name}': expects a tensor on cpu or cuda, but got {where}"
                )
            if where.type == "cuda":
                device = (CUDA, where.index or 0)
        rank = array.ndim
        if rank > MAX_RANK:
            raise _abi.InvalidArgument(
                f"'{self.name}': expects at most {MAX_RANK} dimensions, but got {rank}"
            )
        self.shape[:rank] = array.shape
        self.strides[:rank] = strides
        tensor = self.tensor
        tensor.ndim, tensor.byte_offset, tensor.lanes = rank, 0, 1
        tensor.code, tensor.bits = code
        tensor.device.type, tensor.device.id = device
        tensor.shape = ctypes.cast(self.shape, POINTER(c_int64))
        tensor.strides = ctypes.cast(self.strides, POINTER(c_int64))

    def _show_dlpack(self, array: Any, stream: int):
        # 1 is how DLPack's Python protocol writes the default stream.
        kind, _ = array.__dlpack_device__()
        capsule = (
            array.__dlpack__(stream=stream or 1) if kind == CUDA else array.__dlpack__()
        )
        # A DLManagedTensor begins with its DLTensor. Unused capsules release what
        # they hold when they die, so keeping the capsule keeps the memory.
        address = _capsule_pointer(capsule, b"dltensor")
        ctypes.memmove(byref(self.tensor), address, ctypes.sizeof(DLTensor))
        self.kept, self.form = (array, capsule), None
        return self.pointer


def unreadable(array: Any, name: str) -> _abi.InvalidArgument:
    """What is said of an array whose framework shows no memory of it."""
    what = type(array).__name__
    if is_torch(array):
        what = f"a {what} on {array.device} ({str(array.layout)[6:]})"
    return _abi.InvalidArgument(
        f"'{name}': expects a strided array on cpu or cuda, but got {what}"
    )


def refuse_gradients(arrays: Iterable[Any], verb: str) -> None:
    """Raises if one of them asks for a gradient; `verb` is what to do without."""
    if requires_grad(arrays):
        raise _abi.InvalidArgument(
            "expects tensors without a gradient, as there is no backward, but got "
            f"one that requires_grad; {verb} under torch.no_grad(), or detach()"
        )


def requires_grad(arrays: Iterable[Any]) -> bool:
    """Whether one of them, or of what they consist of, asks for a gradient."""
    for array in arrays:
        if getattr(array, "requires_grad", False):
            return True
        if isinstance(array, (tuple, list)) and requires_grad(array):
            return True
    return False


def check_writable(array: Any) -> None:
    """Refuses to write into a read-only array of NumPy; others have no such mark."""
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        raise _abi.InvalidArgument(
            f"expects out= to be writable, but got a read-only array of shape "
            f"{array.shape}"
        )


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


class _Exchange(ctypes.Structure):
    """DLPackExchangeAPI of DLPack 1.3: how C code reads a framework's arrays."""

    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("previous", c_void_p),
        ("allocate", c_void_p),
        ("managed_from_object", c_void_p),
        ("object_from_managed", c_void_p),
        ("tensor_from_object", c_void_p),
        ("current_stream", c_void_p),
    ]


# With the interpreter's lock, and Python's errors as exceptions.
_Reader = ctypes.PYFUNCTYPE(ctypes.c_int, c_void_p, c_void_p)
_readers: dict[type, Any] = {}


def _reader_of(kind: type) -> Any:
    """What fills a DLTensor (by its address) from an object of a type (by its id),
    without a copy or a capsule; None if the type offers no such function."""
    if kind in _readers:
        return _readers[kind]
    exchange = exchange_of(kind)
    read = _readers[kind] = (
        None if exchange is None else _Reader(exchange.tensor_from_object)
    )
    return read


def exchange_of(kind: type) -> _Exchange | None:
    """What C code reads objects of a type with, if their framework offers it."""
    capsule = getattr(kind, "__dlpack_c_exchange_api__", None)
    if capsule is None:
        return None
    address = _capsule_pointer(capsule, b"dlpack_exchange_api")
    exchange = _Exchange.from_address(address)
    return exchange if exchange.major == 1 and exchange.tensor_from_object else None


def current_stream(values: Iterable[Any], device: DLDevice) -> int:
    """torch's current stream of the device, if torch is in use; else the default."""
    if device.type != CUDA or "torch" not in sys.modules:
        return 0
    for value in values:
        if is_torch(value[0] if isinstance(value, (tuple, list)) else value):
            return stream_of(device.id)
    return 0


_torch_floats: dict[str, Any] = {}


def empty_like(example: Any, shape: tuple[int, ...], dtype: str) -> Any:
    """A fresh array of the framework, and on the device, of another."""
    if is_torch(example):
        torch = sys.modules["torch"]
        if not _torch_floats:
            _torch_floats.update(
                f32=torch.float32, f16=torch.float16, bf16=torch.bfloat16
            )
        kind = _torch_floats[dtype]
        if example.dtype == kind and example.shape == shape and example.is_contiguous():
            return torch.empty_like(example)  # half the time of the next
        return example.new_empty(shape, dtype=kind)
    if dtype == "bf16":  # as the caller writes it: ml_dtypes, or bits
        kind = example.dtype if example.dtype.itemsize == 2 else np.uint16
        return np.empty(shape, kind)
    return np.empty(shape, {"f32": np.float32, "f16": np.float16}[dtype])


def can_allocate(example: Any) -> bool:
    """Whether empty_like knows the framework."""
    return isinstance(example, np.ndarray) or is_torch(example)


def int32(values: Any, name: str, rank: int = 1) -> np.ndarray:
    """Integers on the host, in at most `rank` dimensions, as int32; checked."""
    if is_torch(values) and values.device.type != "cpu":
        raise TypeError(
            f"'{name}': expects integers on the host, but got {values.device}"
        )
    try:
        array = np.asarray(values)
    except ValueError:
        raise TypeError(
            f"'{name}': expects rows of one length, but got lists of several"
        ) from None
    if array.size == 0:
        array = array.astype(np.int32)
    if array.dtype.kind not in "iu" or not 1 <= array.ndim <= rank:
        raise TypeError(
            f"'{name}': expects a list of integers, but got {array.dtype} of shape {array.shape}"
        )
    if array.dtype != np.int32:
        if array.size and (array.min() < -(2**31) or array.max() >= 2**31):
            raise _abi.InvalidArgument(f"'{name}': expects integers of 32 bits")
        array = array.astype(np.int32)
    return np.ascontiguousarray(array)


def on_host(array: Any) -> bool:
    if isinstance(array, np.ndarray):
        return True
    if is_torch(array):
        return array.device.type == "cpu"
    return array.__dlpack_device__()[0] == CPU


def place_of(array: Any) -> tuple[str, int]:
    """Where an array lies, "cpu" or "cuda:N", and the stream to work on there:
    torch's current one."""
    if not is_torch(array):
        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"expects NumPy arrays or torch tensors, but got {type(array).__name__}"
            )
        return "cpu", 0
    device = array.device
    found = _places.get(device)
    if found is None:
        if device.type not in ("cpu", "cuda"):
            raise _abi.InvalidArgument(
                f"expects tensors on cpu or cuda, but got {device}"
            )
        index = device.index or 0
        name = "cpu" if device.type == "cpu" else f"cuda:{index}"
        found = _places[device] = name, index
    if found[0] == "cpu":
        return found[0], 0
    return found[0], stream_of(found[1])


_places: dict[Any, tuple[str, int]] = {}


def stream_of(index: int) -> int:
    """torch's current stream of a CUDA device."""
    if "stream" not in _torch_functions:
        torch = sys.modules["torch"]
        raw = getattr(torch._C, "_cuda_getCurrentRawStream", None)
        _torch_functions["stream"] = raw or (  # takes a tenth of the time
            lambda index: torch.cuda.current_stream(index).cuda_stream
        )
    return _torch_functions["stream"](index)


_torch_functions: dict[str, Any] = {}


def is_cuda(array: Any) -> bool:
    """Whether an array lies on a CUDA device."""
    if is_torch(array):
        return array.is_cuda
    if isinstance(array, (np.ndarray, list, tuple)):
        return False
    return hasattr(array, "__dlpack_device__") and array.__dlpack_device__()[0] == CUDA


def is_capturing() -> bool:
    """Whether torch's current stream records a CUDA graph."""
    return sys.modules["torch"].cuda.is_current_stream_capturing()


def with_rows(array: Any) -> Any:
    """The array, copied if elements of a row do not lie side by side."""
    if is_torch(array):
        if array.ndim and array.stride(-1) != 1 and array.shape[-1] > 1:
            return array.contiguous()
    elif isinstance(array, np.ndarray):
        if array.ndim and array.shape[-1] > 1 and array.strides[-1] != array.itemsize:
            return np.ascontiguousarray(array)
    else:
        raise TypeError(
            f"expects NumPy arrays or torch tensors, but got {type(array).__name__}"
        )
    return array


def new_like(example: Any, shape: tuple[int, ...] | None, zeroed: bool) -> Any:
    """A fresh array of the dtype, and place, of another; of its shape if None."""
    if is_torch(example):
        torch = sys.modules["torch"]
        if shape is None:
            return torch.zeros_like(example) if zeroed else torch.empty_like(example)
        return example.new_zeros(shape) if zeroed else example.new_empty(shape)
    shape = example.shape if shape is None else shape
    return np.zeros(shape, example.dtype) if zeroed else np.empty(shape, example.dtype)


def new_f32(example: Any, shape: tuple[int, ...], fill: float | None) -> Any:
    """A fresh array of f32 at the place of another, filled if asked."""
    if is_torch(example):
        torch = sys.modules["torch"]
        if fill is None:
            return example.new_empty(shape, dtype=torch.float32)
        return example.new_full(shape, fill, dtype=torch.float32)
    if fill is None:
        return np.empty(shape, np.float32)
    return np.full(shape, fill, np.float32)


def host_ints(values: Any, name: str) -> list[int]:
    """Integers on the host as a list of ints; checked."""
    if isinstance(values, (list, tuple)) and all(type(x) is int for x in values):
        return list(values)
    return int32(values, name).tolist()
