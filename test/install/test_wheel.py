# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The wheel as a user gets it: pip accepts its tag, and the package finds its own
# library where no build and no LLVM is.
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    make = [sys.executable, SOURCE / "tools/dev/make_wheel.py", folder / "dist"]
    subprocess.run(make, check=True)
    (wheel,) = (folder / "dist").glob("saccade-*-py3-none-manylinux_*_x86_64.whl")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", folder / "site", wheel], check=True)
    return folder / "site"


def python(site, *arguments):
    environment = {"PYTHONPATH": str(site), "PATH": os.environ["PATH"]}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=site,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_package_brings_its_library(site):
    printed = python(site, "-c", "import saccade; print(saccade.targets())")
    assert "cpu" in printed and "sm_90a" in printed


def test_package_brings_the_tool(site):
    assert "compile" in python(site, "-m", "saccade", "--help")


def test_package_attends(site):
    program = """
import numpy as np, saccade
q = np.random.default_rng(0).standard_normal((1, 2, 5, 16), np.float32)
assert np.allclose(saccade.attention(q, q, q, window=1, causal=True), q, atol=1e-6)
print(saccade.__file__)
"""
    assert str(site) in python(site, "-c", program)


def test_package_needs_numpy_alone_and_is_small(site):
    (information,) = site.glob("saccade-*.dist-info/METADATA")
    lines = information.read_text().splitlines()
    assert [x for x in lines if x.startswith("Requires")] == [
        "Requires-Python: >=3.10",
        "Requires-Dist: numpy",
    ]
    (wheel,) = (site.parent / "dist").glob("*.whl")
    assert wheel.stat().st_size <= 40e6
    assert int(wheel.name.split("manylinux_2_")[1].split("_")[0]) <= 34
