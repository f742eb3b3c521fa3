# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# What of bench/decode.py and bench/mixed.py needs no GPU: specs compile, lengths repeat
# themselves, and figures become a page.
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import saccade

BENCH = Path(__file__).parents[2] / "bench"
sys.path.append(str(BENCH))
import decode_cases  # noqa: E402
import decode_report  # noqa: E402
import report  # noqa: E402

CASES = decode_cases.TABLE | decode_cases.MIXED


@pytest.mark.parametrize("hint", [None, 1, 1024])
@pytest.mark.parametrize("page", [1, 16])
def test_specs_compile_for_a_gpu(page, hint):
    spec = decode_cases.Case("", (4096,), page=page).spec(hint)
    assert ("query_tokens" in spec) == (hint is not None)
    assert b"tile.dot" in saccade.stage(spec, "tile", target="sm_90a")


def test_bytes_are_those_of_keys_and_values():
    assert decode_cases.TABLE["b64"].kv_bytes() == 64 * 4096 * 2 * 8 * 128 * 2
    halves = decode_cases.TABLE["b64_fp8"].kv_bytes() * 2
    assert halves == decode_cases.TABLE["b64p1"].kv_bytes()


@pytest.mark.parametrize("key", CASES)
def test_pages_hold_what_lengths_say(key):
    case = CASES[key]
    assert len(case.q_lens) == case.requests == len(case.page_indptr) - 1
    pages, last = case.pages, case.last_page_lens
    for tokens, count, left in zip(case.kv_lens, pages, last, strict=True):
        assert (count - 1) * case.page + left == tokens and 1 <= left <= case.page
    assert all(q <= kv for q, kv in zip(case.q_lens, case.kv_lens, strict=True))


def test_lengths_repeat_themselves():
    assert decode_cases.uniform(9, 10, 20, 3) == decode_cases.uniform(9, 10, 20, 3)
    drawn = decode_cases.zipf(128, 32768)
    assert drawn == decode_cases.ZIPF and sum(drawn) == 328531
    assert max(drawn) == 32768 and list(drawn) != sorted(drawn)
    decodes, chunks = decode_cases.MIXED["mixed"].q_lens[:100], slice(100, None)
    assert set(decodes) == {1}
    part = decode_cases.MIXED["mixed"].part(chunks)
    assert part.q_lens == (1024, 1024) and part.kv_lens == (4096, 4096)


def test_lengths_of_services_are_read_where_they_are(tmp_path):
    assert decode_cases.traced(tmp_path) == {}
    (tmp_path / "conversation.jsonl").write_text(
        '{"input_length": 100, "output_length": 7}\n' * 64
    )
    (tmp_path / "chat_lengths.csv").write_text(
        "context_tokens,generated_tokens\n" + "30,0\n" * 200
    )
    cases = decode_cases.traced(tmp_path)
    assert set(cases) == {"conversation", "chat"}
    assert set(cases["conversation"].kv_lens) <= set(range(101, 108))
    assert cases["chat"].kv_lens == (31,) * 128
    assert cases == decode_cases.traced(tmp_path)


@pytest.mark.parametrize(("bench", "key"), [("decode", "zipf_fp8"), ("mixed", "mixed")])
def test_what_would_be_measured_needs_no_gpu(bench, key):
    command = [sys.executable, BENCH / f"{bench}.py", "--dry"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert CASES[key].name in done.stdout
    done = subprocess.run(
        [*command, "--cases", "none"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "but got none" in done.stderr


def figures(case, **ways):
    row = {
        "case": case.name, "requests": case.requests, "queries": sum(case.q_lens),
        "kv_bytes": case.kv_bytes(), "floor": case.floor, "aim": case.aim,
        "entries": [], "absent": {"xqa": "Refused: pages", "flex": "no"}, "ways": ways,
        "against": {
            "flush": {"peer": "fa2", "ratio": 1.2, "min_ratio": 1.1, "max_ratio": 1.3}
        },
    }  # fmt: skip
    return {"device": "a GPU", "torch": "2", "date": "today", "table": {"c": row}}


def bar(ms):
    return {"ms": ms, "min_ms": 0.9 * ms, "max_ms": 1.1 * ms}


def test_figures_of_decode_become_a_page(tmp_path):
    case = decode_cases.TABLE["b64"]
    ms = case.kv_bytes() / 4e9
    found = figures(
        case, flush={"saccade": bar(ms), "fa2": bar(1.2 * ms)}, graph={"saccade": bar(ms)}
    )  # fmt: skip
    found["ablation"] = {
        "c": {"case": "c", "ms": {"graph": {"all passes": 2.0, "without cse": 3.0}}}
    }
    page = tmp_path / "performance.md"
    page.write_text(report.HEAD + "\nKept.\n")
    for _ in range(2):
        decode_report.write("decode", found, tmp_path)
    text = page.read_text()
    assert text.count("| 64 x 4096 | 4.00 | 3.33 | 1.20 (1.10-1.30) |") == 1
    assert text.count("| 64 x 4096 | 4.00 | - |") == 1 and "Kept." in text
    assert "| c | graph | `cse` | 1.50 |" in text
    for way in ("flush", "graph"):
        assert "64 x 4096" in (tmp_path / f"performance-decode-{way}.svg").read_text()
    line = decode_report.row_text(found["table"]["c"])
    assert "floor 1.01: holds" in line and "aim 4.35: not reached" in line
    assert "flex: no" in line and "Refused" not in line


def test_figures_of_mixed_batches_are_times(tmp_path):
    case = decode_cases.MIXED["mixed"]
    found = figures(
        case, flush={"saccade": bar(0.5), "fa2": bar(0.6)}, graph={"saccade": bar(0.4)}
    )
    decode_report.write("mixed", found, tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert f"| {case.name} | 0.500 | 0.600 | 1.20 (1.10-1.30) |" in text
    line = decode_report.row_text(found["table"]["c"])
    assert "floor 1.2: holds" in line and "aim 0.45: reached" in line


def test_batches_do_not_share_pages():
    torch = pytest.importorskip("torch")
    import paged_batches

    case = decode_cases.Case(
        "", (100, 1, 37), (1, 1, 20), page=4, heads=4, kv_heads=2, dim=16
    )
    pool = paged_batches.Pool(torch, "bf16", elements=1 << 16, device="cpu")
    batch = paged_batches.Batch(torch, case, pool, sets=3)
    tables = [batch.tables[i].tolist() for i in range(3)]
    assert len(set(itertools.chain(*tables))) == 3 * sum(case.pages)
    rectangle = batch.rectangle(1)
    assert rectangle.shape == (3, 25) and rectangle[0].tolist() == tables[1][:25]
    assert batch.error(batch.wanted) == 0 and batch.error(batch.empty()) > 1e9
    kernel = saccade.compile(case.spec(), device="cpu")
    plan = kernel.plan(
        list(case.q_lens), kv_lens=list(case.kv_lens),
        kv_indptr=case.page_indptr, page_table=batch.tables[0],
    )  # fmt: skip
    assert batch.error(kernel.run(plan, batch.q, batch.cache, out=batch.empty())) < 1e-2
