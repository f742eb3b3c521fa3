# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Mutates the example specs as text and feeds them to saccade-opt: whatever comes
# in, it ends with exit code 0 or 1, and what it prints it reads again; passes run
# on what is accepted do not crash either. A short run with a fixed seed is part of
# CI (fuzz.test); longer ones are made by hand.
import argparse
import random
import re
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
TOKEN = re.compile(r'"[^"\n]*"|[%@!#^]?[A-Za-z_][\w.$]*|\d+|->|::|\s+|.', re.DOTALL)
NUMBERS = "0 1 2 3 7 8 16 64 128 255 576 577 4096 65535 65536 1073741824".split()
NUMBERS += "2147483647 2147483648 4294967296 9223372036854775807".split()
NUMBERS += ["18446744073709551616", "1.0", "-1", "0x7FC00000", "1e400"]
WORDS = """i1 i8 i32 i64 index f16 bf16 f32 f64 f8E4M3FN vector<4xf32> vector<4xi32>
vector<[4]xf32> tensor<4xf32> memref<?xf32> none !attn.bits !attn.per_head<f32>
!attn.table<?x?xbf16> !attn.state<32x128> !attn.lse<32> arith.constant arith.addi arith.subi arith.muli
arith.divsi arith.remsi arith.andi arith.ori arith.xori arith.shli arith.cmpi arith.select
arith.addf arith.divf arith.cmpf arith.sitofp arith.fptosi arith.extui arith.trunci
arith.bitcast arith.index_cast arith.maximumf math.exp math.tanh math.powf math.atan
math.log1p math.erf math.fma vector.broadcast vector.shuffle vector.extract vector.insert
vector.reduction vector.extract_strided_slice attn.yield attn.read attn.attend attn.merge
attn.finish attn.append attn.return attn.kernel attn.variant attn.bounds query key head
request q_len kv_len slot query_first query_last normalizer schedule attributes scale into
softmax sigmoid none page order value block HND NHD dense true false slt sge eq ult
{ } ( ) [ ] < > , : = -> ^bb0 loc(unknown) // """.split()

SPLIT = "\n// -----\n"


def mutate(text, corpus, rng):
    """One to four random edits of tokens, numbers or lines."""
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4])):
        if rng.random() < 0.25:
            lines = text.split("\n")
            i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
            other = rng.choice(rng.choice(corpus).split("\n"))
            edit = rng.randrange(4)
            if edit == 0:
                del lines[i]
            elif edit == 1:
                lines.insert(j, lines[i])
            elif edit == 2:
                lines[i], lines[j] = lines[j], lines[i]
            else:
                lines.insert(j, other)
            text = "\n".join(lines) or "\n"
            continue
        tokens = TOKEN.findall(text)
        solid = [i for i, token in enumerate(tokens) if not token.isspace()]
        if not solid:
            return text
        i, j = rng.choice(solid), rng.choice(solid)
        edit = rng.randrange(6)
        if edit == 0:
            tokens[i] = ""
        elif edit == 1:
            tokens.insert(i, tokens[i] + " ")
        elif edit == 2:
            tokens[i], tokens[j] = tokens[j], tokens[i]
        elif edit == 3:
            tokens[i] = rng.choice(WORDS)
        elif edit == 4:
            alike = [k for k in solid if tokens[k][0] == tokens[i][0]]
            tokens[i] = tokens[rng.choice(alike)]
        else:
            numbers = [k for k in solid if tokens[k].isdigit()]
            if numbers:
                tokens[rng.choice(numbers)] = rng.choice(NUMBERS)
        text = "".join(tokens)
    return text


def run(command, text, limit=60):
    """Exit code (negative for a signal), output, and the last error lines."""
    try:
        done = subprocess.run(
            command,
            input=text.encode(),
            capture_output=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"no end within {limit} s"
    tail = done.stderr.decode(errors="replace")[-3000:]
    return done.returncode, done.stdout.decode(errors="replace"), tail


def find_bad(command, texts, codes):
    """Those texts of which saccade-opt ends with another exit code."""
    if not texts or run(command, SPLIT.join(texts))[0] in codes:
        return []
    if len(texts) == 1:
        return [(command, texts[0])]
    half = len(texts) // 2
    return find_bad(command, texts[:half], codes) + find_bad(
        command, texts[half:], codes
    )


def load_corpus():
    files = sorted((SOURCE / "examples").glob("*.mlir"))
    files += sorted((SOURCE / "test" / "Dialect" / "Attn").glob("*.mlir"))
    chunks = [
        chunk
        for file in files
        if not file.name.endswith("-invalid.mlir")
        for chunk in file.read_text().split("// -----")
    ]
    strip = re.compile(r"^\s*//.*\n", re.MULTILINE)
    return [strip.sub("", chunk) for chunk in chunks]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--opt", default="saccade-opt", help="the tool to feed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000, help="how many specs")
    parser.add_argument("--seconds", type=float, help="stop after this time")
    parser.add_argument("--out", type=Path, help="a folder for what fails")
    parser.add_argument(
        "passes", nargs="*", help="after --: passes for what is accepted"
    )
    options = parser.parse_args()

    rng = random.Random(options.seed)
    corpus = load_corpus()
    command = [options.opt, "-split-input-file", "-mlir-disable-threading"]
    examples = [path.read_text() for path in (SOURCE / "examples").glob("*.mlir")]
    code, output, error = run(command + options.passes, SPLIT.join(examples), 300)
    if code not in (0, 1) or "attn" not in output and "llvm" not in output:
        print(f"no example goes through these passes: exit code {code}\n{error}")
        return 1
    start, tried, accepted, bad = time.monotonic(), 0, 0, []
    while tried < options.count:
        if options.seconds and time.monotonic() - start > options.seconds:
            break
        size = min(40, options.count - tried)
        batch = [mutate(rng.choice(corpus), corpus, rng) for _ in range(size)]
        batch = [text.replace("// -----", "") for text in batch]
        tried += size
        code, output, _ = run(command, SPLIT.join(batch))
        if code not in (0, 1):
            bad += find_bad(command, batch, (0, 1))
            continue
        printed = [part for part in output.split("// -----") if part.strip()]
        accepted += len(printed)
        bad += find_bad(command, printed, (0,))
        if options.passes:
            bad += find_bad(command + options.passes, printed, (0, 1))
    for i, (command, text) in enumerate(bad):
        code, _, error = run(command, text)
        print(f"==== {i}: exit code {code} of {' '.join(command)}\n{error}\n{text}")
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / f"{options.seed}-{i}.mlir").write_text(text)
    print(f"{tried} specs, {accepted} accepted, {len(bad)} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
