"""Residual vector quantisation by Euclidean distance: latents → codes, frame by frame. Knows no waveform.

Source: arXiv:2210.13438 section 3.2.
"""

import torch
from torch import Tensor

from models.codecs.code_table import CodeTable
from models.codecs.encodec_builder import Builder


class Quantiser:
    """k codebooks of V entries for one channel; each one quantises what those before it left over."""

    def __init__(self, build: Builder) -> None:
        config = build.config
        names = [f"quantizer.layers.{k}.codebook.embed" for k in range(config.codebooks_per_channel)]
        books = torch.cat([build.take(name, config.codebook_size, config.latent_width) for name in names])
        self.table = CodeTable(build.placed(books), config.codebooks_per_channel)
        self.books = self.table.rows.split(config.codebook_size)  # k times [V, D]
        self.halves = [book.square().sum(dim=1) / -2 for book in self.books]  # k times [V]

    def codes(self, latents: Tensor) -> Tensor:
        """[N, D] → [k, N]. The nearest entry e to x is that with the greatest x·e - |e|² / 2."""
        chosen = []
        for k, (book, half) in enumerate(zip(self.books, self.halves, strict=True)):
            nearest = torch.addmm(half, latents, book.T).argmax(dim=1)
            latents = latents - self.table.added(k, nearest)
            chosen.append(nearest)
        return torch.stack(chosen)
