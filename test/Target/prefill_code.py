# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles prefill kernels for sm_90a and holds the code to what their speed rests on.

prefill_code.py          every case of bench/prefill_cases.py and some more: counts in
                         PTX, then what ptxas and nvdisasm say, where these are found
prefill_code.py passes   a paged and a ragged kernel with each optional pass left out

Prints a line for each kernel: what was counted, or what was expected and not found.
"""

import collections
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "bench"))
from kernel_code import PTXAS, Unexpected, expect, run  # noqa: E402
from prefill_cases import TABLE, Case  # noqa: E402

NVDISASM = os.environ.get("NVDISASM") or shutil.which("nvdisasm")
REGISTERS = 65536  # of a multiprocessor
# Bytes that a thread may spill where 128 threads gather rows that they do not copy
# whole: three warpgroups that spill so little are a fifth faster than two that do not.
SPILLED_BY_GATHERS = 16


def cases():
    """Specs by name, beside the shape that each was made from."""
    paged = Case("", 4, 512, 2048, layout="paged", page=16)
    ragged = Case("", 4, 1024, 1024, layout="ragged")
    more = dict(TABLE, ragged=ragged)
    for page in (3, 8, 64):
        more[f"p{page}"] = dataclasses.replace(paged, page=page)
    for dim in (96, 64, 256):
        more[f"ragged_d{dim}"] = dataclasses.replace(ragged, dim=dim, value_dim=dim)
    more["p16_d64"] = dataclasses.replace(paged, dim=64, value_dim=64)
    # Rows that 128 threads do not copy whole, and tiles that just fit in registers.
    for page, dim, value_dim in (
        (1, 96, 96),
        (3, 192, 128),
        (1, 160, 160),
        (16, 256, 256),
    ):
        more[f"p{page}_d{dim}"] = dataclasses.replace(
            paged, page=page, dim=dim, value_dim=value_dim
        )
    found = {name: (case, case.spec()) for name, case in more.items()}
    for name in ("c4k", "p16", "p1"):
        case = more[name]
        found[f"{name}_f16"] = (case, case.spec().replace("bf16", "f16"))
    return found


def compile_ptx(spec, disabled=()):
    """PTX of a spec and the schedule of its entry, a dict of numbers and words."""
    command = ["saccade", "compile", "-", "--target", "sm_90a", "--json"]
    for name in disabled:
        command += ["--disable", name]
    done = subprocess.run(command, input=spec, capture_output=True, text=True)
    if done.returncode:
        raise Unexpected(done.stderr.strip().splitlines()[0])
    report = json.loads(done.stdout)
    (entry,) = report["entries"]
    schedule = dict(re.findall(r"(\w+) = (\w+)", entry["schedule"]))
    if "copy" not in schedule:
        raise Unexpected(f"expects a pipeline, but got {entry['schedule']}")
    fields = {k: int(v) if v.isdigit() else v for k, v in schedule.items()}
    return report["text"], fields, entry["threads"]


def batches(ptx):
    """Matrix instructions of each batch: a fence, products, a commit, in order."""
    counts, here = [], None
    for line in ptx.splitlines():
        if "wgmma.fence" in line:
            expect("products before a fence", None, here)
            here = 0
        elif "wgmma.mma_async" in line:
            if here is None:
                raise Unexpected("expects a fence before the products of a batch")
            here += 1
        elif "wgmma.commit_group" in line:
            counts.append(here)
            here = None
    expect("products that nothing commits", None, here)
    return counts


def check_ptx(ptx, case, schedule, threads):
    """Counts in PTX, against the shapes of tiles; returns the number of products.

    Both products stand in the loop, and once more: the logits of the first tile
    before it, the values of the last one after it."""
    logits, values = -(-case.dim // 16), schedule["keys"] // 16
    wanted = sorted([logits, values] * 2)
    expect("products a batch", wanted, sorted(batches(ptx)))
    waits = collections.Counter(re.findall(r"wgmma.wait_group\S*\s+(\d+)", ptx))
    expect("waits by what they leave in flight", {"0": 3, "1": 1}, dict(waits))
    element = schedule["weights"]
    shapes = {
        f"m64n{n}k16.f32.{element}.{element}"
        for n in (schedule["keys"], case.value_dim)
    }
    expect("shapes", shapes, set(re.findall(r"m64n\S+", ptx)))
    for way, role in (("dec", "load"), ("inc", "compute")):
        found = re.findall(rf"setmaxnreg\.{way}\S*\s+(\d+)", ptx)
        expect(f"registers of {role}", [str(schedule[f"{role}_registers"])], found)
    boxes, chunks = (
        ptx.count(f"cp.async.{kind}.") for kind in ("bulk.tensor", "cg.shared")
    )
    expect("copies by tensor maps", schedule["copy"] == "tma", boxes > 0)
    expect("copies of 16 bytes", schedule["copy"] == "gather", chunks > 0)
    expect("threads", 32 * schedule["warps"] + 128, threads)
    for absent in ("mma.sync", "ldmatrix", ".local"):
        expect(f"'{absent}'", 0, ptx.count(absent))
    return sum(wanted)


def spills_of(case, schedule):
    """Bytes that a thread may spill at most."""
    uneven = any(1024 % dim for dim in (case.dim, case.value_dim))
    return SPILLED_BY_GATHERS if uneven and schedule["copy"] == "gather" else 0


def check_machine_code(ptx, products, threads, spills):
    """What ptxas and nvdisasm say of PTX; a line of it."""
    if not PTXAS:
        return "no ptxas"
    with tempfile.TemporaryDirectory() as folder:
        source, cubin = Path(folder, "k.ptx"), Path(folder, "k.cubin")
        source.write_text(ptx)
        done = subprocess.run(
            [PTXAS, "-arch=sm_90a", "-v", source, "-o", cubin],
            capture_output=True, text=True,
        )  # fmt: skip
        log = done.stdout + done.stderr
        expect("the exit code of ptxas", 0, done.returncode)
        expect("what ptxas serialises", [], re.findall(r"C75\d\d", log))
        spilled = max(map(int, re.findall(r"(\d+) bytes (?:stack|spill)", log)))
        expect("spilled bytes", min(spilled, spills), spilled)
        (used,) = map(int, re.findall(r"Used (\d+) registers", log))
        expect("whether registers fit", True, used * threads <= REGISTERS)
        if not NVDISASM:
            return f"{used} registers, {spilled} spilled, no nvdisasm"
        sass = subprocess.run([NVDISASM, cubin], capture_output=True, text=True).stdout
    for instruction, count in (
        ("HGMMA", products), ("WARPGROUP.ARRIVE", 4), ("WARPGROUP.DEPBAR", 4),
        ("LDL", 0), ("STL", 0), ("USETMAXREG", 2),
    ):  # fmt: skip
        if spilled and instruction in ("LDL", "STL"):
            continue
        found = re.findall(rf"\b{re.escape(instruction)}\b", sass)
        expect(f"{instruction} in machine code", count, len(found))
    return f"{used} registers, {spilled} spilled, {products} HGMMA"


def report(case, spec):
    ptx, schedule, threads = compile_ptx(spec)
    products = check_ptx(ptx, case, schedule, threads)
    machine = check_machine_code(ptx, products, threads, spills_of(case, schedule))
    shape = f"{schedule['rows']} x {schedule['keys']}, {schedule['copy']}"
    return f"{shape}: {products} products, {machine}"


def report_without(spec, disabled):
    """Code is legal whatever is left out: batches begin and end, and all are awaited."""
    ptx, schedule, _ = compile_ptx(spec, disabled)
    counts = batches(ptx)
    expect("whether there are products", True, bool(counts))
    waits = ptx.count("wgmma.wait_group")
    expect("whether each batch is awaited", True, waits >= len(counts))
    return f"{schedule['rows']} x {schedule['keys']}: {sum(counts)} products"


def optional_passes():
    text = subprocess.run(
        ["saccade", "compile", "--help"], capture_output=True, text=True, check=True
    ).stdout
    return re.search(r"--disable TEXT:\{([^}]*)\}", text)[1].split(",")


def main(arguments):
    jobs, found = {}, cases()
    if arguments == ["passes"]:
        passes = optional_passes()
        for name in ("ragged", "p16"):
            for off in [*([one] for one in passes), passes]:
                title = f"{name} without {'all' if len(off) > 1 else off[0]}"
                jobs[title] = (report_without, found[name][1], off)
    else:
        jobs = {name: (report, *pair) for name, pair in found.items()}
    return run(jobs)


sys.exit(main(sys.argv[1:]))
