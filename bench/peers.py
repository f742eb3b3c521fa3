# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Who else computes a case: FlashInfer's Hopper kernels (optional: where it can be
imported), cuDNN and FlashAttention-2 through PyTorch, and FlexAttention. Each takes a
batch and gives a call; a peer that cannot take a case raises, and its text says why."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass
class Candidate:
    """`call` computes the batch; `tokens_first` brings what it returns into
    [tokens, heads, dim], for checks."""

    call: Callable[[], Any]
    tokens_first: Callable[[Any], Any] = lambda output: output

    def output(self):
        return self.tokens_first(self.call())


def checked(batch, candidate: Candidate, limit: float) -> float:
    """Its error; raises if the result is wrong or not repeatable."""
    first = candidate.output().clone()
    error = batch.error(first)
    if error > limit:
        raise ArithmeticError(f"an error of {error:.1e}")
    if not batch.torch.equal(first, candidate.output()):
        raise ArithmeticError("two runs differ")
    return error


class Refused(Exception):
    """A peer does not compute such a case."""


#
# FlashInfer
#


@functools.cache
def _workspace(torch, device):
    return torch.empty(512 << 20, dtype=torch.uint8, device=device)


def flashinfer(batch) -> Candidate:
    """The fa3 backend on the same layout: ragged for dense batches, too."""
    import flashinfer

    torch, case = batch.torch, batch.case
    memory, out = _workspace(torch, batch.device), batch.empty()
    kinds = {f"{x}_data_type": torch.bfloat16 for x in ("q", "kv", "o")}
    heads = {"num_qo_heads": case.heads, "num_kv_heads": case.kv_heads}

    def int32(values):
        return torch.as_tensor(values, dtype=torch.int32, device=batch.device)

    if case.layout == "block_sparse":
        if case.requests > 1 or case.causal or case.dim != case.value_dim:
            raise Refused("one request, no mask, equal head dims")
        sparse = flashinfer.BlockSparseAttentionWrapper(memory, backend="fa3")
        sparse.plan(
            int32(batch.block_rows), int32(batch.blocks.flatten()),
            case.q_len, case.kv_len, case.block, case.block,
            head_dim=case.dim, **heads, **kinds,
        )  # fmt: skip
        return Candidate(lambda: sparse.run(batch.q, batch.k, batch.v, out=out))
    if case.layout == "paged":
        paged = flashinfer.BatchPrefillWithPagedKVCacheWrapper(
            memory, "NHD", backend="fa3"
        )
        pages = batch.table.shape[1]
        last = case.kv_len - (pages - 1) * case.page
        paged.plan(
            int32(batch.q_indptr), int32(range(0, batch.table.numel() + 1, pages)),
            int32(batch.table.flatten()), int32([last] * case.requests),
            head_dim_qk=case.dim, page_size=case.page, causal=case.causal,
            **heads, **kinds,
        )  # fmt: skip
        return Candidate(lambda: paged.run(batch.q, (batch.k, batch.v), out=out))
    ragged = flashinfer.BatchPrefillWithRaggedKVCacheWrapper(
        memory, "NHD", backend="fa3"
    )
    ragged.plan(
        int32(batch.q_indptr), int32(batch.kv_indptr),
        head_dim_qk=case.dim, head_dim_vo=case.value_dim, causal=case.causal,
        **heads, **kinds,
    )  # fmt: skip
    return Candidate(lambda: ragged.run(batch.q, batch.k, batch.v, out=out))


def flashinfer_vsa(batch) -> Candidate:
    """Its generated kernels for block-sparse attention, which no backend chooses by
    itself: blocks of 64, at most 64 of them a row, heads first."""
    import flashinfer

    torch, case = batch.torch, batch.case
    if case.layout != "block_sparse" or case.requests > 1 or case.causal:
        raise Refused("one request of a block-sparse layout, no mask")
    columns = -(-case.kv_len // case.block)
    kept = torch.zeros(batch.blocks.shape[0], columns, dtype=torch.bool)
    kept.scatter_(1, batch.blocks.long(), True)
    split = case.block // 64
    kept = kept.repeat_interleave(split, 0).repeat_interleave(split, 1)
    kept = kept.expand(case.heads, -1, -1).contiguous()
    rows, columns = (torch.full(kept.shape[:2], 64), torch.full(kept.shape[::2], 64))
    sparse = flashinfer.VariableBlockSparseAttentionWrapper(
        _workspace(torch, batch.device), backend="cake"
    )
    sparse.plan(
        kept, rows.int(), columns.int(), case.heads, case.kv_heads, case.dim,
        q_data_type=torch.bfloat16,
    )  # fmt: skip
    inputs = [x.transpose(0, 1).contiguous() for x in (batch.q, batch.k, batch.v)]
    out = batch.empty().view(-1, 1, case.dim)
    return Candidate(
        lambda: sparse.run(*inputs, out=out), lambda output: output.transpose(0, 1)
    )


#
# PyTorch: [requests, heads, tokens, dim] views of the same memory
#


def _heads_first(batch):
    if batch.case.layout not in ("dense", "ragged"):
        raise Refused("dense layouts only")
    return [batch.by_request(x).transpose(1, 2) for x in (batch.q, batch.k, batch.v)]


def _tokens_first(output):
    return output.transpose(1, 2).flatten(0, 1)


def _scaled_dot_product(batch, backend: str) -> Candidate:
    torch, case = batch.torch, batch.case
    from torch.nn.attention import SDPBackend, sdpa_kernel

    inputs = _heads_first(batch)
    if case.causal and case.q_len != case.kv_len:
        raise Refused("no causal mask that is aligned to the end")
    attention = functools.partial(
        torch.nn.functional.scaled_dot_product_attention,
        *inputs, is_causal=case.causal, enable_gqa=case.heads != case.kv_heads,
    )  # fmt: skip

    def call():
        with sdpa_kernel(getattr(SDPBackend, backend)):
            return attention()

    return Candidate(call, _tokens_first)


def cudnn(batch) -> Candidate:
    return _scaled_dot_product(batch, "CUDNN_ATTENTION")


def flash2(batch) -> Candidate:
    return _scaled_dot_product(batch, "FLASH_ATTENTION")


def flex(batch) -> Candidate:
    """FlexAttention, compiled for the case; for block-sparse ones over a ragged cache
    of one request."""
    torch, case = batch.torch, batch.case
    from torch.nn.attention import flex_attention as flex

    if case.layout == "block_sparse":
        if case.requests > 1 or case.causal:
            raise Refused("one request, no mask")
        inputs = [x[None].transpose(1, 2) for x in (batch.q, batch.k, batch.v)]
        rows, chosen = batch.blocks.shape
        columns = -(-case.kv_len // case.block)
        order = torch.zeros(1, 1, rows, columns, dtype=torch.int32)
        order[0, 0, :, :chosen] = batch.blocks
        order = order.to(batch.device)
        counts = torch.full_like(order[..., 0], chosen)
        mask = flex.BlockMask.from_kv_blocks(
            torch.zeros_like(counts), torch.zeros_like(order), counts, order,
            BLOCK_SIZE=case.block, seq_lengths=(case.q_len, case.kv_len),
        )  # fmt: skip
    else:
        inputs, mask = _heads_first(batch), None
        if case.causal:
            ahead = case.kv_len - case.q_len
            mask = flex.create_block_mask(
                lambda b, h, q, k: q + ahead >= k,
                None, None, case.q_len, case.kv_len, device=batch.device,
            )  # fmt: skip
    torch._dynamo.reset()  # each case is compiled as if it were the only one
    compiled = torch.compile(flex.flex_attention, dynamic=False)
    gqa = case.heads != case.kv_heads
    return Candidate(
        lambda: compiled(*inputs, block_mask=mask, enable_gqa=gqa), _tokens_first
    )


PEERS = {
    "flashinfer": flashinfer,
    "flashinfer_vsa": flashinfer_vsa,
    "cudnn": cudnn,
    "flash2": flash2,
    "flex": flex,
}


def gather(
    batch, names, limit: float, makers: dict = PEERS
) -> tuple[dict[str, Candidate], dict[str, str]]:
    """The named peers that compute the batch rightly, and why the others do not."""
    candidates, absent = {}, {}
    for name in names:
        try:
            candidate = makers[name](batch)
            error = batch.error(candidate.output())
        except Exception as problem:  # whatever another project raises
            lines = str(problem).strip().splitlines() or [""]
            absent[name] = f"{type(problem).__name__}: {lines[0]}"[:200]
            continue
        if error > limit:
            absent[name] = f"wrong: an error of {error:.1e}"
        else:
            candidates[name] = candidate
    return candidates, absent
