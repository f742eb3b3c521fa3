# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Scalar expressions and their text: what bodies of a variant are made of.

A Value is a node over i32, f32 and i1. Equal nodes are one node, constants fold where
that is exact, and `print_body` writes a node as operations of arith and math.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

I32, F32, I1 = "i32", "f32", "i1"


@dataclass(frozen=True, eq=False)
class Value:
    """op: "constant", "position", "parameter", "read", or an operation of MLIR.
    attribute: what the op has beside operands: a constant's number, a position's or a
    parameter's name, a predicate, the type of a table."""

    op: str
    type: str
    operands: tuple[Value, ...] = ()
    attribute: Any = None


class Graph:
    """Makes nodes, each only once."""

    def __init__(self) -> None:
        self._nodes: dict[Any, Value] = {}

    def node(
        self, op: str, type: str, *operands: Value, attribute: Any = None
    ) -> Value:
        key = (op, type, attribute, tuple(map(id, operands)))
        if isinstance(attribute, float):  # -0.0 is not 0.0
            key = (op, type, struct.pack("f", attribute), ())
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = Value(op, type, operands, attribute)
        return found

    def constant(self, number: Any, type: str | None = None) -> Value:
        """A number as a node. Raises ValueError if its type cannot hold it."""
        if type is None:
            type = I1 if isinstance(number, bool) else I32
            if isinstance(number, float):
                type = F32
        if type == F32:
            return self.node("constant", F32, attribute=_to_f32(float(number)))
        if type == I32 and not -(2**31) <= int(number) < 2**31:
            raise ValueError(f"expects integers of 32 bits, but got {number}")
        return self.node(
            "constant", type, attribute=bool(number) if type == I1 else int(number)
        )

    def cast(self, x: Value, type: str) -> Value:
        """x as another type: to i1 by comparison with zero, to i32 toward zero."""
        if x.type == type:
            return x
        if x.op == "constant":
            number = x.attribute
            if type == I32 and isinstance(number, float):
                if math.isfinite(number):
                    return self.constant(int(number), I32)
            else:
                return self.constant(number, type)
        if type == F32:
            op = "arith.uitofp" if x.type == I1 else "arith.sitofp"
            return self.node(op, F32, x)
        if type == I32:
            op = "arith.extui" if x.type == I1 else "arith.fptosi"
            return self.node(op, I32, x)
        return self.compare("ne", x, self.constant(0, x.type))

    def promote(self, *values: Value, least: str = I1) -> tuple[Value, ...]:
        """Values as the widest of their types: i1, then i32, then f32."""
        order = (I1, I32, F32)
        wide = order[max(order.index(x.type) for x in (*values, self.zero(least)))]
        return tuple(self.cast(x, wide) for x in values)

    def zero(self, type: str) -> Value:
        return self.constant(0, type)

    def arithmetic(self, name: str, x: Value, y: Value) -> Value:
        """name: add, sub, mul, and for floats div."""
        x, y = self.promote(x, y, least=I32)
        if x.op == y.op == "constant" and name != "div":
            number = _FOLDS[name](x.attribute, y.attribute)
            if x.type == F32 or -(2**31) <= number < 2**31:
                return self.constant(number, x.type)
        return self.node(f"arith.{name}{x.type[0]}", x.type, x, y)

    def compare(self, predicate: str, x: Value, y: Value) -> Value:
        """predicate: eq, ne, lt, le, gt, ge. A comparison with NaN is false, `ne` true."""
        x, y = self.promote(x, y, least=I32)
        if x.type == F32:
            kind = "une" if predicate == "ne" else f"o{predicate}"
            return self.node("arith.cmpf", I1, x, y, attribute=kind)
        kind = predicate if predicate in ("eq", "ne") else f"s{predicate}"
        return self.node("arith.cmpi", I1, x, y, attribute=kind)

    def select(self, condition: Value, x: Value, y: Value) -> Value:
        x, y = self.promote(x, y)
        if x is y:
            return x
        if condition.op == "constant":
            return x if condition.attribute else y
        return self.node("arith.select", x.type, condition, x, y)

    def bitwise(self, name: str, x: Value, y: Value) -> Value:
        """name: and, or, xor, of truth values or of integers."""
        x, y = self.promote(x, y)
        for one, other in ((x, y), (y, x)):
            if one.op == "constant" and one.type == I1 and name != "xor":
                return other if one.attribute == (name == "and") else one
        return self.node(f"arith.{name}i", x.type, x, y)

    def function(self, name: str, *operands: Value) -> Value:
        """A function of math over f32: exp, tanh, powf, ..."""
        return self.node(f"math.{name}", F32, *(self.cast(x, F32) for x in operands))


_FOLDS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
}


def _to_f32(number: float) -> float:
    if math.isfinite(number) and abs(number) > 3.4028235677973366e38:
        return math.copysign(math.inf, number)
    return struct.unpack("f", struct.pack("f", number))[0]


def is_natural(x: Value, loosely: bool = False) -> bool:
    """Whether an integer is known to be 0 or more. loosely: where queries have a place
    among the keys (q_len <= kv_len), divisors are positive, and nothing overflows."""
    natural = [is_natural(operand, loosely) for operand in x.operands]
    if x.op == "constant":
        return x.attribute >= 0
    if x.op == "position":
        return loosely or x.attribute != "query"
    if x.op in ("arith.floordivsi", "arith.divsi", "arith.remsi"):
        return natural[0] and (loosely or natural[1])
    if x.op in ("arith.addi", "arith.muli"):
        return loosely and all(natural)
    if x.op in ("arith.maxsi", "arith.andi"):
        return any(natural)
    if x.op == "arith.minsi":
        return all(natural)
    if x.op == "arith.select":
        return all(natural[1:])
    if x.op == "arith.shrsi":
        return natural[0]
    return x.op in ("arith.extui", "math.absi")


def positions(root: Value) -> set[str]:
    """Names of the positions that a node depends on."""
    return {x.attribute for x in walk(root) if x.op == "position"}


def walk(root: Value) -> list[Value]:
    """The nodes under a root, operands first, each once."""
    order: list[Value] = []
    seen: set[int] = set()
    stack: list[tuple[Value, bool]] = [(root, False)]
    while stack:
        value, done = stack.pop()
        if done:
            order.append(value)
        elif id(value) not in seen:
            seen.add(id(value))
            stack.append((value, True))
            stack += [(operand, False) for operand in reversed(value.operands)]
    return order


def print_body(root: Value, names: dict[str, str], indent: str) -> str:
    """A node as the operations of a body, the yield included. names: what positions
    and parameters are called, without the percent sign."""
    order = [x for x in walk(root) if x.op not in ("position", "parameter")]
    order.sort(key=lambda x: x.op != "constant")  # stable: constants first
    called: dict[int, str] = {}
    taken = set(names.values())

    def name_of(value: Value) -> str:
        if value.op in ("position", "parameter"):
            return f"%{names[value.attribute]}"
        return f"%{called[id(value)]}"

    lines, number = [], 0
    for value in order:
        if value.op == "constant":
            name = _constant_name(value)
            while name in taken:
                name += "_"
            taken.add(name)
        else:
            name, number = str(number), number + 1
        called[id(value)] = name
        lines.append(f"{indent}%{name} = {_operation(value, name_of)}")
    lines.append(f"{indent}attn.yield {name_of(root)} : {root.type}")
    return "\n".join(lines)


def _constant_name(value: Value) -> str:
    if value.type == I1:
        return str(value.attribute).lower()
    text = f"{value.attribute:g}" if value.type == F32 else str(value.attribute)
    text = text.replace("-", "m").replace("+", "").replace(".", "_")
    return f"c{text}" if value.type == I32 else f"f{text}"


def _operation(value: Value, name_of: Callable[[Value], str]) -> str:
    operands = [name_of(x) for x in value.operands]
    together = ", ".join(operands)
    if value.op == "constant":
        return f"arith.constant {_number(value)}"
    if value.op == "read":
        return f"attn.read {operands[0]}[{', '.join(operands[1:])}] : {value.attribute}"
    if value.op in ("arith.cmpi", "arith.cmpf"):
        kind = value.operands[0].type
        return f"{value.op} {value.attribute}, {together} : {kind}"
    if value.op in ("arith.sitofp", "arith.uitofp", "arith.extui", "arith.fptosi"):
        return f"{value.op} {together} : {value.operands[0].type} to {value.type}"
    return f"{value.op} {together} : {value.type}"


def _number(value: Value) -> str:
    if value.type == I1:
        return str(value.attribute).lower()
    if value.type == I32:
        return f"{value.attribute} : i32"
    number = value.attribute
    if math.isfinite(number) and number == _to_f32(float(f"{number:.9e}")):
        return f"{number:.9e} : f32"
    bits = struct.unpack("I", struct.pack("f", number))[0]
    return f"0x{bits:08X} : f32"
