# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Turns the figures of bench/prefill.py into text: docs/performance.md between its
marks, and a plot beside it. Needs neither a GPU nor a plotting library. What reports
of other benches need, too, is here."""

import html
import pathlib

DOCS = pathlib.Path(__file__).parents[1] / "docs"
COLUMNS = {
    "saccade": ("Saccade", "#1f5fbf"),
    "flashinfer": ("FlashInfer fa3", "#e08a2e"),
    "flashinfer_vsa": ("FlashInfer VSA", "#b5651d"),
    "cudnn": ("cuDNN", "#5aa469"),
    "flash2": ("FlashAttention-2", "#b5b5b5"),
    "flex": ("FlexAttention", "#8d7bb8"),
}
HEAD = "# Performance\n"


def row_text(row: dict) -> str:
    """A row of the table as one line of a terminal."""
    parts = []
    for name, figures in row["candidates"].items():
        fastest, slowest = (
            figures["tflops"] * figures["ms"] / figures[bound]
            for bound in ("min_ms", "max_ms")
        )
        parts.append(f"{name} {figures['tflops']:.0f} [{slowest:.0f}-{fastest:.0f}]")
    text = f"{row['case']}: TFLOP/s: {', '.join(parts)}"
    if "ratio" in row:
        text += (
            f"; {row['ratio']:.3f} [{row['min_ratio']:.3f}-{row['max_ratio']:.3f}]"
            f" of {row['best_peer']}"
        )
        if row.get("floor") is not None:
            held = "holds" if row["ratio"] >= row["floor"] else "MISSED"
            text += f", floor {row['floor']}: {held}"
    for name, reason in row["absent"].items():
        if reason.startswith("Refused:"):
            continue  # it never computes such a case
        text += f"\n  {name}: {reason}"
    for entry in row["entries"]:
        spilled = entry.get("spilled_bytes")
        text += f"\n  {entry.get('schedule')}, spilled bytes {spilled}"
    return text


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _table(figures: dict) -> str:
    rows = []
    for row in figures["table"].values():
        cells = [row["case"]]
        for name in COLUMNS:
            found = row["candidates"].get(name)
            cells.append(f"{found['tflops']:.0f}" if found else "-")
        if "ratio" in row:
            cells.append(
                f"{row['ratio']:.2f} ({row['min_ratio']:.2f}-{row['max_ratio']:.2f})"
            )
        else:
            cells.append("-")
        rows.append(cells)
    head = ["TFLOP/s", *(title for title, _ in COLUMNS.values()), "ratio (rounds)"]
    return markdown(head, rows)


def _ablation(figures: dict) -> str:
    found = figures["ablation"].values()
    passes = dict.fromkeys(name for row in found for name in row["without"])
    rows = [
        [f"`{name}`"]
        + [
            f"{row['without'][name]:.2f}" if name in row["without"] else "-"
            for row in found
        ]
        for name in passes
    ]
    return markdown(["time without", *(row["case"] for row in found)], rows)


def _sweep(figures: dict) -> str:
    rows = [
        [row["case"], f"{row['gap']:.1%}", str(len(row["ms"])), f"`{row['best']}`"]
        for row in figures["sweep"].values()
        if "gap" in row
    ]
    return markdown(["case", "gap", "schedules", "best"], rows)


def _random(figures: dict) -> str:
    rows = [row for row in figures["random"].values() if "gap" in row]
    if not rows:
        return "None was measured.\n"
    rows.sort(key=lambda row: -row["gap"])
    within = sum(row["gap"] <= 0.05 for row in rows)
    text = f"{within} of {len(rows)} shapes are within 5 %. The worst:\n\n"
    return text + markdown(
        ["case", "gap"], [[row["case"], f"{row['gap']:.1%}"] for row in rows[:5]]
    )


def _jit(figures: dict) -> str:
    rows = [
        [
            row["case"], f"{row['ms']['jit']:.3f}", f"{row['ms']['ptxas']:.3f}",
            f"{row['jit_over_ptxas']:.3f}",
        ]
        for row in figures["jit_and_ptxas"].values()
    ]  # fmt: skip
    return markdown(["case", "driver's JIT, ms", "ptxas, ms", "ratio"], rows)


def _cold(figures: dict) -> str:
    rows = [
        [row["case"], *(f"{row['ms'][part]:.0f}" for part in row["ms"])]
        for row in figures["cold"].values()
    ]
    parts = next(iter(figures["cold"].values()))["ms"]
    return markdown(["case, ms", *parts], rows)


SECTIONS = {
    "table": (
        "bf16, GQA 32/8, head dim 128 unless said; the ratio is to the fastest of the "
        "others, by medians, and within single rounds. Causal squares count half.",
        _table,
    ),
    "ablation": (
        "Time with one pass switched off, over the time with all of them.", _ablation
    ),
    "sweep": ("How far the chosen schedule is from the best of a sweep.", _sweep),
    "random": ("The same on shapes drawn at random.", _random),
    "jit_and_ptxas": ("The same kernels through the driver and through ptxas.", _jit),
    "cold": (
        "From the text of a spec to the first result, in a fresh process with no "
        "caches; `compile` to PTX, `plan` with the driver's JIT, `run`.",
        _cold,
    ),
}  # fmt: skip


def svg(rows: list[dict], columns=COLUMNS, rate="tflops", form=".0f") -> str:
    """Bars of rates, with the range over rounds; one group a case."""
    left, width, bar, gap = 300, 520, 11, 14
    most = max(f[rate] for row in rows for f in row["candidates"].values()) * 1.06
    parts, y = [], 34
    for x, (title, colour) in enumerate(columns.values()):
        at = 20 + 138 * x
        parts.append(f'<rect x="{at}" y="10" width="11" height="11" fill="{colour}"/>')
        parts.append(f'<text x="{at + 16}" y="20">{title}</text>')
    for row in rows:
        shown = [name for name in columns if name in row["candidates"]]
        middle = y + len(shown) * bar / 2 + 4
        parts.append(
            f'<text x="{left - 8}" y="{middle:.0f}" text-anchor="end">'
            f"{html.escape(row['case'])}</text>"
        )
        for name in shown:
            found = row["candidates"][name]
            end = left + width * found[rate] / most
            parts.append(
                f'<rect x="{left}" y="{y}" width="{end - left:.1f}" '
                f'height="{bar - 1}" fill="{columns[name][1]}"/>'
            )
            low, high = (
                left + width * found[rate] * found["ms"] / found[bound] / most
                for bound in ("max_ms", "min_ms")
            )
            parts.append(
                f'<path d="M{low:.1f} {y + bar / 2 - 0.5}H{high:.1f}" stroke="black"/>'
            )
            parts.append(
                f'<text x="{max(end, high) + 4:.1f}" y="{y + bar - 2}" font-size="9">'
                f"{found[rate]:{form}}</text>"
            )
            y += bar
        y += gap
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 40}" '
        f'height="{y}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def place(name: str, text: str, folder: pathlib.Path) -> pathlib.Path:
    """Puts text between a bench's marks in the page, which is made if need be."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = folder / "performance.md"
    old = page.read_text() if page.exists() else HEAD
    if begin not in old:
        old += f"\n{begin}\n{end}\n"
    before, rest = old.split(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")
    return page


def write(figures: dict, folder: pathlib.Path = DOCS) -> None:
    if not figures.get("table"):
        raise SystemExit("bench/results/prefill.json has no table: run the bench first")
    text = (
        f"\n## Prefill\n\n{figures['device']}, PyTorch {figures['torch']}, "
        f"{figures['date']}; `bench/prefill.py` makes all of it.\n"
    )
    for section, (title, make) in SECTIONS.items():
        if not figures.get(section):
            continue
        text += f"\n{title}\n\n{make(figures)}"
        if section == "table":
            text += "\n![TFLOP/s of each case](performance-prefill.svg)\n"
    page = place("prefill", text, folder)
    plot = folder / "performance-prefill.svg"
    plot.write_text(svg(list(figures["table"].values())))
    print(f"{page} and {plot}")
