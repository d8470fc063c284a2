"""Attention of new positions over a KV cache. Scores have no scale: Dia wants none, MusicGen has it in its queries.

Query heads that share a key head (grouped-query attention) are rows of one small matrix, so nothing is repeated and no
mask is needed. Knows no model, no rotation and no cache: it is handed the valid part of one, or the lengths.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.decoding.elementwise import as_dtype
from models.decoding.head_attention import attend_heads
from models.decoding.lanes import LANES
from models.decoding.machine_code import runs_here


def attend(q: Tensor, k: Tensor, v: Tensor, *, streamed: bool) -> Tensor:
    """q [N, G, D], k and v [N, P, D] → [N, G, D]: the G queries of each of N key heads see all its positions.

    streamed says how the scores are computed, and is a matter of speed: with keys that come out of memory, k · qᵀ takes
    a third to a half as long as q · kᵀ; with keys that a cache of the CPU still holds, twice as long.

    The fast path on CPU in float32: k and v may be slices along P of a contiguous cache, and no copy of them is made.
    In float32 on CPU the result is the same bit for bit for any number of threads, any other heads and any capacity of
    the cache, if D is a multiple of 16 (MKL's sums depend on where a row starts) and N is at least 2 (it divides a
    single product among threads). torch's scaled_dot_product_attention promises none of these, and takes as long for
    few positions and 1.1 to 2.3 times as long for many.
    """
    assert len(q) == len(k), (q.shape, k.shape)
    scores = torch.bmm(k, q.transpose(1, 2)).transpose(1, 2) if streamed else torch.bmm(q, k.transpose(1, 2))
    weights = scores.float().softmax(dim=-1)
    return torch.bmm(as_dtype(v.dtype, weights), v)


def attend_each(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q [N, D], k and v [N, P, D] → [N, D]: `attend` where every query has keys of its own, as exact as it is.

    In loops of our own with AVX-512: 0.8 times as long for many positions, and less beside cold caches. Elsewhere
    q · kᵀ takes 0.6 to 0.8 times as long as k · qᵀ (32 heads of 64, 50 to 1400 positions, Intel Xeon).
    """
    if q.is_cpu and q.dtype == torch.float32 and q.shape[1] % LANES == 0 and runs_here():
        return attend_heads(q, k, v)
    return attend(q[:, None], k, v, streamed=False)[:, 0]


def attend_all(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Many positions at once: q [..., N, H, D], k and v [..., P, G, D] → [..., N, H·D]; mask [N, P], True is seen."""
    q, k, v = (x.transpose(-3, -2) for x in (q, k, v))
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0, enable_gqa=q.shape[-3] != k.shape[-3])
    return mixed.transpose(-3, -2).flatten(-2)


def seen_mask(lengths: Tensor, positions: int) -> Tensor:
    """Which of `positions` each row sees, for attend_padded: lengths [R] → bool [R, P]. One serves all layers."""
    return torch.arange(positions, device=lengths.device) < lengths[:, None]


def attend_padded(q: Tensor, k_cache: Tensor, v_cache: Tensor, seen: Tensor) -> Tensor:
    """`attend` for rows of different age: row r sees the positions that seen[r] marks; q [R, Hq, D] → [R, Hq, D].

    k_cache, v_cache [R, H, P, D] and seen [R, P] keep their shapes from step to step and nothing is read back, so a
    CUDA graph can hold it. Every row sees something; what it does not see must be finite.
    """
    R, Hq, D = q.shape
    H = k_cache.shape[1]
    assert Hq % H == 0, (Hq, H)
    queries = q.view(R, H, Hq // H, D)
    out = F.scaled_dot_product_attention(queries, k_cache, v_cache, attn_mask=seen[:, None, None], scale=1.0)
    return out.reshape(R, Hq, D)
