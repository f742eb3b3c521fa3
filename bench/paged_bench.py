# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What bench/decode.py and bench/mixed.py share: paged batches beside other libraries
in one process, in random order within each round, results checked first.

Two ways. "flush": an event on each side of a launch, L2 cleared before it. "graph": a
CUDA graph of launches one after another, over page sets that no L2 holds.
"""

import argparse
import concurrent.futures
import functools
import pathlib
import random
import statistics

import decode_cases
import decode_peers
import gpu_timing
import paged_batches
import peers
import results
import saccade

ERROR = 1e-2  # of ours; rounding to bf16 alone gives about 3e-3
WAYS = ("flush", "graph")
WARM_MS, ROUND_MS = 20, 50
LAUNCHES = 32  # of a graph, at least


def plan_of(kernel, case, tables):
    return kernel.plan(
        list(case.q_lens), kv_lens=list(case.kv_lens),
        kv_indptr=case.page_indptr, page_table=tables,
    )  # fmt: skip


def one_launch(batch, kernel):
    """Candidates that compute page set number so-and-so by one kernel."""

    def make(index=0):
        plan, out = plan_of(kernel, batch.case, batch.tables[index]), batch.empty()
        return peers.Candidate(lambda: kernel.run(plan, batch.q, batch.cache, out=out))

    return make


def reason(problem: Exception) -> str:
    lines = str(problem).strip().splitlines() or [""]
    return f"{type(problem).__name__}: {lines[0]}"[:200]


class Bench:
    """name: of the figures. makers: of peers, by name. texts: a row of the table, as a
    line of a terminal."""

    def __init__(self, torch, options, name, makers, row_text):
        self.torch, self.options, self.name = torch, options, name
        self.makers, self.row_text = makers, row_text
        self.timer = gpu_timing.Timer(torch, random.Random(options.seed))
        self.figures = results.read(name)
        self.failed: list[str] = []
        self.pools: dict = {}

    def batch(self, case):
        if case.dtype not in self.pools:
            self.pools[case.dtype] = paged_batches.Pool(
                self.torch, case.dtype, self.options.seed
            )
        pool = self.pools[case.dtype]
        return paged_batches.Batch(self.torch, case, pool, self.options.seed)

    def record(self, section: str, key: str, case, figures: dict) -> None:
        figures = {"case": case.name, "build": saccade.build_id(), **figures}
        self.figures.setdefault(section, {})[key] = figures
        self.figures["device"] = self.torch.cuda.get_device_name()
        self.figures["torch"] = self.torch.__version__
        results.write(self.name, self.figures, show=False)

    #
    # Times of candidates, each a function from the number of a page set
    #

    def flushed(self, calls: dict) -> dict[str, list[float]]:
        return self.timer.measure(calls, self.options.rounds, WARM_MS, ROUND_MS)

    def graphs(self, batch, makers: dict, ours: set, absent: dict):
        """Milliseconds of a launch; `absent` says who cannot be captured."""
        sets = len(batch.tables)
        launches = sets * -(-LAUNCHES // sets)
        captured, kept = {}, []  # graphs do not keep plans alive
        for name, make in makers.items():
            try:
                calls = [make(i).call for i in range(sets)]
                outputs = [call() for call in calls] if name in ours else []
                wanted = [output.clone() for output in outputs]
                graph = self.timer.capture(calls, launches)
                for output in outputs:
                    output.fill_(float("nan"))
                graph.replay()
                if not all(map(self.torch.equal, wanted, outputs)):
                    raise ArithmeticError("a graph's results differ")
                captured[name] = graph
                kept.append(calls)
            except Exception as problem:
                absent[f"{name}, graph"] = reason(problem)
                if name in ours:
                    self.failed.append(batch.case.name)
        return self.timer.measure_graphs(
            captured, launches, self.options.rounds, WARM_MS, ROUND_MS
        )

    def times(self, batch, makers: dict, ours: set, absent: dict) -> dict:
        """Of each way that was asked for; makers' results were checked."""
        found = {}
        if "flush" in self.options.ways:
            calls = {name: make(0).call for name, make in makers.items()}
            found["flush"] = self.flushed(calls)
        if "graph" in self.options.ways:
            found["graph"] = self.graphs(batch, makers, ours, absent)
        return found

    #
    # Modes
    #

    def table(self, key, case, compile) -> None:
        """compile: gives, for a batch, what ours are, by name, and their kernels."""
        batch = self.batch(case)
        makers, figures, absent = {}, {}, {}
        try:
            ours, kernels = compile(batch)
            for name, make in ours.items():
                error = peers.checked(batch, make(0), ERROR)
                figures.setdefault("error", error)
                makers[name] = make
            figures["entries"] = [e for k in kernels for e in k.explain()["entries"]]
        except saccade.SpecError as problem:
            absent["saccade"] = reason(problem)
            if case.dtype == "bf16":
                self.failed.append(case.name)
        except (saccade.Error, ArithmeticError) as problem:
            absent["saccade"] = reason(problem)
            self.failed.append(case.name)
        mine = set(makers)
        others, why = peers.gather(
            batch, self.options.peers, decode_peers.ERROR[case.dtype], self.makers
        )
        absent |= why
        for name in others:
            makers[name] = functools.partial(self.makers[name], batch)
        times = self.times(batch, makers, mine, absent)
        figures |= {
            "requests": case.requests, "queries": sum(case.q_lens), "kv_tokens": sum(case.kv_lens),
            "kv_bytes": case.kv_bytes(), "page_sets": len(batch.tables),
            "rounds": self.options.rounds, "floor": case.floor, "aim": case.aim,
            "ways": {
                way: {name: gpu_timing.spread(ms) for name, ms in rounds.items()}
                for way, rounds in times.items()
            },
            "against": {}, "absent": absent,
        }  # fmt: skip
        for way, rounds in times.items():
            present = [name for name in others if name in rounds]
            if present and "saccade" in rounds:
                best = min(present, key=lambda name: statistics.median(rounds[name]))
                against = gpu_timing.ratio(rounds[best], rounds["saccade"])
                figures["against"][way] = {"peer": best, **against}
        ratio = figures["against"].get("flush", {}).get("ratio")
        if None not in (ratio, case.floor) and ratio < case.floor:
            self.failed.append(case.name)
        self.record("table", key, case, figures)
        print(self.row_text(figures | {"case": case.name}), flush=True)

    def variants(self, section, key, case, spec: str, options: dict[str, dict]) -> None:
        """The case compiled in several ways, the first of which is what it should be."""
        batch, makers, refused = self.batch(case), {}, {}

        def compiled(more):
            try:
                return saccade.compile(spec, device="cuda", **more)
            except saccade.Error as problem:
                return problem

        with concurrent.futures.ThreadPoolExecutor() as pool:
            kernels = dict(
                zip(options, pool.map(compiled, options.values()), strict=True)
            )
        for name, kernel in kernels.items():
            try:
                if isinstance(kernel, Exception):
                    raise kernel
                make = one_launch(batch, kernel)
                peers.checked(batch, make(0), ERROR)
                makers[name] = make
            except (saccade.Error, ArithmeticError) as problem:
                refused[name] = reason(problem)
        times = self.times(batch, makers, set(makers), refused)
        ms = {
            way: {name: statistics.median(found) for name, found in rounds.items()}
            for way, rounds in times.items()
        }
        self.record(section, key, case, {"ms": ms, "refused": refused})
        for way, found in ms.items():
            base = found.get(next(iter(options)))
            print(f"{case.name}, {way}:")
            for name in sorted(found, key=found.get):
                factor = f" x {found[name] / base:.3f}" if base else ""
                rate = case.kv_bytes() / found[name] / 1e9
                print(f"  {found[name]:8.4f} ms {rate:5.2f} TB/s{factor}  {name}")
        for name, why in refused.items():
            print(f"  refused: {name}: {why}", flush=True)


#
# Command line
#


def parser(text: str, makers: dict, cases: str) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--cases", help=f"of {cases}; comma-separated (default: all)")
    found.add_argument("--rounds", type=int, default=5)
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--peers", default=",".join(makers), help="comma-separated")
    found.add_argument("--ways", default=",".join(WAYS), help="comma-separated")
    found.add_argument(
        "--traces", type=pathlib.Path, default=decode_cases.DATA,
        help="folder of request lengths (default: bench/data)",
    )  # fmt: skip
    found.add_argument(
        "--check", action="store_true", help="fail where a ratio is below its floor"
    )
    modes = found.add_argument_group("instead of the table beside peers")
    modes.add_argument(
        "--ablation", nargs="*", metavar="PASS", help="leave passes out, one at a time"
    )
    modes.add_argument(
        "--sweep", nargs="+", metavar="SCHEDULE",
        help="texts of #tile.schedule, beside the one chosen",
    )  # fmt: skip
    modes.add_argument(
        "--dry", action="store_true", help="what would be measured; needs no GPU"
    )
    modes.add_argument(
        "--report", action="store_true",
        help="docs/performance.md from the figures that are there; needs no GPU",
    )  # fmt: skip
    return found


def chosen(parser, options, makers: dict, cases: dict) -> None:
    """Makes lists of what options name, and refuses what there is not."""
    for field, known in (("peers", makers), ("ways", WAYS), ("cases", cases)):
        given = getattr(options, field)
        names = list(known) if given is None else [n for n in given.split(",") if n]
        for name in names:
            if name not in known:
                expected = ", ".join(known)
                parser.error(f"expects {field} of {expected}, but got {name}")
        setattr(options, field, names)
    options.cases = {key: cases[key] for key in options.cases}


def ways_to_compile(options) -> tuple[str, dict[str, dict]] | None:
    """The section and the options of --ablation or --sweep, if one was asked for."""
    if options.sweep:
        return "sweep", {"chosen": {}} | {x: {"schedule": x} for x in options.sweep}
    if options.ablation is not None:
        names = options.ablation or saccade.passes()
        return "ablation", {"all passes": {}} | {
            f"without {name}": {"disable": [name]} for name in names
        }
    return None


def main(name: str, options, makers, row_text, compile, query_tokens) -> int:
    """Measures what options ask for. compile: see Bench.table; query_tokens: what
    specs of variants say of queries."""
    if options.dry:
        print(decode_cases.described(options.cases))
        return 0
    try:
        import torch
    except ImportError:
        torch = None
    if torch is None or saccade.cuda_device_count() == 0:
        print("needs torch and a CUDA device: skipped")
        return 0
    bench = Bench(torch, options, name, makers, row_text)
    variants = ways_to_compile(options)
    for key, case in options.cases.items():
        try:
            if variants:
                section, more = variants
                bench.variants(section, key, case, case.spec(query_tokens), more)
            else:
                bench.table(key, case, compile)
        except Exception as problem:  # the other cases still count
            print(f"{case.name}: failed: {reason(problem)}", flush=True)
            bench.failed.append(case.name)
        torch.cuda.empty_cache()
    if bench.failed:
        print("below the floor, or failed:", "; ".join(dict.fromkeys(bench.failed)))
    return 1 if options.check and bench.failed else 0
