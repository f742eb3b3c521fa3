# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kernels made ahead of time, found where they are shipped."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import saccade

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
LATER = """
import json, sys, saccade
spec = json.loads(sys.argv[1])
kernel = saccade.Attention(**spec).kernel if isinstance(spec, dict) else saccade.compile(spec, device="cpu")
print(kernel.explain()["cache"])
"""
TWO = """
attn.variant @all() {}
attn.kernel @one(%q: !attn.dense<1x8xf32>, %kv: !attn.dense<1x8xf32>) {
  %s = attn.attend @all() %q, %kv : !attn.dense<1x8xf32>, !attn.dense<1x8xf32> -> !attn.state<1x8>
  %o = attn.finish @all() %s : !attn.state<1x8> -> !attn.dense<1x8xf32>
  attn.return %o : !attn.dense<1x8xf32>
}
attn.kernel @two(%q: !attn.dense<2x8xf32>, %kv: !attn.dense<1x8xf32>) {
  %s = attn.attend @all() %q, %kv : !attn.dense<2x8xf32>, !attn.dense<1x8xf32> -> !attn.state<2x8>
  %o = attn.finish @all() %s : !attn.state<2x8> -> !attn.dense<2x8xf32>
  attn.return %o : !attn.dense<2x8xf32>
}
"""
KEYWORDS = {
    "num_q_heads": 4, "num_kv_heads": 2, "head_dim": 16, "page_size": 4,
    "dtype": "float32", "causal": True, "window": 7,
}  # fmt: skip


def later(spec, shipped):
    """Where another process, without a cache of its own, finds a kernel."""
    done = subprocess.run(
        [sys.executable, "-c", LATER, json.dumps(spec)],
        env={**os.environ, "SACCADE_CACHE_DIR": "", "SACCADE_KERNELS": shipped},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_precompiled_kernels_ship(tmp_path, capfd):
    shipped = tmp_path / "shipped"
    spec = EXAMPLES / "encoder.mlir"
    kernels = saccade.precompile(
        [spec, KEYWORDS, TWO], device="cpu", directory=shipped, progress=True
    )
    assert [k.name for k in kernels] == ["encoder", "attention", "one", "two"]
    assert "4/4" in capfd.readouterr().err
    both = f"/nowhere:{shipped}"
    before = {path: path.read_bytes() for path in shipped.iterdir()}
    assert later(str(spec), both) == "disk"
    assert later({**KEYWORDS, "device": "cpu"}, both) == "disk"
    assert later({**KEYWORDS, "device": "cpu", "window": 9}, both) == "disk"
    assert later({**KEYWORDS, "device": "cpu", "softcap": 2.0}, both) == "compiled"
    assert later(str(spec), "") == "compiled"
    # Damage is not mended in what is shipped.
    for path in before:
        path.write_bytes(b"nonsense")
    assert later(str(spec), both) == "compiled"
    assert {path.read_bytes() for path in shipped.iterdir()} == {b"nonsense"}


def test_folders_and_other_machines(tmp_path):
    (tmp_path / "specs").mkdir()
    for name in ("encoder", "llama3_decode"):
        text = (EXAMPLES / f"{name}.mlir").read_text().replace("f32>", "f32>")
        (tmp_path / "specs" / f"{name}.mlir").write_text(text)
    kernels = saccade.precompile(
        tmp_path / "specs" / "llama3_decode.mlir", target="sm_90a", query_tokens=1
    )
    assert kernels[0].target == "sm_90a"
    kernels = saccade.precompile(tmp_path / "specs", target="cpu", progress=False)
    assert [k.name for k in kernels] == ["encoder", "llama3_decode"]
    with pytest.raises(saccade.SpecError, match="nonsense"):
        saccade.precompile("nonsense { }", target="cpu")
    with pytest.raises(TypeError, match="got int"):
        saccade.precompile([3], target="cpu")


def test_tool(tmp_path):
    (tmp_path / "two.mlir").write_text(TWO)
    command = ["saccade", "compile", "--all", EXAMPLES / "encoder.mlir", "two.mlir"]
    done = subprocess.run(
        [*command, "--output", "shipped"], cwd=tmp_path, capture_output=True,
        text=True, env={**os.environ, "SACCADE_KERNELS": ""}, check=True,
    )  # fmt: skip
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["encoder", "one", "two"]
    assert all("compiled" in row for row in rows)
    assert later(str(EXAMPLES / "encoder.mlir"), str(tmp_path / "shipped")) == "disk"
    failed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert failed.returncode and "--output FOLDER" in failed.stderr
