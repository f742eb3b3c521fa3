# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Writes a spec that holds every operation admitted in bodies, so that a test can
# ask each target for all of them: what the verifier accepts must not fail later.
#     admitted_ops.py scalars|key|query|value|output
import sys

INTEGER = """addi subi muli divsi remsi divui remui floordivsi ceildivsi andi ori xori shli
shrsi shrui maxsi minsi maxui minui""".split()
FLOAT = "addf subf mulf divf maximumf minimumf maxnumf minnumf".split()
MATH = "absf ceil floor exp exp2 log log2 sqrt rsqrt tanh sin cos".split()
INTEGER_ORDERS = "eq ne slt sle sgt sge ult ule ugt uge".split()
FLOAT_ORDERS = """false oeq ogt oge olt ole one ord ueq ugt uge ult ule une uno
true""".split()
FLOAT_SUMS = "add mul minimumf maximumf minnumf maxnumf".split()
INTEGER_SUMS = "add mul minui minsi maxui maxsi and or xor".split()
DIM = 64
KERNEL = """attn.kernel @k(%q: !attn.ragged<4x64xbf16>,
                %kv: !attn.paged<2x64xbf16, page = 16>, %c: f32) {
  %s = attn.attend @v(%c : f32) %q, %kv
    : !attn.ragged<4x64xbf16>, !attn.paged<2x64xbf16, page = 16> -> !attn.state<4x64>
  %o = attn.finish @v(%c : f32) %s : !attn.state<4x64> -> !attn.ragged<4x64xbf16>
  attn.return %o : !attn.ragged<4x64xbf16>
}
"""


class Body:
    """A body under construction: %x is data, %c a float, %i and %j are integers."""

    def __init__(self, f, i, b):
        self.f, self.i, self.b, self.lines = f, i, b, []

    def add(self, text):
        self.lines.append(f"    %r{len(self.lines)} = {text}")
        return f"%r{len(self.lines) - 1}"

    def as_float(self, value, kind, cast="sitofp"):
        return self.add(f"arith.{cast} {value} : {kind} to {self.f}")

    def scalars(self):
        """Every scalar operation, each result as a float."""
        f, i, b, add, as_float = self.f, self.i, self.b, self.add, self.as_float
        for op in INTEGER:
            yield as_float(add(f"arith.{op} %i, %j : {i}"), i)
            yield as_float(add(f"arith.{op} %i, %i : {i}"), i, "uitofp")
        for op in FLOAT:
            yield add(f"arith.{op} %x, %c : {f}")
        for op in MATH:
            yield add(f"math.{op} %x : {f}")
        yield add(f"arith.negf %x : {f}")
        yield add(f"math.powf %x, %c : {f}")
        yield add(f"math.fma %x, %c, %x : {f}")
        yield as_float(add(f"math.absi %i : {i}"), i)
        for order in INTEGER_ORDERS:
            yield as_float(add(f"arith.cmpi {order}, %i, %j : {i}"), b, "uitofp")
        for order in FLOAT_ORDERS:
            yield as_float(add(f"arith.cmpf {order}, %x, %c : {f}"), b)
        truth = add(f"arith.cmpi slt, %i, %j : {i}")
        for op in INTEGER:
            if "div" not in op and "rem" not in op and "sh" not in op:
                yield as_float(add(f"arith.{op} {truth}, {truth} : {b}"), b, "uitofp")
        for op in ("extui", "extsi"):
            yield as_float(add(f"arith.{op} {truth} : {b} to {i}"), i)
        yield as_float(add(f"arith.trunci %i : {i} to {b}"), b, "uitofp")
        for op in ("fptoui", "fptosi", "bitcast"):
            yield as_float(add(f"arith.{op} %x : {f} to {i}"), i, "bitcast")
        yield add(f"arith.select {truth}, %x, %c : {b}, {f}")

    def rows(self, row):
        """Every row operation, one after another on `row`."""
        f, i, add = self.f, self.i, self.add
        for kind in FLOAT_SUMS:
            value = add(f"vector.reduction <{kind}>, %x : {f} into f32")
            row = add(f"vector.insert {value}, {row}[3] : f32 into {f}")
        for kind in INTEGER_SUMS:
            value = add(f"vector.reduction <{kind}>, %i : {i} into i32")
            value = add(f"arith.sitofp {value} : i32 to f32")
            row = add(f"vector.insert {value}, {row}[4] : f32 into {f}")
        half = f"vector<{DIM // 2}xf32>"
        low, high = (
            add(
                f"vector.extract_strided_slice {row} {{offsets = [{offset}], "
                f"sizes = [{DIM // 2}], strides = [1]}} : {f} to {half}"
            )
            for offset in (0, DIM // 2)
        )
        row = add(f"vector.interleave {low}, {high} : {half} -> {f}")
        row = add(
            f"vector.insert_strided_slice {low}, {row} "
            f"{{offsets = [16], strides = [1]}} : {half} into {f}"
        )
        order = ", ".join(str(2 * DIM - 1 - k) for k in range(DIM))
        row = add(f"vector.shuffle {row}, {row} [{order}] : {f}, {f}")
        first = add(f"vector.extract {row}[5] : f32 from {f}")
        three = add(f"vector.from_elements {first}, {first}, %p : vector<3xf32>")
        return add(
            f"vector.insert_strided_slice {three}, {row} "
            f"{{offsets = [1], strides = [1]}} : vector<3xf32> into {f}"
        )


def write(kind):
    if kind == "scalars":
        body, signature = Body("f32", "i32", "i1"), "logits(%x, query %i, key %j)"
        body.lines.append("    %c = arith.addf %p, %p : f32")
    else:
        f, i, b = (f"vector<{DIM}x{element}>" for element in ("f32", "i32", "i1"))
        position = "query" if kind in ("query", "output") else "key"
        body, signature = Body(f, i, b), f"{kind}(%x: {f}, {position} %place)"
        steps = ", ".join(str(k) for k in range(DIM))
        body.lines.append(f"    %i = vector.broadcast %place : i32 to {i}")
        body.lines.append(f"    %j = arith.constant dense<[{steps}]> : {i}")
        body.lines.append(f"    %c = vector.broadcast %p : f32 to {f}")
    total = "%x"
    for value in list(body.scalars()):
        total = body.add(f"arith.addf {total}, {value} : {body.f}")
    if kind != "scalars":
        total = body.rows(total)
    print(f"attn.variant @v(%p: f32) {{\n  attn.{signature} {{")
    print("\n".join(body.lines))
    print(f"    attn.yield {total} : {body.f}\n  }}\n}}\n{KERNEL}")


if __name__ == "__main__":
    write(sys.argv[1])
