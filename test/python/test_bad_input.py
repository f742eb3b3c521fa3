# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is refused, and that it says what was expected and what was given."""

import numpy as np
import pytest
import saccade
from test_attention import draw

SPEC = {
    "num_q_heads": 4, "num_kv_heads": 2, "head_dim": 16, "page_size": 4,
    "dtype": "float32", "device": "cpu",
}  # fmt: skip
TABLE = np.array([[0, 1]], np.int32)


def zeros(*shape):
    return np.zeros(shape, np.float32)


Q, KV = zeros(1, 4, 16), (zeros(3, 4, 2, 16), zeros(3, 4, 2, 16))


@pytest.fixture(scope="module")
def decode():
    decode = saccade.Attention(**SPEC)
    decode.plan([1], kv_lens=[7], page_table=TABLE)
    return decode


@pytest.mark.parametrize(
    "table, message",
    [
        (TABLE.astype(np.float32), "integers, but got float32"),
        (TABLE > 0, "integers, but got bool"),
        (TABLE[None], r"but got int32 of shape \(1, 1, 2\)"),
        (-TABLE - 1, "page ids of 'kv' in .* but got -1"),
        (TABLE[:, :1], "7 tokens of request 0 in 'kv' to fit in 1 pages of 4"),
        ([[0], [1, 2]], "rows of one length"),
        ("pages", "a list of integers, but got <U5"),
    ],
)
def test_page_tables(decode, table, message):
    with pytest.raises((TypeError, saccade.InvalidArgument), match=message):
        decode.plan([1], kv_lens=[7], page_table=table)


@pytest.mark.parametrize(
    "q, kv, message",
    [
        (Q[:, :3], KV, "4 heads, but got 3"),
        (Q[..., :8], KV, "head dim 16, but got 8"),
        (Q.astype(np.float16), KV, "'q' to be f32, but got f16"),
        (Q.astype(">f4"), KV, "'q': expects this machine's byte order, but got >f4"),
        (Q, (KV[0].astype(np.float16), KV[1]), "(keys).* f32, but got f16"),
        (Q, (zeros(3, 5, 2, 16), KV[1]), "page size 4, but got 5"),
        (Q, (KV[0][:1], KV[1][:1]), "more than 1 pages .* but got 1"),
        (None, KV, "expects an array .* but got NoneType"),
    ],
)
def test_arrays(decode, q, kv, message):
    with pytest.raises((TypeError, saccade.InvalidArgument), match=message):
        decode.run(q, kv)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"head_dim": 0}, "head_dim to be a positive integer, but got 0"),
        ({"head_dim": 16.0}, "positive integer, but got 16.0"),
        ({"num_kv_heads": -2}, "num_kv_heads to be .* but got -2"),
        ({"window": 1.5}, "window to be .* but got 1.5"),
        ({"dtype": "float64"}, "expects a dtype among .* but got float64"),
    ],
)
def test_keywords(changed, message):
    with pytest.raises(saccade.InvalidArgument, match=message):
        saccade.Attention(**{**SPEC, **changed})


def test_outputs_and_values(decode):
    fixed = zeros(1, 4, 16)
    fixed.setflags(write=False)
    with pytest.raises(saccade.InvalidArgument, match="writable, but got a read-only"):
        decode.run(Q, KV, out=fixed)
    x = zeros(1, 4, 5, 16)
    with pytest.raises(saccade.InvalidArgument, match="writable, but got a read-only"):
        saccade.attention(x, x, x, out=np.broadcast_to(zeros(16), x.shape))
    with pytest.raises(TypeError, match="'scale': expects a number, but got 'wide'"):
        decode.run(Q, KV, scale="wide")
    with pytest.raises(TypeError, match="but got NoneType"):
        saccade.attention(x, None, x)


def test_torch_tensors(decode):
    torch = pytest.importorskip("torch")
    q = torch.from_numpy(Q)
    for bad in (q.to("meta"), q.to_sparse()):
        with pytest.raises(saccade.InvalidArgument, match=r"'q': .* but got a Tensor"):
            decode.run(bad, KV, out=zeros(1, 4, 16))
    with pytest.raises(saccade.InvalidArgument, match="on cpu or cuda.* meta"):
        decode.plan([1], kv_lens=[7], page_table=torch.zeros(1, 2, device="meta"))
    with pytest.raises(saccade.InvalidArgument, match="requires_grad"):
        decode.run(q.clone().requires_grad_(), KV)
    if torch.cuda.is_available():
        with pytest.raises(saccade.InvalidArgument, match="on cpu, but got cuda:0"):
            decode.run(q.cuda(), KV, out=Q.copy())


def test_arrays_of_all_kinds_in_turn(decode):
    """Each kind is read in its own way, and leaves nothing of it behind."""
    torch = pytest.importorskip("torch")
    both, query = draw(3, 2, 4, 2, 16), draw(1, 4, 16)
    keys, values = both[:, 0], both[:, 1]
    q, kv, k, v = (torch.from_numpy(x) for x in (query, both, keys, values))
    parameter = torch.nn.Parameter(kv, requires_grad=False)
    want = decode.run(query, both)
    for _ in range(2):
        for given in (
            (query, both), (q, kv), (q, (k, v)), (query, (keys, values)), (q, [k, v]),
            (q, both), (q, kv), (q, kv), (q, (k, values)), (query, kv), (q, parameter),
            (q, (k, v)), (q, (k, v)), (q, kv),
        ):  # fmt: skip
            assert np.array_equal(np.asarray(decode.run(*given)), want)
            other = np.asarray(decode.run(*given, scale=0.5))
            assert not np.array_equal(other, want)
    for bad in (q.to("meta"), q.to_sparse()):
        with pytest.raises(saccade.InvalidArgument, match=r"'q': .* but got a Tensor"):
            decode.run(bad, kv, out=q.clone())
    with pytest.raises(TypeError, match="'scale': expects a number, but got None"):
        decode.kernel.run(decode.planned, q, kv, None)
    with pytest.raises(TypeError, match="'kv': expects keys and values"):
        decode.run(q, (k, v, v))
    assert np.array_equal(decode.run(q, kv).numpy(), want)
