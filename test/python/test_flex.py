# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""flex_attention beside torch's own, on the CPU."""

import pytest

torch = pytest.importorskip("torch")

import saccade  # noqa: E402
from torch.nn.attention import flex_attention as flex  # noqa: E402

WINDOW, CAP, PREFIX = 6, 2.0, 4


def problem(queries=20, keys=20, heads=4, kv_heads=4, dim=16):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, h, n, dim, generator=generator)
        for h, n in ((heads, queries), (kv_heads, keys), (kv_heads, keys))
    ]


def natten_like(b, h, q_idx, kv_idx):
    return (abs(q_idx // 5 - kv_idx // 5) <= 1) & (abs(q_idx % 5 - kv_idx % 5) <= 1)


def inline_causal(score, b, h, q_idx, kv_idx):
    return torch.where(q_idx >= kv_idx, score, -float("inf"))


def by_parts(score, b, h, q_idx, kv_idx):
    far = (q_idx - kv_idx).abs().clamp(max=5)
    odd = torch.logical_xor(q_idx % 2 == 0, kv_idx % 3 == 1)
    score = torch.where(odd & (h > 0), score * 0.5 - far / 7, score.sigmoid() * 2)
    return torch.maximum(score, -torch.exp2(-far.float())) + (b << 1)


def scores(device):
    """Functions of scores, with tensors that lie on the device."""
    bias = torch.randn(4, 20, 32, generator=torch.Generator().manual_seed(1)).to(device)
    slopes = torch.tensor([0.5, 0.25, 0.125, 0.0625], dtype=torch.float16).to(device)

    def alibi_with_cap(score, b, h, q_idx, kv_idx):
        score = CAP * torch.tanh(score / CAP)
        return score + slopes[h] * (kv_idx - q_idx)

    return {
        "none": None,
        "bias": lambda s, b, h, q, k: s + bias[h, q, k],
        "rows_of_bias": lambda s, b, h, q, k: s + bias[h][q][k],
        "alibi_with_cap": alibi_with_cap,
        "inline_causal": inline_causal,
        "by_parts": by_parts,
    }


def masks(device):
    document = torch.tensor([0] * 7 + [1] * 5 + [2] * 20).to(device)
    offsets = torch.tensor([0, 7, 12, 32]).to(device)

    def ranked_documents(b, h, q_idx, kv_idx):
        same = document[q_idx] == document[kv_idx]
        mine = q_idx - offsets[document[q_idx]]
        theirs = kv_idx - offsets[document[kv_idx]]
        return same & (mine >= theirs)

    return {
        "none": None,
        "causal": lambda b, h, q, k: q >= k,
        "window": flex.and_masks(
            lambda b, h, q, k: q >= k, lambda b, h, q, k: q - k < WINDOW
        ),
        "prefix": flex.or_masks(
            lambda b, h, q, k: k < PREFIX, lambda b, h, q, k: q >= k
        ),
        "documents": ranked_documents,
        "natten": natten_like,
        "heads": lambda b, h, q, k: (h % 2 == 0) | (q >= k),
    }


def block_mask(mask, device, queries=20, keys=20):
    if mask is None:
        return None
    return flex.create_block_mask(mask, None, None, queries, keys, device=device)


@pytest.mark.parametrize("mask", masks("cpu"))
@pytest.mark.parametrize("score", scores("cpu"))
def test_agrees_with_torch(score, mask, device):
    tensors, bound = problem(), 3e-5
    if device == "cuda":
        tensors, bound = [x.bfloat16() for x in tensors], 2e-2
    want = flex.flex_attention(
        *[x.float() for x in tensors], scores("cpu")[score],
        block_mask(masks("cpu")[mask], "cpu"),
    )  # fmt: skip
    got = saccade.flex_attention(
        *[x.to(device) for x in tensors], scores(device)[score],
        block_mask(masks(device)[mask], device),
    )  # fmt: skip
    torch.testing.assert_close(got.float().cpu(), want, rtol=bound, atol=bound)


def test_rows_count_from_the_first_query():
    q, k, v = problem(queries=9, keys=32, kv_heads=2)
    mask = block_mask(lambda b, h, q, k: q >= k, "cpu", 9, 32)
    want = flex.flex_attention(
        q,
        k,
        v,
        scores("cpu")["bias"],
        mask,
        enable_gqa=True,
        return_lse=True,
        scale=0.2,
    )
    got = saccade.flex_attention(
        q,
        k,
        v,
        scores("cpu")["bias"],
        mask,
        enable_gqa=True,
        return_lse=True,
        scale=0.2,
    )
    torch.testing.assert_close(got, want, rtol=3e-5, atol=3e-5)
    alone = saccade.flex_attention(q, k, v, block_mask=mask.mask_mod, enable_gqa=True)
    want = flex.flex_attention(q, k, v, block_mask=mask, enable_gqa=True)
    torch.testing.assert_close(alone, want, rtol=3e-5, atol=3e-5)


def test_a_mask_of_blocks_alone():
    q, k, v = problem(queries=32, keys=32)
    counts = torch.tensor([[[1, 2]]], dtype=torch.int32)
    indices = torch.tensor([[[[1, 0], [0, 1]]]], dtype=torch.int32)
    mask = flex.BlockMask.from_kv_blocks(counts, indices, BLOCK_SIZE=16)
    got = saccade.flex_attention(q, k, v, block_mask=mask)
    keep = torch.ones(32, 32, dtype=torch.bool)
    keep[:16, :16] = False
    want = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=keep)
    torch.testing.assert_close(got, want, rtol=3e-5, atol=3e-5)
    # By batch entry and head, and of all blocks.
    every = torch.tensor([[[1, 2]] * 4, [[2, 1]] * 4], dtype=torch.int32)
    mask = flex.BlockMask.from_kv_blocks(
        every, indices.expand(2, 4, 2, 2).contiguous(), BLOCK_SIZE=16
    )
    got = saccade.flex_attention(q, k, v, block_mask=mask)
    keep = mask.to_dense().bool()
    keep = keep.repeat_interleave(16, -1).repeat_interleave(16, -2)
    want = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=keep)
    torch.testing.assert_close(got, want, rtol=3e-5, atol=3e-5)
    mask = flex.create_block_mask(flex.noop_mask, None, None, 32, 32, device="cpu")
    got = saccade.flex_attention(q, k, v, block_mask=mask)
    want = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(got, want, rtol=3e-5, atol=3e-5)
    whole = flex._create_empty_block_mask(q, k)
    torch.testing.assert_close(saccade.flex_attention(q, k, v, block_mask=whole), got)


def test_results_that_are_asked_for():
    q, k, v = problem()
    out, lse = saccade.flex_attention(q, k, v, return_lse=True)
    request = flex.AuxRequest(lse=True)
    got, aux = saccade.flex_attention(q, k, v, return_aux=request)
    torch.testing.assert_close((got, aux.lse), (out, lse))
    assert isinstance(aux, flex.AuxOutput) and aux.max_scores is None
    _, aux = saccade.flex_attention(q, k, v, return_aux=flex.AuxRequest())
    assert aux.lse is None
    for options in (
        {"return_aux": flex.AuxRequest(max_scores=True)},
        {"return_aux": request, "return_lse": True},
    ):
        with pytest.raises(saccade.InvalidArgument, match="lse alone"):
            saccade.flex_attention(q, k, v, **options)


def test_one_cache_for_all_of_a_batch():
    q, k, v = problem()
    want = saccade.flex_attention(q, k[:1].expand_as(k), v[:1].expand_as(v))
    got = saccade.flex_attention(q, k[:1], v[:1])
    torch.testing.assert_close(got, want)


def test_a_sliced_mask_says_what_it_lacks():
    q, k, v = problem(queries=32, keys=32)
    mask = flex.create_block_mask(
        lambda b, h, q, k: q >= k, None, None, 64, 32, device="cpu", BLOCK_SIZE=32
    )
    # Older ones keep the length that they had.
    message = "sliced BlockMask|32 queries and 32 keys, but got one for 64 and 32"
    with pytest.raises(saccade.Error, match=message):
        saccade.flex_attention(q, k, v, block_mask=mask[:, :, 0])


def test_refusals():
    q, k, v = problem()
    causal = block_mask(lambda b, h, q, k: q >= k, "cpu", 20, 24)
    for options, message in (
        ({"block_mask": causal}, "20 queries and 20 keys, but got one for 20 and 24"),
        ({"block_mask": torch.ones(20, 20)}, "BlockMask or a mask_mod"),
        ({"kernel_options": {"BLOCK_M": 64}}, "kernel_options"),
    ):
        with pytest.raises(saccade.InvalidArgument, match=message):
            saccade.flex_attention(q, k, v, **options)
    with pytest.raises(saccade.InvalidArgument, match="enable_gqa"):
        saccade.flex_attention(q, k[:, :2], v[:, :2])
    with pytest.raises(saccade.InvalidArgument, match="no backward"):
        saccade.flex_attention(q.requires_grad_(), k, v)
