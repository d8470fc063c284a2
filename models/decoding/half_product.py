"""x · Wᵀ of float32 rows with weights kept in float16, row by row as they come, at the speed of memory.

A core reads memory fastest in several places at once that were asked for ahead of time. Here up to eight rows of W are
read side by side, each 1 KiB ahead; FBGEMM goes through one packed stream, and takes 1.7 times as long with 2 rows of x
and 1.5 times with 8 (352 million weights, 1 thread, Intel Xeon with AVX-512), but 0.9 times as long with hundreds.
Sums are in float32, 16 at once, and added up in a fixed order, so that a number is the same bit for bit beside any
other rows of x and with any number of threads.
"""

from functools import cache
from itertools import product

import torch
from llvmlite import ir
from torch import Tensor

from models.decoding.machine_code import INT, MachineCode, counting, share

LANES = 16  # numbers of a register; a row of W has to be whole registers

# Rows of x in one pass → rows of W beside each other in it: so many that their sums, and what these are made from, fill
# no more than the 32 registers.
_TILES = {6: 4, 4: 4, 2: 8, 1: 8}
_BLOCK = 64  # rows of W that stay in the cache while all rows of x pass: a megabyte where they are 8192 wide
_AHEAD = 512  # numbers of W that are asked for before they are needed; 384 and 768 are as good, 256 is not
_ALONE = 2**18  # numbers of W: up to here a product of 2 rows is over in 20 µs, too soon for a second thread to help

_FLOAT, _HALF, _POINTER = ir.FloatType(), ir.HalfType(), ir.PointerType()
_FLOATS, _HALVES = ir.VectorType(_FLOAT, LANES), ir.VectorType(_HALF, LANES)


def multiply_half(x: Tensor, weight: Tensor) -> Tensor:
    """x float32 [R, in], weight float16 [out, in], contiguous, in a multiple of LANES → float32 [R, out]."""
    R, width = x.shape
    assert weight.shape[1] == width, (x.shape, weight.shape)
    assert width % LANES == 0, width
    assert (x.dtype, weight.dtype) == (torch.float32, torch.float16), (x.dtype, weight.dtype)
    x = x.contiguous()
    y = torch.empty(R, len(weight))
    threads = 1 if weight.numel() <= _ALONE else 0
    _code()(weight.data_ptr(), x.data_ptr(), y.data_ptr(), R, len(weight), width, threads=threads)
    return y


@cache
def _code() -> MachineCode:
    module = ir.Module("half_product")
    tiles = {(n, r): _tile(module, n, r) for r, most in _TILES.items() for n in (1, most)}
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_POINTER]), "multiply")
    b = ir.IRBuilder(function.append_basic_block())
    places = [b.gep(function.args[0], [INT(i)], source_etype=INT) for i in range(6)]
    weight, x, y = (b.load(place, typ=_POINTER) for place in places[:3])
    R, N, K = (b.load(place, typ=INT) for place in places[3:])

    first, end = (b.mul(block, INT(_BLOCK)) for block in share(b, b.sdiv(b.add(N, INT(_BLOCK - 1)), INT(_BLOCK))))
    with counting(b, first, end, _BLOCK) as start:
        stop = _least(b, b.add(start, INT(_BLOCK)), N)
        row: ir.Value = INT(0)
        for r, n in _TILES.items():
            with counting(b, row, R, r) as row:  # each loop goes on where the one before it had no whole step left
                out: ir.Value = start
                for outs in (n, 1):
                    with counting(b, out, stop, outs) as out:
                        at = _at(b, weight, _HALF, out, K), _at(b, x, _FLOAT, row, K), _at(b, y, _FLOAT, row, N, out)
                        b.call(tiles[outs, r], [*at, N, K])
    b.ret_void()
    return MachineCode(module, "multiply")


def _least(b: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
    return b.select(b.icmp_signed("<", one, other), one, other)


def _tile(module: ir.Module, n: int, r: int) -> ir.Function:
    """`n` rows of W with `r` rows of x: (W, x, y, N, K) → y, whose rows are N apart."""
    types = [_POINTER, _POINTER, _POINTER, INT, INT]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), f"tile_{n}_{r}")
    function.linkage = "internal"
    weight, x, y, N, K = function.args
    b = ir.IRBuilder(function.append_basic_block())
    pairs = list(product(range(n), range(r)))
    places = {pair: b.alloca(_FLOATS) for pair in pairs}  # registers, once LLVM is through
    for place in places.values():
        b.store(ir.Constant(_FLOATS, [0.0] * LANES), place)
    with counting(b, INT(0), K, LANES) as k:
        rows = [b.load(_at(b, x, _FLOAT, INT(j), K, k), align=4, typ=_FLOATS) for j in range(r)]
        # What comes after the end of a row is not the next row, which is read beside it, but the one n further on.
        at_end = b.icmp_signed(">=", b.add(k, INT(_AHEAD)), K)
        ahead = b.select(at_end, b.add(INT(_AHEAD), b.mul(K, INT(n - 1))), INT(_AHEAD))
        for i in range(n):
            at = _at(b, weight, _HALF, INT(i), K, k)
            weights = b.fpext(b.load(at, align=2, typ=_HALVES), _FLOATS)
            _fetch(b, b.gep(at, [ahead], source_etype=_HALF))
            for j in range(r):
                place = places[i, j]
                b.store(_add_product(b, weights, rows[j], b.load(place, typ=_FLOATS)), place)
    for (i, j), place in places.items():
        b.store(_sum(b, b.load(place, typ=_FLOATS)), _at(b, y, _FLOAT, INT(j), N, INT(i)))
    b.ret_void()
    return function


def _at(
    b: ir.IRBuilder, start: ir.Value, of: ir.Type, row: ir.Value, width: ir.Value, column: ir.Value | None = None
) -> ir.Value:
    """Where a number of a matrix lies that starts at `start`."""
    index = b.mul(row, width)
    return b.gep(start, [index if column is None else b.add(index, column)], source_etype=of)


def _add_product(b: ir.IRBuilder, left: ir.Value, right: ir.Value, to: ir.Value) -> ir.Value:
    """left · right + to, rounded once."""
    return b.call(_llvm(b, "llvm.fma.v16f32", _FLOATS, [_FLOATS] * 3), [left, right, to])


def _fetch(b: ir.IRBuilder, address: ir.Value) -> None:
    """Ask for a line of memory, into all caches; an address past the end is no error."""
    read, keep, data = (ir.IntType(32)(number) for number in (0, 3, 1))
    types = [_POINTER, read.type, keep.type, data.type]
    b.call(_llvm(b, "llvm.prefetch.p0", ir.VoidType(), types), [address, read, keep, data])


def _llvm(b: ir.IRBuilder, name: str, result: ir.Type, arguments: list[ir.Type]) -> ir.Function:
    """One of LLVM's own functions."""
    declared = b.module.globals.get(name)
    return declared or ir.Function(b.module, ir.FunctionType(result, arguments), name)


def _sum(b: ir.IRBuilder, values: ir.Value) -> ir.Value:
    """All lanes: halves are added until one is left."""
    width = LANES
    while width > 1:
        width //= 2
        lower, upper = (
            b.shuffle_vector(
                values, values, ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(at, at + width)))
            )
            for at in (0, width)
        )
        values = b.fadd(lower, upper)
    return b.extract_element(values, ir.IntType(32)(0))
