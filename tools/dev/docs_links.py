# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# A hook of mkdocs. Documents link to sources of the repository, which the site does
# not hold: there such a link becomes its text. A link to a file that is not there
# stops the build.
import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)(#[^)]*)?\)")


def on_page_markdown(markdown, page, **_):
    folder = (SOURCE / "docs" / page.file.src_uri).parent

    def replace(match):
        text, target = match[1], (folder / match[2]).resolve()
        if not target.exists():
            raise FileNotFoundError(f"{page.file.src_uri}: no file {match[2]}")
        return text

    return LINK.sub(replace, markdown)
