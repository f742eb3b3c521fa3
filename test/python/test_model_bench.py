# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# What of bench/hf_model.py needs neither a GPU nor transformers: its text.
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "bench"))
import hf_model  # noqa: E402

FIGURES = {
    "device": "a GPU",
    "torch": "2",
    "transformers": "5",
    "date": "today",
    "layers": 4,
    "table": {
        "prefill": {
            "case": "prefill",
            "candidates": {
                "saccade": {"ms": 2.0, "min_ms": 1.9, "max_ms": 2.1, "gpu_ms": 1.5},
                "sdpa": {"ms": 3.0, "min_ms": 2.9, "max_ms": 3.1, "gpu_ms": 3.0},
            },
            "absent": {"flash_attention_2": "not installed"},
            "best_peer": "sdpa",
            "ratio": 1.5,
            "min_ratio": 1.4,
            "max_ratio": 1.6,
            "gpu_ratio": 2.0,
        },
        "static": {
            "case": "static",
            "candidates": {"saccade": {"ms": 2.0, "min_ms": 1.9, "max_ms": 2.1}},
            "absent": {},
        },
    },
}


def test_rows_become_text():
    text = hf_model.row_text(FIGURES["table"]["prefill"])
    assert "saccade 2.00 [1.90-2.10], GPU 1.50" in text
    assert "1.500 [1.400-1.600] of sdpa, GPU 2.000" in text
    assert text.endswith("flash_attention_2: not installed")


def test_figures_become_a_section(tmp_path):
    hf_model.write_report(FIGURES, tmp_path)
    page = (tmp_path / "performance.md").read_text()
    assert "| prefill | 2.00 (1.50) | 3.00 (3.00) | 1.50 (1.40-1.60) | 2.00 |" in page
    assert "| static | 2.00 | - | - | - |" in page
    hf_model.write_report(FIGURES, tmp_path)
    assert (tmp_path / "performance.md").read_text() == page
