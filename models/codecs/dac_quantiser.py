"""Residual vector quantisation, frame by frame: latents ↔ codes. Knows no waveform.

Source: arXiv:2306.06546 section 3.2: narrow codebooks, and the nearest entry is that of the nearest direction.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.codecs.dac_builder import Builder
from models.codecs.dac_config import DacConfig
from models.decoding.checkpoint import Checkpoint


class Quantiser:
    """K codebooks of V entries; each one quantises what those before it left over."""

    def __init__(self, config: DacConfig, tensors: Checkpoint, device: torch.device, dtype: torch.dtype) -> None:
        build = Builder(tensors, device, dtype)
        K, V, D, narrow = config.codebooks, config.codebook_size, config.latent_width, config.codebook_width
        names = [f"quantizer.quantizers.{k}" for k in range(K)]
        self.into = [self._placed(build, build.weights(f"{name}.in_proj", narrow, D, 1)) for name in names]
        out = [build.weights(f"{name}.out_proj", D, narrow, 1) for name in names]
        books = [build.tensors.take(f"{name}.codebook.weight", V, narrow) for name in names]
        self.directions = [build.placed(F.normalize(book)) for book in books]  # K times [V, narrow]
        added = [F.linear(book, weight[:, :, 0], bias) for book, (weight, bias) in zip(books, out, strict=True)]
        self.table = build.placed(torch.cat(added))  # [K·V, D], what each code adds to the latent
        self.first_row = torch.arange(0, K * V, V, device=device)  # [K], of each codebook in the table

    def latents(self, codes: Tensor) -> Tensor:
        """[B, K, T] → [B, T, D]: one look-up that sums K rows of the table, instead of K projections."""
        B, K, T = codes.shape
        rows = (codes + self.first_row[:, None]).transpose(1, 2).reshape(B * T, K)
        return F.embedding_bag(rows, self.table, mode="sum").view(B, T, self.table.shape[1])

    def codes(self, latents: Tensor) -> Tensor:
        """[T, D] → [K, T]."""
        chosen = []
        for first, (weight, bias), directions in zip(self.first_row, self.into, self.directions, strict=True):
            nearest = F.linear(F.linear(latents, weight, bias), directions).argmax(dim=1)
            latents = latents - F.embedding(nearest + first, self.table)
            chosen.append(nearest)
        return torch.stack(chosen)

    @staticmethod
    def _placed(build: Builder, weights: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        weight, bias = weights
        return build.placed(weight[:, :, 0]), build.placed(bias)
