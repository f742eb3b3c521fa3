# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Tests with PyTorch and transformers as users install them; skipped where they are
# not found. `device` is the CPU, and a CUDA device where there is one.
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))


def pytest_generate_tests(metafunc):
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", _devices())


def _devices():
    try:
        import saccade
        import torch
    except ImportError:
        return ["cpu"]
    found = torch.cuda.is_available() and saccade.cuda_device_count()
    return ["cpu", "cuda"] if found else ["cpu"]


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Random weights come from no hub, and their configs warn of what they lack."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "0")
