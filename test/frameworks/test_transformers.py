# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# One forward of real architectures against eager attention: windows, soft caps, sinks,
# chunks, padding on both sides, packed sequences, masks that callers lay out.
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch  # noqa: E402
import transformers  # noqa: E402
from hf_models import (  # noqa: E402
    DECODERS,
    ENCODERS,
    LAYERS,
    VOCABULARY,
    WINDOW,
    assert_close,
    attention,
    both,
    built,
    decoder,
    encoder,
    launches,
    padded,
    reference,
    tokens,
)

LENGTH = 2 * WINDOW + 5


def logits(**inputs):
    return lambda model: model(**inputs).logits


@pytest.mark.parametrize("name", DECODERS)
def test_logits(name, device):
    ids = tokens(device, 2, LENGTH)
    got, wanted = both(decoder(name, device), logits(input_ids=ids))
    assert_close(got, wanted, device)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", DECODERS)
def test_padding(name, side, device):
    ids, mask = padded(device, LENGTH, [LENGTH, 13, 3], side)
    got, wanted = both(
        decoder(name, device), logits(input_ids=ids, attention_mask=mask)
    )
    assert_close(got, wanted, device, mask)


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_padding_in_the_middle(name, device):
    ids, mask = padded(device, LENGTH, [LENGTH, LENGTH], "left")
    mask[0, 4:7] = 0
    mask[1, 0] = mask[1, 9] = 0
    got, wanted = both(
        decoder(name, device), logits(input_ids=ids, attention_mask=mask)
    )
    assert_close(got, wanted, device, mask)


@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_encoders(name, padding, device):
    ids, mask = padded(device, LENGTH, [LENGTH, 5 if padding else LENGTH], "right")
    got, wanted = both(
        encoder(name, device),
        lambda model: model(input_ids=ids, attention_mask=mask).last_hidden_state,
    )
    assert_close(got, wanted, device, mask)


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_packed_sequences(name, device):
    ids = tokens(device, 1, 12)
    positions = torch.tensor([[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6]], device=device)
    model = decoder(name, device)
    inputs = {"input_ids": ids, "position_ids": positions, "use_cache": False}
    got, wanted = both(model, logits(**inputs))
    assert_close(got, wanted, device)
    _, alone = both(model, logits(input_ids=ids[:, 5:]))
    assert_close(got[:, 5:], alone, device)


@pytest.mark.parametrize("kind", [torch.bool, torch.float32])
def test_masks_of_callers(kind, device):
    model = decoder("llama", device)
    generator = torch.Generator().manual_seed(3)
    mask = torch.rand(2, 1, LENGTH, LENGTH, generator=generator) < 0.6
    mask |= torch.eye(LENGTH, dtype=torch.bool)
    mask = mask.to(device)
    if kind != torch.bool:
        lowest = torch.finfo(model.dtype).min
        mask = torch.where(mask, 0.25, lowest)
    ids = tokens(device, 2, LENGTH)
    with torch.no_grad():
        with attention(reference(model), "sdpa") as exact:
            wanted = exact(input_ids=ids, attention_mask=mask).logits
        mask = mask if kind == torch.bool else mask.to(model.dtype)
        with attention(model, "saccade"), launches(LAYERS):
            got = model(input_ids=ids, attention_mask=mask).logits
    assert_close(got, wanted, device)


def test_image_encoders(device):
    config = transformers.ViTConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=LAYERS,
        num_attention_heads=2, image_size=32, patch_size=8, initializer_range=0.1,
    )  # fmt: skip
    model = built(transformers.ViTModel, config, device)
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randn(2, 3, 32, 32, generator=generator).to(device)

    def call(model):
        return model(pixel_values=pixels.to(model.dtype)).last_hidden_state

    got, wanted = both(model, call)
    assert_close(got, wanted, device)


def test_pictures_in_text(device):
    """Tokens of a picture see each other, those of the text what is before them."""
    config = transformers.Gemma3Config(
        text_config={**DECODERS["gemma3"][1]},
        vision_config={
            "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
            "num_hidden_layers": LAYERS, "image_size": 32, "patch_size": 8,
            "vision_use_head": False,
        },
        mm_tokens_per_image=4, image_token_index=150, boi_token_index=151,
        eoi_token_index=152,
    )  # fmt: skip
    kind = transformers.Gemma3ForConditionalGeneration
    ids, mask = padded(device, LENGTH, [LENGTH, 17], "left")
    ids = ids.masked_fill(ids >= 150, 3)
    ids[:, 6:12] = torch.tensor([151, 150, 150, 150, 150, 152])
    picture = (ids == 150).long()
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randn(2, 3, 32, 32, generator=generator).to(device)
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": picture}
    with torch.no_grad():
        exact = reference(built(kind, config, device, "eager"))
        wanted = exact(**inputs, pixel_values=pixels.to(exact.dtype)).logits
        model = built(kind, config, device, "saccade")
        with launches(2 * LAYERS):
            got = model(**inputs, pixel_values=pixels.to(model.dtype)).logits
    assert_close(got, wanted, device, mask)


def test_encoder_and_decoder_with_biases_of_positions(device):
    config = transformers.T5Config(
        vocab_size=VOCABULARY, d_model=64, d_kv=16, d_ff=96, num_layers=LAYERS,
        num_decoder_layers=LAYERS, num_heads=4, decoder_start_token_id=0,
    )  # fmt: skip
    kind = transformers.T5ForConditionalGeneration
    ids, mask = padded(device, LENGTH, [LENGTH, 9], "right")
    inputs = {"input_ids": ids, "attention_mask": mask}
    inputs["decoder_input_ids"] = tokens(device, 2, 7)
    with torch.no_grad():
        # Not every version can change both halves of a model once it is made.
        wanted = reference(built(kind, config, device, "eager"))(**inputs).logits
        model = built(kind, config, device, "saccade")
        with launches(3 * LAYERS):
            got = model(**inputs).logits
    assert_close(got, wanted, device)


def test_under_compile(device):
    model = decoder("llama", device)
    ids, mask = padded(device, LENGTH, [LENGTH, 13], "left")
    inputs = {"input_ids": ids, "attention_mask": mask}
    with torch.no_grad():
        with attention(reference(model), "eager") as exact:
            wanted = exact(**inputs).logits
        with attention(model, "saccade"):
            compiled = torch.compile(model, backend="eager")
            compiled(**inputs)
            with launches(LAYERS):
                got = compiled(**inputs).logits
    torch._dynamo.reset()
    assert_close(got, wanted, device, mask)
