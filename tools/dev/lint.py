# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# What the text of the sources must satisfy, beyond what compilers see. Each
# check yields complaints `file:line: text`; a check without complaints passes.
import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
SPDX = "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception"
MAX_LINES = 600

CODE = (".cpp", ".h", ".c", ".td", ".py", ".cmake")
TEXT = (
    *CODE,
    ".mlir",
    ".test",
    ".md",
    ".txt",
    ".in",
    ".json",
    ".toml",
    ".cfg",
    ".yaml",
)
LIT_KEYWORDS = {
    *("RUN", "REQUIRES", "UNSUPPORTED", "XFAIL", "END.", "ALLOW_RETRIES", "DEFINE"),
    *("REDEFINE", "COM", "TODO", "NOTE", "FIXME", "CONSTRAINT"),
}


def files(*suffixes):
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=SOURCE, capture_output=True, text=True, check=True,
    )  # fmt: skip
    paths = [SOURCE / name for name in listed.stdout.splitlines()]
    return sorted(p for p in paths if p.suffix in suffixes and p.is_file())


def name(path):
    return path.relative_to(SOURCE)


def license_lines():
    """Every source file names the licence in its first three lines."""
    for path in files(*CODE):
        head = path.read_text().splitlines()[:3]
        if not any(SPDX in line for line in head):
            yield f"{name(path)}:1: expects a line '{SPDX}'"


def length():
    """No file grows past what one can hold in mind."""
    for path in files(*CODE, ".mlir"):
        lines = path.read_text().count("\n")
        if lines > MAX_LINES:
            yield f"{name(path)}:1: expects at most {MAX_LINES} lines, but has {lines}"


def whitespace():
    """No trailing blanks, tabs or missing last newline."""
    for path in files(*TEXT):
        text = path.read_text()
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            yield f"{name(path)}:{text.count(chr(10))}: expects one newline at the end"
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip() or "\t" in line:
                yield f"{name(path)}:{number}: trailing blanks or a tab"


def filecheck():
    """FileCheck ignores misspelt directives, and prefixes that no RUN line names."""
    directive = re.compile(r"^\s*(?://|#|;)\s*([A-Z][A-Z0-9_.]*(?:-[A-Z0-9_{}]+)*)(:?)")
    suffix = r"(-(NEXT|SAME|NOT|DAG|LABEL|EMPTY|COUNT-\d+))?(\{LITERAL\})?"
    for path in files(".mlir", ".test"):
        lines = path.read_text().splitlines()
        runs = "\n".join(
            line for line in lines if "RUN:" in line or line.endswith("\\")
        )
        if not runs:
            continue  # an input of other tests
        prefixes = set()
        for call in re.findall(r"FileCheck[^|;]*", runs):
            named = re.findall(r"-?-check-prefix(?:es)?[= ]([\w,-]+)", call)
            prefixes.update(",".join(named).split(",") if named else ["CHECK"])
        accepted = re.compile(
            f"({'|'.join(map(re.escape, prefixes)) or '(?!)'}){suffix}"
        )
        seen = set()
        for number, line in enumerate(lines, 1):
            match = directive.match(line)
            if not match or match[1] in LIT_KEYWORDS:
                continue
            known = accepted.fullmatch(match[1])
            if match[2] and known:
                seen.add(known[1])
            elif match[2]:
                yield f"{name(path)}:{number}: '{match[1]}:' is no directive of a RUN line"
            elif known and prefixes:
                yield f"{name(path)}:{number}: expects ':' after '{match[1]}'"
        for prefix in sorted(prefixes - seen):
            yield f"{name(path)}:1: prefix '{prefix}' has no directive"


def tool(*command):
    """Runs a linter; each line it prints is a complaint if it fails."""
    if not shutil.which(command[0]):
        return [f"{command[0]} is not installed (./dev installs it)"]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True)
    if done.returncode == 0:
        return []
    return (done.stdout + done.stderr).strip().splitlines() or [f"{command[0]} failed"]


def clang_format():
    """C and C++ are formatted in LLVM style."""
    sources = [str(name(path)) for path in files(".cpp", ".h", ".c")]
    complaints = tool("clang-format", "--dry-run", "--Werror", *sources)
    for path in sorted({c.split(":")[0] for c in complaints} & set(sources)):
        yield f"{path}: './dev format' would change it"


def spelling():
    """Words are spelt as in a dictionary."""
    return tool("codespell", *map(name, files(*TEXT)))


def python_style():
    """Python passes ruff, and is formatted by it."""
    return tool("ruff", "check", "-q") + tool("ruff", "format", "--check", "-q")


CHECKS = [
    license_lines, length, whitespace, filecheck, clang_format, spelling, python_style,
]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description="Checks the text of the sources.")
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    arguments = parser.parse_args()
    failed = 0
    for check in CHECKS:
        complaints = list(check())
        failed += bool(complaints)
        print(f"{'FAIL' if complaints else 'PASS'}: {check.__name__}: {check.__doc__}")
        for complaint in complaints[:50]:
            print(f"  {complaint}")
    counts = {"passed": len(CHECKS) - failed, "failed": failed}
    if arguments.json:
        arguments.json.write_text(json.dumps(counts))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
