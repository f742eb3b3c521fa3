# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is done token by token around attention: writing into a cache."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any

from . import _forked, _tensors
from ._abi import InvalidArgument, OutOfCapacity
from ._kernel import Kernel, compile
from ._plan import Plan
from ._spec import Layout, append_text, element_of


class _Planning:
    """A kernel with the plan of its latest batch, for one thread at a time."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.plan: Plan | None = None
        self.lock = threading.Lock()

    def update(self, q_lens: Any, **batch: Any) -> Plan:
        if self.plan is not None:
            try:
                self.plan.update(q_lens, **batch)
                return self.plan
            except OutOfCapacity:
                pass
        self.plan = self.kernel.plan(q_lens, **batch)
        return self.plan


_lock = threading.RLock()
_kernels: dict[Hashable, _Planning] = {}


def _forget() -> None:
    global _lock, _kernels
    _lock, _kernels = threading.RLock(), {}


_forked.in_child(_forget)


def append_kv(
    k: Any,
    v: Any,
    kv: Any,
    *,
    kv_lens: Any,
    page_table: Any,
    q_lens: Any = None,
    q_indptr: Any = None,
    kv_indptr: Any = None,
    order: str = "NHD",
    stream: int | None = None,
) -> None:
    """Writes the newest keys and values of each request into a paged cache.

    k, v: [tokens, heads, dim] and [tokens, heads, value_dim], the new tokens of all
        requests one after another; q_lens (or q_indptr) says how many each has.
    kv: the cache, a pair (keys, values) of [pages, page_size, heads, dim], or one
        tensor [pages, 2, page_size, heads, dim]; with order "HND" heads come before
        page_size. Written in place, in the dtype of k.
    kv_lens: tokens of each request, on the host, the new ones included: they go to the
        end. page_table: [requests, max_pages] page ids, or one-dimensional with
        kv_indptr; int32, on the host or on the device.

    Raises InvalidArgument, OutOfCapacity.
    """
    pair = kv if isinstance(kv, (tuple, list)) else (kv, kv)
    pages = pair[0]
    rank = 4 if isinstance(kv, (tuple, list)) else 5
    if order not in ("NHD", "HND") or len(pages.shape) != rank or len(k.shape) != 3:
        raise InvalidArgument(
            f"expects k of 3 dimensions and a cache of {rank} in order NHD or HND, but "
            f"got {tuple(k.shape)}, {tuple(pages.shape)} and {order}"
        )
    page = pages.shape[-3 if order == "NHD" else -2]
    place, current = _tensors.place_of(k)
    key = (place, current, k.dtype, tuple(k.shape[1:]), v.shape[-1], page, order)
    with _lock:
        planning = _kernels.get(key)
        if planning is None:
            cache = Layout(
                "paged", k.shape[1], k.shape[2], element_of(k.dtype), v.shape[-1],
                order, page,
            )  # fmt: skip
            kernel = compile(append_text(cache), device=place)
            planning = _kernels[key] = _Planning(kernel)
    stream = current if stream is None else stream
    with planning.lock:
        plan = planning.update(
            q_lens, q_indptr=q_indptr, kv_lens=kv_lens, kv_indptr=kv_indptr,
            page_table=page_table, stream=stream,
        )  # fmt: skip
        plan._launch([_tensors.with_rows(k), _tensors.with_rows(v), kv], [], stream)
