# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Writes the reference pages that mlir-tblgen makes of the td files into a
# folder. A lit test runs it too, and compares with what is committed.
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
MLIR_TBLGEN = shutil.which("mlir-tblgen", path="/usr/lib/llvm-22/bin") or "mlir-tblgen"
MLIR_INCLUDE = "/usr/lib/llvm-22/include"

PAGES = {
    "AttnDialect.md": ("dialects/Attn/Attn.td", "-gen-dialect-doc", "-dialect=attn"),
    "TileDialect.md": ("dialects/Tile/Tile.td", "-gen-dialect-doc", "-dialect=tile"),
    "TransformPasses.md": ("lib/Transforms/Passes.td", "-gen-pass-doc"),
    "ConversionPasses.md": ("lib/Conversion/Passes.td", "-gen-pass-doc"),
}


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for page, (td, *options) in PAGES.items():
        if not (SOURCE / td).exists():
            continue
        command = [MLIR_TBLGEN, *options, f"-I{SOURCE}", f"-I{MLIR_INCLUDE}", td]
        text = subprocess.run(
            command, cwd=SOURCE, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        lines = [line.rstrip() for line in text.splitlines()]
        (folder / page).write_text("\n".join(lines).rstrip("\n") + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
