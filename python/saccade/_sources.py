# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where values that a function captured are found again, on every call."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from ._abi import InvalidArgument
from ._capture import (
    Path,
    PerHead,
    is_array,
    is_number,
    is_plain,
    leaf_kind,
    structure_of,
)

_MISSING = object()


@dataclass
class Leaves:
    """What functions capture now: leaves, and objects that may have more of them."""

    structure: Hashable
    values: list[Any]
    objects: list[Any]


@dataclass(frozen=True)
class Source:
    """Where something captured is found again: a leaf, or an object's attribute."""

    name: str
    index: int
    path: Path | None = None  # None: a leaf
    extent: int | None = None  # of this dimension, instead of the value

    def find(self, leaves: Leaves) -> Any:
        if self.path is None:
            return leaves.values[self.index]
        value = leaves.objects[self.index]
        try:
            for kind, name in self.path:
                if kind == "attribute":
                    value = getattr(value, name)
                else:
                    value = len(value) if kind == "length" else value[name]
        except (AttributeError, LookupError, TypeError):
            return _MISSING
        return value

    def _number(self, leaves: Leaves) -> Any:
        """What a scalar is now."""
        value = self.find(leaves)
        if self.extent is not None and is_array(value):
            return value.shape[self.extent] if self.extent < value.ndim else _MISSING
        return value

    def read(self, leaves: Leaves) -> Any:
        """The run-time value of the parameter."""
        value = self._number(leaves)
        kind = type(value)
        if kind is int or kind is float:
            return value
        if kind is PerHead:
            return value.array
        if not is_array(value):
            return value.item() if hasattr(value, "item") else value
        if getattr(value, "requires_grad", False):
            torch = sys.modules["torch"]
            if torch.is_grad_enabled() and not torch.compiler.is_compiling():
                raise InvalidArgument(
                    "expects captured tensors without a gradient, as there is no "
                    f"backward, but got '{self.name}', which requires_grad; call under "
                    "torch.no_grad(), or capture its detach()"
                )
        if value.ndim:
            return value
        return value.item() if leaf_kind(value)[2] else value.reshape(1)  # type: ignore[index]

    def constant(self, leaves: Leaves) -> Hashable:
        """What the key knows of something that was taken as it is."""
        value = self._number(leaves)
        if is_array(value):
            value = value.item() if value.ndim == 0 else value.shape
        if isinstance(value, type):
            return structure_of(value, [], [])
        known = is_plain(value) or is_number(value)
        return type(value), value if known else id(type(value))

    def kind(self, leaves: Leaves) -> Hashable:
        return leaf_kind(self._number(leaves))
