# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Mutates examples and compiles what comes out. Any answer is right but a crash, a
# hang, or a failure without a message. By hand:
#
#     python3 test/python/fuzz_specs.py --seconds 300 [--until tile] [--save DIR]
#
# Each find is printed; kept ones are tests (test_bad_specs.py).
import argparse
import pathlib
import random
import re
import subprocess
import sys
import time

EXAMPLES = sorted((pathlib.Path(__file__).parents[2] / "examples").glob("*.mlir"))
TOKEN = re.compile(r"//[^\n]*|\s+|[%#@!]?[\w.$]+|->|.", re.S)
NUMBERS = "0 1 2 3 7 8 16 24 48 64 100 127 128 255 256 576 577 65535 65536 1073741824 2147483647 2147483648 4294967296 9223372036854775807 9223372036854775808 -1 -8 1.5 0x7FC00000".split()
WORDS = """attn.variant attn.kernel attn.attend attn.finish attn.merge attn.append attn.mask
attn.logits attn.sink attn.query attn.key attn.value attn.output attn.bounds attn.yield
attn.read attn.return query key head request q_len kv_len slot query_first query_last
normalizer = sigmoid none softmax schedule order HND NHD page block value
!attn.ragged<32x128xbf16> !attn.paged<8x128xbf16,page=16> !attn.dense<8x64xf32>
!attn.block_sparse<8x128xf16,block=64x64> !attn.state<32x128> !attn.lse<32>
!attn.per_head<f32> !attn.per_request<i32> !attn.per_token<i32> !attn.bits
f32 bf16 f16 i32 i1 i64 index f64 vector<128xf32> vector<4x4xf32> tensor<?xf32>
#tile.schedule<rows=64,keys=64,warps=4,weights=bf16> arith.constant arith.divsi arith.remsi
arith.shli arith.select math.exp math.powf math.erf math.atan2 vector.shuffle
vector.broadcast vector.reduction scf.for func.func { } ( ) [ ] < > : , -> % @ # !""".split()


def mutate(text, rng, others):
    tokens = TOKEN.findall(text)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        if not tokens:
            break
        at = rng.randrange(len(tokens))
        length = rng.choice([1, 1, 2, 3, 8, 30])
        kind = rng.randrange(8)
        if kind == 0:
            del tokens[at : at + length]
        elif kind == 1:
            tokens[at:at] = tokens[at : at + length]
        elif kind == 2:
            other = rng.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif kind == 3:
            numbers = [i for i, t in enumerate(tokens) if re.search(r"\d", t)]
            if numbers:
                i = rng.choice(numbers)
                tokens[i] = re.sub(
                    r"\d+", lambda _: rng.choice(NUMBERS), tokens[i], count=1
                )
        elif kind == 4:
            tokens[at] = rng.choice(WORDS)
        elif kind == 5:
            tokens.insert(at, " " + rng.choice(WORDS) + " ")
        elif kind == 6:
            names = [t for t in tokens if t[:1] in "%@"]
            if names:
                tokens[at] = rng.choice(names)
        else:
            foreign = TOKEN.findall(rng.choice(others))
            start = rng.randrange(len(foreign))
            tokens[at:at] = foreign[start : start + rng.choice([1, 5, 40, 200])]
    return "".join(tokens)


def case(seed):
    rng = random.Random(seed)
    texts = [path.read_text() for path in EXAMPLES]
    return mutate(rng.choice(texts), rng, texts)


def worker(first, count, until, target):
    """Announces each seed before it is tried, so that the last one is the culprit."""
    import saccade

    for seed in range(first, first + count):
        print(seed, flush=True)
        try:
            saccade.stage(case(seed), until, target=target)
        except saccade.Error as error:
            if not str(error).strip() or "without a diagnostic" in str(error):
                print(f"silent {seed}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--until", default="tile")
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--save", type=pathlib.Path)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        return worker(options.first, options.worker, options.until, options.target)

    end, seed, finds = time.monotonic() + options.seconds, options.first, []
    while time.monotonic() < end:
        count = 500
        command = [sys.executable, __file__, "--worker", str(count)]
        command += ["--first", str(seed), "--until", options.until]
        command += ["--target", options.target]
        why = None
        try:
            process = subprocess.run(
                command, capture_output=True, text=True, timeout=300, errors="replace"
            )
            output = process.stdout
            if process.returncode:
                why = f"exit {process.returncode}: {process.stderr.strip()[-800:]}"
        except subprocess.TimeoutExpired as expired:
            output, why = (expired.stdout or b"").decode(), "hangs"
        finds += [
            (int(line.split()[1]), "no message")
            for line in output.splitlines()
            if line.startswith("silent")
        ]
        if why is None:
            seed += count
            continue
        numbers = [line for line in output.splitlines() if line.isdigit()]
        culprit = int(numbers[-1]) if numbers else seed
        finds.append((culprit, why))
        seed = culprit + 1
        print(f"seed {culprit}: {why}", flush=True)
    for culprit, why in finds:
        print(f"--- seed {culprit}: {why}\n{case(culprit)}")
        if options.save:
            options.save.mkdir(exist_ok=True)
            (options.save / f"{culprit}.mlir").write_text(case(culprit))
    print(f"{seed - options.first} specs tried, {len(finds)} finds")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
