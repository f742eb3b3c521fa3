# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Turns the figures of bench/decode.py and bench/mixed.py into text: docs/performance.md
between their marks, and plots beside it. Needs no GPU."""

import pathlib

import report

COLUMNS = {
    "saccade": ("Saccade", "#1f5fbf"),
    "saccade_two": ("Saccade, two launches", "#8fb3e6"),
    "fa2": ("FlashInfer fa2", "#e08a2e"),
    "persistent": ("FlashInfer persistent", "#b5651d"),
    "xqa": ("FlashInfer xqa", "#5aa469"),
    "fa3": ("FlashInfer fa3", "#8d7bb8"),
}
WAYS = {
    "flush": "L2 cleared before each launch, an event on each side of it",
    "graph": "CUDA graphs of launches one after another, page sets that no L2 holds",
}
TITLES = {
    "decode": (
        "Decode",
        "One query token a request, bf16, GQA 32/8, head dim 128, pages of 16 tokens "
        "unless said, in random order. TB/s of keys and values, read once",
    ),
    "mixed": (
        "Mixed batches",
        "Prefill chunks and decodes in one batch, bf16, GQA 32/8, head dim 128, pages "
        "of 16 tokens. Milliseconds",
    ),
}


def rate(row: dict, ms: float) -> float:
    """TB/s."""
    return row["kv_bytes"] / ms / 1e9


def _reached(row: dict, way: str) -> str:
    """The ratio to the best of the others, and how it stands to floor and aim."""
    text, against = "", row["against"].get(way)
    if against:
        text += (
            f"; {against['ratio']:.3f} [{against['min_ratio']:.3f}-"
            f"{against['max_ratio']:.3f}] of {against['peer']}"
        )
    if way == "flush" and against and row["floor"] is not None:
        held = "holds" if against["ratio"] >= row["floor"] else "MISSED"
        text += f", floor {row['floor']}: {held}"
    ours = row["ways"][way].get("saccade")
    if way == "graph" and ours and row["aim"] is not None:
        mixed = row["queries"] > row["requests"]
        reached = ours["ms"] if mixed else -rate(row, ours["ms"])
        met = reached <= (row["aim"] if mixed else -row["aim"])
        text += f"; aim {row['aim']}: {'reached' if met else 'not reached'}"
    return text


def row_text(row: dict) -> str:
    """A row of the table as lines of a terminal."""
    lines = []
    for way, found in row["ways"].items():
        parts = [
            f"{name} {rate(row, f['ms']):.2f} ({1e3 * f['ms']:.1f} "
            f"[{1e3 * f['min_ms']:.1f}-{1e3 * f['max_ms']:.1f}])"
            for name, f in found.items()
        ]
        lines.append(
            f"{row['case']}, {way}: TB/s (us): {', '.join(parts)}{_reached(row, way)}"
        )
    for name, why in row["absent"].items():
        if not why.startswith("Refused:"):
            lines.append(f"  {name}: {why}")
    for entry in row.get("entries", []):
        spilled = entry.get("spilled_bytes")
        lines.append(f"  {entry.get('schedule')}, spilled bytes {spilled}")
    return "\n".join(lines)


def _table(figures: dict, bench: str, way: str) -> str:
    rows = [row for row in figures["table"].values() if row["ways"].get(way)]
    names = [n for n in COLUMNS if any(n in row["ways"][way] for row in rows)]
    lines = []
    for row in rows:
        cells = [row["case"]]
        for name in names:
            found = row["ways"][way].get(name)
            if not found:
                cells.append("-")
            elif bench == "mixed":
                cells.append(f"{found['ms']:.3f}")
            else:
                cells.append(f"{rate(row, found['ms']):.2f}")
        against = row["against"].get(way)
        cells.append(
            f"{against['ratio']:.2f} ({against['min_ratio']:.2f}-"
            f"{against['max_ratio']:.2f})" if against else "-"
        )  # fmt: skip
        lines.append(cells)
    unit = "ms" if bench == "mixed" else "TB/s"
    head = [unit, *(COLUMNS[name][0] for name in names), "ratio (rounds)"]
    return report.markdown(head, lines)


def _plot(figures: dict, way: str) -> str:
    rows, names = [], {}
    for row in figures["table"].values():
        found = row["ways"].get(way, {})
        shown = {
            name: f | {"tbs": rate(row, f["ms"])}
            for name, f in found.items()
            if name in COLUMNS
        }
        if shown:
            rows.append({"case": row["case"], "candidates": shown})
            names |= dict.fromkeys(shown)
    columns = {name: COLUMNS[name] for name in COLUMNS if name in names}
    return report.svg(rows, columns, "tbs", ".2f")


def _ablation(figures: dict) -> str:
    lines = []
    for row in figures["ablation"].values():
        for way, found in row["ms"].items():
            whole = found["all passes"]
            lines += [
                [row["case"], way, f"`{name.removeprefix('without ')}`", f"{ms / whole:.2f}"]
                for name, ms in found.items()
                if name != "all passes"
            ]  # fmt: skip
    return report.markdown(["case", "way", "without", "time"], lines)


def write(bench: str, figures: dict, folder: pathlib.Path = report.DOCS) -> None:
    if not figures.get("table"):
        raise SystemExit(
            f"bench/results/{bench}.json has no table: run the bench first"
        )  # fmt: skip
    title, head = TITLES[bench]
    text = (
        f"\n## {title}\n\n{figures['device']}, PyTorch {figures['torch']}, "
        f"{figures['date']}; `bench/{bench}.py` makes all of it.\n\n{head}; the ratio "
        "is to the fastest of the others, by medians, and within single rounds.\n"
    )
    for way, said in WAYS.items():
        if not any(row["ways"].get(way) for row in figures["table"].values()):
            continue
        text += f"\n{said[0].upper()}{said[1:]}:\n\n{_table(figures, bench, way)}"
        if bench == "decode":
            plot = folder / f"performance-{bench}-{way}.svg"
            plot.write_text(_plot(figures, way))
            text += f"\n![TB/s of each case, {way}]({plot.name})\n"
    if figures.get("ablation"):
        text += "\nTime with one pass switched off, over the time with all of them.\n"
        text += f"\n{_ablation(figures)}"
    print(report.place(bench, text, folder))
