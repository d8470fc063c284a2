"""Attention over whole sequences in a few large products, forward and backward.

On a CPU this takes half the time of torch's fused attention, whose backward pass is slow, and the weights it keeps are
small beside the sequences of training. Rows are taken some at a time, so that a causal piece skips what lies after it.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS_AT_ONCE = 256


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention, unscaled: q [B, H, N, d], k and v [B, G, N, d] → [B, H, N, d].

    H is a multiple of G. mask: bool [B, 1, 1, N], what may be attended to; causal without one.
    """
    mixed: Tensor = _Attention.apply(q, k, v, mask)
    return mixed


class _Attention(torch.autograd.Function):
    """Heads that share a key are rows of one product: [B * G, H / G * rows, d] times [B * G, d, N]."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        k, v = k.flatten(0, 1), v.flatten(0, 1)
        kept, mixed = [], torch.empty_like(q)
        for start, end, seen in _pieces(q.shape[2], causal=mask is None):
            weights = _weights(q[:, :, start:end], k[:, :seen], mask, start)
            mixed[:, :, start:end] = (weights @ v[:, :seen]).view_as(mixed[:, :, start:end])
            kept.append(weights)
        ctx.save_for_backward(q, k, v, *kept)
        ctx.causal = mask is None
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, *kept = ctx.saved_tensors
        to_q, to_k, to_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for (start, end, seen), weights in zip(_pieces(q.shape[2], ctx.causal), kept, strict=True):
            own, asked = (_rows(t[:, :, start:end], len(k)) for t in (grad, q))
            to_v[:, :seen].baddbmm_(weights.mT, own)
            slope = torch._softmax_backward_data(own @ v[:, :seen].mT, weights, -1, weights.dtype)
            to_q[:, :, start:end] = (slope @ k[:, :seen]).view_as(to_q[:, :, start:end])
            to_k[:, :seen].baddbmm_(slope.mT, asked)
        shape = (len(q), -1, *k.shape[1:])
        return to_q, to_k.view(shape), to_v.view(shape), None


def _pieces(rows: int, causal: bool) -> list[tuple[int, int, int]]:
    """Of the rows: where each begins and ends, and how many keys it looks at."""
    starts = range(0, rows, ROWS_AT_ONCE)
    ends = [min(rows, start + ROWS_AT_ONCE) for start in starts]
    return [(start, end, end if causal else rows) for start, end in zip(starts, ends, strict=True)]


def _weights(q: Tensor, k: Tensor, mask: Tensor | None, start: int) -> Tensor:
    """q [B, H, n, d], the rows from `start` on, and k [B * G, N, d] → [B * G, H / G * n, N]."""
    B, H, n, _ = q.shape
    scores = _rows(q, len(k)) @ k.mT
    apart = scores.view(B, H, n, -1)
    if mask is None:
        apart[..., start:].masked_fill_(torch.ones(n, n, dtype=torch.bool).triu(1), -torch.inf)
    else:
        apart.masked_fill_(~mask, -torch.inf)
    return scores.softmax(-1)


def _rows(t: Tensor, groups: int) -> Tensor:
    """[B, H, n, d] → [groups, H / G * n, d]."""
    return t.reshape(groups, -1, t.shape[-1])
