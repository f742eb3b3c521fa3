# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FlexAttention's interface: `from saccade.flex import flex_attention` takes the place
of torch.nn.attention.flex_attention's, forward only."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from ._abi import InvalidArgument
from ._functional import attend

#: BLOCK_SIZE of a BlockMask that torch makes where there is none.
_WHOLE = 1 << 30
#: What was found for BlockMasks without a mask_mod; their tensors are read once.
_masks_of_blocks: weakref.WeakKeyDictionary[Any, Callable | None] = (
    weakref.WeakKeyDictionary()
)


def flex_attention(
    query: Any,
    key: Any,
    value: Any,
    score_mod: Callable | None = None,
    block_mask: Any = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: dict[str, Any] | None = None,
    *,
    return_aux: Any = None,
) -> Any:
    """torch's flex_attention, by a compiled kernel.

    query [B, Hq, Sq, D], key [B, Hkv, Skv, D], value [B, Hkv, Skv, Dv]. Hkv may be
    less than Hq with enable_gqa. One batch entry of key and value may serve all.
    score_mod: (score, b, h, q_idx, kv_idx) -> score; q_idx counts from 0, whatever
        Skv is.
    block_mask: a BlockMask, of which the mask_mod is traced: the kernel finds the
        tiles that it keeps by itself. Only where it has none are its blocks looked
        at. Or a mask_mod as it is: no BlockMask needs to be made.
    return_lse: also the log-sum-exp, f32 [B, Hq, Sq], natural base. return_aux:
        torch's AuxRequest(lse=True) asks for the same; other fields are refused.
    kernel_options: None; those of torch's kernels mean nothing here and are refused.

    Returns the output [B, Hq, Sq, Dv], or (output, lse), or (output, AuxOutput).
    Raises InvalidArgument (for a gradient too: there is no backward), TraceError.
    """
    if kernel_options:
        raise InvalidArgument(
            "expects no kernel_options, which are of torch's kernels, but got "
            f"{', '.join(kernel_options)}"
        )
    if not enable_gqa and query.shape[-3] != key.shape[-3]:
        raise InvalidArgument(
            f"expects as many heads of key as of query without enable_gqa, but got "
            f"{key.shape[-3]} and {query.shape[-3]}"
        )
    wants_lse = return_lse
    if return_aux is not None:
        fields = return_aux._asdict()  # a NamedTuple
        others = [name for name, asked in fields.items() if asked and name != "lse"]
        if others or return_lse:
            raise InvalidArgument(
                f"expects return_aux to ask for lse alone, without return_lse, but got "
                f"{return_aux}"
            )
        wants_lse = bool(return_aux.lse)
    batch = query.shape[0]
    if key.shape[0] == value.shape[0] == 1 < batch:
        key, value = _repeated(key, batch), _repeated(value, batch)
    mask_mod = _mask_of(block_mask, query.shape[-2], key.shape[-2])
    result = attend(
        query, key, value, "BHSD", False, None, None, None, None, scale, score_mod,
        mask_mod, None, None, None, None, wants_lse, None, True,
    )  # fmt: skip
    if return_aux is None:
        return result
    from torch.nn.attention.flex_attention import AuxOutput

    output, lse = result if wants_lse else (result, None)
    return output, AuxOutput(lse=lse)


def _repeated(x: Any, batch: int) -> Any:
    """A view that shows the only batch entry as often as asked."""
    if hasattr(x, "expand"):
        return x.expand(batch, -1, -1, -1)
    import numpy as np

    return np.broadcast_to(x, (batch, *x.shape[1:]))


def _mask_of(block_mask: Any, queries: int, keys: int) -> Callable | None:
    """The mask_mod of a BlockMask, of a mask_mod itself, or of nothing."""
    if block_mask is None:
        return None
    mask_mod = getattr(block_mask, "mask_mod", None)
    if mask_mod is None:
        if callable(block_mask):
            return block_mask
        raise InvalidArgument(
            f"expects a BlockMask or a mask_mod, but got {type(block_mask).__name__}"
        )
    if block_mask.BLOCK_SIZE[0] == block_mask.BLOCK_SIZE[1] == _WHOLE:
        return None
    lengths = tuple(getattr(block_mask, "seq_lengths", (queries, keys)))
    if lengths != (queries, keys):
        raise InvalidArgument(
            f"expects a block_mask for {queries} queries and {keys} keys, but got one "
            f"for {lengths[0]} and {lengths[1]}"
        )
    if getattr(mask_mod, "__name__", "") != "noop_mask":
        return mask_mod
    if block_mask not in _masks_of_blocks:
        _masks_of_blocks[block_mask] = _listed(block_mask)
    return _masks_of_blocks[block_mask]


def _listed(block_mask: Any) -> Callable | None:
    """The mask_mod of a BlockMask that is made of blocks alone: they are the mask."""
    blocks = block_mask.to_dense().bool()
    if bool(blocks.all()):
        return None
    rows, columns = block_mask.BLOCK_SIZE
    batches, heads = (n > 1 for n in blocks.shape[:2])

    def is_listed(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        of_head = blocks[b if batches else 0, h if heads else 0]
        return of_head[q_idx // rows, kv_idx // columns]

    return is_listed
