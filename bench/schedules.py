# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Schedules that a sweep tries beside the one that the compiler chose. What does not
fit is left out by a rough count; the compiler refuses the rest with the numbers."""

SHARED_BYTES = 227 << 10
# Warpgroups that compute: registers of a thread that loads (by tensor maps, by
# gathering), and of one that computes.
REGISTERS = {1: (56, 56, 240), 2: (24, 40, 240), 3: (32, 32, 160)}


def _text(rows, keys, warps, pipeline=None):
    more = ""
    if pipeline is not None:
        stages, copy, load, compute, growth = pipeline
        more = (
            f", pipeline = <stages = {stages}, copy = {copy}, load_registers = {load}"
            f", compute_registers = {compute}, growth = {growth}>"
        )
    return (
        f"#tile.schedule<rows = {rows}, keys = {keys}, warps = {warps}"
        f", weights = bf16{more}>"
    )


def _copies(case):
    if case.layout == "paged":
        return ["tma", "gather"] if case.page % 8 == 0 else ["gather"]
    return ["tma", "gather"] if case.layout == "block_sparse" else ["tma"]


def sweep(case, thorough: bool = True) -> list[str]:
    """Texts of #tile.schedule, the first without a pipeline."""
    all_keys = range(48, 193, 16) if thorough else (48, 80, 96, 128, 176)
    found = [_text(64, 64, 4)]
    for groups, (load_tma, load_gather, compute) in REGISTERS.items():
        rows = 64 * groups
        for keys in all_keys:
            # Logits in f32, weights in 16 bits, the output in f32.
            live = keys // 2 + keys // 4 + case.value_dim // 2
            if live > compute - 24:
                continue
            for stages in (2, 3) if thorough and groups > 1 else (2,):
                tiles = stages * keys * (case.dim + case.value_dim)
                if 2 * (rows * case.dim + tiles) + 1024 > SHARED_BYTES:
                    continue
                for copy in _copies(case):
                    load = load_tma if copy == "tma" else load_gather
                    for growth in (8, 0) if thorough and stages == 2 else (8,):
                        found.append(
                            _text(
                                rows, keys, 4 * groups,
                                (stages, copy, load, compute, growth),
                            )
                        )  # fmt: skip
    return found
