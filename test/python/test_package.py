# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The Python package: what callers may hand in, what they get, and what they are
# told when it is wrong. Numbers are tested elsewhere; here one kernel of a kind.
import pathlib
import subprocess
import sys
import threading

import ml_dtypes
import numpy as np
import pytest

saccade = pytest.importorskip("saccade")

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
BF16 = ml_dtypes.bfloat16


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def random(rng, *shape, dtype=BF16):
    return rng.standard_normal(shape, np.float32).astype(dtype)


def decode(rng, kv_lens=(33, 0, 16), **options):
    """A small paged batch: kernel, plan and inputs."""
    kernel = saccade.compile(EXAMPLES / "llama3_decode.mlir", device="cpu", **options)
    pages = [-(-n // 16) for n in kv_lens]
    table = np.zeros((len(kv_lens), max(pages)), np.int32)
    table[:] = rng.permutation(table.size).reshape(table.shape)
    plan = kernel.plan([1] * len(kv_lens), kv_lens=kv_lens, page_table=table)
    q = random(rng, len(kv_lens), 32, 128)
    keys, values = (random(rng, table.size, 16, 8, 128) for _ in range(2))
    return kernel, plan, table, q, keys, values


def close(got, want, limit=4e-3):
    got, want = np.asarray(got, np.float64), np.asarray(want)
    assert np.linalg.norm(got - want) <= limit * np.linalg.norm(want)


def test_runs_on_numpy_as_the_reference_says(rng):
    kernel, plan, table, q, keys, values = decode(rng)
    out, lse = kernel.run(plan, q, (keys, values))
    assert out.dtype == BF16 and out.shape == q.shape
    assert lse.dtype == np.float32 and lse.shape == (3, 32)
    want, want_lse = saccade.reference(
        EXAMPLES / "llama3_decode.mlir", q, (keys, values),
        q_lens=[1, 1, 1], kv_lens=[33, 0, 16], page_table=table,
    )  # fmt: skip
    close(out, want)
    assert np.isneginf(lse[1]).all() and not np.asarray(out[1], np.float32).any()
    np.testing.assert_allclose(lse, want_lse, atol=1e-4)


def test_takes_bits_names_out_and_both_halves_in_one_tensor(rng):
    kernel, plan, _, q, keys, values = decode(rng)
    want, want_lse = kernel.run(plan, q, (keys, values))
    bits = [x.view(np.uint16) for x in (q, keys, values)]
    out, lse = np.empty_like(bits[0]), np.empty((3, 32), np.float32)
    both = np.stack(bits[1:], axis=1)  # [pages, 2, page, heads, dim]
    got = plan.run(kv=both, q=bits[0], out=(out, lse))
    assert got[0] is out and got[1] is lse
    np.testing.assert_array_equal(out, want.view(np.uint16))
    np.testing.assert_array_equal(lse, want_lse)


def test_strided_views_are_read_in_place(rng):
    kernel, plan, _, q, keys, values = decode(rng)
    want, _ = kernel.run(plan, q, (keys, values))
    wide = np.full((3, 40, 160), np.nan, BF16)
    wide[:, 4:36, 16:144] = q
    got, _ = kernel.run(plan, wide[:, 4:36, 16:144], (keys, values))
    np.testing.assert_array_equal(got.view(np.uint16), want.view(np.uint16))


def test_page_tables_of_every_form_agree(rng):
    kernel, plan, table, q, keys, values = decode(rng)
    want, _ = kernel.run(plan, q, (keys, values))
    flat = [*table[0, :3], table[2, 0]]
    forms = [
        {"kv_lens": [33, 0, 16], "kv_indptr": [0, 3, 3, 4], "page_table": flat},
        {"last_page_len": [1, 0, 16], "kv_indptr": [0, 3, 3, 4], "page_table": flat},
        {"kv_lens": [33, 0, 16], "page_table": table.astype(np.int64)},
        {"caches": {"kv": saccade.Cache(lengths=[33, 0, 16], indices=table)}},
    ]
    for form in forms:
        plan.update([1, 1, 1], **form)
        got, _ = kernel.run(plan, q, (keys, values))
        np.testing.assert_array_equal(got.view(np.uint16), want.view(np.uint16))


def test_two_caches_and_scalars(rng):
    kernel = saccade.compile(EXAMPLES / "shared_prefix.mlir", device="cpu")
    parts = [
        saccade.Cache(lengths=[32, 32], indices=[[0, 1], [0, 1]]),
        saccade.Cache(lengths=[5, 7], indices=[[2], [3]]),
    ]
    plan = kernel.plan([1, 2], caches=parts)
    q = random(rng, 3, 32, 128)
    pages = random(rng, 4, 16, 8, 128), random(rng, 4, 16, 8, 128)
    out, _ = kernel.run(plan, q, pages, pages)
    want, _ = saccade.reference(
        EXAMPLES / "shared_prefix.mlir", q, pages, pages, q_lens=[1, 2], caches=parts
    )
    close(out, want)

    gemma = saccade.compile(EXAMPLES / "gemma2.mlir", device="cpu")
    plan = gemma.plan([1], kv_lens=[20], page_table=[[0, 1]])
    pages = random(rng, 2, 16, 16, 128), random(rng, 2, 16, 16, 128)
    q, scalars = random(rng, 1, 32, 128), (0.1, 30.0, 8)
    out, _ = gemma.run(plan, q, pages, *scalars)
    want, _ = saccade.reference(
        EXAMPLES / "gemma2.mlir", q, pages, *scalars,
        q_lens=[1], kv_lens=[20], page_table=[[0, 1]],
    )  # fmt: skip
    close(out, want)
    with pytest.raises(saccade.InvalidArgument, match="'window': expects an integer"):
        gemma.run(plan, q, pages, 0.1, 30.0, 2.5)


class Foreign:
    """An array of which only the protocol is known."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack_of_any_producer(rng):
    kernel = saccade.compile(EXAMPLES / "encoder.mlir", device="cpu")
    plan = kernel.plan([5, 3], kv_lens=[5, 3])
    q, k, v = (random(rng, 2, 5, 12, 64, dtype=np.float32) for _ in range(3))
    want = kernel.run(plan, q, (k, v))
    out = np.zeros_like(q), np.zeros((2, 5, 12), np.float32)
    kernel.run(plan, Foreign(q), (Foreign(k), v), out=(Foreign(out[0]), out[1]))
    np.testing.assert_array_equal(out[0][0], want[0][0])
    with pytest.raises(TypeError, match="expects out="):
        kernel.run(plan, Foreign(q), (k, v))


def test_torch_tensors(rng):
    torch = pytest.importorskip("torch")
    kernel, plan, _, q, keys, values = decode(rng)
    want, want_lse = kernel.run(plan, q, (keys, values))

    def tensor(array):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)

    out, lse = kernel.run(plan, tensor(q), (tensor(keys), tensor(values)))
    assert out.dtype == torch.bfloat16 and lse.dtype == torch.float32
    np.testing.assert_array_equal(
        out.view(torch.int16).numpy(), want.view(np.uint16).view(np.int16)
    )
    np.testing.assert_array_equal(lse.numpy(), want_lse)


@pytest.mark.parametrize("form", ["ml_dtypes", "bytes", "dlpack", "torch"])
def test_caches_of_8_bits_in_every_form(rng, form):
    """One kernel and plan; a change of scales compiles nothing."""
    spec = EXAMPLES / "decode_fp8.mlir"
    kernel = saccade.compile(spec, device="cpu")
    table = np.array([[2, 0], [1, 3]], np.int32)
    batch = {"q_lens": [1, 1], "kv_lens": [20, 5], "page_table": table}
    plan = kernel.plan([1, 1], kv_lens=[20, 5], page_table=table)
    q = random(rng, 2, 32, 128)
    plain = [random(rng, 4, 16, 8, 128, dtype=ml_dtypes.float8_e4m3fn) for _ in "kv"]
    cache = tuple(plain)
    if form == "bytes":
        cache = tuple(x.view(np.uint8) for x in plain)
    if form == "dlpack":
        cache = tuple(Foreign(x.view(np.uint8)) for x in plain)
    if form == "torch":
        torch = pytest.importorskip("torch")
        cache = tuple(
            torch.from_numpy(x.view(np.uint8)).view(torch.float8_e4m3fn) for x in plain
        )
    for scale in 0.25, 1.5:
        key_scale, value_scale = (
            np.full(8, scale, np.float32) * np.arange(1, 9, dtype=np.float32) / k
            for k in (4, 7)
        )
        out, lse = kernel.run(plan, q, cache, key_scale, value_scale)
        want, want_lse = saccade.reference(
            spec, q, tuple(plain), key_scale, value_scale, **batch
        )
        close(out, want)
        np.testing.assert_allclose(lse, want_lse, atol=1e-4)


def test_8_bits_are_not_mixed_up(rng):
    kernel = saccade.compile(EXAMPLES / "decode_fp8.mlir", device="cpu")
    table = np.zeros((1, 1), np.int32)
    plan = kernel.plan([1], kv_lens=[3], page_table=table)
    q, scale = random(rng, 1, 32, 128), np.ones(8, np.float32)
    cache = random(rng, 1, 16, 8, 128, dtype=ml_dtypes.float8_e5m2)
    with pytest.raises(saccade.InvalidArgument, match="to be f8e4m3, but got f8e5m2"):
        kernel.run(plan, q, (cache, cache), scale, scale)
    cache = cache.view(np.uint8)
    with pytest.raises(saccade.InvalidArgument, match="to have 8 heads, but got 32"):
        kernel.run(plan, q, (cache, cache), np.ones(32, np.float32), scale)


def test_capacity(rng):
    kernel, _, table, *_ = decode(rng)
    capacity = saccade.Capacity(requests=4, query_tokens=4, indices=64)
    plan = kernel.plan([1], kv_lens=[3], page_table=[[0]], capacity=capacity)
    plan.update([1] * 4, kv_lens=[16] * 4, page_table=[[0], [1], [2], [3]])
    before = plan.describe()
    assert before.startswith("plan @llama3_decode: 4 requests")
    with pytest.raises(saccade.OutOfCapacity, match="requests"):
        plan.update([1] * 5, kv_lens=[1] * 5, page_table=[[0]] * 5)
    assert plan.describe() == before


def test_errors_say_what_was_expected(rng):
    with pytest.raises(saccade.SpecError, match=r"spec:2:\d+: error"):
        saccade.compile("attn.variant @v() {\n  attn.nonsense }\n")
    with pytest.raises(saccade.SpecError, match="expects an attn.kernel"):
        saccade.compile("attn.variant @v() {}\n")
    with pytest.raises(FileNotFoundError):
        saccade.compile("no_such_file.mlir")
    with pytest.raises(saccade.InvalidArgument, match="expects target to be one of"):
        saccade.compile(EXAMPLES / "encoder.mlir", target="sm_1", device="cpu")
    with pytest.raises(saccade.InvalidArgument, match="a pass to disable"):
        saccade.compile(EXAMPLES / "encoder.mlir", device="cpu", disable=["nothing"])
    with pytest.raises(saccade.InvalidArgument, match="expects a #tile.schedule"):
        saccade.compile(EXAMPLES / "encoder.mlir", device="cpu", schedule="1 : i32")
    with pytest.raises(saccade.InvalidArgument, match="expects a device"):
        saccade.compile(EXAMPLES / "encoder.mlir", device="abacus")

    kernel, plan, table, q, keys, values = decode(rng)
    pages = keys, values
    for wrong in ((q,), (q, pages, 1)):
        with pytest.raises(TypeError, match="llama3_decode: expects"):
            kernel.run(plan, *wrong)
    with pytest.raises(TypeError, match="no argument named 'x'"):
        kernel.run(plan, q, pages, x=1)
    with pytest.raises(TypeError, match="one value for 'q'"):
        kernel.run(plan, q, pages, q=q)
    with pytest.raises(TypeError, match="'q': expects an array"):
        kernel.run(plan, [1, 2], pages)
    for bad in (q.astype(np.float32), q[:, :16], q[:1], q[..., :64]):
        with pytest.raises(saccade.InvalidArgument, match="'q'"):
            kernel.run(plan, bad, pages)
    with pytest.raises(TypeError, match="either q_lens or q_indptr"):
        kernel.plan(kv_lens=[1], page_table=[[0]])
    with pytest.raises(TypeError, match="one part of the batch"):
        kernel.plan([1])
    with pytest.raises(TypeError, match="expects a list of integers"):
        kernel.plan([1.5], kv_lens=[1], page_table=[[0]])
    with pytest.raises(saccade.InvalidArgument, match="expects 1 entries, but got 2"):
        kernel.plan([1], kv_lens=[1, 2], page_table=[[0]])
    with pytest.raises(saccade.InvalidArgument, match="32 bits"):
        kernel.plan([1 << 40], kv_lens=[1], page_table=[[0]])


def test_explain_and_stages(rng):
    kernel = saccade.compile(EXAMPLES / "llama3_decode.mlir", device="cpu")
    report = kernel.explain()
    assert report["kernel"] == "llama3_decode" and report["target"].startswith("cpu:")
    assert report["cache"] in ("memory", "disk", "compiled")
    assert report["masks"][0]["intervals"] == 1
    assert report["entries"][0]["schedule"].startswith("#tile.schedule")
    chunked = saccade.compile(EXAMPLES / "llama4_chunked.mlir", device="cpu")
    assert any("divsi" in remark for remark in chunked.explain()["remarks"])
    spec = EXAMPLES / "llama3_decode.mlir"
    assert b"attn.bounds" in saccade.stage(spec, "mlir")
    assert b"tile.dot" in saccade.stage(spec, "tile")
    hinted = saccade.stage(spec, "spec", query_tokens=3)
    assert b"attn.query_tokens = 3" in hinted
    assert saccade.stage(spec, "obj").startswith(b"\x7fELF")
    assert b".entry llama3_decode" in saccade.stage(spec, "ptx", target="sm_90a")


def test_schedules_and_passes_change_the_kernel_not_the_result(rng):
    kernel, plan, _, q, keys, values = decode(rng)
    want, _ = kernel.run(plan, q, (keys, values))
    schedule = "#tile.schedule<rows = 16, keys = 32, warps = 1, weights = f32>"
    for options in (
        {"schedule": schedule},
        {"disable": saccade.passes()},
        {"query_tokens": 64},
    ):
        other, plan, *inputs = decode(np.random.default_rng(7), **options)
        assert other.explain()["key"] != kernel.explain()["key"]
        _, q, keys, values = inputs
        got, _ = other.run(plan, q, (keys, values))
        close(got, np.asarray(want, np.float64))


PROCESS = """
import sys, saccade
kernel = saccade.compile(sys.argv[1], device="cpu")
report = kernel.explain()
kernel.plan([1], kv_lens=[3], page_table=[[0]])
print(report["cache"], report["create_ms"])
"""


def start(cache, *extra):
    import os

    environment = {**os.environ, "SACCADE_CACHE_DIR": str(cache)}
    spec = EXAMPLES / "llama3_decode.mlir"
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, spec], env=environment, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.split()[0]


def test_disk_cache_serves_the_next_process_and_survives_damage(tmp_path):
    assert start(tmp_path) == "compiled"
    assert start(tmp_path) == "disk"
    entries = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_size)
    entries[-1].write_bytes(entries[-1].read_bytes()[:-100])  # truncated
    assert start(tmp_path) == "compiled"
    assert start(tmp_path) == "disk"
    for entry in tmp_path.iterdir():
        entry.write_bytes(b"foreign")
    assert start(tmp_path) == "compiled"
    assert start(tmp_path / "below" / "new") == "compiled"


def test_threads_share_kernels(rng):
    spec = (EXAMPLES / "encoder.mlir").read_text().replace("@encoder", "@threads")
    kernels = []
    threads = [
        threading.Thread(
            target=lambda: kernels.append(saccade.compile(spec, device="cpu"))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({kernel.explain()["key"] for kernel in kernels}) == 1


ORDER = """
import importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
import numpy as np, saccade
kernel = saccade.compile(sys.argv[1], device="cpu")
plan = kernel.plan([2], kv_lens=[2])
ones = np.ones((1, 2, 12, 64), np.float32)
out, _ = kernel.run(plan, ones, (ones, ones))
assert (out == 1).all()
if "torch" in sys.modules:
    assert sys.modules["torch"].ones(2).sum() == 2
if "jax" in sys.modules:
    jax = sys.modules["jax"]
    assert jax.jit(lambda x: x * 2)(3) == 6
"""


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", ["torch", "triton", "jax"])
def test_loads_beside_other_compilers(name, last):
    import importlib.util

    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    names = [name, "saccade"] if not last else ["saccade", name]
    command = [sys.executable, "-c", ORDER, EXAMPLES / "encoder.mlir", *names]
    subprocess.run(command, check=True)
