# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Python in the documents runs as it stands, and the site builds without warnings."""

import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest
import saccade

SOURCE = pathlib.Path(__file__).parents[2]
PAGES = sorted([SOURCE / "README.md", *(SOURCE / "docs").glob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_of_a_page_runs(page, tmp_path, monkeypatch):
    blocks = list(BLOCK.finditer(page.read_text()))
    if not blocks:
        pytest.skip("the page has no Python")
    for module in ("torch", "transformers"):
        imported = rf"^(import|from) {module}\b"
        if any(re.search(imported, block[1], re.MULTILINE) for block in blocks):
            pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for block in blocks:
        line = page.read_text()[: block.start(1)].count("\n")
        code = compile("\n" * line + block[1], str(page), "exec")
        exec(code, names)


def test_all_that_is_exported_is_documented():
    text = (SOURCE / "docs/api.md").read_text()
    documented = re.findall(r"^::: saccade\.(\w+)$", text, re.MULTILINE)
    assert sorted(documented) == saccade.__all__


def test_site():
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"],
        cwd=SOURCE, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
