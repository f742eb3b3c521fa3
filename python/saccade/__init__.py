# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Saccade compiles attention: state which attention over which KV layout, get
kernels for this machine's GPU or CPU.

    >>> out = saccade.attention(q, k, v, causal=True, window=4096)

    >>> decode = saccade.Attention(num_q_heads=32, num_kv_heads=8, head_dim=128,
    ...                            page_size=16, causal=True)
    >>> decode.plan(q_lens, kv_lens=kv_lens, page_table=table)
    >>> out = decode.run(q, (k_pages, v_pages))

Everything here is a thin layer over the C API (include/saccade/*.h).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# What is exported, by the module that has it: imported when first asked for, so that
# `import saccade` itself costs nothing.
_HOMES = {
    "_abi": (
        "BadBlob",
        "DriverError",
        "Error",
        "InvalidArgument",
        "NoDevice",
        "OutOfCapacity",
        "OutOfMemory",
        "SpecError",
    ),
    "_batch": ("Cache",),
    "_compiler": (
        "build_id",
        "cuda_device_count",
        "passes",
        "set_num_threads",
        "targets",
    ),
    "_explain": ("Explanation", "explain"),
    "_functional": ("attention",),
    "_kernel": ("Kernel", "compile", "stage"),
    "_masks": ("and_masks", "or_masks"),
    "_plan": ("Capacity", "Plan", "launch_count"),
    "_precompile": ("precompile",),
    "_reference": ("reference",),
    "_tokens": ("append_kv", "merge_states", "rope"),
    "_trace": ("Parameter", "TraceError", "Variant", "trace"),
    "_wrapper": ("Attention",),
    "flex": ("flex_attention",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'saccade' has no attribute '{name}'")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if TYPE_CHECKING:
    from ._abi import BadBlob as BadBlob
    from ._abi import DriverError as DriverError
    from ._abi import Error as Error
    from ._abi import InvalidArgument as InvalidArgument
    from ._abi import NoDevice as NoDevice
    from ._abi import OutOfCapacity as OutOfCapacity
    from ._abi import OutOfMemory as OutOfMemory
    from ._abi import SpecError as SpecError
    from ._batch import Cache as Cache
    from ._compiler import build_id as build_id
    from ._compiler import cuda_device_count as cuda_device_count
    from ._compiler import passes as passes
    from ._compiler import set_num_threads as set_num_threads
    from ._compiler import targets as targets
    from ._explain import Explanation as Explanation
    from ._explain import explain as explain
    from ._functional import attention as attention
    from ._kernel import Kernel as Kernel
    from ._kernel import compile as compile
    from ._kernel import stage as stage
    from ._masks import and_masks as and_masks
    from ._masks import or_masks as or_masks
    from ._plan import Capacity as Capacity
    from ._plan import Plan as Plan
    from ._plan import launch_count as launch_count
    from ._precompile import precompile as precompile
    from ._reference import reference as reference
    from ._tokens import append_kv as append_kv
    from ._tokens import merge_states as merge_states
    from ._tokens import rope as rope
    from ._trace import Parameter as Parameter
    from ._trace import TraceError as TraceError
    from ._trace import Variant as Variant
    from ._trace import trace as trace
    from ._wrapper import Attention as Attention
    from .flex import flex_attention as flex_attention
