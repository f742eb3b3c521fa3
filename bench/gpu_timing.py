# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times on the GPU that may be compared: events around each launch, the second-level
cache cleared before it, candidates in random order within each of several rounds.

A chip that is limited by power runs the first tens of milliseconds of a kernel faster
than what follows, and more so after one that draws less: each candidate warms up for
itself before it is timed."""

import statistics

FLUSHED_BYTES = 256 << 20  # several times the second-level cache
WARM_MS, ROUND_MS = 50, 100  # of one candidate in a round


class Timer:
    def __init__(self, torch, rng):
        self.torch, self.rng = torch, rng
        self.flushed = torch.empty(FLUSHED_BYTES, dtype=torch.int8, device="cuda")

    def launches(self, call, count: int) -> list[float]:
        """Milliseconds of each of `count` launches, queued one after another."""
        pairs = []
        for _ in range(count):
            begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
            self.flushed.zero_()
            begin.record()
            call()
            end.record()
            pairs.append((begin, end))
        self.torch.cuda.synchronize()
        return [begin.elapsed_time(end) for begin, end in pairs]

    def measure(
        self, calls: dict, rounds: int, warm_ms: float = WARM_MS, ms: float = ROUND_MS
    ) -> dict[str, list[float]]:
        """The median milliseconds of each call in each round."""
        counts = {}
        for name, call in calls.items():
            self.launches(call, 2)
            one = statistics.median(self.launches(call, 3))
            counts[name] = [
                max(3, min(100, round(wanted / one))) for wanted in (warm_ms, ms)
            ]
        times: dict = {name: [] for name in calls}
        for _ in range(rounds):
            for name in self.rng.sample(sorted(calls), len(calls)):
                warm, timed = counts[name]
                found = self.launches(calls[name], warm + timed)[warm:]
                times[name].append(statistics.median(found))
        return times

    #
    # In CUDA graphs: without what the host and a cleared cache cost
    #

    def capture(self, calls: list, launches: int):
        """A graph of that many launches, one after another, of the calls in turn."""
        for call in calls:
            call()
        self.torch.cuda.synchronize()
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph):
            for i in range(launches):
                calls[i % len(calls)]()
        return graph

    def _replays(self, graph, count: int) -> float:
        """Milliseconds of one of `count` replays."""
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(count):
            graph.replay()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / count

    def measure_graphs(
        self,
        graphs: dict,
        launches: int,
        rounds: int,
        warm_ms: float = WARM_MS,
        ms: float = ROUND_MS,
    ) -> dict[str, list[float]]:
        """The milliseconds of a launch of each graph in each round."""
        one = {name: self._replays(graph, 2) for name, graph in graphs.items()}
        times: dict = {name: [] for name in graphs}
        for _ in range(rounds):
            for name in self.rng.sample(sorted(graphs), len(graphs)):
                for wanted in (warm_ms, ms):
                    count = max(1, round(wanted / one[name]))
                    found = self._replays(graphs[name], count)
                times[name].append(found / launches)
        return times


def spread(rounds_ms: list[float]) -> dict:
    return {
        "ms": statistics.median(rounds_ms),
        "min_ms": min(rounds_ms),
        "max_ms": max(rounds_ms),
    }


def summary(rounds_ms: list[float], flops: float) -> dict:
    found = spread(rounds_ms)
    return found | {"tflops": flops / found["ms"] / 1e9}


def ratio(theirs: list[float], ours: list[float]) -> dict:
    """How many times as fast ours is: by medians, and within single rounds."""
    rounds = [a / b for a, b in zip(theirs, ours, strict=True)]
    return {
        "ratio": statistics.median(theirs) / statistics.median(ours),
        "min_ratio": min(rounds),
        "max_ratio": max(rounds),
    }
