# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# What each example computes, as NumPy in double precision, written from the
# models' papers and not from the IR: a misreading of the dialect would otherwise
# stand on both sides of every comparison.
import numpy as np


def _heads_first(x, heads):
    """[tokens, kv heads, dim] to [heads, tokens, dim] in double precision."""
    x = np.asarray(x, np.float64)
    return np.repeat(x, heads // x.shape[1], axis=1).transpose(1, 0, 2)


def products(request, scale=None, q=None, k=None):
    """Scaled products [heads, queries, keys]."""
    heads = request.q.shape[1]
    q = _heads_first(request.q if q is None else q, heads)
    k = _heads_first(np.concatenate(request.keys) if k is None else k, heads)
    return np.einsum("hid,hjd->hij", q, k) * (
        q.shape[-1] ** -0.5 if scale is None else scale
    )


def softmax_attention(request, logits, mask, v=None, sink=None):
    """Output [queries, heads, dim] and natural-base LSE [queries, heads]."""
    heads, queries, keys = logits.shape
    v = _heads_first(np.concatenate(request.values) if v is None else v, heads)
    logits = np.where(np.broadcast_to(mask, logits.shape), logits, -np.inf)
    if sink is not None:
        column = np.broadcast_to(
            np.asarray(sink, np.float64)[:, None, None], (heads, queries, 1)
        )
        logits = np.concatenate([logits, column], axis=-1)
        v = np.concatenate(
            [v, np.zeros_like(v[:, :1]) if keys else np.zeros((heads, 1, v.shape[-1]))],
            axis=1,
        )
    top = np.max(logits, axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(logits - np.where(np.isfinite(top), top, 0))
    total = weights.sum(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        lse = np.where(total > 0, top + np.log(total), -np.inf)[..., 0]
    output = np.einsum("hij,hjd->hid", weights / np.where(total > 0, total, 1), v)
    return [output.transpose(1, 0, 2), lse.T]


def _causal(request):
    q, k = request.positions()
    return k <= q


def causal(request, values):
    return softmax_attention(
        request, products(request, values.get("scale")), _causal(request)
    )


def gemma2(request, values):
    q, k = request.positions()
    logits = values["cap"] * np.tanh(products(request, values["scale"]) / values["cap"])
    return softmax_attention(request, logits, (k <= q) & (k > q - values["window"]))


def gpt_oss(request, values):
    q, k = request.positions()
    mask = (k <= q) & (k > q - values["window"])
    return softmax_attention(request, products(request), mask, sink=values["sinks"])


def bloom(request, values):
    q, k = request.positions()
    slopes = np.asarray(values["slopes"], np.float64)[:, None, None]
    return softmax_attention(
        request, products(request) + slopes * (k - q), _causal(request)
    )


def _rotate(x, positions, theta):
    """Half-split rotary embedding of [tokens, heads, dim], as complex turns."""
    half = x.shape[-1] // 2
    frequency = theta ** (-np.arange(half) / half)
    turn = np.exp(1j * np.asarray(positions)[:, None] * frequency)[:, None, :]
    x = np.asarray(x, np.float64)
    turned = (x[..., :half] + 1j * x[..., half:]) * turn
    return np.concatenate([turned.real, turned.imag], axis=-1)


def streaming_llm(request, values):
    sinks, window, n = values["sinks"], values["window"], request.kv_len
    q, k = request.positions()
    evicted = max(0, n - sinks - window)
    cache_place = np.where(k[0] < sinks, k[0], k[0] - evicted)
    rotated_q = _rotate(request.q, q[:, 0] - evicted, values["theta"])
    rotated_k = _rotate(np.concatenate(request.keys), cache_place, values["theta"])
    mask = (k <= q) & ((k < sinks) | (q - k < window))
    return softmax_attention(request, products(request, q=rotated_q, k=rotated_k), mask)


def sigmoid(request, values):
    logits = products(request) + values["bias"]
    weights = np.where(_causal(request), 1 / (1 + np.exp(-logits)), 0)
    v = _heads_first(np.concatenate(request.values), len(weights))
    return [np.einsum("hij,hjd->hid", weights, v).transpose(1, 0, 2)]


def speculative_tree(request, values):
    """Walks the tree: a draft token sees the sequence before the draft, itself, and
    its ancestors."""
    parents = values["visible"].parents[request.index]
    first = request.kv_len - len(request.q)
    mask = np.zeros((len(request.q), request.kv_len), bool)
    mask[:, : max(0, first)] = True
    for row in range(len(request.q)):
        node = row
        while node >= 0:
            if first + node >= 0:
                mask[row, first + node] = True
            node = parents[node]
    return softmax_attention(request, products(request), mask)


def packed_documents(request, values):
    document = np.asarray(values["document"][request.index])
    q, _ = request.positions()
    mine = document[np.maximum(q[:, 0], 0)] if len(document) else np.zeros(len(q))
    return softmax_attention(
        request,
        products(request),
        _causal(request) & (mine[:, None] == document[None, :]),
    )


def append_attend(request, values):
    """The cache's old tokens, then the new ones."""
    new_k, new_v = request.named["k"], request.named["v"]
    old = len(request.keys[0]) - len(request.q)
    k = np.concatenate([request.keys[0][:old], new_k])
    v = np.concatenate([request.values[0][:old], new_v])
    return softmax_attention(request, products(request, k=k), _causal(request), v=v)


def decode_fp8(request, values):
    """The cache holds keys and values in units of their head's scale."""
    k = np.concatenate(request.keys).astype(np.float64) * values["key_scale"][:, None]
    v = np.concatenate(request.values).astype(np.float64)
    return softmax_attention(
        request,
        products(request, k=k),
        _causal(request),
        v=v * values["value_scale"][:, None],
    )


def append_fp8(request, values):
    """The new tokens are rounded as the cache's are; 57344 is the largest."""

    def tokens(old, new, scale):
        units = np.clip(new.astype(np.float32) / np.float32(scale), -57344, 57344)
        kept = old[: len(old) - len(request.q)]
        return np.concatenate([kept, units.astype(old.dtype)]).astype(np.float64)

    k = tokens(request.keys[0], request.named["k"], values["key_scale"])
    v = tokens(request.values[0], request.named["v"], values["value_scale"])
    k, v = k * np.float64(values["key_scale"]), v * np.float64(values["value_scale"])
    return softmax_attention(request, products(request, k=k), _causal(request), v=v)


def block_sparse(request, values):
    listed = np.zeros((len(request.q), request.kv_len), bool)
    for i in range(len(request.q)):
        for block in request.blocks[i // 64]:
            listed[i, block * 64 : (block + 1) * 64] = True
    return softmax_attention(request, products(request), listed & _causal(request))


def encoder(request, values):
    return softmax_attention(request, products(request), True)


def prefix_lm(request, values):
    q, k = request.positions()
    mask = (k < values["prefix"][request.index]) | (k <= q)
    return softmax_attention(request, products(request), mask)


def llama4_chunked(request, values):
    q, k = request.positions()
    start = q - q % values["chunk"]
    return softmax_attention(request, products(request), (k <= q) & (k >= start))


FORMULAS = {
    "llama3_prefill": causal,
    "llama3_decode": causal,
    "llama3_decode_page1": causal,
    "gemma2": gemma2,
    "gpt_oss": gpt_oss,
    "bloom": bloom,
    "streaming_llm": streaming_llm,
    "sigmoid": sigmoid,
    "speculative_tree": speculative_tree,
    "packed_documents": packed_documents,
    "deepseek": causal,
    "shared_prefix": causal,
    "append_attend": append_attend,
    "append_fp8": append_fp8,
    "decode_fp8": decode_fp8,
    "block_sparse": block_sparse,
    "encoder": encoder,
    "prefix_lm": prefix_lm,
    "llama4_chunked": llama4_chunked,
}


def expected(case, name):
    """All rows of all results of an example: [rows, dim] and [rows]."""
    parts = [FORMULAS[name](request, case.values) for request in case.requests]
    shapes = case.result_shapes
    return [
        np.concatenate(
            [np.empty((0, *shape)), *(p[i].reshape(-1, *shape) for p in parts)]
        )
        for i, shape in enumerate(shapes)
    ]
