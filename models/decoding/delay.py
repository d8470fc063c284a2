"""Delay pattern: codebook k runs `delays[k]` rows behind codebook 0.

Works on code tensors only; knows no model, no codec, no sample rate. A *grid* is what a decoder reads and writes:
[K, R], column 0 holds begin-of-sequence, and frame t of codebook k stands in row t + 1 + delays[k].
Source: MusicGen (arXiv:2306.05284) section 2.2; Dia's delays are [0, 8, 9, …, 15].
"""

from collections.abc import Sequence

import torch
from torch import Tensor

UNKNOWN = -1  # an entry of a grid that the decoder has yet to fill


def delay_prefix(codes: Tensor, delays: Sequence[int], bos: int) -> Tensor:
    """The known head of a grid: codes [K, T] → [K, T + 1 + max(delays)], UNKNOWN where the decoder must speak.

    Every begin-of-sequence entry is there, also when T is 0: codebook k starts with 1 + delays[k] of them.
    """
    K, T = codes.shape
    if len(delays) != K:
        raise ValueError(f"{K} codebooks but {len(delays)} delays")
    grid = codes.new_full((K, T + 1 + max(delays)), UNKNOWN)
    for k, d in enumerate(delays):
        grid[k, : 1 + d] = bos
        grid[k, 1 + d : 1 + d + T] = codes[k]
    return grid


def undelay(codes: Tensor, delays: Sequence[int]) -> Tensor:
    """Align codebooks: [B, K, T] delayed → [B, K, T - max(delays)].

    Raises ValueError if there are not `len(delays)` codebooks, or not enough columns for one frame.
    """
    _, K, T = codes.shape
    if len(delays) != K:
        raise ValueError(f"{K} codebooks but {len(delays)} delays")
    length = T - max(delays)
    if length < 0:
        raise ValueError(f"{T} columns but a delay of {max(delays)}")
    return torch.stack([codes[:, k, d : d + length] for k, d in enumerate(delays)], dim=1)
