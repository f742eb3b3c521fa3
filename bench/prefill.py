# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prefill on the GPU beside FlashInfer's fa3, cuDNN, FlashAttention-2 and
FlexAttention: one process, random order within each round, results checked first.

Figures go to bench/results/prefill.json, those of a case as soon as it is measured;
cases and modes that a run leaves out keep the figures of earlier runs.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

import gpu_timing
import peers
import prefill_cases
import report
import results
import saccade
import schedules

ERROR = 1e-2  # of any candidate; rounding to bf16 alone gives about 3e-3
COLD_RUNS = 3
FINALISTS = 3  # schedules of a sweep that are measured with care, beside the chosen


def plan_of(kernel, batch):
    case = batch.case
    more = {}
    if case.layout == "paged":
        more["page_table"] = batch.table
    if case.layout == "block_sparse":
        more.update(page_table=batch.blocks.flatten(), block_rows=batch.block_rows)
    return kernel.plan(
        [case.q_len] * case.requests, kv_lens=[case.kv_len] * case.requests, **more
    )


def arguments_of(batch):
    q, kv, out = batch.q, (batch.k, batch.v), batch.empty()
    if batch.case.layout == "dense":
        q, *kv = (batch.by_request(x) for x in (q, *kv))
        return q, tuple(kv), batch.by_request(out)
    return q, kv, out


def ours(batch, **options):
    """A candidate, and the kernel behind it."""
    kernel = saccade.compile(batch.case.spec(), device="cuda", **options)
    plan = plan_of(kernel, batch)
    q, kv, out = arguments_of(batch)
    tokens = batch.case.requests * batch.case.q_len
    return peers.Candidate(
        lambda: kernel.run(plan, q, kv, out=out),
        lambda output: output.reshape(tokens, *output.shape[-2:]),
    ), kernel


class Bench:
    def __init__(self, torch, options):
        self.torch, self.options = torch, options
        self.timer = gpu_timing.Timer(torch, random.Random(options.seed))
        self.figures = results.read("prefill")
        self.failed: list[str] = []

    def record(self, section: str, key: str, case, figures: dict) -> None:
        figures = {"case": case.name, "build": saccade.build_id(), **figures}
        self.figures.setdefault(section, {})[key] = figures
        self.figures["device"] = self.torch.cuda.get_device_name()
        self.figures["torch"] = self.torch.__version__
        results.write("prefill", self.figures, show=False)

    def batch(self, case):
        self.torch.cuda.empty_cache()
        return prefill_cases.Batch(self.torch, case, self.options.seed)

    def candidates(self, batch, options: dict[str, dict]):
        """The case compiled in several ways, and why others are refused."""
        made, refused = {}, {}

        def make(more):
            try:
                return ours(batch, **more)[0]
            except saccade.Error as problem:
                return problem

        with concurrent.futures.ThreadPoolExecutor() as pool:
            found = pool.map(make, options.values())
            for name, candidate in zip(options, found, strict=True):
                if isinstance(candidate, saccade.Error):
                    refused[name] = str(candidate).splitlines()[0]
                else:
                    made[name] = candidate
        return made, refused

    def right(self, batch, candidates: dict, refused: dict) -> dict:
        """Calls of those whose results are right; of others, `refused` says why not."""
        calls = {}
        for name, candidate in candidates.items():
            try:
                peers.checked(batch, candidate, ERROR)
                calls[name] = candidate.call
            except (saccade.Error, ArithmeticError) as problem:
                refused[name] = str(problem).splitlines()[0]
        return calls

    def variants(self, case, options: dict[str, dict]):
        """Calls of the case compiled in several ways, and why others are refused."""
        batch = self.batch(case)
        made, refused = self.candidates(batch, options)
        return self.right(batch, made, refused), refused

    #
    # Modes
    #

    def table(self, key, case) -> None:
        batch = self.batch(case)
        candidate, kernel = ours(batch, schedule=self.options.schedule)
        error = peers.checked(batch, candidate, ERROR)
        others, absent = peers.gather(batch, self.options.peers, ERROR)
        calls = {name: other.call for name, other in others.items()}
        times = self.timer.measure(
            {"saccade": candidate.call, **calls}, self.options.rounds
        )
        figures = {
            "error": error,
            "entries": kernel.explain()["entries"],
            "rounds": self.options.rounds,
            "floor": case.floor,
            "candidates": {
                name: gpu_timing.summary(ms, case.flops()) for name, ms in times.items()
            },
            "absent": absent,
        }
        if others:
            best = min(others, key=lambda name: statistics.median(times[name]))
            against = gpu_timing.ratio(times[best], times["saccade"])
            figures.update(best_peer=best, **against)
            if case.floor is not None and against["ratio"] < case.floor:
                self.failed.append(case.name)
        self.record("table", key, case, figures)
        print(report.row_text(figures | {"case": case.name}), flush=True)

    def ablation(self, key, case) -> None:
        names = self.options.ablation or saccade.passes()
        options = {"all passes": {}} | {name: {"disable": [name]} for name in names}
        calls, refused = self.variants(case, options)
        times = self.timer.measure(calls, self.options.rounds)
        whole = statistics.median(times["all passes"])
        slower = {
            name: statistics.median(ms) / whole
            for name, ms in times.items()
            if name != "all passes"
        }
        self.record(
            "ablation", key, case, {"ms": whole, "without": slower, "refused": refused}
        )
        print(f"{case.name}: {whole:.3f} ms with all passes; without one of them")
        for name, factor in sorted(slower.items(), key=lambda item: -item[1]):
            print(f"  {name:32} x {factor:.3f}")
        for name, reason in refused.items():
            print(f"  {name:32} {reason}", flush=True)

    def sweep_options(self, case, thorough: bool) -> dict[str, dict]:
        """What a sweep compiles: all by ptxas where it is found, whose kernels are as
        fast as the driver's and which runs on all cores at a time."""
        more = {"assemble": True} if shutil.which("ptxas") else {}
        texts = {text: {"schedule": text} for text in schedules.sweep(case, thorough)}
        return {name: given | more for name, given in ({"chosen": {}} | texts).items()}

    def compile_ahead(self, cases) -> None:
        """Fills the compiler's cache, on all cores, with what sweeps will ask for."""

        def compile(spec, more):
            with contextlib.suppress(saccade.Error):  # comes again when it is asked for
                saccade.compile(spec, device="cuda", **more)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for case in cases:
                for more in self.sweep_options(case, thorough=False).values():
                    pool.submit(compile, case.spec(), more)

    def sweep(self, key, case, section="sweep", thorough=True) -> None:
        batch, options = self.batch(case), self.sweep_options(case, thorough)
        # What was chosen takes no part a second time, to win or lose by noise.
        chosen = saccade.compile(case.spec(), device="cuda", **options["chosen"])
        (schedule,) = {entry["schedule"] for entry in chosen.explain()["entries"]}
        options.pop(schedule, None)
        made, refused = self.candidates(batch, options)
        if "chosen" not in made:
            self.record(section, key, case, {"refused": refused})
            print(f"{case.name}: refused: {refused['chosen']}", flush=True)
            return
        # Roughly first; then those that may be the best as carefully as all else.
        calls = {name: candidate.call for name, candidate in made.items()}
        times = self.timer.measure(calls, 2, warm_ms=5, ms=10)
        ms = {name: statistics.median(values) for name, values in times.items()}
        best = sorted(ms, key=ms.get)[:FINALISTS]
        finalists = {
            name: made[name] for name in {"chosen": None} | dict.fromkeys(best)
        }
        calls = self.right(batch, finalists, refused)
        if "chosen" not in calls:
            raise ArithmeticError(refused["chosen"])
        times = self.timer.measure(calls, self.options.rounds)
        final = {name: statistics.median(values) for name, values in times.items()}
        ms |= final
        best = min(final, key=final.get)
        gap = ms["chosen"] / ms[best] - 1
        figures = {"gap": gap, "best": best, "chosen": schedule, "ms": ms}
        figures["refused"] = refused
        self.record(section, key, case, figures)
        print(f"{case.name}: chosen {ms['chosen']:.3f} ms, {gap:+.1%}, best {best}")
        if thorough:
            for name in sorted(ms, key=ms.get):
                print(f"  {ms[name]:8.3f} ms  {name}")
            for name, reason in refused.items():
                print(f"  refused: {name}: {reason}")
        sys.stdout.flush()

    def jit_and_ptxas(self, key, case) -> None:
        calls, refused = self.variants(
            case, {"jit": {}, "ptxas": {"assemble": True}}
        )  # fmt: skip
        if refused:
            print(f"{case.name}: {refused}", flush=True)
            return
        times = self.timer.measure(calls, self.options.rounds)
        ms = {name: statistics.median(values) for name, values in times.items()}
        figures = {"ms": ms, "jit_over_ptxas": ms["jit"] / ms["ptxas"]}
        self.record("jit_and_ptxas", key, case, figures)
        print(
            f"{case.name}: driver's JIT {ms['jit']:.3f} ms, ptxas {ms['ptxas']:.3f} ms: "
            f"{figures['jit_over_ptxas']:.3f}",
            flush=True,
        )

    def cold(self, key, case) -> None:
        """From the spec to the first result, in fresh processes without caches."""
        environment = {
            **os.environ, "SACCADE_CACHE_DIR": "", "CUDA_CACHE_DISABLE": "1"
        }  # fmt: skip
        self.torch.cuda.empty_cache()
        runs = []
        for _ in range(COLD_RUNS):
            done = subprocess.run(
                [sys.executable, __file__, "--cold-child", key],
                env=environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
            runs.append(json.loads(done.stdout.splitlines()[-1]))
        ms = {part: statistics.median(run[part] for run in runs) for part in runs[0]}
        self.record("cold", key, case, {"ms": ms})
        parts = ", ".join(f"{part} {value:.0f}" for part, value in ms.items())
        print(f"{case.name}: cold, ms: {parts}", flush=True)

    def draw(self, count: int) -> None:
        drawn = prefill_cases.random_cases(count, random.Random(self.options.seed))
        if self.options.only:
            drawn = {key: drawn[key] for key in self.options.only.split(",")}
        else:
            self.figures.pop("random", None)
        self.compile_ahead(drawn.values())
        for key, case in drawn.items():
            try:
                self.sweep(key, case, section="random", thorough=False)
            except Exception as problem:  # the other shapes still count
                print(f"{case.name}: failed: {type(problem).__name__}: {problem}")
                self.failed.append(case.name)
        gaps = [
            (row["gap"], row["case"])
            for row in self.figures["random"].values()
            if "gap" in row
        ]
        if gaps:
            print(
                f"{len(gaps)} of {count} shapes, seed {self.options.seed}: worst gap "
                f"{max(gaps)[0]:.1%} ({max(gaps)[1]}), "
                f"{sum(gap > 0.05 for gap, _ in gaps)} above 5 %"
            )


def cold_child(torch, key: str) -> None:
    """The device is there and holds the inputs; the compiler has seen nothing."""
    batch = prefill_cases.Batch(torch, prefill_cases.TABLE[key])
    q, kv, out = arguments_of(batch)
    torch.cuda.synchronize()
    marks = [time.perf_counter()]
    kernel = saccade.compile(batch.case.spec(), device="cuda")
    marks.append(time.perf_counter())
    plan = plan_of(kernel, batch)
    marks.append(time.perf_counter())
    kernel.run(plan, q, kv, out=out)
    torch.cuda.synchronize()
    marks.append(time.perf_counter())
    ms = [1e3 * (b - a) for a, b in zip(marks, marks[1:], strict=False)]
    print(
        json.dumps({"all": sum(ms), "compile": ms[0], "plan": ms[1], "run": ms[2]})
    )  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    names = ", ".join(prefill_cases.TABLE)
    parser.add_argument("--cases", help=f"of {names}; comma-separated (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--peers", default=",".join(peers.PEERS), help="comma-separated"
    )
    parser.add_argument("--schedule", help="a #tile.schedule instead of the chosen one")
    parser.add_argument(
        "--check", action="store_true", help="fail where a ratio is below its floor"
    )
    modes = parser.add_argument_group("instead of the table beside peers")
    modes.add_argument(
        "--table", action="store_true", help="the table, beside another mode"
    )
    modes.add_argument(
        "--ablation", nargs="*", metavar="PASS", help="leave passes out, one at a time"
    )
    modes.add_argument("--sweep", action="store_true", help="try many schedules")
    modes.add_argument("--jit-vs-ptxas", action="store_true")
    modes.add_argument("--cold", action="store_true", help="time to a first result")
    modes.add_argument("--random", type=int, metavar="COUNT", help="shapes drawn")
    modes.add_argument("--only", help="of the shapes drawn, such as r0,r7")
    modes.add_argument(
        "--report", action="store_true",
        help="docs/performance.md from the figures that are there; needs no GPU",
    )  # fmt: skip
    parser.add_argument("--cold-child", metavar="CASE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.peers = [name for name in options.peers.split(",") if name]
    chosen = options.cases.split(",") if options.cases else list(prefill_cases.TABLE)
    for name in set(options.peers) - set(peers.PEERS):
        parser.error(f"expects peers of {', '.join(peers.PEERS)}, but got {name}")
    for name in set(chosen) - set(prefill_cases.TABLE):
        parser.error(f"expects cases of {names}, but got {name}")
    options.cases = {key: prefill_cases.TABLE[key] for key in chosen}
    return options


def main() -> int:
    options = parse()
    if options.report:
        report.write(results.read("prefill"))
        return 0
    try:
        import torch
    except ImportError:
        torch = None
    if torch is None or saccade.cuda_device_count() == 0:
        print("needs torch and a CUDA device: skipped")
        return 0
    if options.cold_child:
        cold_child(torch, options.cold_child)
        return 0
    bench = Bench(torch, options)
    modes = [
        (options.ablation is not None, bench.ablation),
        (options.sweep, bench.sweep),
        (options.jit_vs_ptxas, bench.jit_and_ptxas),
        (options.cold, bench.cold),
    ]
    wanted = [mode for asked, mode in modes if asked]
    if options.table or not (wanted or options.random):
        wanted.insert(0, bench.table)
    for mode in wanted:
        for key, case in options.cases.items():
            try:
                mode(key, case)
            except Exception as problem:  # the other cases still count
                print(f"{case.name}: failed: {type(problem).__name__}: {problem}")
                bench.failed.append(case.name)
    if options.random:
        bench.draw(options.random)
    if bench.failed:
        print("below the floor, or failed:", "; ".join(dict.fromkeys(bench.failed)))
    return 1 if options.check and bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
