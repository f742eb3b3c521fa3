# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plans: who computes what of a batch, and their runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from ctypes import byref, c_void_p
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _abi, _tensors
from ._abi import lib
from ._batch import BatchView, Cache, cache_parts
from ._frame import Frame

if TYPE_CHECKING:
    from ._kernel import Kernel


@dataclass
class Capacity:
    """What the largest batch of a plan needs; 0 means "as this batch".

    ``keys``, the sum of all lengths, is used by batch-invariant plans alone.
    ``fixed_grid`` keeps addresses and the launch as they are from one update to the
    next, so that a captured CUDA graph replays with the next plan. ``on_device``
    makes room for Plan.update_on_device (CUDA; the grid is then fixed too), and
    ``checked`` tests page ids that lie on the device before each run, for Plan.check.
    ``dependent_launch`` lets runs begin while the kernel before them in the stream
    still runs (CUDA 12.3, sm_90 or later): that kernel may write queries and new
    tokens, and must not write other inputs, page tables or older keys among them.
    ``workspace``, an array of bytes on the device, is memory to use instead of
    allocating it; Kernel.workspace_bytes says how much.
    """

    requests: int = 0
    query_tokens: int = 0
    indices: int = 0
    row_blocks: int = 0
    keys: int = 0
    ctas: int = 0
    fixed_grid: bool = False
    on_device: bool = False
    checked: bool = False
    dependent_launch: bool = False
    workspace: Any = None

    def flags(self) -> int:
        return (
            (_abi.FIXED_GRID if self.fixed_grid else 0)
            | (_abi.ON_DEVICE if self.on_device else 0)
            | (_abi.CHECKED if self.checked else 0)
            | (_abi.DEPENDENT_LAUNCH if self.dependent_launch else 0)
        )

    def _struct(self, flags: int = 0, **batch: int) -> _abi.Capacity:
        """As the C API has it; `batch` has what the fields that are 0 mean."""
        sizes = {
            name: getattr(self, name) or batch.get(name, 0)
            for name in ("requests", "query_tokens", "indices", "row_blocks", "keys")
        }
        struct = _abi.Capacity(ctas=self.ctas, flags=flags | self.flags(), **sizes)
        if self.workspace is not None:
            view = _tensors.View("u8", "workspace")
            view.show(self.workspace)
            tensor = view.tensor
            if (tensor.code, tensor.bits) != (1, 8) or tensor.ndim != 1:
                raise _abi.InvalidArgument(
                    "expects workspace to be bytes (uint8) in one dimension"
                )
            struct.workspace, struct.workspace_bytes = tensor.data, tensor.shape[0]
        return struct


_watchers: list[list[Plan]] = []


@contextlib.contextmanager
def watched() -> Iterator[list[Plan]]:
    """Collects the plans that run meanwhile, in all threads."""
    plans: list[Plan] = []
    _watchers.append(plans)
    try:
        yield plans
    finally:
        _watchers.remove(plans)


def launch_count() -> int:
    """Runs of kernels in this process so far, each one call of the C API."""
    return lib.saccade_run_count()


class Plan:
    """Who computes what of a batch. Used by one thread, and one stream, at a time."""

    def __init__(
        self,
        kernel: Kernel,
        device: _abi.DLDevice,
        batch: BatchView,
        capacity: Capacity,
        flags: int,
        stream: int,
        growth: int = 1,
    ):
        self.kernel = kernel
        self._device = device
        self._handle = c_void_p()
        struct = capacity._struct(
            flags,
            requests=growth * batch.requests,
            query_tokens=growth * int(batch.q_lens.sum()),
            indices=growth * batch.indices,
            row_blocks=growth * batch.row_blocks,
            keys=growth * batch.keys(kernel._caches),
        )
        self._workspace = capacity.workspace  # kept alive
        lib.saccade_plan_create(
            kernel._module, device, byref(struct), byref(self._handle)
        )
        self._frame = Frame(
            kernel.arguments, kernel.results, self._handle.value, device
        )
        self._views = batch.views
        self._update(batch, stream)

    def __del__(self) -> None:
        if getattr(self, "_handle", None) and lib:
            lib.saccade_plan_destroy(self._handle)
            self._handle = None

    def update(
        self,
        q_lens: Any = None,
        *,
        q_indptr: Any = None,
        kv_lens: Any = None,
        kv_indptr: Any = None,
        page_table: Any = None,
        last_page_len: Any = None,
        block_rows: Any = None,
        caches: Sequence[Cache] | dict[str, Cache] | None = None,
        stream: int = 0,
    ) -> None:
        """Plans the next batch in the same memory; arguments as for Kernel.plan.
        Raises OutOfCapacity, and keeps the old batch, if it does not fit."""
        parts = cache_parts(
            caches,
            lengths=kv_lens,
            indptr=kv_indptr,
            indices=page_table,
            last_page_len=last_page_len,
            block_rows=block_rows,
        )
        batch = BatchView(self.kernel._caches, q_lens, q_indptr, parts, self._views)
        self._update(batch, stream)

    def _update(self, batch: BatchView, stream: int) -> None:
        lib.saccade_plan_update(self._handle, byref(batch.struct), stream)
        self._tables = batch.on_device  # used in place
        self._batch = batch

    def _update_keys(self, count: int, stream: int) -> None:
        """Plans the same queries over `count` keys each, for a plan whose lengths
        came as lists: the arrays made of these are written again."""
        batch = self._batch
        batch.lengths[0][0].fill(count)
        lib.saccade_plan_update(self._handle, byref(batch.struct), stream)

    def update_on_device(
        self,
        q_lens: int = 0,
        *,
        kv_lens: Any,
        page_table: Any,
        q_indptr: Any = None,
        stream: int | None = None,
    ) -> None:
        """Plans a batch whose lengths lie on the device, by a kernel on the stream.

        Nothing is copied to the host and nothing waits, so this call and run may be
        captured together, and be replayed with other lengths in the same tensors. The
        plan's capacity says on_device, and the kernel has one paged cache.

        q_lens: query tokens of every request (an int); or q_indptr, int32
            [requests + 1] on the device.
        kv_lens: int32 [requests]; page_table: int32 [requests, max_pages]; both on
            the device, and read again by each run: they must stay alive.
        stream: a CUstream; default: torch's current stream if tensors are torch's.
        Lengths beyond the table are cut to what fits; see check.
        """
        tables = [kv_lens, page_table] + ([] if q_indptr is None else [q_indptr])
        if stream is None:
            stream = _tensors.current_stream(tables, self._device)
        names = ("kv_lens", "page_table", "q_indptr")
        views = [
            _tensors.View("i32", name) for name, _ in zip(names, tables, strict=False)
        ]
        shown = [
            view.show(table, stream) for view, table in zip(views, tables, strict=True)
        ]
        batch = _abi.DeviceBatch(
            requests=kv_lens.shape[0],
            q_len=q_lens,
            lengths=shown[0],
            indices=shown[1],
        )
        if q_indptr is not None:
            batch.q_indptr = shown[2]
        lib.saccade_plan_update_on_device(self._handle, byref(batch), stream)
        self._tables = tables

    def check(self, stream: int = 0) -> None:
        """Waits for the stream, and raises InvalidArgument if kernels have found a
        wrong length (on_device) or page id (checked) since the last check."""
        lib.saccade_plan_check(self._handle, stream)

    def describe(self) -> str:
        """The plan as text."""
        return lib.saccade_plan_describe(self._handle).decode()

    def picture(self) -> str:
        """The plan as an SVG: the modelled load of every CTA."""
        return lib.saccade_plan_picture(self._handle).decode()

    def _launch(
        self, values: list[Any], outputs: list[Any], stream: int | None
    ) -> None:
        """Runs on values in the kernel's order, which are not looked at again. Without
        a stream, on the current one of their framework."""
        status = self._frame.run([*values, *outputs], stream)
        if status:
            _abi.fail(status)
        if _watchers:
            for plans in _watchers:
                plans.append(self)

    def _repr_html_(self) -> str:
        return self.picture()

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """``plan.kernel.run(plan, ...)``."""
        return self.kernel.run(self, *args, **kwargs)
