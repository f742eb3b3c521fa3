# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The reference evaluator: any kernel in double precision, plain and slow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ctypes import POINTER, byref, c_double, c_void_p
from typing import Any

import numpy as np

from . import _abi
from ._abi import lib
from ._batch import BatchView, Cache, cache_parts
from ._frame import Frame
from ._kernel import _compile_until, read_spec


def reference(
    spec: str | os.PathLike,
    *args: Any,
    q_lens: Any = None,
    q_indptr: Any = None,
    kv_lens: Any = None,
    kv_indptr: Any = None,
    page_table: Any = None,
    last_page_len: Any = None,
    block_rows: Any = None,
    caches: Sequence[Cache] | dict[str, Cache] | None = None,
    kernel: str | None = None,
    rows: Any = None,
) -> tuple[np.ndarray, ...]:
    """Evaluates a kernel on the host, by the dialect's text and nothing else.

    args: the kernel's arguments in order, as for Kernel.run, in host memory; they
    are not written. The batch is given as for Kernel.plan.
    rows: [n, 3] of (request, token of the request, query head); None: all.

    Returns float64 arrays in the order of attn.return: [n, dim] for a tensor and
    [n] for an LSE; for all rows [tokens, heads, dim] and [tokens, heads], the
    requests' tokens one after another.
    """
    text, name = read_spec(spec)
    _, report = _compile_until(text, "spec", kernel=kernel, name=name)
    arguments = report["arguments"]
    results = [result for result in report["results"] if result["kind"] != "cache"]
    if len(args) != len(arguments):
        raise TypeError(f"expects {len(arguments)} arguments, but got {len(args)}")
    parts = cache_parts(
        caches,
        lengths=kv_lens,
        indptr=kv_indptr,
        indices=page_table,
        last_page_len=last_page_len,
        block_rows=block_rows,
    )
    named = [argument for argument in arguments if argument["kind"] == "cache"]
    batch = BatchView(named, q_lens, q_indptr, parts)
    heads = results[0]["heads"] if results else 0
    wanted = _all_rows(batch.q_lens, heads) if rows is None else rows
    wanted = np.ascontiguousarray(wanted, np.int32).reshape(-1, 3)
    count = len(wanted)
    shapes = [() if result["kind"] == "lse" else (result["dim"],) for result in results]
    values = [np.full((count, *shape), np.nan) for shape in shapes]
    pointers = (POINTER(c_double) * max(1, len(values)))(
        *(value.ctypes.data_as(POINTER(c_double)) for value in values)
    )
    frame = Frame(arguments, [])
    frame.fill(list(args))

    encoded = text.encode()
    handle = c_void_p()
    lib.saccade_reference_create(
        encoded, len(encoded), kernel.encode() if kernel else None, byref(handle)
    )
    try:
        lib.saccade_reference_run(
            handle,
            byref(batch.struct),
            frame.arguments,
            frame.count,
            wanted.ctypes.data_as(POINTER(_abi.Row)),
            count,
            pointers,
        )
    finally:
        lib.saccade_reference_destroy(handle)
    if rows is None:
        tokens = int(batch.q_lens.sum())
        values = [
            value.reshape(tokens, heads, *shape)
            for value, shape in zip(values, shapes, strict=True)
        ]
    return tuple(values)


def _all_rows(q_lens: np.ndarray, heads: int) -> np.ndarray:
    rows = [
        (request, token, head)
        for request, length in enumerate(q_lens)
        for token in range(length)
        for head in range(heads)
    ]
    return np.array(rows, np.int32).reshape(-1, 3)
