# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention with a plan: made once, planned once a step, run once a layer."""

from __future__ import annotations

import itertools
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import _tensors, _trace
from ._abi import InvalidArgument, OutOfCapacity
from ._batch import Cache
from ._description import Description
from ._kernel import compile
from ._plan import Capacity, Plan


class Attention:
    """Attention over paged, ragged or dense caches, for engines that plan.

    >>> decode = saccade.Attention(num_q_heads=32, num_kv_heads=8, head_dim=128,
    ...                            page_size=16, causal=True, device="cuda")
    >>> decode.plan([1] * 64, kv_lens=lengths, page_table=table)   # once a step
    >>> out = decode.run(q, (k_pages, v_pages))                    # once a layer

    From a spec (text or a path), of any number of caches; or from keywords:

    num_q_heads, num_kv_heads, head_dim, value_dim: as the model has them; value_dim
        where values have a head dim of their own.
    dtype: of queries and outputs: "bfloat16", "float16", or on the CPU "float32".
    kv_dtype: of the cache, where it is not `dtype`: "float8_e4m3fn", "float8_e5m2".
        Runs then take key_scale and value_scale.
    cache: "paged", with page_size tokens a page; "ragged"; or "dense".
    order: of the cache: "NHD" ([pages, page_size, heads, dim]) or "HND".
    causal, window, softcap, alibi, sinks, scale, score_mod, mask_mod, return_lse: as
        for saccade.attention.
    append: runs take the new keys and values too, and write them into the (paged)
        cache before they attend.
    query_tokens: tokens of a request's query that the kernel is to be fast for: 1 for
        decode, 0 for batches of all kinds.
    batch_invariant: a request gives the same bits in any batch (costs balance).
    capacity: of the batches to come (saccade.Capacity); by default, plans grow with
        the batches, and a batch that fits is planned in the same memory. With
        fixed_grid a captured CUDA graph of runs replays with each next plan.
    device: "cpu", "cuda", "cuda:N"; default: CUDA where there is a device.
    """

    def __init__(
        self,
        spec: str | os.PathLike | None = None,
        *,
        num_q_heads: int | None = None,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        value_dim: int | None = None,
        dtype: Any = "bfloat16",
        kv_dtype: Any = None,
        cache: str = "paged",
        page_size: int = 16,
        order: str = "NHD",
        causal: bool = False,
        window: int | tuple[int | None, int | None] | None = None,
        softcap: float | None = None,
        alibi: Any = None,
        sinks: Any = None,
        scale: float | None = None,
        score_mod: Callable | None = None,
        mask_mod: Callable | None = None,
        return_lse: bool = False,
        append: bool = False,
        query_tokens: int = 0,
        batch_invariant: bool = False,
        capacity: Capacity | None = None,
        device: str | None = None,
        kernel: str | None = None,
    ):
        self._capacity = capacity
        self._batch_invariant = batch_invariant
        self._plan: Plan | None = None
        self._given: Description | None = None
        # What graphs of torch.compile hold in place of this object.
        self._number = _number_of(self)
        if spec is not None:
            self.kernel = compile(
                spec, device=device, kernel=kernel, query_tokens=query_tokens
            )
            return
        if num_q_heads is None or num_kv_heads is None or head_dim is None:
            raise TypeError("expects num_q_heads, num_kv_heads and head_dim, or a spec")
        self._given = Description(
            num_q_heads, num_kv_heads, head_dim, value_dim, dtype, kv_dtype, cache,
            page_size, order, causal, window, softcap, alibi, sinks, scale, score_mod,
            mask_mod, return_lse, append, query_tokens,
        )  # fmt: skip
        self.kernel = compile(
            self._given.text(), device=device, query_tokens=query_tokens
        )

    def __repr__(self) -> str:
        return f"<saccade.Attention {self.kernel!r}>"

    @property
    def variant(self) -> _trace.Variant | None:
        """What was traced; None if the attention was made from a spec."""
        return None if self._given is None else self._given.variant

    @property
    def planned(self) -> Plan:
        """The plan of the current batch. Raises InvalidArgument before the first."""
        if self._plan is None:
            raise InvalidArgument("expects plan() before run(), but nothing is planned")
        return self._plan

    def workspace_bytes(self, capacity: Capacity | None = None) -> int:
        """Bytes of device memory that plans of a capacity take at most."""
        capacity = capacity or self._capacity
        if capacity is None:
            raise TypeError("expects a capacity")
        return self.kernel.workspace_bytes(capacity)

    def plan(
        self,
        q_lens: Any = None,
        *,
        q_indptr: Any = None,
        kv_lens: Any = None,
        kv_indptr: Any = None,
        page_table: Any = None,
        last_page_len: Any = None,
        block_rows: Any = None,
        caches: Sequence[Cache] | dict[str, Cache] | None = None,
        stream: int | None = None,
    ) -> Plan:
        """Plans the next batch: its lengths, on the host, and its page table, on the
        host or the device. Arguments as for Kernel.plan. Never waits for the GPU.

        Memory of the last plan is used again if the batch fits; without a capacity a
        larger one gets a new plan. With a capacity that says on_device, kv_lens (and
        q_indptr) may lie on the GPU: a kernel plans then, see Plan.update_on_device.
        Raises InvalidArgument, OutOfCapacity.
        """
        if kv_lens is not None and _tensors.is_cuda(kv_lens):
            return self._plan_on_device(q_lens, q_indptr, kv_lens, page_table, stream)
        batch = {
            "q_indptr": q_indptr, "kv_lens": kv_lens, "kv_indptr": kv_indptr,
            "page_table": page_table, "last_page_len": last_page_len,
            "block_rows": block_rows, "caches": caches,
            "stream": self._stream(page_table) if stream is None else stream,
        }  # fmt: skip
        if self._plan is not None:
            try:
                self._plan.update(q_lens, **batch)
                return self._plan
            except OutOfCapacity:
                if self._capacity is not None:
                    raise
        self._plan = self.kernel.plan(
            q_lens,
            **batch,
            capacity=self._capacity,
            batch_invariant=self._batch_invariant,
            growth=2,  # so that lengths that grow token by token find room
        )
        return self._plan

    def _plan_on_device(
        self, q_lens: Any, q_indptr: Any, kv_lens: Any, page_table: Any, stream: Any
    ) -> Plan:
        if self._capacity is None or not self._capacity.on_device:
            raise InvalidArgument(
                "expects kv_lens on the host, or a capacity with on_device=True, but "
                "got them on the GPU"
            )
        if self._plan is None:
            nothing = np.zeros((0, 1), np.int32)
            self._plan = self.kernel.plan(
                [], kv_lens=[], page_table=nothing, capacity=self._capacity
            )
        self._plan.update_on_device(
            q_lens or 0, kv_lens=kv_lens, page_table=page_table, q_indptr=q_indptr,
            stream=stream,
        )  # fmt: skip
        return self._plan

    def run(
        self,
        q: Any,
        *args: Any,
        out: Any = None,
        stream: int | None = None,
        **values: Any,
    ) -> Any:
        """Runs on the planned batch.

        run(q, kv), or run(q, k, v, kv) with append=True: q [tokens, num_q_heads,
        head_dim]; k, v, the new tokens, [tokens, num_kv_heads, dim]; kv the cache, a
        pair (keys, values) or one tensor of both. An attention made from a spec takes
        the spec's arguments.
        values: in this run instead of those given before: scale, window, softcap,
            alibi, sinks; and key_scale and value_scale (f32 [num_kv_heads]) of 8-bit
            caches. What the attention was made without cannot be given here.
        out: where results go; None allocates.
        stream: a CUstream that was not destroyed; default: torch's current one.

        Returns out, or (out, lse) with lse f32 [tokens, num_q_heads]. Does not wait.
        """
        plan = self._plan or self.planned
        torch = sys.modules.get("torch")
        if torch is not None and torch.compiler.is_compiling():
            return self._record(q, args, out, stream, values)
        if torch is not None and torch.is_grad_enabled():
            _tensors.refuse_gradients((q, *args), "run")
        given = self._given
        if given is None:
            return self.kernel.run(plan, q, *args, out=out, stream=stream, **values)
        if len(args) != (3 if given.append else 1):
            names = "q, k, v, kv" if given.append else "q, kv"
            raise TypeError(f"expects {names}, but got {1 + len(args)} arguments")
        arguments: list[Any] = [q, *args]
        scale, sinks = given.scale, given.sinks
        if values or given.has_scales:
            if given.has_scales:
                for name in ("key_scale", "value_scale"):
                    if name not in values:
                        raise TypeError(f"expects {name} for a cache of 8 bits")
                    arguments.append(values.pop(name))
            scale = values.pop("scale", scale)
            sinks = values.pop("sinks", sinks)
            if sinks is not None and given.sinks is None:
                raise InvalidArgument(
                    "expects no sinks, as the attention was made without"
                )
        arguments.append(scale)
        arguments += given.values(values)
        if sinks is not None:
            arguments.append(sinks)
        outputs = self.kernel._outputs(plan, arguments, out)
        plan._launch(arguments, outputs, stream)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _record(
        self, q: Any, args: tuple, out: Any, stream: Any, values: dict[str, Any]
    ) -> Any:
        """A run under torch.compile: an operator of torch in its graph."""
        from . import _torch_ops

        if self._given is None or out is not None or stream is not None:
            raise InvalidArgument(
                "expects an attention made of keywords, and neither out= nor stream=, "
                "under torch.compile"
            )
        if set(values) - {"scale"}:
            raise InvalidArgument(
                f"expects no value but scale under torch.compile, but got "
                f"{', '.join(sorted(values))}"
            )
        return _torch_ops.run(self, q, args, values.get("scale"))

    def _stream(self, example: Any) -> int:
        return _tensors.current_stream([example], self.kernel._device)


def _number_of(attention: Attention) -> str:
    """A number of its own for each attention, by which it is found while it lives:
    text, so that no graph takes it for a size."""
    number = str(next(_numbers))
    numbered[number] = attention
    return number


_numbers = itertools.count(1)
numbered: weakref.WeakValueDictionary[str, Attention] = weakref.WeakValueDictionary()
