# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention as a function: tensors in, tensors out.

What a call needs is found again by what it looks like: the kernel by what is
structural (head dims, dtypes, which options), its plan by the lengths.
"""

from __future__ import annotations

import math
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import _forked, _masks, _tensors, _trace
from ._abi import InvalidArgument
from ._kernel import Kernel, compile
from ._plan import Plan
from ._spec import KernelSpec, Layout, element_of

#: Plans that are kept for calls to come: of a kernel, and in all.
PLANS_OF_A_KERNEL, PLANS = 2, 64
#: Query tokens that kernels are made for; a call takes the next larger.
HINTS = (1, 2, 4, 8, 16, 32, 128, 4096)

_lock = threading.RLock()
_structures: dict[Hashable, _Structure] = {}
_plans: OrderedDict[Hashable, _Planned] = OrderedDict()
_decodes: dict[Hashable, _Structure] = {}  # dense calls, whatever the number of keys


class _Structure:
    """A kernel for all calls that differ in run-time values and lengths alone."""

    def __init__(self, kernel: Kernel, order: list[int] | None):
        self.kernel = kernel
        self.order = order  # which option each parameter of the variant is
        self.plans: list[_Planned] = []


class _Planned:
    """A plan for a batch of given lengths; taken by one thread at a time."""

    __slots__ = ("structure", "plan", "key", "room", "lock", "captured")

    def __init__(
        self, structure: _Structure, plan: Plan, key: Hashable, room: Hashable
    ):
        self.structure, self.plan, self.key, self.room = structure, plan, key, room
        self.lock = threading.Lock()
        self.captured = False  # by a CUDA graph that replays it: never planned again


def attention(
    q: Any,
    k: Any,
    v: Any,
    *,
    layout: str = "BHSD",
    causal: bool = False,
    window: int | tuple[int | None, int | None] | None = None,
    softcap: float | None = None,
    alibi: Any = None,
    sinks: Any = None,
    scale: float | None = None,
    score_mod: Callable | None = None,
    mask_mod: Callable | None = None,
    q_lens: Sequence[int] | None = None,
    kv_lens: Sequence[int] | None = None,
    q_indptr: Sequence[int] | None = None,
    kv_indptr: Sequence[int] | None = None,
    return_lse: bool = False,
    out: Any = None,
) -> Any:
    """Attention of queries to keys and values, with any variant.

    q: [B, Hq, Sq, D] for layout "BHSD", [B, Sq, Hq, D] for "BSHD", [T, Hq, D] for
        "THD", where the tokens of all requests lie one after another. k: the same with
        Hkv heads, of which Hq is a multiple, and Skv tokens; v: as k, of a head dim of
        its own if need be. NumPy arrays or torch tensors of float16, bfloat16, or on
        the CPU float32; any strides.
    causal: a query sees the keys up to its own place. Queries are the last Sq of the
        Skv tokens: query i stands at Skv - Sq + i (bottom-right aligned).
    window: n keeps the query itself and the n - 1 keys before it; (left, right) keeps
        that many keys before and behind it besides itself, None: all of that side.
    softcap: logits become softcap * tanh(logit / softcap).
    alibi: slopes, f32 [Hq]; slope * (key - query) is added to the logit.
    sinks: f32 [Hq], a logit for each head that joins the softmax's denominator.
    scale: of q k^T; 1 / sqrt(D) by default.
    score_mod, mask_mod: functions (score, b, h, q_idx, kv_idx) and (b, h, q_idx,
        kv_idx) in FlexAttention's form, traced once. Indices are places in the
        request, q_idx bottom-right aligned as above. What they capture (numbers,
        tensors) is read anew in each call.
    q_lens, kv_lens: tokens of each request, on the host; by default all. With "THD",
        these or q_indptr and kv_indptr ([requests + 1]) say where requests lie.
    return_lse: also the log-sum-exp of the logits, f32 [B, Hq, Sq] or, with "BSHD"
        and "THD", [B, Sq, Hq] and [T, Hq]; natural base; -inf where no key is seen.
    out: where the output goes; a new array like q by default.

    Returns out, or (out, lse). Rows behind a request's length are zeros in a new
    output. Runs on torch's current stream and does not wait for the GPU; the first
    call of a kind compiles. Forward only.

    Raises InvalidArgument, SpecError (with the compiler's message), TraceError (with
    the line of the function).
    """
    return attend(
        q, k, v, layout, causal, window, softcap, alibi, sinks, scale, score_mod,
        mask_mod, q_lens, kv_lens, q_indptr, kv_indptr, return_lse, out, False,
    )  # fmt: skip


def attend(
    q: Any, k: Any, v: Any, layout: str, causal: bool, window: Any, softcap: Any,
    alibi: Any, sinks: Any, scale: Any, score_mod: Any, mask_mod: Any, q_lens: Any,
    kv_lens: Any, q_indptr: Any, kv_indptr: Any, return_lse: bool, out: Any,
    first_query: bool, repeat: Repeat | None = None,
) -> Any:  # fmt: skip
    """attention; first_query: q_idx counts from 0, not from the first key's place.
    repeat: is to make such calls again."""
    torch = sys.modules.get("torch")
    run: Callable = _attention
    if torch is not None and isinstance(q, torch.Tensor):
        if torch.compiler.is_compiling() or type(q) is not torch.Tensor:
            from . import _torch_ops

            if _torch_ops.is_traced(q):
                run, repeat = _torch_ops.attention, None
        if torch.is_grad_enabled():
            _tensors.refuse_gradients((q, k, v), "call")
    options = {} if repeat is None else {"repeat": repeat}
    return run(
        q, k, v, layout, causal, window, softcap, alibi, sinks, scale, score_mod,
        mask_mod, q_lens, kv_lens, q_indptr, kv_indptr, return_lse, out, first_query,
        **options,
    )  # fmt: skip


class _Call(NamedTuple):
    """The arguments of one call of attention, beside its tensors."""

    layout: str
    causal: bool
    window: tuple[int | None, int | None]
    softcap: float | None
    alibi: Any
    sinks: Any
    score_mod: Callable | None
    mask_mod: Callable | None
    lengths: _Lengths | None
    return_lse: bool
    first_query: bool


@dataclass(frozen=True)
class _Lengths:
    """Where requests lie, on the host; None: as the tensors say."""

    q_lens: tuple[int, ...] | None
    kv_lens: tuple[int, ...] | None


def _attention(
    q: Any, k: Any, v: Any, layout: str, causal: bool, window: Any, softcap: Any,
    alibi: Any, sinks: Any, scale: Any, score_mod: Any, mask_mod: Any, q_lens: Any,
    kv_lens: Any, q_indptr: Any, kv_indptr: Any, return_lse: bool, out: Any,
    first_query: bool, repeat: Repeat | None = None,
) -> Any:  # fmt: skip
    """attend, of tensors that are there."""
    left, right = (None, None) if window is None else _masks.sides(window)
    lengths = None
    if not (
        q_lens is None and kv_lens is None and q_indptr is None and kv_indptr is None
    ):
        lengths = _lengths(q_lens, kv_lens, q_indptr, kv_indptr)
    call = _Call(
        layout, causal, (left, right), softcap, alibi, sinks, score_mod, mask_mod,
        lengths, return_lse, first_query,
    )  # fmt: skip
    if score_mod is None and mask_mod is None:
        functions: Hashable = None
        values = [x for x in (left, right, softcap, alibi) if x is not None]
    else:
        functions, values = _trace.fingerprint(*_functions(call))
    place, stream = _tensors.place_of(q)
    q, k, v = _tensors.with_rows(q), _tensors.with_rows(k), _tensors.with_rows(v)
    key = (
        q.shape, k.shape, v.shape, q.dtype, k.dtype, place, stream, layout, causal,
        left is None, right is None, softcap is None, alibi is None, sinks is None,
        return_lse, first_query, functions, lengths,
    )  # fmt: skip
    outputs = _outputs(q, v.shape[-1], call, out)
    if 0 in q.shape:
        _batch(q, k, v, call)  # for its checks
        return _returned(outputs, call)
    while True:
        planned = _plans.get(key) or _plan(key, q, k, v, call)
        with planned.lock:
            if planned.key is None:  # another thread needed the plan
                continue
            order = planned.structure.order
            if order is not None:
                values = [values[i] for i in order]
            if scale is None:
                scale = 1.0 / math.sqrt(q.shape[-1])
            _launch(planned, q, k, v, scale, values, sinks, outputs, stream)
            break
    if repeat is not None:
        repeat.planned, repeat.values = planned, values
    return _returned(outputs, call)


def _launch(
    planned: _Planned, q: Any, k: Any, v: Any, scale: float, values: list[Any],
    sinks: Any, outputs: list[Any], stream: int,
) -> None:  # fmt: skip
    """Runs a plan, whose lock is held."""
    if stream and not planned.captured and _tensors.is_capturing():
        planned.captured = True
    arguments = [q, (k, v), scale, *values]
    if sinks is not None:
        arguments.append(sinks)
    planned.plan._launch(arguments, outputs, stream)


class Repeat:
    """A call that the layers of a model make one after another, with tensors of their
    own: what it took to find its plan is not looked for again."""

    planned: _Planned | None = None
    values: Sequence[Any] = ()

    def run(
        self, q: Any, k: Any, v: Any, scale: float, sinks: Any, out: Any, stream: int
    ) -> bool:
        """Makes the call again. The caller answers for it that all but the tensors is
        as it was, and their shapes, dtypes and places as well. False if the plan is in
        use for another call by now."""
        planned = self.planned
        if planned is None:
            return False
        with planned.lock:
            if planned.key is None:
                return False
            _launch(planned, q, k, v, scale, [*self.values], sinks, [out], stream)
        return True


def _returned(outputs: list[Any], call: _Call) -> Any:
    if not call.return_lse:
        return outputs[0]
    if call.layout == "BHSD":
        return outputs[0], outputs[1].swapaxes(1, 2)
    return tuple(outputs)


def _functions(call: _Call) -> tuple[Callable | None, Callable | None]:
    left, right = call.window
    return _masks.options(
        causal=call.causal, left=left, right=right, softcap=call.softcap,
        alibi=call.alibi, score_mod=call.score_mod, mask_mod=call.mask_mod,
    )  # fmt: skip


def _lengths(q_lens: Any, kv_lens: Any, q_indptr: Any, kv_indptr: Any) -> _Lengths:
    def of(lens: Any, indptr: Any, name: str) -> tuple[int, ...] | None:
        if indptr is None:
            return (
                None
                if lens is None
                else tuple(_tensors.host_ints(lens, f"{name}_lens"))
            )
        if lens is not None:
            raise TypeError(f"expects either {name}_lens or {name}_indptr")
        bounds = _tensors.host_ints(indptr, f"{name}_indptr")
        if not bounds or bounds[0] != 0:
            raise InvalidArgument(
                f"expects {name}_indptr to begin with 0, but got {bounds[:1]}"
            )
        return tuple(b - a for a, b in zip(bounds, bounds[1:], strict=False))

    return _Lengths(of(q_lens, q_indptr, "q"), of(kv_lens, kv_indptr, "kv"))


def _outputs(q: Any, value_dim: int, call: _Call, out: Any) -> list[Any]:
    shape = q.shape
    padded = call.lengths is not None and call.layout != "THD"
    if out is None:
        wanted = None if value_dim == shape[-1] else (*shape[:-1], value_dim)
        out = _tensors.new_like(q, wanted, zeroed=padded)
    if not call.return_lse:
        return [out]
    if call.layout == "BHSD":
        wanted = (shape[0], shape[2], shape[1])
    else:
        wanted = tuple(shape[:-1])
    fill = -math.inf if padded else None
    return [out, _tensors.new_f32(q, wanted, fill)]


def _plan(key: tuple, q: Any, k: Any, v: Any, call: _Call) -> _Planned:
    """Plans a batch whose lengths were not met before, or not lately."""
    kind = None
    if call.lengths is None and call.layout != "THD" and k.shape[:-1] == v.shape[:-1]:
        at = call.layout.index("S")
        kind = (k.shape[:at], k.shape[at + 1 :], v.shape[-1], key[0], *key[3:])
        planned = _plan_again(key, kind, k.shape[at])
        if planned is not None:
            return planned
    q_lens, kv_lens = _batch(q, k, v, call)
    if _tensors.place_of(q)[0] != "cpu" and _tensors.is_capturing():
        raise InvalidArgument(
            "expects a call with these lengths before the capture of a CUDA graph, on "
            "the same stream: it plans, and plans are not captured"
        )
    with _lock:
        planned = _plans.get(key)
        if planned is not None:
            return planned
        structure = _structure(q, k, v, call, max(q_lens, default=1))
        place, stream = _tensors.place_of(q)
        # Lists of equal lengths are planned again by their number of keys alone.
        uniform = key[0] if kind is not None else None
        room = (place, stream, uniform or (len(q_lens), sum(q_lens)))
        alike = [p for p in structure.plans if p.room == room and not p.captured]
        if len(alike) >= PLANS_OF_A_KERNEL:
            plan = _take(
                alike[0],
                lambda plan: plan.update(q_lens, kv_lens=kv_lens, stream=stream),
            )
        else:
            plan = structure.kernel.plan(q_lens, kv_lens=kv_lens, stream=stream)
        if kind is not None:
            _decodes[kind] = structure
        return _keep(_Planned(structure, plan, key, room))


def _plan_again(key: tuple, kind: Hashable, keys: int) -> _Planned | None:
    """Plans a call that differs from an earlier one in its number of keys alone, as in
    decoding, in the memory of a plan for such; None if there is none."""
    structure = _decodes.get(kind)
    if structure is None:
        return None
    place, stream = key[5:7]
    if place != "cpu" and _tensors.is_capturing():
        return None
    with _lock:
        if key in _plans:
            return _plans[key]
        room = (place, stream, key[0])
        alike = [p for p in structure.plans if p.room == room and not p.captured]
        if len(alike) < PLANS_OF_A_KERNEL:
            return None
        plan = _take(alike[0], lambda plan: plan._update_keys(keys, stream))
        return _keep(_Planned(structure, plan, key, room))


def _take(taken: _Planned, update: Callable[[Plan], None]) -> Plan:
    """A plan for another batch, taken from one that was planned longest ago."""
    with taken.lock:
        taken.structure.plans.remove(taken)
        _plans.pop(taken.key, None)
        taken.key = None
        update(taken.plan)
    return taken.plan


def _keep(planned: _Planned) -> _Planned:
    planned.structure.plans.append(planned)
    _plans[planned.key] = planned
    if len(_plans) > PLANS:
        _forget_one()
    return planned


def _forget_one() -> None:
    for key, planned in _plans.items():
        if not planned.captured:
            del _plans[key]
            planned.structure.plans.remove(planned)
            return


def _batch(q: Any, k: Any, v: Any, call: _Call) -> tuple[list[int], list[int]]:
    """Checks shapes against each other, and gives the lengths of each request."""
    if call.layout not in ("BHSD", "BSHD", "THD"):
        raise InvalidArgument(
            f"expects layout to be BHSD, BSHD or THD, but got {call.layout!r}"
        )
    shapes = {"q": q.shape, "k": k.shape, "v": v.shape}
    for name, shape in shapes.items():
        if len(shape) != len(call.layout):
            raise InvalidArgument(
                f"expects {name} to have {len(call.layout)} dimensions "
                f"({call.layout}), but got shape {tuple(shape)}"
            )
    places = {
        name: _tensors.place_of(x)[0] for name, x in (("q", q), ("k", k), ("v", v))
    }
    if len(set(places.values())) > 1:
        text = ", ".join(f"{name} on {place}" for name, place in places.items())
        raise InvalidArgument(f"expects tensors on one device, but got {text}")
    kinds = {"q": q.dtype, "k": k.dtype, "v": v.dtype}
    if len(set(kinds.values())) > 1:
        text = ", ".join(f"{name} of {kind}" for name, kind in kinds.items())
        raise InvalidArgument(f"expects tensors of one dtype, but got {text}")

    def refuse(what: str, first: str, second: str) -> None:
        raise InvalidArgument(
            f"expects {what}, but got {first} of shape {tuple(shapes[first])} and "
            f"{second} of shape {tuple(shapes[second])} ({call.layout})"
        )

    at = call.layout.index
    if q.shape[-1] != k.shape[-1]:
        refuse("q and k of one head dim", "q", "k")
    if k.shape[:-1] != v.shape[:-1]:
        refuse("k and v that agree in all but the head dim", "k", "v")
    heads, kv_heads = q.shape[at("H")], k.shape[at("H")]
    if kv_heads == 0 or heads % kv_heads:
        refuse("heads of q to be a multiple of those of k", "q", "k")
    lengths = call.lengths or _Lengths(None, None)
    q_lens, kv_lens = lengths.q_lens, lengths.kv_lens
    if call.layout == "THD":
        if q_lens is None:
            raise TypeError("expects q_lens or q_indptr where layout is THD")
        if kv_lens is None:
            kv_lens = q_lens
        limits = (sum(q_lens), q.shape[0]), (sum(kv_lens), k.shape[0])
        for name, (total, tokens) in zip(("q", "kv"), limits, strict=True):
            if total != tokens:
                raise InvalidArgument(
                    f"expects lengths of all {tokens} tokens of {name}, but got {total}"
                )
    else:
        if q.shape[0] != k.shape[0]:
            refuse("q and k of one batch size", "q", "k")
        if q_lens is None:
            q_lens = (q.shape[at("S")],) * q.shape[0]
        if kv_lens is None:
            kv_lens = (k.shape[at("S")],) * q.shape[0]
        for name, x, lens in (("q", q, q_lens), ("kv", k, kv_lens)):
            most = x.shape[at("S")]
            if len(lens) != q.shape[0] or not all(0 <= n <= most for n in lens):
                raise InvalidArgument(
                    f"expects {name}_lens to be {q.shape[0]} lengths of 0 to {most}, "
                    f"but got {list(lens)}"
                )
    return list(q_lens), list(kv_lens)


def _structure(q: Any, k: Any, v: Any, call: _Call, q_len: int) -> _Structure:
    """The kernel of a call, compiled if it is the first of its kind."""
    place, _ = _tensors.place_of(q)
    hint = 0
    if place != "cpu":
        hint = next((n for n in HINTS if q_len <= n), HINTS[-1])
    heads = call.layout.index("H")
    functions, _ = _trace.fingerprint(*_functions(call))
    key = (
        functions, place, hint, call.layout, q.dtype, q.shape[heads], k.shape[heads],
        q.shape[-1], v.shape[-1], call.sinks is None, call.return_lse, call.first_query,
    )  # fmt: skip
    structure = _structures.get(key)
    if structure is None:
        spec, order = _spec(q, k, v, call, hint)
        kernel = compile(spec.text(), device=place)
        structure = _structures[key] = _Structure(kernel, order)
    return structure


def _spec(
    q: Any, k: Any, v: Any, call: _Call, hint: int
) -> tuple[KernelSpec, list[int] | None]:
    """The spec of a call, and the order of its options in the variant."""
    order = None
    if call.score_mod is None and call.mask_mod is None:
        # Trace values that are told apart by identity, to see where each one goes.
        left, right = (
            None if x is None else 10**6 + i for i, x in enumerate(call.window)
        )
        softcap = None if call.softcap is None else float("1e6")
        marks = [x for x in (left, right, softcap, call.alibi) if x is not None]
        marked = call._replace(window=(left, right), softcap=softcap)
        _, values = _trace.fingerprint(*_functions(marked))
        order = [next(i for i, x in enumerate(marks) if x is y) for y in values]
        if order == list(range(len(marks))):
            order = None
    score_mod, mask_mod = _functions(call)
    variant = _trace.trace(
        score_mod, mask_mod, sink=call.sinks is not None, first_query=call.first_query
    )
    heads = call.layout.index("H")
    element = element_of(q.dtype)
    kind = "ragged" if call.layout == "THD" else "dense"
    axes = "HND" if call.layout == "BHSD" else "NHD"
    spec = KernelSpec(
        variant,
        Layout(kind, q.shape[heads], q.shape[-1], element, order=axes),
        Layout(kind, k.shape[heads], k.shape[-1], element, v.shape[-1], order=axes),
        output_order=axes,
        lse=call.return_lse,
        query_tokens=hint,
    )
    return spec, order


def _forget() -> None:
    """A child compiles and plans for itself; what it inherits may be in use."""
    global _lock, _structures, _plans, _decodes
    _lock, _structures, _plans = threading.RLock(), {}, OrderedDict()
    _decodes = {}


_forked.in_child(_forget)
