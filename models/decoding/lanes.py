"""Sixteen float32 numbers at once, the register of AVX-512, as pieces of LLVM functions. Each builds where `b` stands.

Nothing is left to LLVM that would change a sum: it neither reorders additions nor fuses a product into one by itself.
"""

from collections.abc import Callable
from math import log

from llvmlite import ir

LANES = 16
FLOAT, POINTER = ir.FloatType(), ir.PointerType()
FLOATS = ir.VectorType(FLOAT, LANES)

_SHORT = ir.IntType(32)
_SHORTS = ir.VectorType(_SHORT, LANES)

_LOWEST = -87.0  # e to this is 1.6e-38; a little further down float32 has no whole numbers of bits left
_LN2_HIGH = 0.693359375  # ln 2 in two parts: whole numbers times the first, which has 9 bits, are exact
_LN2_LOW = log(2) - _LN2_HIGH
_SERIES = [1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0]  # of e^x; what is left out is 5e-9 at ln 2 / 2


def filled(number: float) -> ir.Constant:
    return ir.Constant(FLOATS, [number] * LANES)


def spread(b: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """One number in all lanes."""
    one = b.insert_element(ir.Constant(FLOATS, ir.Undefined), number, _SHORT(0))
    return b.shuffle_vector(one, one, ir.Constant(_SHORTS, [0] * LANES))


def at(
    b: ir.IRBuilder, start: ir.Value, of: ir.Type, row: ir.Value, width: ir.Value, column: ir.Value | None = None
) -> ir.Value:
    """Where a number lies of a matrix that starts at `start`."""
    index = b.mul(row, width)
    return b.gep(start, [index if column is None else b.add(index, column)], source_etype=of)


def least(b: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
    """The smaller of two whole numbers."""
    return b.select(b.icmp_signed("<", one, other), one, other)


def add_product(b: ir.IRBuilder, left: ir.Value, right: ir.Value, to: ir.Value) -> ir.Value:
    """left · right + to, rounded once."""
    return b.call(_llvm(b, "llvm.fma.v16f32", FLOATS, [FLOATS] * 3), [left, right, to])


def fetch(b: ir.IRBuilder, address: ir.Value) -> None:
    """Ask for a line of memory, into all caches; an address past the end is no error."""
    read, keep, data = _SHORT(0), _SHORT(3), _SHORT(1)
    types = [POINTER, read.type, keep.type, data.type]
    b.call(_llvm(b, "llvm.prefetch.p0", ir.VoidType(), types), [address, read, keep, data])


def total(b: ir.IRBuilder, values: ir.Value) -> ir.Value:
    """The sum of all lanes: upper halves are added to lower ones until one number is left."""
    return _fold(b, values, b.fadd)


def highest(b: ir.IRBuilder, values: ir.Value) -> ir.Value:
    """The largest of all lanes."""
    return _fold(b, values, lambda one, other: larger(b, one, other))


def larger(b: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
    return b.select(b.fcmp_ordered(">", one, other), one, other)


def exponential(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """e to each lane, none above 0, to 2e-7 of it; below -87 it stays at 1.6e-38. NaN remains NaN."""
    x = b.select(b.fcmp_ordered("<", x, filled(_LOWEST)), filled(_LOWEST), x)
    n = b.call(_llvm(b, "llvm.rint.v16f32", FLOATS, [FLOATS]), [b.fmul(x, filled(1 / log(2)))])
    rest = add_product(b, n, filled(-_LN2_LOW), add_product(b, n, filled(-_LN2_HIGH), x))
    power: ir.Value = filled(_SERIES[0])
    for term in _SERIES[1:]:
        power = add_product(b, power, rest, filled(term))
    whole = b.call(_llvm(b, "llvm.fptosi.sat.v16i32.v16f32", _SHORTS, [FLOATS]), [n])
    # 2^n: n in the bits of the exponent
    bits = b.shl(b.add(whole, ir.Constant(_SHORTS, [127] * LANES)), ir.Constant(_SHORTS, [23] * LANES))
    return b.fmul(power, b.bitcast(bits, FLOATS))


def _fold(b: ir.IRBuilder, values: ir.Value, join: Callable[[ir.Value, ir.Value], ir.Value]) -> ir.Value:
    width = LANES
    while width > 1:
        width //= 2
        half = ir.VectorType(_SHORT, width)
        lower, upper = (
            b.shuffle_vector(values, values, ir.Constant(half, list(range(start, start + width))))
            for start in (0, width)
        )
        values = join(lower, upper)
    return b.extract_element(values, _SHORT(0))


def _llvm(b: ir.IRBuilder, name: str, result: ir.Type, arguments: list[ir.Type]) -> ir.Function:
    """One of LLVM's own functions."""
    declared = b.module.globals.get(name)
    return declared or ir.Function(b.module, ir.FunctionType(result, arguments), name)
