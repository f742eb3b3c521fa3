# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One attention in keywords: what is structural becomes a spec, the rest is read anew
for each run."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import _masks, _spec, _trace
from ._abi import InvalidArgument


@dataclass
class Description:
    """Keywords of saccade.Attention, which documents them."""

    num_q_heads: int
    num_kv_heads: int
    head_dim: int
    value_dim: int | None = None
    dtype: Any = "bfloat16"
    kv_dtype: Any = None
    cache: str = "paged"
    page_size: int = 16
    order: str = "NHD"
    causal: bool = False
    window: int | tuple[int | None, int | None] | None = None
    softcap: float | None = None
    alibi: Any = None
    sinks: Any = None
    scale: float | None = None
    score_mod: Callable | None = None
    mask_mod: Callable | None = None
    return_lse: bool = False
    append: bool = False
    query_tokens: int = 0

    def __post_init__(self) -> None:
        for name in ("num_q_heads", "num_kv_heads", "head_dim", "page_size"):
            number = getattr(self, name)
            if isinstance(number, float) or number < 1:
                raise InvalidArgument(
                    f"expects {name} to be a positive integer, but got {number!r}"
                )
        if self.scale is None:
            self.scale = 1.0 / math.sqrt(self.head_dim)
        if self.value_dim is None:
            self.value_dim = self.head_dim
        if self.cache not in ("paged", "ragged", "dense"):
            raise InvalidArgument(
                f"expects cache to be paged, ragged or dense, but got {self.cache!r}"
            )
        self.captured: tuple[Hashable, list] = _trace.fingerprint(*self._functions())

    @cached_property
    def variant(self) -> _trace.Variant:
        return _trace.trace(*self._functions(), sink=self.sinks is not None)

    @cached_property
    def has_functions(self) -> bool:
        """Whether captures must be looked at for each run."""
        return self.score_mod is not None or self.mask_mod is not None

    @cached_property
    def has_scales(self) -> bool:
        """Whether the cache has elements of its own, with scales."""
        kinds = self.dtype, self.kv_dtype or self.dtype
        return _spec.element_of(kinds[0]) != _spec.element_of(kinds[1])

    def text(self) -> str:
        """The spec."""
        element = _spec.element_of(self.dtype)
        dense = self.cache == "dense"
        query = _spec.Layout(
            "dense" if dense else "ragged", self.num_q_heads, self.head_dim, element,
            order=self.order if dense else "NHD",
        )  # fmt: skip
        cache = _spec.Layout(
            self.cache,
            self.num_kv_heads,
            self.head_dim,
            _spec.element_of(self.kv_dtype or self.dtype),
            self.value_dim,
            self.order,
            page=self.page_size if self.cache == "paged" else None,
        )
        return _spec.KernelSpec(
            self.variant,
            query,
            cache,
            output_order=query.order,
            lse=self.return_lse,
            append=self.append,
            cache_scales=self.has_scales,
        ).text()

    def values(self, changed: dict[str, Any]) -> list[Any]:
        """What the variant's parameters are now, with `changed` options of a run."""
        if not changed and not self.has_functions:
            return self.captured[1]
        unknown = set(changed) - {"window", "softcap", "alibi"}
        if unknown:
            raise TypeError(f"expects no value named {', '.join(sorted(unknown))}")
        key, values = _trace.fingerprint(*self._functions(**changed))
        if key != self.captured[0]:
            raise InvalidArgument(
                "expects values of the options and captures that the attention was "
                "made with, but got others; make another saccade.Attention"
            )
        return values

    def _functions(self, **changed: Any) -> tuple[Callable | None, Callable | None]:
        window = changed.get("window", self.window)
        left, right = (None, None) if window is None else _masks.sides(window)
        return _masks.options(
            causal=self.causal,
            left=left,
            right=right,
            softcap=changed.get("softcap", self.softcap),
            alibi=changed.get("alibi", self.alibi),
            score_mod=self.score_mod,
            mask_mod=self.mask_mod,
        )
