# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles decode kernels for sm_90a and holds the code to what their speed rests on.

Each computing warp multiplies by itself, a KV tile at a time, and is given its tiles by
one of four loading warps. Prints a line for each kernel: schedule, products of a tile and
registers, or what was expected and not found.
"""

import functools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from kernel_code import PTXAS, Unexpected, expect, run

SPEC = """
attn.variant @causal() {{
  attn.mask(query %q, key %k) {{
    %keep = arith.cmpi sge, %q, %k : i32
    attn.yield %keep : i1
  }}
}}
attn.kernel @decode(%q: !attn.ragged<{heads}x{dim}x{dtype}>,
                    %kv: !attn.paged<2x{dim}x{stored}{value}, page = {page}>){hint} {{
  %s = attn.attend @causal() %q, %kv : !attn.ragged<{heads}x{dim}x{dtype}>,
      !attn.paged<2x{dim}x{stored}{value}, page = {page}> -> !attn.state<{heads}x{value_dim}>
  %o, %lse = attn.finish @causal() %s : !attn.state<{heads}x{value_dim}>
      -> !attn.ragged<{heads}x{value_dim}x{dtype}>, !attn.lse<{heads}>
  attn.return %o, %lse : !attn.ragged<{heads}x{value_dim}x{dtype}>, !attn.lse<{heads}>
}}
"""


def spec(
    dim=128, value_dim=None, group=4, page=16, dtype="bf16", stored=None, tokens=1
):
    value_dim = value_dim or dim
    value = f", value = {value_dim}" if value_dim != dim else ""
    hint = f"\n    attributes {{attn.query_tokens = {tokens}}}" if tokens else ""
    return SPEC.format(
        heads=2 * group, dim=dim, value=value, value_dim=value_dim, page=page,
        dtype=dtype, stored=stored or dtype, hint=hint,
    )  # fmt: skip


E4M3 = "f8E4M3FN"
CASES = {
    **{f"d{dim}": dict(dim=dim) for dim in (64, 72, 80, 96, 128, 256)},
    "d192_128": dict(dim=192, value_dim=128),
    **{f"p{page}": dict(page=page) for page in (1, 3, 64)},
    **{f"p{page}_d64": dict(page=page, dim=64) for page in (1, 3)},
    **{f"p1_d{dim}": dict(page=1, dim=dim) for dim in (80, 256)},
    **{f"g{group}": dict(group=group) for group in (1, 5, 8, 16, 24, 32)},
    **{f"g{group}_d64": dict(group=group, dim=64) for group in (16, 32)},
    "g16_p1": dict(group=16, page=1),
    "g24_p1": dict(group=24, page=1),
    "g32_p1": dict(group=32, page=1),
    "g16_d256": dict(group=16, dim=256),
    "g16_d256_p1": dict(group=16, dim=256, page=1),
    "g24_d192": dict(group=24, dim=192, value_dim=128),
    "q4": dict(tokens=4),
    "q4_p1": dict(tokens=4, page=1),
    "f16": dict(dtype="f16"),
    "p1_f16": dict(page=1, dtype="f16"),
    # Without a hint: the second of two entries, for requests of few rows.
    "mixed": dict(tokens=None),
    "mixed_p1": dict(tokens=None, page=1),
    **{f"mixed_g{group}": dict(tokens=None, group=group) for group in (1, 5, 8, 32)},
    **{f"mixed_d{dim}": dict(tokens=None, dim=dim) for dim in (64, 256)},
    **{
        f"e4m3_d{dim}": dict(dim=dim, stored=E4M3)
        for dim in (64, 80, 112, 128, 192, 256)
    },
    **{
        f"e4m3_g{group}": dict(group=group, stored=E4M3)
        for group in (1, 5, 8, 16, 24, 32)
    },
    **{
        f"e4m3_f16_g{group}": dict(group=group, dtype="f16", stored=E4M3)
        for group in (8, 32)
    },
    **{f"e4m3_p{page}": dict(page=page, stored=E4M3) for page in (1, 3, 64)},
    "e4m3_g16_d256": dict(group=16, dim=256, stored=E4M3),
    "e4m3_p1_d64": dict(page=1, dim=64, stored=E4M3),
    "e4m3_q4": dict(tokens=4, stored=E4M3),
    "e5m2": dict(stored="f8E5M2"),
    "e5m2_p1_f16": dict(page=1, dtype="f16", stored="f8E5M2"),
    "e5m2_d192_128": dict(dim=192, value_dim=128, stored="f8E5M2"),
}


def compile_ptx(text):
    """PTX of a spec's entry for few rows, the schedule of that, its threads, and
    whether it is fused into the entry for many."""
    done = subprocess.run(
        ["saccade", "compile", "-", "--target", "sm_90a", "--json"],
        input=text, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise Unexpected(done.stderr.strip().splitlines()[0])
    report = json.loads(done.stdout)
    *many, entry = report["entries"]
    hinted = "attn.query_tokens" in text
    names = ["decode"] if hinted else ["decode", "decode_few"]
    expect("entries", names, [e["name"] for e in report["entries"]])
    for other in many:
        expect("rows of requests", other["rows"]["least"], entry["rows"]["most"] + 1)
    schedule = dict(re.findall(r"(\w+) = (\w+)", entry["schedule"]))
    expect("what is dealt", "keys", schedule.get("deal"))
    header, *entries = report["text"].split(".visible .entry")
    fused = "fused_into" in entry
    expect("entries in PTX", len(names) - fused, len(entries))
    ptx = header + ".visible .entry" + entries[-1]
    return ptx, schedule, entry["threads"], fused


def registers(ptx):
    if not PTXAS:
        return "no ptxas"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "k.ptx")
        source.write_text(ptx)
        done = subprocess.run(
            [PTXAS, "-arch=sm_90a", "-v", source, "-o", Path(folder, "k.cubin")],
            capture_output=True, text=True,
        )  # fmt: skip
    log = done.stdout + done.stderr
    expect("the exit code of ptxas", 0, done.returncode)
    expect("warnings about matrix instructions", [], re.findall(r"C75\d\d", log))
    for spilled in re.findall(r"(\d+) bytes (?:stack|spill)", log):
        expect("spilled bytes", 0, int(spilled))
    return "0 spilled"


def report(dim=128, value_dim=None, stored=None, **shape):
    value_dim = value_dim or dim
    ptx, schedule, threads, fused = compile_ptx(
        spec(dim, value_dim, stored=stored, **shape)
    )
    rows, keys = int(schedule["rows"]), int(schedule["keys"])
    # Logits: each 16 keys by 16 columns; results: each 16 columns by 16 keys.
    products = (rows // 8) * (keys // 16) * (-(-dim // 16) + -(-value_dim // 16))
    expect("products of a tile", products, len(re.findall(r"mma\.sync", ptx)))
    # Each lane widens two elements at a time.
    widened = keys * (dim + value_dim) // 64 if stored else 0
    expect(
        "conversions of 8 bits",
        widened,
        len(re.findall(r"cvt\.rn\.f16x2\.e[45]m", ptx)),
    )
    tma = schedule["copy"] == "tma"
    expect("copies by tensor maps", tma, "cp.async.bulk.tensor" in ptx)
    expect("copies of 16 bytes", not tma, "cp.async.cg" in ptx)
    own = 32 * int(schedule["warps"]) + 128
    expect("threads", own, min(own, threads) if fused else threads)
    expect("'.local'", 0, ptx.count(".local"))
    expect("'wgmma'", fused, "wgmma" in ptx)
    # Each body's threads that load, and what has nothing to do, give away.
    expect("roles", 2 * fused + 2 + (own < threads), ptx.count("setmaxnreg"))
    shape = f"{rows} x {keys}, {schedule['copy']}, {schedule['stages']} stages"
    shape += ", fused" if fused else ""
    return f"{shape}: {products} products, {registers(ptx)}"


sys.exit(
    run({name: (functools.partial(report, **case),) for name, case in CASES.items()})
)
