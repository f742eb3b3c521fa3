# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Many forwards with transformers' caches: greedy generation, static caches, prompts
# in chunks, continuous batching. Tokens are those of eager attention.
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import saccade  # noqa: E402
import torch  # noqa: E402
from hf_models import (  # noqa: E402
    DECODERS,
    LAYERS,
    WINDOW,
    assert_close,
    assert_same_tokens,
    attention,
    both,
    decoder,
    launches,
    padded,
    reference,
    tokens,
)

NEW = 6
PROMPT = WINDOW + 3  # windows move on, and are full, within a test


def generate(model, ids, mask, **options):
    return model.generate(
        input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=NEW,
        min_new_tokens=NEW, return_dict_in_generate=True, output_logits=True, **options,
    )  # fmt: skip


def compare(model, ids, mask, device, **options):
    with torch.no_grad():
        with attention(reference(model), "eager") as exact:
            wanted = generate(exact, ids, mask, **options)
        with attention(model, "saccade"), launches(LAYERS * NEW):
            got = generate(model, ids, mask, **options)
    assert_same_tokens(got, wanted, ids.shape[1], device)


@pytest.mark.parametrize("name", DECODERS)
def test_generate(name, device):
    ids = tokens(device, 2, PROMPT)
    compare(decoder(name, device), ids, torch.ones_like(ids), device)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2", "gpt_oss"])
def test_generate_from_padded_prompts(name, device):
    ids, mask = padded(device, PROMPT, [PROMPT, 4], "left")
    compare(decoder(name, device), ids, mask, device)


@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3"])
def test_static_cache(name, padding, device):
    ids, mask = padded(device, PROMPT, [PROMPT, 4 if padding else PROMPT], "left")
    compare(
        decoder(name, device), ids, mask, device,
        cache_implementation="static", disable_compile=True,
    )  # fmt: skip


def test_static_cache_under_compile(device):
    """generate compiles decode steps of static caches by itself on GPUs."""
    from transformers import CompileConfig

    config = CompileConfig(backend="eager", mode=None, fullgraph=False)
    config._compile_all_devices = True
    ids, mask = padded(device, PROMPT, [PROMPT, 4], "left")
    model = decoder("llama", device)
    compare(
        model, ids, mask, device, cache_implementation="static", compile_config=config
    )
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_generate_from_prompts_padded_behind(name, device):
    """Keys then have a gap between the prompt and what follows."""
    ids, mask = padded(device, PROMPT, [PROMPT, 4], "right")
    compare(decoder(name, device), ids, mask, device)


def test_beams(device):
    ids = tokens(device, 2, PROMPT)
    model = decoder("llama", device)
    options = {"num_beams": 3, "do_sample": False, "max_new_tokens": NEW}
    options["min_new_tokens"] = NEW
    with torch.no_grad():
        with attention(reference(model), "eager") as exact:
            wanted = exact.generate(ids, **options)
        with attention(model, "saccade"), launches(LAYERS * NEW):
            got = model.generate(ids, **options)
    if device == "cpu":
        assert got.equal(wanted)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3"])
def test_prompts_in_chunks(name, device):
    """Later chunks see the cache, of which windows keep the end."""
    ids = tokens(device, 2, 3 * PROMPT)
    model = decoder(name, device)
    whole, _ = both(model, lambda m: m(input_ids=ids).logits)
    with torch.no_grad(), attention(model, "saccade"), launches(LAYERS * 3):
        cache, parts = None, []
        for chunk in ids.split(PROMPT, 1):
            output = model(input_ids=chunk, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            parts.append(output.logits)
    assert_close(torch.cat(parts, 1), whole, device)


@pytest.mark.parametrize("sharing", [False, True])
@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2", "gpt_oss"])
def test_continuous_batching(name, sharing, device):
    from transformers import ContinuousBatchingConfig, GenerationConfig

    model = decoder(name, device)
    ids = tokens(device, 5, 5 * PROMPT).tolist()
    lengths = (3, 40, PROMPT, 21, 1)
    prompts = [row[:n] for row, n in zip(ids, lengths, strict=True)]
    prompts.append(prompts[1][:33] + [5])  # shares most of a prompt
    settings = GenerationConfig(
        max_new_tokens=NEW, eos_token_id=-1, pad_token_id=0, do_sample=False
    )
    batching = ContinuousBatchingConfig(
        num_blocks=64, max_batch_tokens=32, allow_block_sharing=sharing
    )
    with torch.no_grad(), attention(model, "saccade"):
        before = saccade.launch_count()
        results = model.generate_batch(
            inputs=prompts, generation_config=settings,
            continuous_batching_config=batching, progress_bar=False,
        )  # fmt: skip
        count = saccade.launch_count() - before
        assert model.config._attn_implementation in ("saccade", "paged|saccade")
    assert count >= LAYERS * NEW and count % LAYERS == 0
    got = [results[key].generated_tokens for key in sorted(results, key=_number)]
    with torch.no_grad(), attention(reference(model), "eager") as exact:
        for prompt, ours in zip(prompts, got, strict=True):
            line = torch.tensor([prompt], device=device)
            wanted = exact.generate(
                line, generation_config=settings, return_dict_in_generate=True,
                output_logits=True,
            )  # fmt: skip
            wanted.sequences = wanted.sequences[:, len(prompt) :]
            found = type(wanted)(sequences=torch.tensor([ours], device=device))
            assert_same_tokens(found, wanted, 0, device)


def _number(key: str) -> int:
    return int("".join(c for c in key if c.isdigit()))
