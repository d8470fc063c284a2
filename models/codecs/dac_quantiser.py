"""Residual vector quantisation, frame by frame: latents ↔ codes. Knows no waveform.

Source: arXiv:2306.06546 section 3.2: narrow codebooks, and the nearest entry is that of the nearest direction.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.codecs.code_table import CodeTable
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
        self.table = CodeTable(build.placed(torch.cat(added)), K)  # instead of K projections

    def codes(self, latents: Tensor) -> Tensor:
        """[T, D] → [K, T]."""
        chosen = []
        for k, ((weight, bias), directions) in enumerate(zip(self.into, self.directions, strict=True)):
            nearest = F.linear(F.linear(latents, weight, bias), directions).argmax(dim=1)
            latents = latents - self.table.added(k, nearest)
            chosen.append(nearest)
        return torch.stack(chosen)

    @staticmethod
    def _placed(build: Builder, weights: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        weight, bias = weights
        return build.placed(weight[:, :, 0]), build.placed(bias)
