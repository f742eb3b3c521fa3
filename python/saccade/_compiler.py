# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the library is and can do."""

from __future__ import annotations

from ._abi import lib


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
