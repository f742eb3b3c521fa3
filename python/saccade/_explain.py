# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What was chosen, readable."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from . import _plan
from ._kernel import Kernel
from ._plan import Plan
from ._wrapper import Attention


class Explanation:
    """What the compiler chose for kernels, and why.

    str() and a notebook show it as a table; `reports` has all that is known, a dict a
    kernel: entries (schedule, tile, threads, shared bytes, and on a device registers
    and spills), masks with their bounds, remarks on what is not at full speed, and
    times.
    """

    def __init__(self, reports: list[dict]):
        self.reports = reports

    def __str__(self) -> str:
        return "\n\n".join(_text(report["table"]) for report in self.reports)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def explain(what: Any, *args: Any, **kwargs: Any) -> Explanation:
    """Explains a Kernel, a Plan, an Attention, or what a call launches.

    >>> print(saccade.explain(saccade.attention, q, k, v, causal=True))

    what: with a function (saccade.attention, a model) it is called with the arguments
        that follow, and each kernel that it launches is explained once.
    """
    if isinstance(what, Attention):
        return Explanation([what.kernel.explain()])
    if isinstance(what, Plan):
        return Explanation([what.kernel.explain()])
    if isinstance(what, Kernel):
        return Explanation([what.explain()])
    if not callable(what):
        raise TypeError(
            f"expects a Kernel, a Plan, an Attention or a function, but got "
            f"{type(what).__name__}"
        )
    return Explanation([kernel.explain() for kernel in _launched(what, args, kwargs)])


def _launched(function: Callable, args: tuple, kwargs: dict) -> list[Kernel]:
    with _plan.watched() as plans:
        function(*args, **kwargs)
    kernels: list[Kernel] = []
    for plan in plans:
        if plan.kernel not in kernels:
            kernels.append(plan.kernel)
    return kernels


def _text(rows: list[list[str]]) -> str:
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:{width}}{text}".rstrip() for name, text in rows)
