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
