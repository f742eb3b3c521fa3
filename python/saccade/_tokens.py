# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is done token by token around attention: writing into a cache, merging what
parts of the keys gave, rotary embeddings."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from . import _forked, _spec, _tensors
from ._abi import InvalidArgument, OutOfCapacity
from ._kernel import Kernel, compile
from ._plan import Plan
from ._spec import Layout, element_of


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

    def text() -> str:
        return _spec.append_text(
            Layout(
                "paged", k.shape[1], k.shape[2], element_of(k.dtype), v.shape[-1],
                order, page,
            )
        )  # fmt: skip

    what = ("append", k.dtype, tuple(k.shape[1:]), v.shape[-1], page, order)
    planning = _planning((*what, place, current), place, text)
    stream = current if stream is None else stream
    with planning.lock:
        plan = planning.update(
            q_lens, q_indptr=q_indptr, kv_lens=kv_lens, kv_indptr=kv_indptr,
            page_table=page_table, stream=stream,
        )  # fmt: skip
        plan._launch([_tensors.with_rows(k), _tensors.with_rows(v), kv], [], stream)


def merge_states(outputs: Sequence[Any], lses: Sequence[Any]) -> tuple[Any, Any]:
    """Joins what attention to parts of the keys gave, as if it had been to all.

    outputs: arrays [..., dim] of the same rows, 1 to 8 of them. lses: their
        log-sum-exps, f32 [...], natural base; -inf where a row saw nothing.
    Returns the output, in the dtype of the first, and its log-sum-exp. Parts are
    joined in their order, so the same parts give the same bits.

    >>> near, near_lse = saccade.attention(q, k[0], v[0], return_lse=True)
    >>> far, far_lse = saccade.attention(q, k[1], v[1], return_lse=True)
    >>> out, lse = saccade.merge_states([near, far], [near_lse, far_lse])

    Raises InvalidArgument.
    """
    if not 1 <= len(outputs) <= 8 or len(outputs) != len(lses):
        raise InvalidArgument(
            f"expects 1 to 8 outputs and as many lses, but got {len(outputs)} and "
            f"{len(lses)}"
        )
    shape, dim = tuple(outputs[0].shape[:-1]), outputs[0].shape[-1]
    for output, lse in zip(outputs, lses, strict=True):
        if tuple(output.shape) != (*shape, dim) or tuple(lse.shape) != shape:
            raise InvalidArgument(
                f"expects outputs of shape {(*shape, dim)} and lses of shape {shape}, "
                f"but got {tuple(output.shape)} and {tuple(lse.shape)}"
            )
    rows = math.prod(shape)
    place, stream = _tensors.place_of(outputs[0])
    element = element_of(outputs[0].dtype)
    what = ("merge", len(outputs), element, dim)
    planning = _planning(
        (*what, place, stream),
        place,
        lambda: _spec.merge_text(len(outputs), element, dim),
    )
    values: list[Any] = []
    for output, lse in zip(outputs, lses, strict=True):
        values += [output.reshape(rows, 1, dim), lse.reshape(rows, 1)]
    out = _tensors.new_like(values[0], None, zeroed=False)
    out_lse = _tensors.new_f32(values[0], (rows, 1), None)
    if rows:
        with planning.lock:
            planning.update([rows], stream=stream)._launch(
                values, [out, out_lse], stream
            )
    return out.reshape(outputs[0].shape), out_lse.reshape(shape)


def rope(
    x: Any,
    positions: Any,
    *,
    theta: float = 10000.0,
    rotary_dim: int | None = None,
    interleaved: bool = False,
    scale: float = 1.0,
    llama31: tuple[float, float, float, int] | None = None,
    out: Any = None,
) -> Any:
    """Rotary embedding of queries or keys.

    x: [tokens, heads, dim]. positions: int32 or int64 [tokens], where x is.
    theta: base of the frequencies theta ** (-2 i / rotary_dim).
    rotary_dim: how many leading elements turn; all by default. Even.
    interleaved: pairs are (2 i, 2 i + 1); else (i, i + rotary_dim / 2), as in NeoX.
    scale: positions are divided by it.
    llama31: (factor, low frequency factor, high frequency factor, original length) of
        Llama 3.1's scaling.
    out: where the result goes; a new array by default.

    Angles are computed in f32. Changing a number compiles nothing. Raises
    InvalidArgument.
    """
    if len(x.shape) != 3 or tuple(positions.shape) != (x.shape[0],):
        raise InvalidArgument(
            f"expects x [tokens, heads, dim] and positions [tokens], but got "
            f"{tuple(x.shape)} and {tuple(positions.shape)}"
        )
    tokens, heads, dim = x.shape
    turned = dim if rotary_dim is None else rotary_dim
    if turned % 2 or not 0 < turned <= dim:
        raise InvalidArgument(f"expects rotary_dim even, 2 to {dim}, but got {turned}")
    name = str(positions.dtype).removeprefix("torch.")
    if name not in ("int32", "int64"):
        raise InvalidArgument(f"expects positions of int32 or int64, but got {name}")
    place, stream = _tensors.place_of(x)
    element = element_of(x.dtype)
    structure = (heads, dim, turned, interleaved, llama31 is not None, element, name)
    planning = _planning(
        ("rope", *structure, place, stream), place, lambda: _spec.rope_text(*structure)
    )
    values = [_tensors.with_rows(x), positions, theta, 1.0 / scale]
    if llama31 is not None:
        values += [float(number) for number in llama31]
    if out is None:
        out = _tensors.new_like(x, None, zeroed=False)
    if tokens:
        with planning.lock:
            planning.update([tokens], stream=stream)._launch(values, [out], stream)
    return out


def _planning(key: Hashable, place: str, text: Callable[[], str]) -> _Planning:
    with _lock:
        planning = _kernels.get(key)
        if planning is None:
            planning = _kernels[key] = _Planning(compile(text(), device=place))
        return planning
