# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Saccade compiles attention: state which attention over which KV layout, get
kernels for this machine's GPU or CPU.

    >>> kernel = saccade.compile("examples/llama3_decode.mlir")
    >>> plan = kernel.plan(q_lens, kv_lens=kv_lens, page_table=table)
    >>> out, lse = kernel.run(plan, q, (k_pages, v_pages))

Everything here is a thin layer over the C API (include/saccade/*.h).
"""

from ._abi import (
    BadBlob,
    DriverError,
    Error,
    InvalidArgument,
    NoDevice,
    OutOfCapacity,
    OutOfMemory,
    SpecError,
    lib,
)
from ._kernel import Cache, Capacity, Kernel, Plan, compile, stage
from ._reference import reference

__version__ = "0.1.0"

__all__ = [
    "BadBlob",
    "Cache",
    "Capacity",
    "DriverError",
    "Error",
    "InvalidArgument",
    "Kernel",
    "NoDevice",
    "OutOfCapacity",
    "OutOfMemory",
    "Plan",
    "SpecError",
    "build_id",
    "compile",
    "cuda_device_count",
    "passes",
    "reference",
    "set_num_threads",
    "stage",
    "targets",
]


def build_id() -> str:
    """Names the build of libsaccade; kernels of another build are other kernels."""
    return lib.saccade_build_id().decode()


def targets() -> list[str]:
    """What specs can be compiled for."""
    return [
        lib.saccade_target_name(i).decode() for i in range(lib.saccade_target_count())
    ]


def passes() -> list[str]:
    """Passes that may be left out (``disable=``); results stay right."""
    return [lib.saccade_pass_name(i).decode() for i in range(lib.saccade_pass_count())]


def cuda_device_count() -> int:
    """CUDA devices that can be used; 0 without a driver."""
    return lib.saccade_cuda_device_count()


def set_num_threads(threads: int) -> None:
    """Threads of later CPU runs; 0: SACCADE_NUM_THREADS, or else all CPUs."""
    lib.saccade_set_num_threads(threads)
