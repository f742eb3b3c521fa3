# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Writes the wheel: python/saccade and the installed libsaccade, no compiled
# Python module, so one wheel serves every Python. The platform tag comes from
# the symbol versions that the library really asks for.
import base64
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import tomllib

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ["SACCADE_BUILD_DIR"])
# The least glibc of a manylinux policy that grants this libstdc++ (auditwheel).
GLIBCXX_NEEDS = {29: 34, 30: 35}


def installed_library(prefix):
    install = ["cmake", "--install", BUILD, "--prefix", prefix, "--strip"]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    return (Path(prefix) / "lib" / "libsaccade.so").resolve()


def platform_tag(library):
    text = subprocess.run(
        ["objdump", "-T", library], check=True, capture_output=True, text=True
    ).stdout
    glibc = max(int(v) for v in re.findall(r"GLIBC_2\.(\d+)", text))
    glibcxx = max(int(v) for v in re.findall(r"GLIBCXX_3\.4\.(\d+)", text))
    return f"manylinux_2_{max(glibc, GLIBCXX_NEEDS.get(glibcxx, 17))}_x86_64"


def metadata(project):
    lines = ["Metadata-Version: 2.4", f"Name: {project['name']}"]
    lines += [f"Version: {project['version']}", f"Summary: {project['description']}"]
    lines += [f"Requires-Python: {project['requires-python']}"]
    lines += [f"License-Expression: {project['license']}", "License-File: LICENSE"]
    lines += [f"Requires-Dist: {needed}" for needed in project["dependencies"]]
    lines += ["Description-Content-Type: text/markdown", ""]
    readme = SOURCE / project["readme"]
    return "\n".join(lines) + "\n" + (readme.read_text() if readme.exists() else "")


def main(folder):
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    name = f"{project['name']}-{project['version']}"
    contents = {}
    for path in sorted((SOURCE / "python" / "saccade").rglob("*")):
        if path.suffix in (".py", ".pyi", ".typed"):
            contents[str(path.relative_to(SOURCE / "python"))] = path.read_bytes()
    with tempfile.TemporaryDirectory() as prefix:
        library = installed_library(prefix)
        tag = f"py3-none-{platform_tag(library)}"
        contents["saccade/libsaccade.so"] = library.read_bytes()
    wheel = (
        f"Wheel-Version: 1.0\nGenerator: saccade\nRoot-Is-Purelib: false\nTag: {tag}\n"
    )
    info = f"{name}.dist-info"
    contents[f"{info}/METADATA"] = metadata(project).encode()
    contents[f"{info}/WHEEL"] = wheel.encode()
    contents[f"{info}/licenses/LICENSE"] = (SOURCE / "LICENSE").read_bytes()
    if "scripts" in project:
        scripts = "".join(f"{k} = {v}\n" for k, v in project["scripts"].items())
        contents[f"{info}/entry_points.txt"] = f"[console_scripts]\n{scripts}".encode()

    folder.mkdir(exist_ok=True)
    output = folder / f"{name}-{tag}.whl"
    record = ""
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in contents.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
            record += f"{path},sha256={digest.rstrip(b'=').decode()},{len(data)}\n"
            archive.writestr(path, data)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
