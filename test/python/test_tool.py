# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The tool `saccade`: what it prints, what it accepts, its exit codes.
import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
BUILD = pathlib.Path(
    os.environ.get(
        "SACCADE_BUILD_DIR", ROOT / "build" / os.environ.get("SACCADE_PRESET", "dev")
    )
)
DECODE = EXAMPLES / "llama3_decode.mlir"


def saccade(*arguments, code=0, **options):
    done = subprocess.run(
        [BUILD / "bin" / "saccade", *map(str, arguments)],
        capture_output=True, **options,  # noqa: UP022
    )  # fmt: skip
    assert done.returncode == code, done.stderr.decode()
    return done.stdout.decode(errors="replace") if code == 0 else done.stderr.decode()


@pytest.mark.parametrize(
    "target, stage, text",
    [
        ("cpu", "spec", "attn.kernel @llama3_decode(%q:"),
        ("cpu", "mlir", "attn.bounds"),
        ("cpu", "tile", "tile.dot"),
        ("cpu", "llvm", "define void @llama3_decode"),
        ("cpu", "obj", "ELF"),
        ("cpu", "blob", "SACCADE\n"),
        ("sm_90a", "tile", "tile.dot"),
        ("sm_90a", "llvm", "target triple"),
        ("sm_90a", "ptx", ".target sm_90a"),
        ("sm_80", "ptx", ".target sm_80"),
    ],
)
def test_compile_prints_every_stage(target, stage, text):
    assert text in saccade("compile", DECODE, "--target", target, "--emit", stage)


def test_compile_reads_standard_input_and_writes_files(tmp_path):
    output = tmp_path / "kernel.s"
    saccade(
        "compile", "-", "--target", "sm_89", "-o", output, input=DECODE.read_bytes()
    )
    assert ".entry llama3_decode" in output.read_text()
    report = json.loads(saccade("compile", DECODE, "--emit", "tile", "--json"))
    assert report["kernel"] == "llama3_decode" and "tile.dot" in report["text"]
    assert {"attn", "tile", "parse"} <= set(report["stages_ms"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["compile", "no_such_file"], "expects a readable file"),
        (["compile", DECODE, "--target", "sm_1"], "--target"),
        (["compile", DECODE, "--emit", "ptx"], "expects a target that has the stage"),
        (["compile", DECODE, "--kernel", "x"], "expects one of the spec's kernels"),
        (["compile", DECODE, "--schedule", "7"], "expects a #tile.schedule"),
        (["compile", DECODE, "--query-tokens", "0"], "--query-tokens"),
        (["compile", DECODE, "--disable", "x"], "--disable"),
        (["run", DECODE, "--device", "abacus"], "expects a device"),
        (["run", DECODE, "--device", "cpu", "--batch", "1:x"], "expects a length"),
        (["run", DECODE, "--device", "cpu", "--batch", "-1:3"], "expects a length"),
        (["run", DECODE, "--device", "cpu", "--draw", "x:3"], "expects --draw"),
        (["run", DECODE, "--device", "cpu", "--param", "x=1"], "named 'x'"),
        (["run", DECODE, "--device", "cpu", "--param", "x"], "name=value"),
        (["frobnicate"], "subcommand"),
        ([], "subcommand"),
    ],
)
def test_wrong_input_ends_with_code_1_and_a_reason(arguments, message):
    assert message in saccade(*arguments, code=1)


def schedule(rows=192, keys=80, warps=12, weights="bf16", stages=2, compute=160):
    return (
        f"#tile.schedule<rows = {rows}, keys = {keys}, warps = {warps}, "
        f"weights = {weights}, pipeline = <stages = {stages}, copy = tma, "
        f"load_registers = 32, compute_registers = {compute}, growth = 8>>"
    )


@pytest.mark.parametrize(
    "target, text, message",
    [
        ("sm_90a", schedule(stages=8), "at most 232448 bytes of shared memory, but"),
        ("sm_90a", schedule(compute=168), "at most 65536 registers, but 128 threads"),
        ("sm_90a", schedule(compute=300), "multiples of 8 from 24 to 240, but got 300"),
        ("sm_90a", schedule(keys=160), "160 keys and 128 columns of values take 184"),
        ("sm_90a", schedule(keys=72), "a multiple of 16 up to 256 with a pipeline"),
        ("sm_90a", schedule(rows=200), "but got 200 rows and 12 warps"),
        ("sm_90a", schedule(warps=8), "but got 192 rows and 8 warps"),
        ("sm_90a", schedule(stages=0), "expects 1 to 64 stages, but got 0"),
        ("sm_90a", schedule(weights="f32"), "expects weights of f16 or bf16 with a"),
        ("sm_90a", schedule(weights="f16"), "both sides in bf16 or both in f16 on"),
        ("sm_80", schedule(), "expects sm_90a for a pipeline, but the target is sm_80"),
        ("sm_120", schedule(), "for a pipeline, but the target is sm_120"),
        ("cpu", schedule(), "expects sm_90a for a pipeline, but the target is cpu"),
    ],
)
def test_schedules_that_do_not_fit_are_refused_with_numbers(target, text, message):
    prefill = EXAMPLES / "llama3_prefill.mlir"
    assert message in saccade(
        "compile", prefill, "--target", target, "--schedule", text, code=1
    )


def test_diagnostics_name_the_file_and_the_place(tmp_path):
    spec = tmp_path / "wrong.mlir"
    spec.write_text(
        "attn.variant @v() {\n  attn.mask(query %q) { attn.yield %k : i1 }\n}\n"
    )
    assert f"{spec}:2:36: error" in saccade("compile", spec, code=1)


@pytest.mark.parametrize("spec", sorted(EXAMPLES.glob("*.mlir")), ids=lambda p: p.stem)
def test_run_checks_every_example(spec):
    report = json.loads(
        saccade("run", spec, "--check", "--json", "--device", "cpu", "--repeat", 1,
                "--rows", 60, "--batch", "1:33, 7:100, 0:5, 2*20:20")
    )  # fmt: skip
    assert report["check"]["good"] and report["check"]["rows"] >= 60
    assert report["requests"] == 5 and report["query_tokens"] == 48


def test_run_reads_a_file_of_lengths(tmp_path):
    lengths = tmp_path / "lengths.csv"
    lengths.write_text("q_len,kv_len\n1,17 # a comment\n\n# and one\n3,3\n0,4\n")
    text = saccade("run", DECODE, "--device", "cpu", "--check", "--lengths", lengths)
    assert "3 requests" in text and "4 queries, 24 keys" in text and "passed" in text
    lengths.write_text("1,17\n1;3\n")
    message = saccade("run", DECODE, "--device", "cpu", "--lengths", lengths, code=1)
    assert f"{lengths}:2: expects a length" in message


def test_run_of_no_requests():
    text = saccade("run", DECODE, "--device", "cpu", "--check", "--batch", "0:0,0:7")
    assert "0 queries" in text and "passed" in text


def test_plan_and_explain():
    text = saccade(
        "plan", DECODE, "--target", "sm_90a", "--batch", "2*1:100", "--ctas", 4
    )
    assert text.startswith("plan @llama3_decode: 2 requests, 2 query tokens")
    text = saccade("explain", DECODE, "--target", "sm_90a", "--device", "cpu")
    assert "bounds in closed form" in text and "#tile.schedule" in text
    report = json.loads(saccade("explain", DECODE, "--device", "cpu", "--json"))
    assert report["target"].startswith("cpu:")
    prefill = EXAMPLES / "llama3_prefill.mlir"
    table = json.loads(
        saccade("explain", prefill, "--target", "sm_90a", "--device", "cpu", "--json")
    )["table"]
    assert table[0] == ["kernel", "llama3_prefill"]
    assert ["  launch", "that of llama3_prefill: each CTA has items of one of the two"] in table  # fmt: skip
    names = [name for name, _ in table]
    assert names.count("  resources") == 2 and "  parts" in names


def test_help_names_every_subcommand():
    text = saccade("--help")
    for name in ("compile", "run", "plan", "explain"):
        assert name in text
        assert "Usage" in saccade(name, "--help")


CONSOLE = re.compile(
    r"^\$ (saccade (?:explain|compile) .*)$\n((?:(?![$`]).*\n)*)", re.M
)
NEW_EACH_TIME = ("from ", "key ")


def test_the_readme_shows_what_is_printed(tmp_path):
    text = (ROOT / "README.md").read_text()
    spec = re.search(r"^```mlir\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "decode.mlir").write_text(spec)
    shown = CONSOLE.findall(text)
    assert [command.split()[1] for command, _ in shown] == ["explain", "compile"]
    # As on a machine without a GPU, which explanations ask for more.
    changed = {
        "PATH": f"{BUILD / 'bin'}:{os.environ['PATH']}",
        "SACCADE_LIBCUDA": "none",
    }
    for command, said in shown:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env={**os.environ, **changed},
            capture_output=True, text=True,
        )  # fmt: skip
        printed, expected = (
            [line for line in output.splitlines() if not line.startswith(NEW_EACH_TIME)]
            for output in (done.stdout, said)
        )
        assert printed == expected, done.stderr
