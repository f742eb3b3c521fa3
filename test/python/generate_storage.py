# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# How the caches of generated kernels are stored.
import random


class Storage:
    """How the caches of a kernel are stored, drawn apart from the kernel itself:
    their element types, and the scales of their keys and values."""

    def __init__(self, seed, heads, narrow):
        self.rng, self.heads = random.Random(f"storage of {seed}"), heads
        self.narrow = narrow and self.rng.random() < 0.5
        self.arguments, self.values = [], {}

    def element(self, wide):
        """The element type of a cache, and of what is appended to it."""
        if not self.narrow or self.rng.random() < 0.3:
            return wide, wide
        stored = self.rng.choice(["f8E4M3FN", "f8E5M2"])
        return stored, self.rng.choice([stored, wide])

    def scales(self, index):
        """Scales of a cache as an operation takes them, some of them left out."""
        text = ""
        for kind in ("key_scale", "value_scale") if self.narrow else ():
            form = self.rng.choice([None, "f32", "!attn.per_head<f32>"])
            if form is None:
                continue
            name = f"{kind}{index}"
            self.arguments.append((name, form))
            self.values[name] = (
                self.rng.choice([0.25, 0.7, 1.6])
                if form == "f32"
                else lambda g, _: g.uniform(0.3, 1.6, self.heads)
            )
            text += f" {kind} %{name} : {form}"
        return text
