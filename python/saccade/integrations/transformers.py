# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Hugging Face transformers (5.17 and later) with Saccade's attention.

    >>> from saccade.integrations.transformers import register
    >>> register()
    >>> model = AutoModelForCausalLM.from_pretrained(name, attn_implementation="saccade")

Models run as they are: causality, windows, chunks and padding come from the predicate
that transformers composes for each mask, soft caps, sinks and scales from the layer.
Inference only, and without attention weights. What a layer asks for and cannot have is
an error, never left out. Under torch.compile the calls stay outside of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.utils.weak import WeakTensorKeyDictionary
from transformers import AttentionInterface, AttentionMaskInterface

from saccade import _functional, _tensors

from ._hf_masks import Mask, saccade_mask
from ._hf_paged import allow_in_continuous_batching, paged_attention

# What models hand through to their layers and does not concern attention.
_IGNORED = {
    *("position_ids", "cache_position", "use_cache", "return_dict", "labels"),
    *("output_hidden_states", "output_router_logits", "num_items_in_batch"),
    *("logits_to_keep", "token_type_ids", "mm_token_type_ids", "deterministic"),
    *("moe_mm_token_type_ids", "inputs_embeds", "input_ids", "past_key_values"),
    *("position_embeddings", "layer_idx", "training", "kernel_options"),
}
# What continuous batching hands through besides.
_BATCHING = {
    *("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "block_table"),
    *("max_seqlen_q", "max_seqlen_k", "read_index", "write_index", "logits_indices"),
    "logits_processor_args",
}
# Arguments of attention that were not asked for.
_ATTENTION: dict[str, Any] = dict.fromkeys(
    (
        *("window", "softcap", "alibi", "sinks", "scale", "score_mod", "mask_mod"),
        *("q_lens", "kv_lens", "q_indptr", "kv_indptr"),
    )
) | {"causal": False, "return_lse": False, "first_query": False}
# Sinks of layers as f32: the version that was converted, and the result.
_sinks = WeakTensorKeyDictionary()


def register(name: str = "saccade", *, ignore: Iterable[str] = ()) -> None:
    """Makes `name` an ``attn_implementation``, also of continuous batching.

    ignore: names of further keyword arguments that models hand to their layers and
        that do not concern attention; unknown ones are refused otherwise.

    May be called again. Raises TypeError for a name that transformers would take for
    one of its own.
    """
    if (
        not name
        or "flash" in name
        or "|" in name
        or name in ("eager", "sdpa", "flex_attention")
    ):
        raise TypeError(
            f"expects a name that transformers has no meaning for, but got {name!r}"
        )
    forward = _forward(frozenset(ignore) | _IGNORED)
    AttentionInterface.register(name, forward)
    AttentionInterface.register(f"paged|{name}", forward)
    AttentionMaskInterface.register(name, saccade_mask)
    allow_in_continuous_batching(name)


def _forward(ignored: frozenset[str]) -> Callable[..., tuple[torch.Tensor, None]]:
    def eager(
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: Any,
        dropout: float = 0.0,
        scaling: float | None = None,
        sliding_window: int | None = None,
        softcap: float | None = None,
        is_causal: bool | None = None,
        s_aux: torch.Tensor | None = None,
        position_bias: torch.Tensor | None = None,
        cache: Any = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None]:
        """transformers' attention interface: query [B, Hq, S, D], key and value
        [B, Hkv, T, D] to ([B, S, Hq, Dv], None)."""
        known = ignored if cache is None else ignored | _BATCHING
        for argument, given in kwargs.items():
            if argument not in known and given is not None and given is not False:
                _refuse(argument)
        if dropout:
            raise ValueError(
                f"saccade: expects no dropout, but got {dropout}: call model.eval(), or "
                "set the attention dropout of its config to 0"
            )
        if torch.is_autocast_enabled(query.device.type):
            wide = torch.get_autocast_dtype(query.device.type)
            query, key, value = (x.to(wide) for x in (query, key, value))
        options: dict[str, Any] = {"scale": scaling}
        if softcap is not None:
            options["softcap"] = softcap
        if s_aux is not None:
            options["sinks"] = _as_f32(s_aux)
        if cache is not None:
            if position_bias is not None:
                _refuse("position_bias")
            out = paged_attention(
                module, query, key, value, cache, sliding_window, options, kwargs
            )
            return out, None

        if query.shape[0] == 1 < key.shape[0]:  # learned queries
            query = query.expand(key.shape[0], -1, -1, -1)
        form = None
        if (
            type(attention_mask) is Mask
            and position_bias is None
            and not torch.is_grad_enabled()
        ):
            form = _form(query, key, value, softcap, s_aux)
            if form == attention_mask.form:
                sinks = options.get("sinks")
                out = _again(
                    attention_mask, query, key, value, scaling, sinks, form[-1]
                )
                if out is not None:
                    return out, None
        if isinstance(attention_mask, Mask):
            key, value = _apply(attention_mask, query, key, value, options)
        elif attention_mask is not None:
            _add_table(attention_mask, query, key, options)
        else:
            if is_causal is None:
                is_causal = getattr(module, "is_causal", True)
            _without_mask(query, key, bool(is_causal), sliding_window, options)
        if position_bias is not None:
            _add_bias(position_bias, query, key.shape[2], options)
        out = _output(query, value.shape[-1])
        arguments = _ATTENTION | options
        repeat = None
        strides = {x.stride(-1) for x in (query, key, value)}
        if form is not None and strides == {1}:  # others are copied first
            repeat = _functional.Repeat()
        _functional.attend(
            query, key, value, layout="BHSD", out=out.transpose(1, 2), repeat=repeat,
            **arguments,
        )  # fmt: skip
        if repeat is not None:
            attention_mask.form, attention_mask.repeat = form, repeat
        return out, None

    outside = torch.compiler.disable(eager)

    def saccade_attention_forward(
        *arguments: Any, **options: Any
    ) -> tuple[torch.Tensor, None]:
        # What leaves a graph costs each call time, also where there is none.
        run = outside if torch.compiler.is_compiling() else eager
        return run(*arguments, **options)

    return saccade_attention_forward


def _form(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    softcap: float | None,
    sinks: torch.Tensor | None,
) -> tuple:
    """What layers have in common whose calls are alike; the stream comes last."""
    return (
        query.shape, key.shape, value.shape, query.stride(), key.stride(),
        value.stride(), query.dtype, key.dtype, value.dtype, key.device, value.device,
        type(query), softcap, sinks is None, *_tensors.place_of(query),
    )  # fmt: skip


def _again(
    mask: Mask,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    sinks: torch.Tensor | None,
    stream: int,
) -> torch.Tensor | None:
    """The output of a call that is like the last one under this mask; None if its
    plan is in use for another by now. Keys that nobody sees need not be cut off."""
    if scaling is None:
        scaling = query.shape[-1] ** -0.5
    out = _output(query, value.shape[-1])
    done = mask.repeat.run(
        query, key, value, scaling, sinks, out.transpose(1, 2), stream
    )
    return out if done else None


def _output(query: torch.Tensor, value_dim: int) -> torch.Tensor:
    """Room for [B, S, Hq, Dv], row after row as models take it."""
    turned = query.transpose(1, 2)
    if turned.is_contiguous() and value_dim == query.shape[-1]:
        return torch.empty_like(turned)  # half the time of the next
    return query.new_empty(*turned.shape[:-1], value_dim)


def _refuse(argument: str) -> None:
    if argument == "output_attentions":
        raise ValueError(
            "saccade: expects output_attentions=False, as weights are never laid out "
            'in memory: load the model with attn_implementation="eager" for them'
        )
    if argument in _BATCHING:
        raise ValueError(
            f"saccade: expects no '{argument}' without a paged cache: leave packed "
            "sequences to the mask, which position_ids make"
        )
    raise ValueError(
        f"saccade: expects arguments that it can honour, but got '{argument}': if it "
        f"does not concern attention, register(ignore=[{argument!r}])"
    )


def _as_f32(sinks: torch.Tensor) -> torch.Tensor:
    """The sinks of a layer as f32 [heads], converted once and not at each call."""
    if sinks.dtype == torch.float32:
        return sinks.detach()
    version = None if sinks.is_inference() else sinks._version
    found = _sinks.get(sinks)
    if found is None or version is None or found[0] != version:
        found = _sinks[sinks] = (version, sinks.detach().float())
    return found[1]


def _apply(
    mask: Mask,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    options: dict[str, Any],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Adds what a mask says to options, and gives the keys and values to be seen."""
    b, _, rows, columns = mask.shape
    tokens, keys = query.shape[2], key.shape[2]
    if (rows, columns) != (tokens, keys) or b not in (1, query.shape[0]):
        raise ValueError(
            f"saccade: expects a mask of {[query.shape[0], 1, tokens, keys]}, "
            f"but got {list(mask.shape)}"
        )
    seen, keywords = mask.keywords(query.device)
    options.update(keywords)
    if b != query.shape[0] and "kv_lens" in keywords:
        options["kv_lens"] = keywords["kv_lens"] * query.shape[0]
    if seen == keys:
        return key, value
    return key[:, :, :seen], value[:, :, :seen]


def _add_table(
    mask: Any, query: torch.Tensor, key: torch.Tensor, options: dict[str, Any]
) -> None:
    """Adds a mask that a caller laid out himself: bool, or a bias."""
    shape = getattr(mask, "shape", ())
    wanted = (query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    fits = len(shape) == 4 and shape[3] >= wanted[3]
    if not fits or any(
        n not in (1, m) for n, m in zip(shape[:3], wanted[:3], strict=True)
    ):
        raise ValueError(
            "saccade: expects no attention_mask, that of the registered mask function, "
            f"or a tensor of {list(wanted)}, but got {type(mask).__name__} {list(shape)}"
        )
    mask = mask.expand(*wanted[:3], shape[3])
    if mask.dtype == torch.bool:

        def kept(b: Any, h: Any, q: Any, kv: Any) -> Any:
            return mask[b, h, q, kv]

        options["mask_mod"] = kept
    else:

        def biased(score: Any, b: Any, h: Any, q: Any, kv: Any) -> Any:
            return score + mask[b, h, q, kv]

        options["score_mod"] = biased
    options["first_query"] = True


def _without_mask(
    query: torch.Tensor,
    key: torch.Tensor,
    causal: bool,
    window: int | None,
    options: dict[str, Any],
) -> None:
    """Adds what modules without a mask mean: causal ones, if they say so."""
    tokens, keys = query.shape[2], key.shape[2]
    if causal:
        if tokens not in (1, keys):
            raise ValueError(
                "saccade: expects a mask, or as many keys as queries, of a causal "
                f"layer, but got no mask, {tokens} queries and {keys} keys"
            )
        options["causal"] = True
    if window is not None and keys > window:
        if not causal:
            raise ValueError(
                "saccade: expects a mask of a layer with a window that is not causal, "
                f"but got none, a window of {window} and {keys} keys"
            )
        options["window"] = window


def _add_bias(
    bias: torch.Tensor, query: torch.Tensor, keys: int, options: dict[str, Any]
) -> None:
    """Adds a bias [B or 1, H or 1, S, T] of positions to the scores."""
    b, heads, tokens, _ = query.shape
    shape = tuple(bias.shape)
    if (
        len(shape) != 4
        or shape[0] not in (1, b)
        or shape[1] not in (1, heads)
        or shape[2] != tokens
        or shape[3] < keys
    ):
        raise ValueError(
            f"saccade: expects a position_bias of {[b, heads, tokens, keys]}, "
            f"but got {list(shape)}"
        )
    bias = bias.detach().expand(b, heads, -1, -1)
    earlier = options.get("score_mod")
    before = 0  # keys before the first query's place
    if "causal" in options or "window" in options:
        before = keys - tokens
    else:
        options["first_query"] = True

    def biased(score: Any, b: Any, h: Any, q: Any, kv: Any) -> Any:
        return score + bias[b, h, q - before, kv]

    def biased_twice(score: Any, b: Any, h: Any, q: Any, kv: Any) -> Any:
        return earlier(score, b, h, q, kv) + bias[b, h, q - before, kv]

    options["score_mod"] = biased if earlier is None else biased_twice
