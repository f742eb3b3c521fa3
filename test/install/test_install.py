# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Installs the build to a fresh prefix and looks at it as a stranger would: what
# it depends on, what it exports, how big it is, whether C links against it.
import os
import re
import subprocess
from pathlib import Path

import pytest

BUILD = Path(os.environ["SACCADE_BUILD_DIR"])
HERE = Path(__file__).parent


def output(*command, **options):
    done = subprocess.run(
        [str(c) for c in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("prefix")
    output("cmake", "--install", BUILD, "--prefix", prefix, "--strip")
    return prefix


@pytest.fixture(scope="session")
def library(prefix):
    return (prefix / "lib" / "libsaccade.so").resolve()


def test_library_needs_only_the_c_and_cxx_runtimes(library):
    needed = re.findall(r"NEEDED\s+(\S+)", output("objdump", "-p", library))
    allowed = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1"}
    assert set(needed) - {"ld-linux-x86-64.so.2"} <= allowed


def test_library_exports_only_the_c_api(library):
    symbols = output("nm", "-D", "--defined-only", library).split("\n")
    names = [line.split()[-1] for line in symbols if line]
    assert names and all(name.startswith("saccade_") for name in names)


def test_library_loads_on_glibc_2_34(library):
    versions = re.findall(r"GLIBC_(\d+)\.(\d+)", output("objdump", "-T", library))
    assert max((int(a), int(b)) for a, b in versions) <= (2, 34)


def test_stripped_library_is_at_most_80_megabytes(library):
    assert library.stat().st_size <= 80e6


def test_c_program_finds_the_package_and_runs(prefix, tmp_path):
    found = f"-DCMAKE_PREFIX_PATH={prefix}"
    output("cmake", "-G", "Ninja", "-S", HERE, "-B", tmp_path, found)
    output("cmake", "--build", tmp_path)
    printed = output(tmp_path / "stranger")
    assert printed.startswith("cpu: ")
    assert "refused: " in printed


def test_installed_tool_explains_itself(prefix):
    assert "compile" in output(prefix / "bin" / "saccade", "--help", env={})
