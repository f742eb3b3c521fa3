# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Masks of transformers as predicates: what its mask interface gives (a predicate,
lengths, offsets, a table of padding) is kept as it is, and turned into arguments of
saccade.attention when the first layer asks. No mask is ever laid out in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers import masking_utils

import saccade
from saccade import _functional, _tensors

Predicate = Callable[..., Any]


def _code(predicate: Predicate) -> Any:
    return getattr(predicate, "__code__", None)


# What transformers' own predicates are made of, known by their code.
_AND = _code(masking_utils.and_masks(masking_utils.causal_mask_function))
_OR = _code(masking_utils.or_masks(masking_utils.causal_mask_function))
_CAUSAL = _code(masking_utils.causal_mask_function)
_ALL = _code(masking_utils.bidirectional_mask_function)
_WINDOW = _code(masking_utils.sliding_window_overlay(1))
_BOTH_SIDES = _code(masking_utils.sliding_window_bidirectional_overlay(1))


def _captured(predicate: Predicate, name: str) -> Any:
    """A variable that a predicate closes over."""
    function: Any = predicate
    cells = dict(zip(function.__code__.co_freevars, function.__closure__, strict=True))
    return cells[name].cell_contents


def _terms(predicate: Predicate) -> Iterator[Predicate]:
    """The predicates whose conjunction this one is."""
    if _code(predicate) is _AND:
        for term in _captured(predicate, "mask_functions"):
            yield from _terms(term)
    elif _code(predicate) is _OR:
        yield saccade.or_masks(
            *(
                _conjunction(list(_terms(f)))
                for f in _captured(predicate, "mask_functions")
            )
        )
    elif _code(predicate) is not _ALL:
        yield predicate


def _conjunction(terms: list[Predicate]) -> Predicate:
    if not terms:
        return masking_utils.bidirectional_mask_function
    return terms[0] if len(terms) == 1 else saccade.and_masks(*terms)


def _shifted(predicate: Predicate, q_offset: Any, kv_offset: int) -> Predicate:
    """The predicate in positions of the cache, over rows and columns from 0. q_offset:
    an int, or an int32 tensor [1] where only the device knows it."""
    if isinstance(q_offset, torch.Tensor):

        def from_table(b: Any, h: Any, q: Any, kv: Any) -> Any:
            return predicate(b, h, q + q_offset[0], kv + kv_offset)

        return from_table

    def from_scalars(b: Any, h: Any, q: Any, kv: Any) -> Any:
        return predicate(b, h, q + q_offset, kv + kv_offset)

    return from_scalars


def _from(starts: torch.Tensor) -> Predicate:
    """Keys from each request's first one on."""

    def after_start(b: Any, h: Any, q: Any, kv: Any) -> Any:
        return kv >= starts[b]

    return after_start


def _where(padding: torch.Tensor) -> Predicate:
    """Keys that a table [requests, keys] keeps."""

    def kept(b: Any, h: Any, q: Any, kv: Any) -> Any:
        return padding[b, kv]

    return kept


def reading_is_forbidden(device: torch.device) -> bool:
    """Whether values on the device must not be brought to the host now."""
    return device.type == "cuda" and _tensors.is_capturing()


class Mask:
    """What a layer of a model gets as its attention_mask.

    It has the shape [requests, 1, queries, keys] and passes through a model like a
    tensor of it (to, contiguous, a slice of all of it), but holds the predicate
    instead. ``keywords`` are the arguments of saccade.attention.

    The layers of a forward share one. Its first use reads from the device where
    padding begins and ends, if there is padding, and the length of a static cache,
    which transformers keeps there alone; nothing else waits. While a CUDA graph is
    captured nothing is read, and the kernel looks both up.
    """

    dtype = torch.bool
    requires_grad = False

    def __init__(
        self,
        batch_size: int,
        q_length: int,
        kv_length: int,
        q_offset: int | torch.Tensor,
        kv_offset: int,
        predicate: Predicate,
        padding: torch.Tensor | None,
        device: torch.device,
    ):
        self.shape = torch.Size((batch_size, 1, q_length, kv_length))
        if isinstance(q_offset, torch.Tensor):
            # A static cache counts on in place before its layer attends.
            q_offset = q_offset.detach().clone()
        self.q_offset, self.kv_offset = q_offset, kv_offset
        self.predicate, self.padding = predicate, padding
        self.device = device
        self._found: dict[torch.device, tuple[int, dict[str, Any]]] = {}
        # What the last call under it was like, and how to make one like it.
        self.form: tuple | None = None
        self.repeat = _functional.Repeat()

    ndim = 4

    def dim(self) -> int:
        return 4

    def size(self, axis: int | None = None) -> Any:
        return self.shape if axis is None else self.shape[axis]

    def to(self, *_: Any, **__: Any) -> Mask:
        return self

    contiguous = clone = detach = to

    def __getitem__(self, index: Any) -> Mask:
        parts = index if isinstance(index, tuple) else (index,)
        if Ellipsis in parts:
            at = parts.index(Ellipsis)
            parts = parts[:at] + (slice(None),) * (5 - len(parts)) + parts[at + 1 :]
        keys = self.shape[3]
        if len(parts) <= 4 and all(isinstance(part, slice) for part in parts):
            ranges = [
                part.indices(n) for part, n in zip(parts, self.shape, strict=False)
            ]
            if len(ranges) == 4:
                keys = ranges[3][1]
                ranges[3] = (ranges[3][0], self.shape[3], ranges[3][2])
            whole = [(0, n, 1) for n in self.shape]
            if ranges == whole[: len(ranges)]:
                if keys == self.shape[3]:
                    return self
                b, _, q, _ = self.shape
                return Mask(
                    b, q, keys, self.q_offset, self.kv_offset, self.predicate,
                    self.padding, self.device,
                )  # fmt: skip
        raise TypeError(
            "expects a slice of the first keys of a mask that is a predicate, "
            f"but got [{index}]: this model needs a mask that is a tensor"
        )

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        raise TypeError(
            "expects a model that hands its mask to attention as it is, but got "
            f"{getattr(function, '__name__', function)} of a mask that is a predicate: "
            "this model needs a mask that is a tensor"
        )

    def __repr__(self) -> str:
        return f"<saccade mask {list(self.shape)} from {self.q_offset}>"

    def keywords(self, device: torch.device) -> tuple[int, dict[str, Any]]:
        """How many of the keys can be seen at all, and the arguments of
        saccade.attention over these, with tables on the device."""
        found = self._found.get(device)
        if found is None:
            found = self._found[device] = self._resolve(device)
        return found

    def _resolve(self, device: torch.device) -> tuple[int, dict[str, Any]]:
        requests, _, q_length, keys = self.shape
        terms = list(_terms(self.predicate))
        causal = any(_code(term) is _CAUSAL for term in terms)
        q_offset, padding = self.q_offset, self.padding
        blind = reading_is_forbidden(device)
        if isinstance(q_offset, torch.Tensor):
            if blind:
                q_offset = q_offset.to(device, torch.int32).reshape(1)
            else:
                q_offset = int(q_offset)
        if causal and isinstance(q_offset, int):
            # Static caches are longer than what is in them.
            keys = max(0, min(keys, q_offset + q_length - self.kv_offset))
        aligned = (
            isinstance(q_offset, int) and q_offset + q_length == self.kv_offset + keys
        )

        by_key: list[Predicate] = []  # of which kv alone, from 0, decides
        kv_lens = None
        if padding is not None:
            padding = padding[:, self.kv_offset : self.kv_offset + keys]
            if blind:
                lack = keys - padding.shape[1]
                padding = torch.nn.functional.pad(padding, (0, lack))
                by_key.append(_where(padding.to(device)))
            else:
                kept, kv_lens = _runs(padding, keys, device)
                by_key += kept
        if kv_lens is not None:
            aligned = False

        options = _options(terms)
        if options is not None and (aligned or not options):
            if by_key:
                options["mask_mod"] = _conjunction(by_key)
        else:
            shifted = _shifted(_conjunction(terms), q_offset, self.kv_offset)
            options = {
                "mask_mod": _conjunction([shifted, *by_key]),
                "first_query": True,
            }
        if kv_lens is not None:
            options["kv_lens"] = kv_lens
        return keys, options


def _options(terms: list[Predicate]) -> dict[str, Any] | None:
    """The keywords of saccade.attention that say the same where the last query is at
    the last key; None if none do."""
    options: dict[str, Any] = {}
    for term in terms:
        if _code(term) is _CAUSAL:
            options["causal"] = True
        elif "window" in options:
            return None
        elif _code(term) is _WINDOW:
            options["window"] = _captured(term, "sliding_window")
        elif _code(term) is _BOTH_SIDES:
            window = _captured(term, "sliding_window")
            options["window"] = (window, window)
        else:
            return None
    if "window" in options and isinstance(options["window"], int) is not (
        "causal" in options
    ):
        return None
    return options


def _runs(
    padding: torch.Tensor, keys: int, device: torch.device
) -> tuple[list[Predicate], list[int] | None]:
    """Predicates over kv and the lengths of requests that say what a table of padding
    (bool [requests, up to keys], on any device) says; reads one tensor of it."""
    width = padding.shape[1]
    if not width:
        return [], [0] * padding.shape[0]
    marks = padding.to(torch.uint8)
    first = marks.argmax(1)
    last = width - 1 - marks.flip(1).argmax(1)
    count = padding.sum(1)
    host = torch.stack((first, last, count)).tolist()
    runs = list(zip(*host, strict=True))
    if any(n and n != last - first + 1 for first, last, n in runs):
        padding = torch.nn.functional.pad(padding, (0, keys - width))
        return [_where(padding.to(device))], None
    lengths = [last + 1 if n else 0 for _, last, n in runs]
    kept = []
    if any(n and first for first, _, n in runs):
        kept.append(_from(first.to(device, torch.int32)))
    return kept, None if all(n == keys for n in lengths) else lengths


def saccade_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | torch.Tensor = 0,
    kv_offset: int = 0,
    mask_function: Predicate = masking_utils.causal_mask_function,
    attention_mask: Any = None,
    device: torch.device | str = "cpu",
    **_: Any,
) -> Mask:
    """transformers' mask interface: keeps what it is given; see Mask."""
    if isinstance(attention_mask, Mask):  # made ahead, as generate does
        return attention_mask
    if attention_mask is not None and attention_mask.dtype != torch.bool:
        attention_mask = attention_mask.bool()
    return Mask(
        batch_size,
        q_length,
        kv_length,
        q_offset,
        kv_offset,
        mask_function,
        attention_mask,
        torch.device(device),
    )
