# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention as operators of torch, for torch.compile and torch.export.

Eager calls do not come here. Graphs keep an operator whole: its fake implementation
says what it returns, and its real one is the eager call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from . import _functional, _masks, _wrapper
from ._abi import InvalidArgument

_functions: dict[str, tuple[Callable | None, Callable | None]] = {}
_numbers: dict[tuple[Any, Any], str] = {}
_lock = threading.Lock()


def is_traced(tensor: Tensor) -> bool:
    """Whether a call is being recorded instead of run."""
    if torch.compiler.is_compiling():
        return True
    from torch._subclasses.fake_tensor import FakeTensor

    return isinstance(tensor, FakeTensor)


@torch.compiler.assume_constant_result
def _number_of(score_mod: Callable | None, mask_mod: Callable | None) -> str:
    """A number that a graph may hold instead of functions, which are kept."""
    with _lock:
        number = _numbers.setdefault((score_mod, mask_mod), str(len(_numbers) + 1))
        _functions[number] = score_mod, mask_mod
        return number


def attention(
    q: Tensor, k: Tensor, v: Tensor, layout: str, causal: bool, window: Any,
    softcap: float | None, alibi: Tensor | None, sinks: Tensor | None,
    scale: float | None, score_mod: Any, mask_mod: Any, q_lens: Any, kv_lens: Any,
    q_indptr: Any, kv_indptr: Any, return_lse: bool, out: Any, first_query: bool,
) -> Any:  # fmt: skip
    """saccade.attention while a graph is recorded."""
    if out is not None:
        raise InvalidArgument("expects no out= under torch.compile or torch.export")
    left, right = (None, None) if window is None else _masks.sides(window)
    number = ""
    if score_mod is not None or mask_mod is not None:
        number = _number_of(score_mod, mask_mod)
    output, lse = torch.ops.saccade.attention(
        q, k, v, layout, causal, left, right, softcap, alibi, sinks, scale, number,
        q_lens, kv_lens, q_indptr, kv_indptr, return_lse, first_query,
    )  # fmt: skip
    if not return_lse:
        return output
    return output, lse.swapaxes(1, 2) if layout == "BHSD" else lse


def _new_lse(q: Tensor, layout: str, return_lse: bool) -> Tensor:
    shape: Sequence[int] = (0,)
    if return_lse and layout == "BHSD":
        shape = (q.shape[0], q.shape[2], q.shape[1])
    elif return_lse:
        shape = q.shape[:-1]
    return q.new_empty(shape, dtype=torch.float32)


@torch.library.custom_op("saccade::attention", mutates_args=())
def _attention(
    q: Tensor, k: Tensor, v: Tensor, layout: str, causal: bool, left: int | None,
    right: int | None, softcap: float | None, alibi: Tensor | None,
    sinks: Tensor | None, scale: float | None, functions: str,
    q_lens: Sequence[int] | None, kv_lens: Sequence[int] | None,
    q_indptr: Sequence[int] | None, kv_indptr: Sequence[int] | None, return_lse: bool,
    first_query: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    score_mod, mask_mod = _functions[functions] if functions else (None, None)
    window = None if left is None and right is None else (left, right)
    result = _functional._attention(
        q, k, v, layout, causal, window, softcap, alibi, sinks, scale, score_mod,
        mask_mod, q_lens, kv_lens, q_indptr, kv_indptr, return_lse, None, first_query,
    )  # fmt: skip
    if not return_lse:
        return result, _new_lse(q, layout, False)
    output, lse = result
    return output, lse.swapaxes(1, 2) if layout == "BHSD" else lse


@_attention.register_fake
def _(
    q: Tensor, k: Tensor, v: Tensor, layout: str, causal: bool, left: int | None,
    right: int | None, softcap: float | None, alibi: Tensor | None,
    sinks: Tensor | None, scale: float | None, functions: str,
    q_lens: Sequence[int] | None, kv_lens: Sequence[int] | None,
    q_indptr: Sequence[int] | None, kv_indptr: Sequence[int] | None, return_lse: bool,
    first_query: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    if v.shape[-1] == q.shape[-1]:
        output = torch.empty_like(q)
    else:
        output = q.new_empty((*q.shape[:-1], v.shape[-1]))
    return output, _new_lse(q, layout, return_lse)


def run(attention: Any, q: Tensor, args: Sequence[Any], scale: float | None) -> Any:
    """saccade.Attention.run while a graph is recorded."""
    *new, kv = args
    keys, values = kv if isinstance(kv, (tuple, list)) else (kv, None)
    op = torch.ops.saccade.append_and_run if new else torch.ops.saccade.run
    output, lse = op(q, *new, keys, values, attention._number, scale)
    return (output, lse) if attention._given.return_lse else output


def _planned(number: str) -> Any:
    found = _wrapper.numbered.get(number)
    if found is None:
        raise InvalidArgument(
            "expects the saccade.Attention that a graph was made with to be alive"
        )
    return found


def _run_planned(
    number: str, q: Tensor, new: Sequence[Tensor], keys: Tensor, values: Tensor | None,
    scale: float | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    found = _planned(number)
    kv = keys if values is None else (keys, values)
    result = found.run(q, *new, kv, **({} if scale is None else {"scale": scale}))
    if not found._given.return_lse:
        return result, q.new_empty((0,), dtype=torch.float32)
    return result


def _fake_run(number: str, q: Tensor) -> tuple[Tensor, Tensor]:
    found = _planned(number)
    output = q.new_empty((*q.shape[:-1], found._given.value_dim))
    shape = q.shape[:-1] if found._given.return_lse else (0,)
    return output, q.new_empty(shape, dtype=torch.float32)


@torch.library.custom_op("saccade::run", mutates_args=())
def _run(
    q: Tensor, keys: Tensor, values: Tensor | None, attention: str, scale: float | None
) -> tuple[Tensor, Tensor]:
    return _run_planned(attention, q, (), keys, values, scale)


@_run.register_fake
def _(
    q: Tensor, keys: Tensor, values: Tensor | None, attention: str, scale: float | None
) -> tuple[Tensor, Tensor]:
    return _fake_run(attention, q)


@torch.library.custom_op("saccade::append_and_run", mutates_args={"keys", "values"})
def _append_and_run(
    q: Tensor, new_keys: Tensor, new_values: Tensor, keys: Tensor,
    values: Tensor | None, attention: str, scale: float | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return _run_planned(attention, q, (new_keys, new_values), keys, values, scale)


@_append_and_run.register_fake
def _(
    q: Tensor, new_keys: Tensor, new_values: Tensor, keys: Tensor,
    values: Tensor | None, attention: str, scale: float | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return _fake_run(attention, q)
