# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Compiles mutated examples down to code, in process: any answer is right but a
# crash, a hang, or a failure without a message. By hand:
#
#     python3 test/fuzz/fuzz_compiler.py --seconds 300 --until ptx --target sm_90a
#
# fuzz_specs.py does the same for the parser and the passes by themselves.
import argparse
import pathlib
import random
import subprocess
import sys
import time

from fuzz_specs import load_corpus, mutate


def case(seed):
    rng, corpus = random.Random(seed), load_corpus()
    return mutate(rng.choice(corpus), corpus, rng)


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
    parser.add_argument("--until", default="obj")
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
