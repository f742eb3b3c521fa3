# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Batches: the lengths and tables of a plan, handed to the C API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import _abi, _tensors


@dataclass
class Cache:
    """The part of a batch that one cache holds: lengths, and where tokens lie.

    paged: ``indices`` are page ids, one-dimensional with ``indptr`` ([requests + 1])
    and ``last_page_len`` or ``lengths``, or two-dimensional [requests, max_pages]
    with ``lengths``. ragged: ``indptr`` of rows, or ``lengths`` alone for rows laid
    end to end. dense: ``lengths``. block-sparse: as ragged, and ``indices`` of key
    blocks with ``block_rows`` ([row blocks + 1]). Tables are int32, on the host
    (copied) or on the plan's device (used in place; keep them alive).
    """

    lengths: Any = None
    indptr: Any = None
    last_page_len: Any = None
    indices: Any = None
    block_rows: Any = None


class BatchView:
    """A SaccadeBatch over the arrays of a batch, which it keeps alive.

    views: those of tables of an earlier batch, to be filled again."""

    def __init__(
        self,
        caches: list[dict],
        q_lens: Any,
        q_indptr: Any,
        parts: Any,
        views: dict | None = None,
    ):
        self.kept: list[Any] = []
        self.views = {} if views is None else views
        self.struct = _abi.Batch()
        if (q_lens is None) == (q_indptr is None):
            raise TypeError("expects either q_lens or q_indptr")
        if q_lens is not None:
            self.q_lens = _tensors.int32(q_lens, "q_lens")
            self.struct.q_len = self._address(self.q_lens)
        else:
            indptr = _tensors.int32(q_indptr, "q_indptr")
            if indptr.size == 0:
                raise _abi.InvalidArgument("'q_indptr': expects at least one entry")
            self.struct.q_indptr = self._address(indptr)
            self.q_lens = indptr[1:] - indptr[:-1]
        self.requests = len(self.q_lens)
        self.struct.requests = self.requests
        self.struct.num_caches = len(caches)
        self.indices = self.row_blocks = 0
        self.on_device: list[Any] = []
        self.lengths: list[tuple[Any, Any]] = []  # and indptr, of each cache
        structs = (_abi.CacheBatch * max(1, len(caches)))()
        for argument, part, struct in zip(
            caches, self._parts(caches, parts), structs, strict=False
        ):
            self._fill(struct, argument["name"], part)
        self.kept.append(structs)
        self.struct.caches = structs

    @staticmethod
    def _parts(caches: list[dict], parts: Any) -> list[Cache]:
        names = [cache["name"] for cache in caches]
        if isinstance(parts, Cache):
            parts = [parts]
        if isinstance(parts, dict):
            if set(parts) != set(names):
                raise TypeError(f"expects caches {names}, but got {sorted(parts)}")
            parts = [parts[name] for name in names]
        parts = list(parts)
        if len(parts) != len(names):
            raise TypeError(
                f"expects one part of the batch for each of the caches {names}, "
                f"but got {len(parts)}"
            )
        return parts

    def _address(self, array: Any) -> int:
        self.kept.append(array)
        return array.__array_interface__["data"][0]

    def _fill(self, struct: _abi.CacheBatch, name: str, part: Cache) -> None:
        arrays: dict[str, Any] = {}
        for field in ("lengths", "indptr", "last_page_len"):
            values = getattr(part, field)
            if values is None:
                continue
            array = _tensors.int32(values, f"{name}.{field}")
            wanted = self.requests + (field == "indptr")
            if len(array) != wanted:
                raise _abi.InvalidArgument(
                    f"'{name}.{field}': expects {wanted} entries, but got {len(array)}"
                )
            setattr(struct, field, self._address(array))
            arrays[field] = array
        self.lengths.append((arrays.get("lengths"), arrays.get("indptr")))
        for field in ("indices", "block_rows"):
            values = getattr(part, field)
            if values is None:
                continue
            if not hasattr(values, "__dlpack_device__") or _tensors.on_host(values):
                # Copied into the plan, so other integers may be converted first.
                values = _tensors.int32(values, f"{name}.{field}", rank=2)
            view = self.views.get((name, field))
            if view is None:
                view = _tensors.View("i32", f"{name}.{field}")
                self.views[name, field] = view
            setattr(struct, field, view.show(values))
            self.kept.append(values)
            if not _tensors.on_host(values):
                self.on_device.append(values)
                continue
            size = 1
            for extent in values.shape:
                size *= extent
            if field == "indices":
                self.indices += size
            else:
                self.row_blocks += size

    def keys(self, caches: list[dict]) -> int:
        """Tokens of all requests in all caches, or a little more."""
        total = 0
        for cache, (lengths, indptr) in zip(caches, self.lengths, strict=True):
            if lengths is not None:
                total += int(lengths.sum())
            elif indptr is not None and len(indptr):
                total += int(indptr[-1]) * cache.get("page", 1)
        return total


def cache_parts(caches: Any, **single: Any) -> Any:
    """The parts of a batch: those of `caches`, or one made of keywords."""
    given = {key: value for key, value in single.items() if value is not None}
    if caches is not None:
        if given:
            raise TypeError(
                "expects either caches= or lengths and tables of the only one"
            )
        return caches
    return [Cache(**given)] if given else []
