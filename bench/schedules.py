# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Schedules that a sweep tries beside the one that the compiler chose: wider than what
its model admits. What does not fit by far is left out; the compiler refuses the rest."""

SHARED_BYTES = 227 << 10


def _registers(groups: int, copy: str, pages: bool) -> tuple[int, int]:
    """Of a thread that loads and of one that computes."""
    if copy == "gather":
        return (56, 152) if groups == 3 else (56, 224)
    if groups == 3:
        return 32, 160
    return (40, 232) if pages else (24, 240)


def _copies(case) -> list[str]:
    if case.layout == "paged":
        return ["tma", "gather"] if case.page % 8 == 0 else ["gather"]
    return ["tma", "gather"] if case.layout == "block_sparse" else ["tma"]


def _shapes(case, thorough: bool):
    """Warpgroups, keys and how tiles are copied, with its registers."""
    pages = case.layout in ("paged", "block_sparse")
    for groups in (1, 2, 3):
        for keys in range(48, 193, 16) if thorough else (64, 80, 96, 128, 176):
            for copy in _copies(case):
                registers = _registers(groups, copy, pages)
                # Logits in f32, weights in 16 bits, the output in f32.
                live = keys // 2 + keys // 4 + case.value_dim // 2
                if live + 24 <= registers[1]:
                    yield groups, keys, copy, *registers


def _ways(case, groups: int, keys: int, thorough: bool):
    """Stages of KV tiles and of query tiles that fit, and growth."""
    dim, value_dim = (-(-x // 64) * 64 for x in (case.dim, case.value_dim))

    def fits(stages, query_stages):
        elements = query_stages * 64 * groups * dim + stages * keys * (dim + value_dim)
        return 2 * elements + 1024 <= SHARED_BYTES

    ways = [(2, 2, 8), (2, 1, 8), (3, 1, 8), (2, 1, 0)]
    ways = [way for way in ways if fits(*way[:2])]
    return ways if thorough and groups > 1 else ways[:1]


def sweep(case, thorough: bool = True) -> list[str]:
    """Texts of #tile.schedule; of the first, warps have no roles."""
    found = ["#tile.schedule<rows = 64, keys = 64, warps = 4, weights = bf16>"]
    for groups, keys, copy, load, compute in _shapes(case, thorough):
        for stages, query_stages, growth in _ways(case, groups, keys, thorough):
            more = f", query_stages = {query_stages}" if query_stages > 1 else ""
            found.append(
                f"#tile.schedule<rows = {64 * groups}, keys = {keys}, "
                f"warps = {4 * groups}, weights = bf16, pipeline = <"
                f"stages = {stages}, copy = {copy}, load_registers = {load}, "
                f"compute_registers = {compute}, growth = {growth}{more}>>"
            )
    return found
