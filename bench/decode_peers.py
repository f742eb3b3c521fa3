# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Who else computes a paged batch: kernels of FlashInfer, where it can be imported.
All read the same pages, [pages, 2, page, heads, dim]. Each maker takes a batch and
the number of a page set; one that cannot take a case raises, and its text says why."""

import functools

from peers import Candidate, Refused

# Kernels with 8-bit products round queries and weights, too.
ERROR = {"bf16": 1e-2, "e4m3": 1e-1}


@functools.cache
def _workspace(torch, device, name):
    """One for all sets: they run one after another, and leave counters zero."""
    return torch.zeros(512 << 20, dtype=torch.uint8, device=device)


def _heads(case) -> dict:
    return {"num_qo_heads": case.heads, "num_kv_heads": case.kv_heads}


def _decodes_only(case) -> None:
    if set(case.q_lens) != {1}:
        raise Refused("one query token a request")


def fa2(batch, index=0) -> Candidate:
    """Its decode with tensor cores, as for groups of heads: fa2's paged prefill."""
    import flashinfer

    case, out = batch.case, batch.empty()
    _decodes_only(case)
    wrapper = flashinfer.BatchDecodeWithPagedKVCacheWrapper(
        _workspace(batch.torch, batch.device, "fa2"), "NHD",
        use_tensor_cores=True, backend="fa2",
    )  # fmt: skip
    wrapper.plan(
        batch.int32(case.page_indptr), batch.tables[index],
        batch.int32(case.last_page_lens), head_dim=case.dim, page_size=case.page,
        q_data_type=batch.q.dtype, kv_data_type=batch.dtype, **_heads(case),
    )  # fmt: skip
    return Candidate(lambda: wrapper.run(batch.q, batch.cache, out=out))


def persistent(batch, index=0) -> Candidate:
    """Its kernel for decodes and prefills in one launch."""
    import flashinfer

    torch, case, out = batch.torch, batch.case, batch.empty()
    sums = torch.empty(batch.q.shape[:2], device=batch.device)
    wrapper = flashinfer.BatchAttention("NHD", device=batch.device)
    wrapper.float_workspace_buffer = _workspace(torch, batch.device, "persistent")
    wrapper.plan(
        batch.int32(case.q_indptr), batch.int32(case.page_indptr),
        batch.tables[index], batch.int32(case.kv_lens),
        head_dim_qk=case.dim, head_dim_vo=case.dim, page_size=case.page,
        causal=max(case.q_lens) > 1, q_data_type=batch.q.dtype,
        kv_data_type=batch.dtype, **_heads(case),
    )  # fmt: skip
    return Candidate(
        lambda: wrapper.run(batch.q, batch.cache, out=out, lse=sums),
        lambda output: output[0],
    )


def xqa(batch, index=0) -> Candidate:
    """TensorRT-LLM's decode kernels; those for 8-bit caches use wgmma in 8 bits."""
    import flashinfer

    torch, case, out = batch.torch, batch.case, batch.empty()
    _decodes_only(case)
    if case.page not in (16, 32, 64, 128):
        raise Refused("pages of 16 to 128 tokens")
    memory, counters = _workspace(torch, batch.device, "xqa"), 8 << 20
    lengths = batch.int32(case.kv_lens).view(torch.uint32)[:, None]
    call = functools.partial(
        flashinfer.xqa,
        batch.q[:, None], batch.cache[:, 0], batch.cache[:, 1],
        batch.rectangle(index), lengths, out[:, None],
        memory[counters:], memory[:counters].view(torch.uint32),
        case.kv_heads, case.page,
    )  # fmt: skip

    def run():
        call()
        return out

    return Candidate(run)


def _paged_prefill(batch, index, backend) -> Candidate:
    import flashinfer

    case, out = batch.case, batch.empty()
    wrapper = flashinfer.BatchPrefillWithPagedKVCacheWrapper(
        _workspace(batch.torch, batch.device, backend), "NHD", backend=backend
    )
    wrapper.plan(
        batch.int32(case.q_indptr), batch.int32(case.page_indptr),
        batch.tables[index], batch.int32(case.last_page_lens),
        head_dim_qk=case.dim, page_size=case.page, causal=True,
        q_data_type=batch.q.dtype, kv_data_type=batch.dtype, **_heads(case),
    )  # fmt: skip
    return Candidate(lambda: wrapper.run(batch.q, batch.cache, out=out))


def fa2_prefill(batch, index=0) -> Candidate:
    return _paged_prefill(batch, index, "fa2")


def fa3_prefill(batch, index=0) -> Candidate:
    return _paged_prefill(batch, index, "fa3")


DECODE = {"fa2": fa2, "persistent": persistent, "xqa": xqa}
MIXED = {"persistent": persistent, "fa2": fa2_prefill, "fa3": fa3_prefill}
