# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What torch's and NumPy's functions mean for traced scalars, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._graph import F32, I1, I32, Graph, Value, is_natural

#: Python's operators, by the function that they are.
OPERATORS = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div",
    "floordiv": "floor_divide", "mod": "remainder", "pow": "pow", "and": "bitwise_and",
    "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift", "neg": "neg", "pos": "positive", "abs": "abs",
    "invert": "bitwise_not", "eq": "eq", "ne": "ne", "lt": "lt", "le": "le",
    "gt": "gt", "ge": "ge",
}  # fmt: skip
#: Those with a form for a number on their left.
REFLECTED = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor",
    "lshift", "rshift",
)  # fmt: skip
_SAME = {
    "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div",
    "truediv": "div", "negative": "neg", "absolute": "abs", "fabs": "abs", "fix": "trunc",
    "power": "pow", "float_power": "pow", "fmin": "minimum", "fmax": "maximum",
    "min": "minimum", "max": "maximum", "clip": "clamp", "mod": "remainder",
    "floordiv": "floor_divide", "less": "lt", "less_equal": "le", "greater": "gt",
    "greater_equal": "ge", "equal": "eq", "not_equal": "ne", "and": "bitwise_and",
    "or": "bitwise_or", "xor": "bitwise_xor", "invert": "bitwise_not",
    "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift",
    "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
    "type": "to", "astype": "to", "half": "float", "bfloat16": "float",
    "double": "float", "long": "int", "conj": "positive", "clone": "positive",
    "detach": "positive", "contiguous": "positive", "squeeze": "positive",
}  # fmt: skip


def call(name: str, args: tuple, kwargs: dict) -> Any:
    """A function of scalars. Raises TraceError for those that are none."""
    from ._symbols import Traced, fail

    plain = name.strip("_")
    reflected = plain[0] == "r" and plain[1:] in REFLECTED and name.startswith("__")
    if reflected:
        plain, args = plain[1:], args[::-1]
    plain = _SAME.get(plain, plain)
    function = _FUNCTIONS.get(plain)
    if function is None or (name.endswith("_") and not name.startswith("__")):
        raise fail(
            f"expects scalar functions, but got '{name}'; there are "
            f"{', '.join(sorted(_FUNCTIONS))}"
        )
    everything = (*args, *kwargs.values())
    tracer = next(x for x in everything if isinstance(x, Traced))._tracer
    if plain in _RAW:
        return tracer.make(function(tracer, *args, **kwargs))

    def node(x: Any) -> Any:
        if x is None or isinstance(x, str):
            return x
        value = tracer.value_of(x)
        if value is None:
            raise fail(f"expects scalars for '{name}', but got a {type(x).__name__}")
        return value

    operands = [node(x) for x in args]
    named = {key: node(x) for key, x in kwargs.items()}
    try:
        return tracer.make(function(tracer.graph, *operands, **named))
    except TypeError as error:
        raise fail(f"'{name}': {error}") from None


def _float(name: str) -> Callable[[Graph, Value], Value]:
    return lambda g, x: g.function(name, x)


def _rounded(name: str) -> Callable[[Graph, Value], Value]:
    return lambda g, x: g.function(name, x) if x.type == F32 else x


def _compare(name: str) -> Callable[[Graph, Value, Value], Value]:
    return lambda g, x, y: g.compare(name, x, y)


def _arithmetic(name: str) -> Callable[..., Value]:
    def function(g: Graph, x: Value, y: Value, alpha: Value | None = None) -> Value:
        if alpha is not None:
            y = g.arithmetic("mul", y, alpha)
        if x.type == y.type == I1:  # as torch and NumPy have it
            if name == "sub":
                raise TypeError("expects numbers, but got two truth values; use ^ or &")
            return g.bitwise("or" if name == "add" else "and", x, y)
        return g.arithmetic(name, x, y)

    return function


def _bitwise(name: str) -> Callable[[Graph, Value, Value], Value]:
    def function(g: Graph, x: Value, y: Value) -> Value:
        if F32 in (x.type, y.type):
            raise TypeError("expects truth values or integers, but got a float")
        return g.bitwise(name, x, y)

    return function


def _logical(name: str) -> Callable[[Graph, Value, Value], Value]:
    return lambda g, x, y: g.bitwise(name, g.cast(x, I1), g.cast(y, I1))


def _shift(name: str) -> Callable[[Graph, Value, Value], Value]:
    def function(g: Graph, x: Value, y: Value) -> Value:
        if F32 in (x.type, y.type):
            raise TypeError("expects integers, but got a float")
        return g.node(name, I32, g.cast(x, I32), g.cast(y, I32))

    return function


def _div(g: Graph, x: Value, y: Value, rounding_mode: str | None = None) -> Value:
    if rounding_mode == "floor":
        return _floor_divide(g, x, y)
    if rounding_mode not in (None, "trunc"):
        raise TypeError(
            f"expects rounding_mode floor or trunc, but got {rounding_mode}"
        )
    if rounding_mode == "trunc" and F32 not in (x.type, y.type):
        return g.node("arith.divsi", I32, g.cast(x, I32), g.cast(y, I32))
    ratio = g.arithmetic("div", g.cast(x, F32), g.cast(y, F32))
    if rounding_mode is None:
        return ratio
    zero = g.zero(F32)
    down, up = g.function("floor", ratio), g.function("ceil", ratio)
    return g.select(g.compare("lt", ratio, zero), up, down)


def _floor_divide(g: Graph, x: Value, y: Value) -> Value:
    x, y = g.promote(x, y, least=I32)
    if x.type == F32:
        return g.function("floor", g.arithmetic("div", x, y))
    plain = is_natural(x) and is_natural(y)
    return g.node("arith.divsi" if plain else "arith.floordivsi", I32, x, y)


def _remainder(g: Graph, x: Value, y: Value) -> Value:
    """With the sign of the divisor, as in Python and torch."""
    x, y = g.promote(x, y, least=I32)
    if x.type == F32:
        return g.arithmetic("sub", x, g.arithmetic("mul", _floor_divide(g, x, y), y))
    rest, zero = g.node("arith.remsi", I32, x, y), g.zero(I32)
    if is_natural(y):
        if is_natural(x):
            return rest
        wrong = g.compare("lt", rest, zero)
    else:
        differ = g.compare("lt", g.bitwise("xor", rest, y), zero)
        wrong = g.bitwise("and", differ, g.compare("ne", rest, zero))
    return g.select(wrong, g.arithmetic("add", rest, y), rest)


def _pow(g: Graph, x: Value, y: Value) -> Value:
    if y.op == "constant" and y.attribute in range(33):
        square = g.promote(x, least=I32)[0]
        if y.type == F32:
            square = g.cast(square, F32)
        result = None
        exponent = int(y.attribute)
        while exponent:
            if exponent & 1:
                result = (
                    square if result is None else g.arithmetic("mul", result, square)
                )
            exponent >>= 1
            if exponent:
                square = g.arithmetic("mul", square, square)
        return g.constant(1, square.type) if result is None else result
    if F32 not in (x.type, y.type):
        raise TypeError(
            "expects a float, or an exponent of 0 to 32 that is written out"
        )
    return g.function("powf", x, y)


def _neg(g: Graph, x: Value) -> Value:
    if x.type != F32:
        return g.arithmetic("sub", g.zero(I32), x)
    if x.op == "constant":
        return g.constant(-x.attribute, F32)
    return g.node("arith.negf", F32, x)


def _abs(g: Graph, x: Value) -> Value:
    x = g.promote(x, least=I32)[0]
    return g.node("math.absf" if x.type == F32 else "math.absi", x.type, x)


def _not(g: Graph, x: Value) -> Value:
    if x.type == F32:
        raise TypeError("expects a truth value or an integer, but got a float")
    if x.op == "constant":
        return g.constant(not x.attribute if x.type == I1 else ~x.attribute, x.type)
    ones = g.constant(True) if x.type == I1 else g.constant(-1, I32)
    return g.bitwise("xor", x, ones)


def _extreme(name: str) -> Callable[..., Value]:
    def function(g: Graph, x: Value, y: Value | None = None, **names: Value) -> Value:
        other = y if y is not None else names.get("other")
        if other is None:
            raise TypeError("expects two scalars")
        x, other = g.promote(x, other, least=I32)
        op = f"arith.{name}imumf" if x.type == F32 else f"arith.{name}si"
        return g.node(op, x.type, x, other)

    return function


def _clamp(
    g: Graph, x: Value, min: Value | None = None, max: Value | None = None
) -> Value:
    if min is not None:
        x = _extreme("max")(g, x, min)
    return x if max is None else _extreme("min")(g, x, max)


def _sign(g: Graph, x: Value) -> Value:
    x = g.promote(x, least=I32)[0]
    zero, one, minus = (g.constant(n, x.type) for n in (0, 1, -1))
    negative = g.select(g.compare("lt", x, zero), minus, zero)
    return g.select(g.compare("gt", x, zero), one, negative)


def _sigmoid(g: Graph, x: Value) -> Value:
    one = g.constant(1.0)
    below = g.arithmetic("add", one, g.function("exp", _neg(g, g.cast(x, F32))))
    return g.arithmetic("div", one, below)


def _where(g: Graph, condition: Value, x: Value, y: Value) -> Value:
    if condition.type != I1:
        raise TypeError("expects a truth value as condition, but got a number")
    return g.select(condition, x, y)


def _trunc(g: Graph, x: Value) -> Value:
    if x.type != F32:
        return x
    down, up = g.function("floor", x), g.function("ceil", x)
    return g.select(g.compare("lt", x, g.zero(F32)), up, down)


def _fmod(g: Graph, x: Value, y: Value) -> Value:
    """With the sign of the dividend."""
    x, y = g.promote(x, y, least=I32)
    if x.type == F32:
        whole = _trunc(g, g.arithmetic("div", x, y))
        return g.arithmetic("sub", x, g.arithmetic("mul", whole, y))
    return g.node("arith.remsi", I32, x, y)


def _scaled_log(factor: float) -> Callable[[Graph, Value], Value]:
    return lambda g, x: g.arithmetic("mul", g.function("log2", x), g.constant(factor))


def _hyperbolic(name: str) -> Callable[[Graph, Value], Value]:
    """name: add for cosh, sub for sinh."""

    def function(g: Graph, x: Value) -> Value:
        x = g.cast(x, F32)
        both = g.arithmetic(name, g.function("exp", x), g.function("exp", _neg(g, x)))
        return g.arithmetic("mul", both, g.constant(0.5))

    return function


def _softplus(
    g: Graph, x: Value, beta: Value | None = None, threshold: Value | None = None
) -> Value:
    x = g.cast(x, F32)
    beta = g.constant(1.0) if beta is None else g.cast(beta, F32)
    limit = g.constant(20.0) if threshold is None else threshold
    scaled = g.arithmetic("mul", x, beta)
    above = g.arithmetic("add", g.constant(1.0), g.function("exp", scaled))
    soft = g.arithmetic("div", g.function("log", above), beta)
    return g.select(g.compare("gt", scaled, limit), x, soft)


def _magnitude(predicate: str) -> Callable[[Graph, Value], Value]:
    """Compares |x| with infinity: lt is isfinite, eq is isinf."""
    return lambda g, x: g.compare(
        predicate, _abs(g, g.cast(x, F32)), g.constant(float("inf"))
    )


def _lerp(g: Graph, x: Value, y: Value, weight: Value) -> Value:
    step = g.arithmetic("mul", weight, g.arithmetic("sub", y, x))
    return g.arithmetic("add", x, step)


def _addcmul(
    g: Graph, x: Value, y: Value, z: Value, value: Value | None = None
) -> Value:
    product = g.arithmetic("mul", y, z)
    if value is not None:
        product = g.arithmetic("mul", product, value)
    return g.arithmetic("add", x, product)


def _relu(g: Graph, x: Value, inplace: Value | None = None) -> Value:
    return _extreme("max")(g, x, g.zero(I32))


def _type_of(dtype: Any) -> str | None:
    text = str(dtype)
    if "float" in text:
        return F32
    if "bool" in text:
        return I1
    return I32 if "int" in text or dtype is int else None


def _to(tracer: Any, x: Any, *args: Any, **kwargs: Any) -> Value:
    value = tracer.value_of(x)
    for wanted in (*args, *kwargs.values()):
        type = (
            None
            if isinstance(wanted, bool)
            else _type_of(getattr(wanted, "dtype", wanted))
        )
        if type is not None:
            value = tracer.graph.cast(value, type)
    return value


def _cast(type: str) -> Callable[..., Value]:
    return lambda g, x: g.cast(x, type)


def _filled(number: Any) -> Callable[..., Value]:
    """A scalar like another, or of `dtype`, that is `number` or the last argument."""

    def function(
        tracer: Any, x: Any, *args: Any, dtype: Any = None, **kwargs: Any
    ) -> Value:
        fill = number
        if fill is None:
            fill = kwargs.get("fill_value", args[-1] if args else None)
        shape = args[0] if args and isinstance(args[0], (tuple, list)) else ()
        value = tracer.value_of(fill)
        if value is None or len(shape):
            raise TypeError("expects a scalar to be filled")
        type = tracer.value_of(x).type if dtype is None else _type_of(dtype)
        return tracer.graph.cast(value, type or value.type)

    return function


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _float(name) for name in (
        "exp", "exp2", "log", "log2", "sqrt", "rsqrt", "tanh", "sin", "cos",
    )},
    **{name: _rounded(name) for name in ("floor", "ceil")},
    **{name: _compare(name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{name: _arithmetic(name) for name in ("add", "sub", "mul")},
    **{f"bitwise_{name}": _bitwise(name) for name in ("and", "or", "xor")},
    **{f"logical_{name}": _logical(name) for name in ("and", "or", "xor")},
    **{name: _filled(None) for name in ("full_like", "new_full", "new_tensor")},
    **{name: _filled(0) for name in ("zeros_like", "new_zeros")},
    **{name: _filled(1) for name in ("ones_like", "new_ones")},
    "bitwise_left_shift": _shift("arith.shli"),
    "bitwise_right_shift": _shift("arith.shrsi"),
    "bitwise_not": _not,
    "logical_not": lambda g, x: _not(g, g.cast(x, I1)),
    "div": _div,
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "pow": _pow,
    "square": lambda g, x: g.arithmetic("mul", x, x),
    "reciprocal": lambda g, x: g.arithmetic("div", g.constant(1.0), g.cast(x, F32)),
    "neg": _neg,
    "positive": lambda g, x: x,
    "abs": _abs,
    "minimum": _extreme("min"),
    "maximum": _extreme("max"),
    "clamp": _clamp,
    "clamp_min": lambda g, x, min: _clamp(g, x, min=min),
    "clamp_max": lambda g, x, max: _clamp(g, x, max=max),
    "relu": _relu,
    "trunc": _trunc,
    "frac": lambda g, x: g.arithmetic("sub", x, _trunc(g, x)),
    "fmod": _fmod,
    "log10": _scaled_log(0.30102999566398120),
    "sinh": _hyperbolic("sub"),
    "cosh": _hyperbolic("add"),
    "tan": lambda g, x: g.arithmetic("div", g.function("sin", x), g.function("cos", x)),
    "silu": lambda g, x, inplace=None: g.arithmetic("mul", x, _sigmoid(g, x)),
    "softplus": _softplus,
    "isfinite": _magnitude("lt"),
    "isinf": _magnitude("eq"),
    "isnan": lambda g, x: g.compare("ne", g.cast(x, F32), g.cast(x, F32)),
    "lerp": _lerp,
    "addcmul": _addcmul,
    "masked_fill": lambda g, x, mask, value: g.cast(_where(g, mask, value, x), x.type),
    "type_as": lambda g, x, other: g.cast(x, other.type),
    "sign": _sign,
    "sigmoid": _sigmoid,
    "where": _where,
    "to": _to,
    "float": _cast(F32),
    "int": _cast(I32),
    "bool": _cast(I1),
}  # fmt: skip
#: Those that take more than scalars: dtypes, sizes, devices.
_RAW = ("to", "full_like", "new_full", "new_tensor", "zeros_like", "new_zeros",
        "ones_like", "new_ones")  # fmt: skip
