# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Options of the numeric tests. The modules beside this file import each other by
# name, whichever directory pytest was started in.
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))


def pytest_addoption(parser):
    parser.addoption(
        "--soak", type=int, default=0, metavar="N", help="try N more generated kernels"
    )
    parser.addoption(
        "--first-seed", type=int, default=0, help="the first of the soak's seeds"
    )
    parser.addoption(
        "--device", default="cpu", choices=["cpu", "cuda"], help="where kernels run"
    )
