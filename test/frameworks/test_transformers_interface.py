# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# What the attention and mask functions make of single calls: which options masks
# become, and what is refused.
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch  # noqa: E402
from hf_models import (  # noqa: E402
    WINDOW,
    assert_close,
    attention,
    decoder,
    launches,
    padded,
    tokens,
)
from saccade import _functional  # noqa: E402
from saccade.integrations import _hf_masks  # noqa: E402
from saccade.integrations.transformers import register  # noqa: E402
from transformers import AttentionInterface, AttentionMaskInterface  # noqa: E402
from transformers.masking_utils import (  # noqa: E402
    and_masks,
    bidirectional_mask_function,
    blockwise_overlay,
    causal_mask_function,
    chunked_causal_mask_function,
    or_masks,
    packed_sequence_mask_function,
    sdpa_mask,
    sliding_window_bidirectional_mask_function,
    sliding_window_causal_mask_function,
)

CPU = torch.device("cpu")


def forward(*arguments, **options):
    module = torch.nn.Module()
    module.is_causal = options.pop("module_is_causal", True)
    mask = options.pop("attention_mask", None)
    function = AttentionInterface()["saccade"]
    return function(module, *arguments, mask, **options)


def qkv(queries=4, keys=4, batch=1, heads=2, dim=16, seed=1):
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(batch, heads, queries, dim, generator=generator)
    k, v = torch.randn(2, batch, heads, keys, dim, generator=generator)
    return q, k, v


def mask(predicate=causal_mask_function, q=4, kv=4, batch=1, **options):
    make = AttentionMaskInterface()["saccade"]
    return make(
        batch_size=batch, q_length=q, kv_length=kv, mask_function=predicate, **options
    )


def keywords(*arguments, **options):
    keys, found = mask(*arguments, **options).keywords(CPU)
    return keys, {
        name: value if name != "mask_mod" else True for name, value in found.items()
    }


def test_known_predicates_become_options():
    assert keywords() == (4, {"causal": True})
    assert keywords(bidirectional_mask_function) == (4, {})
    window = sliding_window_causal_mask_function(3)
    assert keywords(window) == (4, {"causal": True, "window": 3})
    window = sliding_window_bidirectional_mask_function(3)
    assert keywords(window) == (4, {"window": (3, 3)})
    # Decoding: the query is the last token.
    assert keywords(q=1, kv=9, q_offset=8) == (9, {"causal": True})
    # A window's cache begins later.
    found = keywords(
        sliding_window_causal_mask_function(3), 1, 3, q_offset=8, kv_offset=6
    )
    assert found == (3, {"causal": True, "window": 3})


def test_other_predicates_are_traced_from_the_first_row():
    def even(b, h, q, kv):
        return kv % 2 == 0

    traced = {"mask_mod": True, "first_query": True}
    assert keywords(and_masks(causal_mask_function, even)) == (4, traced)
    assert keywords(or_masks(causal_mask_function, even)) == (4, traced)
    assert keywords(bidirectional_mask_function, q=2, kv=4) == (4, {})
    window = sliding_window_bidirectional_mask_function(3)
    assert keywords(window, q=2, kv=4) == (4, traced)


def test_static_caches_are_seen_as_far_as_they_are_filled():
    offset = torch.tensor(5)
    found = mask(q=2, kv=32, q_offset=offset)
    offset += 2  # the cache counts on before the layer attends
    assert found.keywords(CPU) == (7, {"causal": True})


def test_padding_becomes_lengths_where_it_lies_at_the_ends():
    _, whole = padded("cpu", 6, [6, 6], "left")
    assert keywords(kv=6, q=6, batch=2, attention_mask=whole) == (6, {"causal": True})
    _, left = padded("cpu", 6, [6, 2], "left")
    assert keywords(kv=6, q=6, batch=2, attention_mask=left) == (
        6,
        {"causal": True, "mask_mod": True},
    )
    _, right = padded("cpu", 6, [6, 2], "right")
    assert keywords(kv=6, q=6, batch=2, attention_mask=right) == (
        6,
        {"mask_mod": True, "first_query": True, "kv_lens": [6, 2]},
    )
    found = keywords(
        bidirectional_mask_function, kv=6, q=6, batch=2, attention_mask=right
    )
    assert found == (6, {"kv_lens": [6, 2]})
    empty = right.clone()
    empty[1] = 0
    found = keywords(
        bidirectional_mask_function, kv=6, q=6, batch=2, attention_mask=empty
    )
    assert found == (6, {"kv_lens": [6, 0]})
    # Static caches: the mask is as long as what was seen.
    found = keywords(kv=32, q=1, batch=2, q_offset=5, attention_mask=left)
    assert found == (6, {"causal": True, "mask_mod": True})


def test_masks_pass_through_models_like_tensors():
    made = mask(q=3, kv=5, batch=2)
    assert made.shape == (2, 1, 3, 5) and made.dim() == made.ndim == 4
    assert made.size(-1) == 5 and made.dtype == torch.bool
    assert made.to("cpu") is made.contiguous() is made
    assert made[:, :, :, :5] is made and made[:] is made and made[..., :7] is made
    assert made[:, :, :, :4].shape == (2, 1, 3, 4)
    for index in (0, (slice(None), 0), (..., slice(1, None))):
        with pytest.raises(TypeError, match="needs a mask that is a tensor"):
            made[index]
    with pytest.raises(TypeError, match="but got where of a mask that is a predicate"):
        torch.where(made, torch.zeros(1), 1)
    with pytest.raises(TypeError):
        torch.zeros(1) + made
    assert mask(attention_mask=made) is made  # masks that generate makes ahead


def _blocks():
    return torch.tensor([[0, 0, -1, 1, 1, -1, 2, 2, 2, -1]] * 2)


def _prefixes(ends):
    return lambda b, h, q, kv: kv < ends[b]


PREDICATES = {
    "blocks": or_masks(causal_mask_function, blockwise_overlay(_blocks())),
    "prefixes": or_masks(causal_mask_function, _prefixes(torch.tensor([2, 5]))),
    "chunks": chunked_causal_mask_function(4, torch.tensor([0, 3])),
    "packed": packed_sequence_mask_function(_blocks().abs()),
    "heads": and_masks(causal_mask_function, lambda b, h, q, kv: kv % 2 >= h * 0),
    "both sides": sliding_window_bidirectional_mask_function(2),
    "window": sliding_window_causal_mask_function(3),
}


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("before", [0, 4])
@pytest.mark.parametrize("name", PREDICATES)
def test_predicates_mean_what_dense_masks_do(name, before, blind, monkeypatch):
    """blind: as while a CUDA graph is captured, when nothing is read."""
    monkeypatch.setattr(_hf_masks, "reading_is_forbidden", lambda device: blind)
    padding = torch.ones(2, 10, dtype=torch.bool)
    padding[1, :2] = padding[0, 9:] = False
    offset = torch.tensor(before) if before else 0
    sizes = {"batch_size": 2, "q_length": 6, "kv_length": 10, "q_offset": offset}
    sizes |= {"mask_function": PREDICATES[name], "attention_mask": padding}
    dense = sdpa_mask(**sizes, allow_is_causal_skip=False)
    q, k, v = qkv(6, 10, batch=2)
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v, dense)
    made = AttentionMaskInterface()["saccade"](**sizes)
    with launches(1):
        got, _ = forward(q, k, v, attention_mask=made)
    seen = dense.any(-1, keepdim=True).expand_as(wanted)
    assert_close(got.transpose(1, 2)[seen], wanted[seen], "cpu")
    assert not got.transpose(1, 2)[~seen].any()


def test_outputs_lie_as_models_want_them():
    q, k, v = qkv(batch=2, heads=2)
    with launches(1):
        out, weights = forward(q, k, v, attention_mask=mask(batch=2))
    assert out.shape == (2, 4, 2, 16) and out.is_contiguous() and weights is None


@pytest.mark.parametrize("sinks", [None, 0.5])
def test_layers_find_their_plan_once(sinks, monkeypatch):
    """The calls under a mask that are alike but for their tensors; all others look."""
    looked = []
    find = _functional._attention
    monkeypatch.setattr(
        _functional, "_attention", lambda *a, **b: looked.append(1) or find(*a, **b)
    )
    padding = torch.tensor([[0, 1, 1, 1, 1, 0], [1] * 6], dtype=torch.bool)
    layers = [qkv(2, 6, batch=2, seed=seed) for seed in range(3)]
    filled = [(q, *(x[:, :, :6] for x in (k, v))) for q, k, v in layers]
    given = [
        {"scaling": 0.1 * i, "s_aux": None if sinks is None else torch.full((2,), sinks * i)}
        for i in range(1, 4)
    ]  # fmt: skip

    def masked(keys=6):
        whole = torch.nn.functional.pad(padding, (0, keys - 6))
        return mask(q=2, kv=keys, batch=2, q_offset=4, attention_mask=whole)

    alone = [
        forward(*layer, attention_mask=masked(), **options)[0]
        for layer, options in zip(layers, given, strict=True)
    ]
    assert len(looked) == 3
    one = masked()
    with torch.no_grad(), launches(3):
        for layer, options, want in zip(filled, given, alone, strict=True):
            assert forward(*layer, attention_mask=one, **options)[0].equal(want)
    assert len(looked) == 4
    with torch.no_grad():
        q, k, v = layers[1]
        changed = [
            (q.half(), k.half(), v.half(), {}),
            (q, k, v.transpose(2, 3).contiguous().transpose(2, 3), {}),
            (q, k, v, {"softcap": 2.0}),
            (*layers[0], {}),
        ]
        for count, (*tensors, options) in enumerate(changed, 5):
            out, _ = forward(*tensors, attention_mask=one, **given[0] | options)
            assert len(looked) == count and out.dtype == tensors[0].dtype
        assert out.equal(alone[0])
        # A plan that another call has taken since is found anew.
        planned = one.repeat.planned
        del _functional._plans[planned.key]
        planned.key = None
        out, _ = forward(*layers[0], attention_mask=one, **given[0])
        assert out.equal(alone[0]) and len(looked) == 9
        # Static caches are longer than what is seen of them.
        cache = [torch.nn.functional.pad(x, (0, 0, 0, 3)) for x in (k, v)]
        one = masked(9)
        for _ in range(2):
            out, _ = forward(q, *cache, attention_mask=one, **given[1])
            assert out.equal(alone[1])
        assert len(looked) == 10


def test_autocast():
    q, k, v = qkv()
    with torch.autocast("cpu", torch.bfloat16), launches(1):
        out, _ = forward(q, k, v.bfloat16())
    assert out.dtype == torch.bfloat16
    wanted, _ = forward(q, k, v)
    assert (out - wanted).abs().max() < 0.05


def test_rows_that_see_nothing_are_zero():
    q, k, v = qkv(batch=2)
    padding = torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]], dtype=torch.bool)
    out, _ = forward(q, k, v, attention_mask=mask(batch=2, attention_mask=padding))
    assert out[0].abs().min() > 0 and not out[1].any()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"dropout": 0.1}, "expects no dropout, but got 0.1"),
        ({"output_attentions": True}, "expects output_attentions=False"),
        ({"cu_seq_lens_q": torch.tensor([0, 4])}, "expects no 'cu_seq_lens_q'"),
        ({"indices": torch.zeros(1)}, "but got 'indices'.*register"),
        ({"head_mask": torch.ones(2)}, "but got 'head_mask'"),
        ({"attention_mask": torch.ones(1, 4)}, r"or a tensor of \[1, 2, 4, 4\], but"),
        ({"position_bias": torch.ones(1, 2, 4, 3)}, r"but got \[1, 2, 4, 3\]"),
        ({"attention_mask": mask(q=3)}, r"of \[1, 1, 4, 4\], but got \[1, 1, 3, 4\]"),
    ],
)
def test_what_cannot_be_honoured_is_refused(options, text):
    with launches(0), pytest.raises(ValueError, match=text):
        forward(*qkv(), **options)


def test_layers_without_masks():
    with launches(2):
        causal, _ = forward(*qkv())
        again, _ = forward(*qkv(), attention_mask=mask())
    assert causal.equal(again)
    with launches(2):
        full, _ = forward(*qkv(2, 4), is_causal=False)
        again, _ = forward(*qkv(2, 4), module_is_causal=False)
    assert full.equal(again)
    with pytest.raises(ValueError, match="no mask, 2 queries and 4 keys"):
        forward(*qkv(2, 4))
    with pytest.raises(ValueError, match="a window of 3 and 4 keys"):
        forward(*qkv(), is_causal=False, sliding_window=3)


def test_arguments_that_do_not_concern_attention():
    with launches(1):
        forward(*qkv(), position_ids=torch.arange(4), use_cache=True, head_mask=None)
    register("saccade_lenient", ignore=["colour"])
    function = AttentionInterface()["saccade_lenient"]
    with launches(1):
        function(torch.nn.Module(), *qkv(), None, colour="red")


@pytest.mark.parametrize("name", ["", "sdpa", "eager", "my_flash", "paged|x"])
def test_names_that_transformers_knows_are_refused(name):
    with pytest.raises(TypeError, match="expects a name that transformers has no"):
        register(name)


def test_gradients_are_refused():
    model = decoder("llama", "cpu")
    with attention(model, "saccade"):
        with pytest.raises(Exception, match="requires_grad"):
            model(input_ids=tokens("cpu", 1, WINDOW))
