# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# How lit runs the tests: the tools they call, and what this machine can do.
# Features: `ptxas` (an assembler for PTX is there), `gpu` (a CUDA device is).
# ruff: noqa: F821  (lit defines `config` and `lit_config`)
import ctypes
import glob
import os
import shutil
import sys

import lit.formats

config.name = "saccade"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["unit", "python", "install", "Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.saccade_build, "test")

path = [os.path.join(config.saccade_build, "bin"), config.llvm_tools]
config.environment["PATH"] = os.pathsep.join(path + [os.environ["PATH"]])
config.environment["PYTHONPATH"] = os.path.join(config.saccade_source, "python")
config.environment["SACCADE_LIBRARY"] = os.path.join(
    config.saccade_build, "lib", "libsaccade.so"
)
# Nothing of the user's own cache may decide a test.
config.environment["SACCADE_CACHE_DIR"] = os.path.join(config.test_exec_root, "cache")
for variable in ("ASAN_OPTIONS", "SACCADE_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]
if config.sanitized:
    config.available_features.add("sanitized")

config.substitutions.append(("%python", sys.executable))
config.substitutions.append(("%source", config.saccade_source))
config.substitutions.append(("%examples", config.saccade_source + "/examples"))


def find_ptxas():
    """The CUDA toolkit's ptxas, else the one of the PyPI package."""
    wheels = os.path.join(sys.prefix, "lib", "python3*", "site-packages", "nvidia")
    candidates = [os.environ.get("PTXAS"), shutil.which("ptxas")]
    candidates += ["/usr/local/cuda/bin/ptxas"]
    candidates += glob.glob(os.path.join(wheels, "*", "bin", "ptxas"))
    return next((c for c in candidates if c and os.access(c, os.X_OK)), None)


def find_nvdisasm():
    """The CUDA toolkit's disassembler."""
    candidates = [os.environ.get("NVDISASM"), shutil.which("nvdisasm")]
    candidates += ["/usr/local/cuda/bin/nvdisasm"]
    return next((c for c in candidates if c and os.access(c, os.X_OK)), None)


def has_gpu():
    """Whether the CUDA driver reports a device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return (
        driver.cuInit(0) == 0
        and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
        and count.value > 0
    )


ptxas = find_ptxas()
if ptxas:
    config.available_features.add("ptxas")
    config.substitutions.append(("%ptxas", ptxas))
    config.environment["PTXAS"] = ptxas
else:
    lit_config.note("no ptxas found: tests that assemble PTX are skipped")
nvdisasm = find_nvdisasm()
if nvdisasm:
    config.environment["NVDISASM"] = nvdisasm
else:
    lit_config.note("no nvdisasm found: tests count no machine instructions")
if has_gpu():
    config.available_features.add("gpu")
else:
    lit_config.note("no CUDA device found: test/gpu is skipped")
