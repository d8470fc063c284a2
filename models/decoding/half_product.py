"""x · Wᵀ of float32 rows with weights kept in float16, row by row as they come, at the speed of memory.

A core reads memory fastest in several places at once that were asked for ahead of time. Here up to eight rows of W are
read side by side, each 1 KiB ahead; FBGEMM goes through one packed stream, and takes 1.5 times as long with 2 rows of
x, 1.4 times with 8 and 1.1 times with 32 (352 million weights, 1 thread, Intel Xeon with AVX-512).
Sums are in float32, 16 at once, and added up in a fixed order, so that a number is the same bit for bit beside any
other rows of x and with any number of threads.
"""

from functools import cache
from itertools import product

import torch
from llvmlite import ir
from torch import Tensor

from models.decoding.lanes import FLOAT, FLOATS, LANES, POINTER, add_product, at, fetch, filled, least, total
from models.decoding.machine_code import INT, MachineCode, counting, read_arguments, share

# Rows of x in one pass → rows of W beside each other in it: so many that their sums, and what these are made from, fill
# no more than the 32 registers.
_TILES = {6: 4, 4: 4, 2: 8, 1: 8}
_BLOCK = 64  # rows of W that stay in the cache while all rows of x pass: a megabyte where they are 8192 wide
_AHEAD = 512  # numbers of W that are asked for before they are needed; 384 and 768 are as good, 256 is not
_ALONE = 2**18  # numbers of W: up to here a product of 2 rows is over in 20 µs, too soon for a second thread to help

_HALF = ir.HalfType()
_HALVES = ir.VectorType(_HALF, LANES)


def multiply_half(x: Tensor, weight: Tensor) -> Tensor:
    """x float32 [R, in], weight float16 [out, in], contiguous, in a multiple of 16 → float32 [R, out]."""
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
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "multiply")
    b = ir.IRBuilder(function.append_basic_block())
    weight, x, y, R, N, K = read_arguments(b, function, [POINTER] * 3 + [INT] * 3)

    first, end = (b.mul(block, INT(_BLOCK)) for block in share(b, b.sdiv(b.add(N, INT(_BLOCK - 1)), INT(_BLOCK))))
    with counting(b, first, end, _BLOCK) as start:
        stop = least(b, b.add(start, INT(_BLOCK)), N)
        row: ir.Value = INT(0)
        for r, n in _TILES.items():
            with counting(b, row, R, r) as row:  # each loop goes on where the one before it had no whole step left
                out: ir.Value = start
                for outs in (n, 1):
                    with counting(b, out, stop, outs) as out:
                        where = at(b, weight, _HALF, out, K), at(b, x, FLOAT, row, K), at(b, y, FLOAT, row, N, out)
                        b.call(tiles[outs, r], [*where, N, K])
    b.ret_void()
    return MachineCode(module, "multiply")


def _tile(module: ir.Module, n: int, r: int) -> ir.Function:
    """`n` rows of W with `r` rows of x: (W, x, y, N, K) → y, whose rows are N apart."""
    types = [POINTER, POINTER, POINTER, INT, INT]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), f"tile_{n}_{r}")
    function.linkage = "internal"
    weight, x, y, N, K = function.args
    b = ir.IRBuilder(function.append_basic_block())
    pairs = list(product(range(n), range(r)))
    sums = {pair: b.alloca(FLOATS) for pair in pairs}  # registers, once LLVM is through
    for each in sums.values():
        b.store(filled(0.0), each)
    with counting(b, INT(0), K, LANES) as k:
        rows = [b.load(at(b, x, FLOAT, INT(j), K, k), align=4, typ=FLOATS) for j in range(r)]
        # What comes after the end of a row is not the next row, which is read beside it, but the one n further on.
        at_end = b.icmp_signed(">=", b.add(k, INT(_AHEAD)), K)
        ahead = b.select(at_end, b.add(INT(_AHEAD), b.mul(K, INT(n - 1))), INT(_AHEAD))
        for i in range(n):
            place = at(b, weight, _HALF, INT(i), K, k)
            weights = b.fpext(b.load(place, align=2, typ=_HALVES), FLOATS)
            fetch(b, b.gep(place, [ahead], source_etype=_HALF))
            for j in range(r):
                each = sums[i, j]
                b.store(add_product(b, weights, rows[j], b.load(each, typ=FLOATS)), each)
    for (i, j), each in sums.items():
        b.store(total(b, b.load(each, typ=FLOATS)), at(b, y, FLOAT, INT(j), N, INT(i)))
    b.ret_void()
    return function
