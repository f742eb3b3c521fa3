# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Small random models of real architectures, and the comparison of their attention
# implementations. Weights are large enough for attention to be far from uniform.
import contextlib
import copy
import functools

import saccade
import torch
import transformers
from saccade.integrations.transformers import register

register()

VOCABULARY = 160
LAYERS = 2
WINDOW = 8
TOLERANCE = {"cpu": 1e-4, "cuda": 2e-2}
DTYPE = {"cpu": torch.float32, "cuda": torch.bfloat16}

_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "initializer_range": 0.1,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_GROUPED = _SIZES | {"num_key_value_heads": 2}
_ALTERNATING = ["sliding_attention", "full_attention"]

DECODERS = {
    "llama": ("Llama", _GROUPED),
    "qwen3": ("Qwen3", _GROUPED | {"head_dim": 32}),
    "mistral": ("Mistral", _GROUPED | {"sliding_window": WINDOW, "head_dim": 24}),
    "gemma2": (
        "Gemma2",
        _GROUPED
        | {
            "head_dim": 32,
            "query_pre_attn_scalar": 24,
            "sliding_window": WINDOW,
            "attn_logit_softcapping": 3.0,
            "layer_types": _ALTERNATING,
        },
    ),
    "gemma3": (
        "Gemma3",
        _GROUPED
        | {"head_dim": 16, "sliding_window": WINDOW, "layer_types": _ALTERNATING},
    ),
    "gpt_oss": (
        "GptOss",
        _GROUPED
        | {
            "head_dim": 16,
            "sliding_window": WINDOW,
            "layer_types": _ALTERNATING,
            "initializer_range": 0.06,
            "num_local_experts": 2,  # all: in bf16, one implementation
            "num_experts_per_tok": 2,  # might choose others than another
        },
    ),
    "phi": ("Phi", _SIZES | {"hidden_size": 128}),
    "phi3": ("Phi3", _GROUPED | {"num_key_value_heads": 1}),
    "llama4": (
        "Llama4",
        _GROUPED
        | {
            "head_dim": 16,
            "intermediate_size_mlp": 96,
            "num_local_experts": 1,
            "attention_chunk_size": WINDOW,
            "layer_types": ["chunked_attention", "full_attention"],
        },
    ),
}
ENCODERS = {
    "bert": ("BertConfig", "BertModel", _SIZES),
    "modernbert": (
        "ModernBertConfig",
        "ModernBertModel",
        _SIZES | {"local_attention": 2 * WINDOW, "global_attn_every_n_layers": 2},
    ),
}
_CONFIGS = {"Gemma3": "Gemma3TextConfig", "Llama4": "Llama4TextConfig"}


@functools.cache
def decoder(name: str, device: str):
    head, options = DECODERS[name]
    config = getattr(transformers, _CONFIGS.get(head, f"{head}Config"))(**options)
    return built(getattr(transformers, f"{head}ForCausalLM"), config, device)


@functools.cache
def encoder(name: str, device: str):
    config, model, options = ENCODERS[name]
    config = getattr(transformers, config)(**options)
    return built(getattr(transformers, model), config, device)


def built(kind, config, device, implementation="eager"):
    """A model of a class, with the same random weights each time."""
    torch.manual_seed(7)
    config = copy.deepcopy(config)
    model = kind._from_config(
        config, dtype=DTYPE[device], attn_implementation=implementation
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "sinks" in name:  # of the size of logits
                parameter.normal_()
    return model.to(device).eval()


@functools.cache
def reference(model):
    """The same model in f32, so that in bf16 only one of two results is rounded."""
    if model.dtype == torch.float32:
        return model
    return copy.deepcopy(model).float()


@contextlib.contextmanager
def attention(model, name: str):
    """The model with another implementation of attention."""
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    assert model.config._attn_implementation == name
    try:
        yield model
    finally:
        model.set_attn_implementation(before)


@contextlib.contextmanager
def launches(expected: int):
    """Nothing passes through another implementation: each layer of each forward is
    one launch of ours."""
    before = saccade.launch_count()
    yield
    assert saccade.launch_count() - before == expected


def both(model, call):
    """What a call of the model gives with eager attention, and with ours in one
    launch a layer."""
    with torch.no_grad():
        with attention(reference(model), "eager") as exact:
            wanted = call(exact)
        with attention(model, "saccade"), launches(LAYERS):
            got = call(model)
    return got, wanted


def tokens(device: str, batch: int, length: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, length)
    ids = torch.randint(3, VOCABULARY, shape, generator=generator)
    return ids.to(device)


def padded(device: str, length: int, lengths: list[int], side: str):
    """Token ids and their attention mask, with padding on one side."""
    ids = tokens(device, len(lengths), length)
    mask = torch.ones_like(ids)
    for row, kept in enumerate(lengths):
        mask[row, : length - kept] = 0
        if side == "right":
            mask[row] = mask[row].flip(0)
    return ids.masked_fill(mask == 0, 0), mask


def assert_close(got, wanted, device: str, kept=None):
    """Equal up to the device's tolerance, where a mask [B, S] keeps tokens."""
    got, wanted = got.float(), wanted.float()
    if kept is not None:
        got, wanted = got[kept.bool()], wanted[kept.bool()]
    assert torch.isfinite(got).all()
    size = max(1.0, wanted.abs().max().item())
    worst = (got - wanted).abs().max().item()
    assert worst <= TOLERANCE[device] * size, f"{worst} of {size}"


def assert_same_tokens(got, wanted, prompt: int, device: str):
    """Greedy tokens [B, S] are the same. In bf16 two tokens may score alike: then the
    rest of that row has nothing to compare."""
    scores = torch.stack(wanted.logits, 1).float()
    for row, (ours, theirs) in enumerate(
        zip(got.sequences, wanted.sequences, strict=True)
    ):
        differ = (ours != theirs).nonzero()
        if not len(differ):
            continue
        at = differ[0].item()
        logits = scores[row, at - prompt]
        gap = (logits[theirs[at]] - logits[ours[at]]).item()
        size = max(1.0, logits.abs().max().item())
        assert device != "cpu" and gap <= TOLERANCE[device] * size, (row, at, gap)
