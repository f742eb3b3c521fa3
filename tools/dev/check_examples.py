# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Feeds every ```mlir block of the documents and td files to saccade-opt, so that
# an example in a doc cannot rot. Blocks that should not parse say ```text.
import re
import subprocess
import sys
import textwrap
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^[ \t]*```mlir\n(.*?)^[ \t]*```", re.M | re.S)


def documents():
    yield from SOURCE.glob("*.md")
    yield from (p for p in SOURCE.glob("docs/**/*.md") if p.parent.name != "generated")
    for folder in ("dialects", "lib"):
        yield from SOURCE.glob(f"{folder}/**/*.md")
        yield from SOURCE.glob(f"{folder}/**/*.td")


def main():
    blocks = failures = 0
    for path in sorted(documents()):
        text = path.read_text()
        for match in BLOCK.finditer(text):
            blocks += 1
            done = subprocess.run(
                ["saccade-opt", "-", "-o", "/dev/null"],
                input=textwrap.dedent(match[1]), text=True, capture_output=True,
            )  # fmt: skip
            if done.returncode:
                failures += 1
                line = text.count("\n", 0, match.start()) + 2
                print(f"{path.relative_to(SOURCE)}:{line}: {done.stderr}")
    print(f"{blocks} blocks, {failures} refused")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
