# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Continuous batching of transformers: its paged cache as a pool of tokens that
requests index, in the forms of 5.17 ("paged|saccade") and of 5.23 (one name)."""

from __future__ import annotations

import functools
import inspect
import weakref
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.generation.continuous_batching import (
    ContinuousBatchingManager,
    PagedAttentionCache,
)

import saccade
from saccade import _tensors

from ._hf_masks import reading_is_forbidden

_names: set[str] = set()


def allow_in_continuous_batching(name: str) -> None:
    """Lets managers take models with this attn_implementation. 5.23 refuses all names
    but its own, and puts FlashAttention in their place where it is installed; 5.17
    does the latter, and wants the prefix "paged|"."""
    _names.update((name, f"paged|{name}"))
    original = ContinuousBatchingManager.switch_to_cb_friendly_attn
    if hasattr(original, "_saccade"):
        return

    @functools.wraps(original)
    def switch(self: Any, model: Any, *args: Any, **kwargs: Any) -> None:
        found = model.config._attn_implementation
        if found not in _names:
            return original(self, model, *args, **kwargs)
        if _PREFIXED and not found.startswith("paged|"):
            model.set_attn_implementation(f"paged|{found}")
            self._original_attn_impl = found
        return None

    switch._saccade = True  # type: ignore[attr-defined]
    ContinuousBatchingManager.switch_to_cb_friendly_attn = switch


_PREFIXED = "paged|sdpa" in AttentionInterface().valid_keys()
_UPDATE = inspect.signature(PagedAttentionCache.update).parameters


class _Layer:
    """Where the keys and values of a layer lie."""

    def __init__(self, cache: Any, index: int):
        if not hasattr(cache, "layer_to_allocator"):
            # One list of tensors, of which layers of each kind take their share.
            self.group, at = cache.layer_index_to_group_indices[index]
            self.sliding = cache.sliding_windows[index] != 1
            self.keys, self.values = cache.key_cache[at], cache.value_cache[at]
            self.kind = "sliding_attention" if self.sliding else "full_attention"
        else:
            allocator = cache.layer_to_allocator[index]
            self.group, self.kind = allocator.index, allocator.layer_type
            self.sliding = self.kind != "full_attention"
            self.keys, self.values = allocator._kv_token_views[index]
        tokens = min(len(self.keys), len(self.values))
        self.pool = tuple(
            pool[:tokens].unsqueeze(1) for pool in (self.keys, self.values)
        )


class _Batch:
    """The lengths of one forward, on the host, and what was planned for it."""

    def __init__(self, kwargs: dict[str, Any]):
        self.key = kwargs["cu_seq_lens_q"]
        by_kind = kwargs["cu_seq_lens_k"]
        if not isinstance(by_kind, dict):
            by_kind = {None: by_kind}
        sums = [self.key, *by_kind.values()]
        if reading_is_forbidden(self.key.device):
            raise ValueError(
                "saccade: expects continuous batching without CUDA graphs, but the "
                "stream is captured: set use_cuda_graph=False in its config"
            )
        # One read for all layers; nothing of it is on the host already.
        rows = torch.stack(sums).tolist()
        lengths = [[b - a for a, b in zip(row, row[1:], strict=False)] for row in rows]
        self.q_lens = lengths[0]
        self.tokens = rows[0][-1]
        self.kv_indptr = dict(zip(by_kind, rows[1:], strict=True))
        self.kv_lens = dict(zip(by_kind, lengths[1:], strict=True))
        self.tables: dict[int, torch.Tensor] = {}
        self.planned: set[Any] = set()

    def of(self, kind: str) -> tuple[list[int], list[int]]:
        """kv_lens and kv_indptr of layers of a kind."""
        if kind not in self.kv_lens:
            (kind,) = self.kv_lens
        return self.kv_lens[kind], self.kv_indptr[kind]


class _State:
    """What is kept of one cache from forward to forward."""

    def __init__(self) -> None:
        self.layers: dict[int, _Layer] = {}
        self.attentions: dict[Any, Any] = {}
        self.batch: _Batch | None = None


_states: weakref.WeakKeyDictionary[Any, _State] = weakref.WeakKeyDictionary()


def paged_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cache: Any,
    window: int | None,
    options: dict[str, Any],
    kwargs: dict[str, Any],
) -> torch.Tensor:
    """Writes the new tokens into the cache and attends to it: query [1, Hq, T, D], key
    and value [1, Hkv, T, D] to [1, T, Hq, Dv]. The tokens of all requests lie one
    after another; each sees what is before it, by its request's lengths."""
    if kwargs.get("block_table") is not None:
        raise ValueError(
            "saccade: expects indices of tokens, but got a block table: set "
            "max_blocks_per_request=0 in the continuous batching config"
        )
    state = _states.get(cache)
    if state is None:
        state = _states[cache] = _State()
    batch = state.batch
    # transformers makes these tensors anew for each forward.
    if batch is None or batch.key is not kwargs["cu_seq_lens_q"]:
        batch = state.batch = _Batch(kwargs)
    index = module.layer_idx
    layer = state.layers.get(index)
    if layer is None:
        layer = state.layers[index] = _Layer(cache, index)
    kv_lens, kv_indptr = batch.of(layer.kind)
    plan: dict[str, Any] = {"q_lens": batch.q_lens, "kv_lens": kv_lens}

    read_index = kwargs["read_index"][layer.group]
    paged = not layer.sliding and read_index.numel() > 0
    if paged:
        write_index = kwargs["write_index"][layer.group]
        layer.keys.index_copy_(0, write_index, key[0].transpose(0, 1))
        layer.values.index_copy_(0, write_index, value[0].transpose(0, 1))
        kv = layer.pool
        table = batch.tables.get(layer.group)
        if table is None:
            table = read_index[: kv_indptr[-1]].to(torch.int32)
            batch.tables[layer.group] = table
        plan |= {"page_table": table, "kv_indptr": kv_indptr}
    else:
        # A window's cache is a ring that the new tokens overwrite, so transformers
        # gathers it before it writes. Without earlier tokens there is nothing to read.
        kv = _gathered(cache, key, value, index, kwargs)

    tokens, heads = query.shape[2], query.shape[1]
    form = (
        paged, heads, key.shape[1], query.shape[3], value.shape[3], query.dtype,
        window, options.get("softcap"), "sinks" in options, max(batch.q_lens) <= 1,
    )  # fmt: skip
    attention = state.attentions.get(form)
    if attention is None:
        attention = _attention(form, options.get("sinks"), query.device)
        state.attentions[form] = attention
    if form not in batch.planned:
        attention.plan(**plan, stream=_tensors.place_of(query)[1])
        batch.planned.add(form)
    values = {
        name: options[name]
        for name in ("sinks", "scale")
        if options.get(name) is not None
    }
    # Batches are padded for CUDA graphs and compilers; rows of no request are 0.
    make = torch.empty if batch.tokens == tokens else torch.zeros
    out = make(1, tokens, heads, value.shape[3], dtype=query.dtype, device=query.device)
    n = batch.tokens
    attention.run(query[0].transpose(0, 1)[:n], kv, out=out[0, :n], **values)
    return out


def _attention(form: tuple, sinks: Any, device: torch.device) -> Any:
    paged, heads, kv_heads, dim, value_dim, dtype, window, softcap, _, decode = form
    return saccade.Attention(
        num_q_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=dim,
        value_dim=value_dim,
        dtype=dtype,
        cache="paged" if paged else "ragged",
        page_size=1,
        causal=True,
        window=window,
        softcap=softcap,
        sinks=sinks,
        query_tokens=1 if decode else 0,
        device=str(device),
    )


def _gathered(
    cache: Any, key: torch.Tensor, value: torch.Tensor, index: int, kwargs: dict
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values [tokens, Hkv, D] of all requests, by the cache's own update."""
    given = {"key_states": key, "value_states": value, "layer_idx": index}
    if "kwargs" not in _UPDATE:
        indices = {name: kwargs[name] for name in ("read_index", "write_index")}
        return cache.update(**given, **indices)
    keys, values = cache.update(**given, kwargs=dict(kwargs))
    return keys[0].transpose(0, 1), values[0].transpose(0, 1)
