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
        return "\n\n".join(_text(_rows(report)) for report in self.reports)

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


def _rows(report: dict) -> list[tuple[str, str]]:
    rows = [("kernel", report["kernel"]), ("target", report["target"])]
    if "device" in report:
        rows.append(("device", report["device"]))
    if "driver" in report:
        rows.append(("least driver", str(report["driver"])))
    for entry in report["entries"]:
        rows += _entry_rows(entry)
    for mask in report["masks"]:
        count = mask.get("intervals", 0)
        bounds = (
            f"bounds in closed form, intervals of keys: {count}"
            if count
            else "no closed form, every key is tested"
        )
        rows.append(("mask", f"@{mask['variant']}: {bounds}"))
    rows += [("remark", remark) for remark in report["remarks"]]
    rows.append(("passes off", ", ".join(report["disabled"]) or "none"))
    rows.append(("from", f"{report['cache']} in {report['create_ms']:.3g} ms"))
    return rows


def _entry_rows(entry: dict) -> list[tuple[str, str]]:
    rows = [(entry["name"], f"{entry['kind']}, {entry.get('schedule', 'no schedule')}")]
    rows.append(
        (
            "  item",
            f"up to {entry['rows_per_item']} packed rows ({entry['group']} query heads "
            f"a KV head) x {entry['kv_tile']} keys a step, {entry['kv_heads']} KV heads",
        )
    )
    least, most = (entry.get("rows", {}).get(name) for name in ("least", "most"))
    if least:
        rows.append(("  requests", f"of {least} rows or more"))
    if most:
        rows.append(("  requests", f"of {most} rows or less"))
    resources = [
        f"{entry[name]} {text}"
        for name, text in (
            ("threads", "threads"),
            ("shared_bytes", "shared bytes"),
            ("registers", "registers"),
            ("spilled_bytes", "bytes spilled"),
            ("blocks_per_processor", "blocks per SM"),
        )
        if name in entry
    ]
    if resources:
        rows.append(("  resources", ", ".join(resources)))
    return rows


def _text(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:{width}}{text}".rstrip() for name, text in rows)
