# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Runs every test suite of the build in SACCADE_BUILD_DIR and adds up what they
# report. The last line is the sum: `N passed, N failed[, N skipped]`.
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ["SACCADE_BUILD_DIR"])
# For the sanitize preset: the packaged MLIR is not instrumented, so containers
# that cross into it are poisoned on one side only.
os.environ["ASAN_OPTIONS"] = (
    "allow_user_poisoning=0:detect_container_overflow=0:detect_leaks=0"
)


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other):
        return Tally(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
        )

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


def run(*command, **options):
    return subprocess.run([str(c) for c in command], cwd=SOURCE, **options)


def lint():
    process = run(sys.executable, "tools/dev/lint.py", "--json", BUILD / "lint.json")
    try:
        return Tally(**json.loads((BUILD / "lint.json").read_text()))
    except (OSError, ValueError):
        return Tally(failed=process.returncode or 1)


def lit():
    report = BUILD / "lit.json"
    report.unlink(missing_ok=True)
    jobs = os.environ.get("SACCADE_TEST_JOBS", str(len(os.sched_getaffinity(0))))
    run("lit", f"-j{jobs}", "--timeout=600", "-v", "-o", report, BUILD / "test")
    if not report.exists():
        return Tally(failed=1)
    tally = Tally()
    for test in json.loads(report.read_text())["tests"]:
        if test["code"] in ("PASS", "XFAIL", "FLAKYPASS"):
            tally.passed += 1
        elif test["code"] in ("UNSUPPORTED", "SKIPPED", "EXCLUDED"):
            tally.skipped += 1
        else:
            tally.failed += 1
    return tally


def unit():
    program = BUILD / "bin" / "saccade-unit"
    if not program.exists():
        return Tally()
    process = run(program, capture_output=True, text=True)
    print(process.stdout + process.stderr, end="")
    counts = re.search(
        r"test cases: +\d+ \| +(\d+) passed \| +(\d+) failed", process.stdout
    )
    if not counts:  # it crashed, or a REQUIRE ended it
        return Tally(failed=1)
    tally = Tally(*map(int, counts.groups()))
    if process.returncode and not tally.failed:
        tally.failed = 1
    return tally


def pytest(folder, *options):
    if not list((SOURCE / folder).glob("**/test_*.py")):
        return Tally()
    report = BUILD / f"pytest-{Path(folder).name}.xml"
    report.unlink(missing_ok=True)
    run(sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", folder, *options)
    if not report.exists():
        return Tally(failed=1)
    tally = Tally()
    for suite in ET.parse(report).getroot().iter("testsuite"):
        count = {
            k: int(suite.get(k)) for k in ("tests", "failures", "errors", "skipped")
        }
        failed = count["failures"] + count["errors"]
        skipped = count["skipped"]
        tally += Tally(count["tests"] - failed - skipped, failed, skipped)
    return tally


SUITES = {
    "lint": lint,
    "lit": lit,
    "unit": unit,
    "pytest": lambda: pytest("test/python"),
    "gpu": lambda: pytest("test/gpu"),
    "frameworks": lambda: pytest("test/frameworks"),
    "install": lambda: pytest("test/install"),
}


def main():
    # Nothing of the user's own cache may decide a test.
    os.environ["SACCADE_CACHE_DIR"] = str(BUILD / "test" / "cache")
    names = sys.argv[1:] or list(SUITES)
    if BUILD.name == "sanitize" and not sys.argv[1:]:
        names = ["lit", "unit"]  # python itself is not instrumented
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        sys.exit(f"no such suite: {unknown[0]} (there are {', '.join(SUITES)})")
    total, table = Tally(), []
    for name in names:
        print(f"==> {name}", flush=True)
        begin = time.monotonic()
        tally = SUITES[name]()
        table.append(f"{name:10} {time.monotonic() - begin:6.1f} s   {tally}")
        total += tally
    print("\n" + "\n".join(table) + "\n")
    print(total, flush=True)
    sys.exit(1 if total.failed else 0)


if __name__ == "__main__":
    main()
