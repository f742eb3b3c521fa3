# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Common variants as functions like a user's own: they are traced, not recognised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._abi import InvalidArgument
from ._capture import PerHead


def and_masks(*mask_mods: Callable) -> Callable:
    """A mask_mod that keeps what all of them keep."""

    def both(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        keep = mask_mods[0](b, h, q_idx, kv_idx)
        for mask_mod in mask_mods[1:]:
            keep = keep & mask_mod(b, h, q_idx, kv_idx)
        return keep

    return _checked(both, mask_mods)


def or_masks(*mask_mods: Callable) -> Callable:
    """A mask_mod that keeps what any of them keeps."""

    def either(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        keep = mask_mods[0](b, h, q_idx, kv_idx)
        for mask_mod in mask_mods[1:]:
            keep = keep | mask_mod(b, h, q_idx, kv_idx)
        return keep

    return _checked(either, mask_mods)


def _checked(mask_mod: Callable, parts: tuple[Callable, ...]) -> Callable:
    if not parts or not all(callable(part) for part in parts):
        raise TypeError("expects one mask_mod or more")
    return mask_mod


def causal_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
    """Keeps keys up to the query's own place."""
    return q_idx >= kv_idx


def _within_left(left: int) -> Callable:
    return lambda b, h, q_idx, kv_idx: q_idx - kv_idx <= left


def _within_right(right: int) -> Callable:
    return lambda b, h, q_idx, kv_idx: kv_idx - q_idx <= right


def sides(window: Any) -> tuple[int | None, int | None]:
    """How many keys before and behind itself a query sees: of n, n - 1 and all."""
    if isinstance(window, (float, str)):
        left = right = -1  # refused below
    elif isinstance(window, (tuple, list)) and len(window) == 2:
        left, right = window
    else:
        left, right = window - 1, None
    for side in (left, right):
        if side is not None and not 0 <= side < 2**30:
            raise InvalidArgument(
                f"expects window to be n > 0 or (left, right), each 0 or more or None, "
                f"below 2^30, but got {window!r}"
            )
    return left, right


def options(
    *,
    causal: bool,
    left: int | None,
    right: int | None,
    softcap: float | None,
    alibi: Any,
    score_mod: Callable | None,
    mask_mod: Callable | None,
) -> tuple[Callable | None, Callable | None]:
    """The score_mod and the mask_mod of saccade.attention's keywords: scores are
    capped, then biased, then given to score_mod; masks are all to be kept."""
    masks: list[Callable] = []
    if causal:
        masks.append(causal_mask)
    if left is not None:
        masks.append(_within_left(left))
    if right is not None:
        masks.append(_within_right(right))
    if mask_mod is not None:
        masks.append(mask_mod)
    mask = None
    if masks:
        mask = masks[0] if len(masks) == 1 else and_masks(*masks)
    if softcap is None and alibi is None:
        return score_mod, mask
    return _scores(softcap, None if alibi is None else PerHead(alibi), score_mod), mask


def _scores(
    cap: float | None, slopes: PerHead | None, then: Callable | None
) -> Callable:
    if cap is not None:
        cap = float(cap)

    def score(s: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        if cap is not None:
            s = (s / cap).tanh() * cap
        if slopes is not None:
            s = s + slopes[h] * (kv_idx - q_idx)  # type: ignore[index]
        return s if then is None else then(s, b, h, q_idx, kv_idx)

    return score
