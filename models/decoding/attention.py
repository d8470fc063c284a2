"""Attention of one new position over a KV cache, with Dia's scale of 1 instead of 1/√D.

Query heads that share a key head (grouped-query attention) become rows of one small matrix, so nothing is repeated and
no mask is needed. Knows no model, no rotation and no cache: it is handed the valid part of one, or the lengths.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q [R, Hq, D], k and v [R, H, P, D] with H dividing Hq → [R, Hq, D]; every position is seen by every row.

    Query head i reads key head i // (Hq / H). The fast path on CPU in float32: k and v may be slices along P of a
    contiguous cache, and no copy of them is made. In float32 on CPU the result is the same bit for bit for any number
    of threads, any other rows and any capacity of the cache, if D is a multiple of 16 (MKL's sums depend on where a
    row starts). torch's scaled_dot_product_attention promises none of these, and takes 1.1 to 2.3 times as long.
    """
    R, Hq, D = q.shape
    H = k.shape[1]
    assert Hq % H == 0, (Hq, H)
    queries = q.reshape(R * H, Hq // H, D)
    # [P, D] · [D, G] streams the cache; [G, D] · [D, P], the usual way round, takes twice as long.
    scores = torch.bmm(k.flatten(0, 1), queries.transpose(1, 2))  # [R·H, P, G]
    weights = scores.transpose(1, 2).float().softmax(dim=-1).to(v.dtype)
    return torch.bmm(weights, v.flatten(0, 1)).view(R, Hq, D)


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
