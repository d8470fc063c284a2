"""What the codes of a residual quantiser stand for: codes → latents. Knows no waveform and no search for codes."""

import torch
import torch.nn.functional as F
from torch import Tensor


class CodeTable:
    """What each code of K codebooks adds to the latent of its frame."""

    def __init__(self, rows: Tensor, codebooks: int) -> None:
        """rows [K·V, D], codebook after codebook."""
        self.rows = rows
        size = rows.shape[0] // codebooks
        self.first_row = torch.arange(0, rows.shape[0], size, device=rows.device)  # [K], of each codebook

    def latents(self, codes: Tensor) -> Tensor:
        """[B, K, T] → [B, T, D]: one look-up that sums K rows of the table."""
        B, K, T = codes.shape
        places = (codes + self.first_row[:, None]).transpose(1, 2).reshape(B * T, K)
        return F.embedding_bag(places, self.rows, mode="sum").view(B, T, self.rows.shape[1])

    def added(self, book: int, codes: Tensor) -> Tensor:
        """What the codes [N] of one codebook add: [N, D]."""
        return F.embedding(codes + self.first_row[book], self.rows)
