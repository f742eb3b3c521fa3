# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# What of bench/prefill.py needs no GPU: its specs compile, floating-point operations
# are counted as papers do, and figures become a page.
import random
import sys
from pathlib import Path

import pytest
import saccade

sys.path.append(str(Path(__file__).parents[2] / "bench"))
import prefill_cases  # noqa: E402
import report  # noqa: E402
import schedules  # noqa: E402


@pytest.mark.parametrize("key", prefill_cases.TABLE)
def test_specs_compile_for_a_gpu(key):
    spec = prefill_cases.TABLE[key].spec()
    assert b"tile.dot" in saccade.stage(spec, "tile", target="sm_90a")


def test_operations_of_a_causal_square_are_half_of_the_square():
    case = prefill_cases.TABLE["c4k"]
    assert case.flops() == 4 * 4 * 32 * 4096**2 * 128 / 2
    chunk = prefill_cases.TABLE["p1"]
    visible = sum(4096 + i + 1 for i in range(512))
    assert chunk.flops() == 16 * 2 * 32 * 256 * visible
    assert prefill_cases.TABLE["s11"].blocks_a_row == 14


def test_drawn_shapes_repeat_and_compile():
    drawn = prefill_cases.random_cases(5, random.Random(7))
    assert drawn == prefill_cases.random_cases(5, random.Random(7))
    for case in drawn.values():
        assert b"attn.attend" in saccade.stage(case.spec(), "spec", target="sm_90a")


def test_sweeps_name_each_schedule_once():
    for case in prefill_cases.TABLE.values():
        texts = schedules.sweep(case)
        assert len(texts) == len(set(texts)) > len(schedules.sweep(case, False)) > 5


def test_figures_become_a_page_and_replace_what_was_there(tmp_path):
    bar = {"ms": 1.0, "min_ms": 0.9, "max_ms": 1.2, "tflops": 500.0}
    row = {
        "case": "causal <1>", "entries": [], "floor": 1.05, "absent": {"flex": "no"},
        "candidates": {"saccade": bar, "cudnn": bar | {"tflops": 400.0}},
        "best_peer": "cudnn", "ratio": 1.25, "min_ratio": 1.2, "max_ratio": 1.3,
    }  # fmt: skip
    figures = {
        "device": "a GPU", "torch": "2", "date": "today", "table": {"c": row},
        "ablation": {"c": {"case": "c", "without": {"cse": 1.1}}},
        "sweep": {"c": {"case": "c", "gap": 0.01, "best": "x", "ms": {"x": 1}}},
        "cold": {"c": {"case": "c", "ms": {"all": 3.0, "run": 1.0}}},
    }  # fmt: skip
    page = tmp_path / "performance.md"
    page.write_text(report.HEAD + "\nKept.\n")
    for _ in range(2):
        report.write(figures, tmp_path)
    text = page.read_text()
    assert (
        text.count("| causal <1> | 500 | - | - | 400 | - | - | 1.25 (1.20-1.30) |") == 1
    )
    assert text.count("Kept.") == 1 and "| `cse` | 1.10 |" in text
    assert "causal &lt;1&gt;" in (tmp_path / "performance-prefill.svg").read_text()
    assert "floor 1.05: holds" in report.row_text(row)
