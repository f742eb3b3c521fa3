# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Options of the numeric tests, and the devices that they run on: the CPU, and a
# CUDA device where there is one. The modules beside this file import each other by
# name, whichever directory pytest was started in.
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))


def pytest_addoption(parser):
    parser.addoption(
        "--soak", type=int, default=0, metavar="N", help="try N generated kernels"
    )
    parser.addoption(
        "--first-seed", type=int, default=0, help="the first of the soak's seeds"
    )
    parser.addoption(
        "--device",
        default="auto",
        choices=["auto", "cpu", "cuda"],
        help="where kernels run; auto: on the CPU, and on a CUDA device if there is one",
    )


def pytest_generate_tests(metafunc):
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", devices(metafunc.config))


def devices(config):
    asked = config.getoption("device")
    if asked != "auto":
        return [asked]
    from native import has_cuda

    return ["cpu", "cuda"] if has_cuda() else ["cpu"]
