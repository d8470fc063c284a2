"""Attention of one query a head over the keys and values of its own, in one pass from scores to what is mixed.

What a step does for each sequence: torch takes an operation for the scores, one for their softmax, one for the mix and
some around them, each of which costs more than a short sequence's keys take to read. A head is computed by one thread,
in the same order whatever heads are beside it, so that its result is the same bit for bit for any number of threads,
any other heads and any capacity of the cache that k and v are slices of.
"""

from functools import cache

import torch
from llvmlite import ir
from torch import Tensor

from models.decoding.lanes import (
    FLOAT,
    FLOATS,
    LANES,
    POINTER,
    add_product,
    at,
    exponential,
    fetch,
    filled,
    highest,
    larger,
    spread,
    total,
)
from models.decoding.machine_code import INT, MachineCode, counting, read_arguments, share

_AHEAD = 512  # numbers that are asked for before they are needed: 2 KiB, as many as 8 positions of 64 have
_ALONE = 2**15  # numbers of keys, up to which the work is over before a second thread has come


def attend_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q [N, D], k and v [N, P, D] → [N, D], float32 on a CPU; D a multiple of 16, and scores without a scale.

    k and v may be slices along P of a contiguous cache; no copy of them is made.
    """
    N, P, D = k.shape
    assert q.shape == (N, D), (q.shape, k.shape)
    assert v.shape == k.shape, (v.shape, k.shape)
    for each in (k, v):  # the stride of a single position may be any number
        assert each.stride(2) == 1, each.stride()
        assert P == 1 or each.stride(1) == D, each.stride()
    q = q.contiguous()
    mixed, width = torch.empty_like(q), -(-P // LANES) * LANES
    scores = torch.empty(N, width)
    places = (each.data_ptr() for each in (q, k, v, mixed, scores))
    threads = 1 if N * P * D <= _ALONE else 0
    _code(D)(*places, N, P, width, k.stride(0), v.stride(0), threads=threads)
    return mixed


@cache
def _code(D: int) -> MachineCode:
    module = ir.Module("head_attention")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "attend")
    b = ir.IRBuilder(function.append_basic_block())
    *places, N, P, width, k_step, v_step = read_arguments(b, function, [POINTER] * 5 + [INT] * 5)
    q, k, v, mixed, scores = places
    kept = [b.alloca(FLOATS) for _ in range(D // LANES)]  # registers, once LLVM is through
    peak = b.alloca(FLOATS)
    first, end = share(b, N)
    with counting(b, first, end) as head:
        own_scores = at(b, scores, FLOAT, head, width)
        for after in (at(b, v, FLOAT, head, v_step), at(b, k, FLOAT, b.add(head, INT(1)), k_step)):
            for i in range(0, _AHEAD, LANES):  # where nothing would be asked for ahead of time
                fetch(b, b.gep(after, [INT(i)], source_etype=FLOAT))
        _score(b, at(b, q, FLOAT, head, INT(D)), at(b, k, FLOAT, head, k_step), own_scores, P, D)
        with counting(b, P, width) as p:
            b.store(FLOAT(float("-inf")), b.gep(own_scores, [p], source_etype=FLOAT))
        whole = _exponentials(b, own_scores, width, peak)
        _mix(b, at(b, v, FLOAT, head, v_step), own_scores, P, kept)
        for i, each in enumerate(kept):
            share_of_whole = b.fdiv(b.load(each, typ=FLOATS), spread(b, whole))
            b.store(share_of_whole, at(b, mixed, FLOAT, head, INT(D), INT(i * LANES)), align=4)
    b.ret_void()
    return MachineCode(module, "attend")


def _score(b: ir.IRBuilder, q: ir.Value, k: ir.Value, scores: ir.Value, P: ir.Value, D: int) -> None:
    """q · k of each position."""
    query = _row(b, q, INT(0), D)
    with counting(b, INT(0), P) as p:
        _fetch_row(b, k, p, D)
        sums: ir.Value = filled(0.0)
        for one, other in zip(query, _row(b, k, p, D), strict=True):
            sums = add_product(b, one, other, sums)
        b.store(total(b, sums), b.gep(scores, [p], source_etype=FLOAT))


def _exponentials(b: ir.IRBuilder, scores: ir.Value, width: ir.Value, kept: ir.Value) -> ir.Value:
    """e to each score less the highest, in its place → their sum."""
    b.store(filled(float("-inf")), kept)
    with counting(b, INT(0), width, LANES) as p:
        b.store(larger(b, _sixteen(b, scores, p), b.load(kept, typ=FLOATS)), kept)
    peak = spread(b, highest(b, b.load(kept, typ=FLOATS)))
    b.store(filled(0.0), kept)
    with counting(b, INT(0), width, LANES) as p:
        weights = exponential(b, b.fsub(_sixteen(b, scores, p), peak))
        b.store(weights, b.gep(scores, [p], source_etype=FLOAT), align=4)
        b.store(b.fadd(b.load(kept, typ=FLOATS), weights), kept)
    return total(b, b.load(kept, typ=FLOATS))


def _mix(b: ir.IRBuilder, v: ir.Value, weights: ir.Value, P: ir.Value, kept: list[ir.Value]) -> None:
    """The sum of all positions' values, each times its weight."""
    for each in kept:
        b.store(filled(0.0), each)
    D = len(kept) * LANES
    with counting(b, INT(0), P) as p:
        _fetch_row(b, v, p, D)
        weight = spread(b, b.load(b.gep(weights, [p], source_etype=FLOAT), typ=FLOAT))
        for each, values in zip(kept, _row(b, v, p, D), strict=True):
            b.store(add_product(b, weight, values, b.load(each, typ=FLOATS)), each)


def _row(b: ir.IRBuilder, start: ir.Value, row: ir.Value, D: int) -> list[ir.Value]:
    return [b.load(at(b, start, FLOAT, row, INT(D), INT(i)), align=4, typ=FLOATS) for i in range(0, D, LANES)]


def _fetch_row(b: ir.IRBuilder, start: ir.Value, row: ir.Value, D: int) -> None:
    for i in range(0, D, LANES):
        fetch(b, at(b, start, FLOAT, row, INT(D), INT(i + _AHEAD)))


def _sixteen(b: ir.IRBuilder, start: ir.Value, first: ir.Value) -> ir.Value:
    return b.load(b.gep(start, [first], source_etype=FLOAT), align=4, typ=FLOATS)
