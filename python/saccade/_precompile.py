# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kernels made ahead of time, for this process or into a folder that ships."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from ctypes import byref, c_char_p, c_void_p
from typing import Any

from . import _abi
from ._abi import lib
from ._description import Description
from ._kernel import Kernel, compile_text, engine, read_spec, where_to_compile


def precompile(
    specs: Any,
    *,
    directory: str | os.PathLike | None = None,
    target: str | None = None,
    device: str | None = None,
    query_tokens: int = 0,
    progress: bool | None = None,
) -> list[Kernel]:
    """Compiles many kernels, several at a time.

    specs: one or several of: the text or the path of a spec, of which all kernels are
        compiled; a folder with .mlir files; keywords of saccade.Attention, as a dict.
    directory: where kernels go, besides the cache that saccade.compile uses. Ship it,
        and name it in SACCADE_KERNELS (folders with colons between them) where it is
        used: kernels are then found there, and nothing is compiled. It serves the
        build of libsaccade that made it (saccade.build_id()) and, for the CPU, its
        kind of processor; others compile.
    target, device, query_tokens: as for saccade.compile.
    progress: shows a bar; by default on a terminal.

    >>> saccade.precompile("kernels/", target="sm_90a", directory="shipped")

    Returns the kernels. Raises SpecError, InvalidArgument.
    """
    here, target = where_to_compile(device, target)
    work = list(_specs(specs))
    engines = [engine()]
    filled = c_void_p()
    if directory is not None:
        options = _abi.EngineOptions(cache_dir=os.fspath(directory).encode())
        lib.saccade_engine_create(byref(options), byref(filled))
        engines.append(filled)

    def make(item: tuple[str, str, str | None, int]) -> Kernel:
        text, name, kernel, tokens = item
        handles = [
            compile_text(
                owner, text, name=name, kernel=kernel, target=target,
                query_tokens=tokens or query_tokens,
            )
            for owner in engines
        ]  # fmt: skip
        for handle in handles[1:]:
            lib.saccade_kernel_destroy(handle)
        return Kernel(handles[0], here)

    if progress is None:
        progress = sys.stderr.isatty()
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            kernels = pool.map(make, work)
            return list(_shown(kernels, len(work)) if progress else kernels)
    finally:
        if filled:
            lib.saccade_engine_destroy(filled)


def _specs(specs: Any) -> Iterator[tuple[str, str, str | None, int]]:
    """Text, name, kernel and query tokens of all that is asked for."""
    if isinstance(specs, (str, os.PathLike, Mapping)):
        specs = [specs]
    for spec in specs:
        if isinstance(spec, Mapping):
            given = Description(**spec)
            yield given.text(), "attention", None, given.query_tokens
        elif not isinstance(spec, (str, os.PathLike)):
            raise TypeError(
                f"expects specs as text, paths, or keywords of saccade.Attention, but "
                f"got {type(spec).__name__}"
            )
        elif os.path.isdir(spec):
            files = sorted(os.listdir(spec))
            yield from _specs(
                [os.path.join(spec, x) for x in files if x.endswith(".mlir")]
            )
        else:
            text, name = read_spec(spec)
            for kernel in _kernels_of(text, name):
                yield text, name, kernel, 0


def _kernels_of(text: str, name: str) -> list[str]:
    encoded, names = text.encode(), c_char_p()
    lib.saccade_spec_kernels(encoded, len(encoded), name.encode(), byref(names))
    return (names.value or b"").decode().split()


def _shown(kernels: Iterable[Kernel], total: int) -> Iterator[Kernel]:
    """The kernels, with a bar that says how far they have come."""
    try:
        from tqdm import tqdm
    except ImportError:
        for count, kernel in enumerate(kernels, 1):
            bar = "#" * (30 * count // total)
            end = "\n" if count == total else ""
            print(f"\r\033[K[{bar:.<30}] {count}/{total} {kernel.name}", end=end,
                  file=sys.stderr, flush=True)  # fmt: skip
            yield kernel
        return
    with tqdm(kernels, total=total, unit="kernel") as bar:
        for kernel in bar:
            bar.set_postfix_str(kernel.name)
            yield kernel
