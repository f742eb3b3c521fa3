# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A Llama-shaped model (random weights, the dims of 8B) in transformers with Saccade's
attention beside its other implementations: one process, random order within each
round, logits compared first. Prefill of one prompt, and decode steps of a batch.

Figures go to bench/results/hf_model.json.
"""

import argparse
import contextlib
import importlib.metadata
import random
import statistics
import sys
import time

import gpu_timing
import report
import results

PEERS = (
    *("sdpa", "sdpa_flash", "sdpa_cudnn"),
    *("flash_attention_2", "flash_attention_3", "flash_attention_4"),
)
BACKENDS = {"sdpa_flash": "FLASH_ATTENTION", "sdpa_cudnn": "CUDNN_ATTENTION"}
ERROR = 5e-2  # of logits, relative to the largest; two implementations in bf16
AHEAD = 40_000_000  # clocks that the GPU waits while the host queues a forward
COLUMNS = {
    "saccade": "Saccade",
    "sdpa": "sdpa",
    "sdpa_flash": "sdpa, its FlashAttention-2",
    "sdpa_cudnn": "sdpa, its cuDNN",
    "flash_attention_2": "flash_attention_2",
    "flash_attention_3": "flash_attention_3",
    "flash_attention_4": "flash_attention_4",
    "flex_attention": "flex_attention",
}


class Case:
    """Forwards that may be repeated: `fresh` makes what one of them takes, `step`
    runs it and gives the logits of the last token."""

    def __init__(self, torch, model, ids, new: int, static: int = 0):
        self.torch, self.model, self.ids = torch, model, ids
        self.new, self.static = new, static

    def fresh(self):
        """The cache of a prompt, to be decoded from; None for prefill itself."""
        if not self.new:
            return None
        import transformers

        config = self.model.config
        cache = (
            transformers.StaticCache(config=config, max_cache_len=self.static)
            if self.static
            else transformers.DynamicCache(config=config)
        )
        for layer in range(config.num_hidden_layers):
            shape = (len(self.ids), config.num_key_value_heads, self.new, 128)
            kv = self.torch.randn(2, *shape, device="cuda", dtype=self.model.dtype)
            cache.update(*kv, layer)
        return cache

    def step(self, cache):
        ids = self.ids if cache is None else self.ids[:, :1]
        output = self.model(
            input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        return output.logits[:, -1]


class Bench:
    def __init__(self, options):
        import torch
        import transformers
        from saccade.integrations.transformers import register

        register()
        self.torch, self.options = torch, options
        self.rng = random.Random(options.seed)
        config = transformers.LlamaConfig(
            vocab_size=32000, hidden_size=4096, intermediate_size=14336,
            num_hidden_layers=options.layers, num_attention_heads=32,
            num_key_value_heads=8, head_dim=128, max_position_embeddings=131072,
        )  # fmt: skip
        with torch.device("cuda"):
            torch.manual_seed(options.seed)
            self.model = transformers.LlamaForCausalLM._from_config(
                config, dtype=torch.bfloat16
            ).eval()
        self.names = ["saccade", *self.usable(options.peers)]

    def attention(self, name: str):
        """Switches the model to an implementation; forwards run under what it gives."""
        backend = BACKENDS.get(name)
        self.model.set_attn_implementation("sdpa" if backend else name)
        if backend is None:
            return contextlib.nullcontext()
        from torch.nn import attention

        return attention.sdpa_kernel(getattr(attention.SDPBackend, backend))

    def usable(self, names):
        """Implementations that are installed."""
        found = []
        for name in names:
            try:
                with self.attention(name):
                    found.append(name)
            except Exception as problem:
                print(f"{name}: {str(problem).splitlines()[0]}", flush=True)
        return found

    def cases(self):
        torch, options = self.torch, self.options

        def ids(batch, length):
            return torch.randint(0, 32000, (batch, length), device="cuda")

        def case(*arguments):
            return Case(torch, self.model, *arguments)

        yield f"prefill 1 x {options.prefill}", case(ids(1, options.prefill), 0)
        for context in options.contexts:
            name = f"decode {options.batch} x {context}"
            new = ids(options.batch, 1)
            yield name, case(new, context)
            yield f"{name}, static cache", case(new, context, context + 256)

    def checked(self, case) -> tuple[list[str], dict]:
        """Implementations that can run the case and agree with sdpa; why others do
        not."""
        good, absent, wanted = [], {}, None
        for name in sorted(self.names, key=lambda name: name != "sdpa"):
            try:
                self.torch.manual_seed(1)
                with self.attention(name):
                    logits = case.step(case.fresh()).float()
            except Exception as problem:
                absent[name] = f"{type(problem).__name__}: {problem}".splitlines()[0]
                if name == "saccade":
                    raise
                continue
            wanted = logits if wanted is None else wanted
            error = ((logits - wanted).abs().max() / wanted.abs().max()).item()
            if not error <= ERROR:
                absent[name] = f"an error of {error:.1e}"
                continue
            good.append(name)
        return good, absent

    def measure(self, case, names: list[str]) -> dict:
        """The median milliseconds of a forward in each round: from the call until the
        GPU is done, and on the GPU alone."""
        caches = {name: case.fresh() for name in names}
        times: dict = {name: {"ms": [], "gpu_ms": []} for name in names}
        for _ in range(self.options.rounds):
            for name in self.rng.sample(names, len(names)):
                with self.attention(name):
                    wall, gpu = self.forwards(case, caches[name])
                times[name]["ms"].append(statistics.median(wall))
                times[name]["gpu_ms"] += gpu
        return times

    def forwards(self, case, cache) -> tuple[list[float], list[float]]:
        torch, wall, gpu = self.torch, [], []
        for number in range(1 + self.options.steps):
            torch.cuda.synchronize()
            begin = time.perf_counter()
            case.step(cache)
            torch.cuda.synchronize()
            if number:  # the first one warms up
                wall.append(1e3 * (time.perf_counter() - begin))
        # A static cache's length is read from the GPU, which the host waits for.
        for _ in range(0 if case.static else 2):
            pair = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            torch.cuda._sleep(AHEAD)
            pair[0].record()
            case.step(cache)
            pair[1].record()
            torch.cuda.synchronize()
            gpu.append(pair[0].elapsed_time(pair[1]))
        return wall, gpu

    def row(self, name: str, case) -> dict:
        names, absent = self.checked(case)
        times = self.measure(case, names)
        row: dict = {"case": name, "rounds": self.options.rounds, "absent": absent}
        row["candidates"] = {
            other: gpu_timing.spread(found["ms"]) for other, found in times.items()
        }
        for other, found in times.items():
            if found["gpu_ms"]:
                row["candidates"][other]["gpu_ms"] = statistics.median(found["gpu_ms"])
        others = [other for other in names if other != "saccade"]
        if others:
            best = min(others, key=lambda other: row["candidates"][other]["ms"])
            row |= {"best_peer": best}
            row |= gpu_timing.ratio(times[best]["ms"], times["saccade"]["ms"])
            alone = {
                n: f["gpu_ms"] for n, f in row["candidates"].items() if "gpu_ms" in f
            }
            if alone:
                best = min(alone[other] for other in others)
                row["gpu_ratio"] = best / alone["saccade"]
        return row


def row_text(row: dict) -> str:
    """A row of the table as lines of a terminal."""
    parts = [
        f"{name} {f['ms']:.2f} [{f['min_ms']:.2f}-{f['max_ms']:.2f}]"
        + (f", GPU {f['gpu_ms']:.2f}" if "gpu_ms" in f else "")
        for name, f in row["candidates"].items()
    ]
    text = f"{row['case']}: ms: {'; '.join(parts)}"
    if "ratio" in row:
        text += (
            f"; {row['ratio']:.3f} [{row['min_ratio']:.3f}-{row['max_ratio']:.3f}] of "
            f"{row['best_peer']}"
        )
    if "gpu_ratio" in row:
        text += f", GPU {row['gpu_ratio']:.3f}"
    for name, why in row["absent"].items():
        text += f"\n  {name}: {why}"
    return text


def write_report(figures: dict, folder=report.DOCS) -> None:
    rows = list(figures["table"].values())
    names = [n for n in COLUMNS if any(n in row["candidates"] for row in rows)]
    lines = []
    for row in rows:
        cells = [row["case"]]
        for name in names:
            found = row["candidates"].get(name, {})
            text = f"{found['ms']:.2f}" if found else "-"
            cells.append(
                f"{text} ({found['gpu_ms']:.2f})" if "gpu_ms" in found else text
            )
        cells.append(
            f"{row['ratio']:.2f} ({row['min_ratio']:.2f}-{row['max_ratio']:.2f})"
            if "ratio" in row
            else "-"
        )
        cells.append(f"{row['gpu_ratio']:.2f}" if "gpu_ratio" in row else "-")
        lines.append(cells)
    head = ["ms (on the GPU)", *(COLUMNS[name] for name in names)]
    head += ["ratio (rounds)", "on the GPU"]
    text = (
        f"\n## Models in transformers\n\n{figures['device']}, PyTorch {figures['torch']}, "
        f"transformers {figures['transformers']}, {figures['date']}; "
        "`bench/hf_model.py` makes all of it.\n\n"
        f"Forwards of a Llama of 8B's dims with {figures['layers']} layers, random "
        "weights, bf16: from the call until the GPU is done, and in brackets the GPU "
        "alone, with all launches queued before. Decode appends to transformers' own "
        "cache, whose growth is part of the time; static caches do not grow. The ratio "
        "is to the fastest of the others, by medians, and within single rounds.\n\n"
        f"{report.markdown(head, lines)}"
    )
    print(report.place("hf_model", text, folder))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="forwards of a round")
    parser.add_argument(
        "--prefill", type=int, default=8192, help="tokens of the prompt"
    )
    parser.add_argument(
        "--batch", type=int, default=32, help="requests of a decode step"
    )
    parser.add_argument("--contexts", type=int, nargs="*", default=[2048, 8192])
    parser.add_argument(
        "--peers", nargs="*", default=PEERS, help=f"of {', '.join(COLUMNS)}"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="docs from the figures")
    options = parser.parse_args()
    if options.report:
        write_report(results.read("hf_model"))
        return 0
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as problem:
        print(problem)
        return 0
    if not torch.cuda.is_available():
        print("no CUDA device: nothing to measure")
        return 0
    figures = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "transformers": importlib.metadata.version("transformers"),
        "layers": options.layers,
        "table": {},
    }
    with torch.no_grad():
        bench = Bench(options)
        for name, case in bench.cases():
            row = bench.row(name, case)
            figures["table"][name] = row
            print(row_text(row), flush=True)
            results.write("hf_model", figures, show=False)
            torch.cuda.empty_cache()
    return 0


if __name__ == "__main__":
    sys.exit(main())
