# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The C API as the numeric tests need it: the reference evaluator, and kernels on
# a device, over strided NumPy arrays. Below the Python package on purpose: a
# defect there is not mistaken for one of a kernel.
import ctypes
import functools
import os
import pathlib
from ctypes import (
    POINTER,
    Structure,
    byref,
    c_char_p,
    c_double,
    c_int32,
    c_int64,
    c_void_p,
)

import ml_dtypes
import numpy as np

CPU, CUDA = 1, 2


class DLDevice(Structure):
    _fields_ = [("type", c_int32), ("id", c_int32)]


class DLTensor(Structure):
    _fields_ = [
        ("data", c_void_p),
        ("device", DLDevice),
        ("ndim", c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class CacheBatch(Structure):
    _fields_ = [
        ("lengths", POINTER(c_int32)),
        ("indptr", POINTER(c_int32)),
        ("last_page_len", POINTER(c_int32)),
        ("indices", POINTER(DLTensor)),
        ("block_rows", POINTER(DLTensor)),
        ("reserved", c_void_p * 3),
    ]


class Batch(Structure):
    _fields_ = [
        ("requests", c_int32),
        ("num_caches", c_int32),
        ("q_len", POINTER(c_int32)),
        ("q_indptr", POINTER(c_int32)),
        ("caches", POINTER(CacheBatch)),
        ("reserved", c_void_p * 3),
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


class Row(Structure):
    _fields_ = [("request", c_int32), ("token", c_int32), ("head", c_int32)]


class Capacity(Structure):
    _fields_ = [
        ("requests", c_int32),
        ("ctas", c_int32),
        ("query_tokens", c_int64),
        ("indices", c_int64),
        ("row_blocks", c_int64),
        ("keys", c_int64),
        ("flags", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("workspace", c_void_p),
        ("workspace_bytes", ctypes.c_size_t),
    ]


class CompileOptions(Structure):
    _fields_ = [
        (name, c_char_p)
        for name in "target kernel name schedule disabled until".split()
    ] + [
        ("flags", ctypes.c_uint32),
        ("query_tokens", ctypes.c_uint32),
    ]


TENSOR, CACHE, SCALAR, TABLE = range(4)


def has_cuda():
    """Whether kernels can run on a CUDA device."""
    count = getattr(library(), "saccade_cuda_device_count", lambda: 0)
    return count() > 0


class Failure(RuntimeError):
    """A call of the C API that failed, with its message."""


@functools.cache
def library():
    """libsaccade of this build."""
    root = pathlib.Path(__file__).parents[2]
    default = (
        root / "build" / os.environ.get("SACCADE_PRESET", "dev") / "lib/libsaccade.so"
    )
    lib = ctypes.CDLL(os.environ.get("SACCADE_LIBRARY", str(default)))
    lib.saccade_last_error.restype = c_char_p
    if hasattr(lib, "saccade_kernel_module"):
        lib.saccade_kernel_module.restype = c_void_p
    return lib


def call(name, *arguments):
    if getattr(library(), name)(*arguments):
        raise Failure(library().saccade_last_error().decode())


CODES = {
    np.dtype(np.float32): (2, 32),
    np.dtype(np.float16): (2, 16),
    np.dtype(ml_dtypes.bfloat16): (4, 16),
    np.dtype(ml_dtypes.float8_e4m3fn): (10, 8),
    np.dtype(ml_dtypes.float8_e5m2): (12, 8),
    np.dtype(np.int32): (0, 32),
    np.dtype(np.uint8): (1, 8),
    np.dtype(np.int64): (0, 64),
    np.dtype(np.int8): (0, 8),
    np.dtype(np.bool_): (6, 8),
}


class Memory:
    """Arrays as DLTensors, on the host in place or copied to a device. What the
    C structs point to stays alive with this object."""

    def __init__(self, device=CPU):
        self.device, self.kept, self.copies = DLDevice(device, 0), [], {}

    def keep(self, thing):
        self.kept.append(thing)
        return thing

    def ints(self, values):
        if values is None:
            return None
        array = self.keep(np.ascontiguousarray(values, np.int32))
        return array.ctypes.data_as(POINTER(c_int32))

    def address(self, array):
        """Where the array's first element lies: copies move whole buffers, so that
        strides and what lies between the rows stay as they are."""
        if self.device.type == CPU or array.size == 0:
            return array.ctypes.data
        base = array
        while isinstance(base.base, np.ndarray):
            base = base.base
        start = base.ctypes.data
        if start not in self.copies:
            memory = c_void_p()
            call(
                "saccade_memory_alloc",
                self.device,
                ctypes.c_size_t(base.nbytes),
                byref(memory),
            )
            host = DLDevice(CPU, 0)
            call(
                "saccade_memory_copy",
                memory,
                self.device,
                c_void_p(start),
                host,
                ctypes.c_size_t(base.nbytes),
                None,
            )
            self.copies[start] = (memory, base)
        return self.copies[start][0].value + array.ctypes.data - start

    def tensor(self, array, host=False):
        if array is None:
            return None
        code, bits = CODES[array.dtype]
        shape = self.keep((c_int64 * array.ndim)(*array.shape))
        strides = self.keep(
            (c_int64 * array.ndim)(*(s // array.itemsize for s in array.strides))
        )
        self.keep(array)
        data = array.ctypes.data if host else self.address(array)
        device = DLDevice(CPU, 0) if host else self.device
        return ctypes.pointer(
            self.keep(
                DLTensor(data, device, array.ndim, code, bits, 1, shape, strides, 0)
            )
        )

    def fetch(self):
        """Copies everything back from the device."""
        for start, (memory, base) in self.copies.items():
            call(
                "saccade_memory_copy",
                c_void_p(start),
                DLDevice(CPU, 0),
                memory,
                self.device,
                ctypes.c_size_t(base.nbytes),
                None,
            )

    def release(self):
        for memory, _ in self.copies.values():
            call("saccade_memory_free", self.device, memory)
        self.copies = {}


def batch_of(case, memory):
    caches = (CacheBatch * max(1, len(case.caches)))()
    for to, cache in zip(caches, case.caches, strict=False):
        to.lengths = memory.ints(cache.lengths)
        to.indptr = memory.ints(cache.indptr)
        to.last_page_len = memory.ints(cache.last_page_len)
        to.indices = memory.tensor(cache.indices, host=case.form != 1)
        to.block_rows = memory.tensor(cache.block_rows, host=case.form != 1)
    memory.keep(caches)
    batch = Batch(len(case.q_len), len(case.caches), caches=caches)
    if case.form == 1 and case.query.kind == "ragged":
        batch.q_indptr = memory.ints(np.cumsum([0, *case.q_len]))
    else:
        batch.q_len = memory.ints(case.q_len)
    return batch


def arguments_of(arguments, memory):
    """C arguments from the values of a case: caches, arrays (tables where flat),
    numbers."""
    out = (Argument * max(1, len(arguments)))()
    for to, value in zip(out, arguments, strict=False):
        if isinstance(value, np.ndarray):
            table = value.ndim == 1 or type(value).__name__ == "Table"
            to.kind = TABLE if table else TENSOR
            to.tensor = memory.tensor(value)
        elif hasattr(value, "keys"):
            to.kind = CACHE
            if value.both is not None:
                to.tensor = memory.tensor(value.both)
                continue
            to.tensor = memory.tensor(value.keys)
            to.values = memory.tensor(value.values)
        else:
            to.kind, to.real, to.integer = SCALAR, float(value), int(value)
    return memory.keep(out)


def reference(case, rows=None):
    """Evaluates a case in double precision: one array a result, [rows, dim] for an
    output and [rows] for an LSE. rows: (request, token, head); default: all."""
    memory = Memory()
    rows = case.rows() if rows is None else rows
    spec = case.spec.encode()
    handle = c_void_p()
    call(
        "saccade_reference_create",
        spec,
        ctypes.c_size_t(len(spec)),
        None,
        byref(handle),
    )
    try:
        wanted = (Row * max(1, len(rows)))(*(Row(*map(int, row)) for row in rows))
        results = [np.full((len(rows), *shape), np.nan) for shape in case.result_shapes]
        pointers = (POINTER(c_double) * max(1, len(results)))(
            *(r.ctypes.data_as(POINTER(c_double)) for r in results)
        )
        batch = batch_of(case, memory)
        arguments = arguments_of(case.arguments, memory)
        call(
            "saccade_reference_run",
            handle,
            byref(batch),
            arguments,
            c_int32(len(case.arguments)),
            wanted,
            c_int64(len(rows)),
            pointers,
        )
        return results
    finally:
        library().saccade_reference_destroy(handle)


@functools.cache
def engine():
    handle = c_void_p()
    call("saccade_engine_create", None, byref(handle))
    return handle


def run(case, device="cpu", target=None, disabled=None, ctas=0):
    """Compiles, plans and runs a case on a device, with as many ctas (0: the
    device's own number); results as those of reference().
    Outputs are poisoned before, and rows of no request must stay so."""
    kind = CUDA if device == "cuda" else CPU
    memory = Memory(kind)
    spec = case.spec.encode()
    if target is None:
        name = c_char_p()
        call("saccade_device_target", memory.device, byref(name))
        target = name.value.decode()
    options = CompileOptions(
        target=target.encode(), disabled=(disabled or "").encode() or None
    )
    kernel, plan = c_void_p(), c_void_p()
    call(
        "saccade_kernel_create",
        engine(),
        spec,
        ctypes.c_size_t(len(spec)),
        byref(options),
        byref(kernel),
    )
    try:
        module = c_void_p(library().saccade_kernel_module(kernel))
        tables = [c.indices.size for c in case.caches if c.indices is not None]
        blocks = [c.block_rows.size for c in case.caches if c.block_rows is not None]
        capacity = Capacity(
            requests=len(case.q_len),
            ctas=ctas,
            query_tokens=sum(case.q_len),
            indices=sum(tables),
            row_blocks=sum(blocks),
        )
        call("saccade_plan_create", module, memory.device, byref(capacity), byref(plan))
        batch = batch_of(case, memory)
        call("saccade_plan_update", plan, byref(batch), None)
        outputs = case.poisoned_outputs()
        every = [*case.arguments, *outputs]
        call(
            "saccade_run", plan, arguments_of(every, memory), c_int32(len(every)), None
        )
        call("saccade_synchronize", memory.device, None)
        memory.fetch()
        return case.rows_of(outputs)
    finally:
        if plan:
            library().saccade_plan_destroy(plan)
        library().saccade_kernel_destroy(kernel)
        memory.release()
