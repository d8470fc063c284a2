"""Codes → waveform while it is being trained: DAC's decoder behind one small table per book. Knows no losses.

The tables become the `codebook` and `out_proj` tensors of the published format, so nothing is lost at export.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DacConfig
from transformers.models.dac.modeling_dac import DacDecoder

from training.codec.codebooks import BOOK_SIZE, BOOKS, LEVELS, Codebooks, pitch_and_level
from training.codec.features import PITCHES
from training.frames import ALL_BOOKS, FRAME, SAMPLE_RATE

CODE_WIDTH = 32
RATIOS = (8, 4, 4, 4)  # ten frames of look-ahead, half the work of 8·8·4·2
HIDDEN = 256
LATENT = 256
LEVEL_STEPS = 6  # of a row that says a level


def dac_config() -> dict[str, Any]:
    """config.json of the codec, in transformers' names; the encoder mirrors the decoder."""
    return {
        "sampling_rate": SAMPLE_RATE,
        "encoder_hidden_size": LATENT // 2 ** len(RATIOS),
        "decoder_hidden_size": HIDDEN,
        "downsampling_ratios": list(reversed(RATIOS)),
        "upsampling_ratios": list(RATIOS),
        "n_codebooks": ALL_BOOKS,
        "codebook_size": BOOK_SIZE,
        "codebook_dim": CODE_WIDTH,
        "quantizer_dropout": 0.0,
    }


class Vocoder(nn.Module):
    """codes int64 [B, BOOKS, frames] → audio float32 [B, frames * 512]"""

    def __init__(self, books: Codebooks | None = None) -> None:
        super().__init__()
        self.config, self.latent_width = dac_config(), LATENT
        self.tables = nn.Parameter(torch.randn(BOOKS, BOOK_SIZE, CODE_WIDTH) * 0.5)
        self.projections = nn.ModuleList(nn.Linear(CODE_WIDTH, LATENT) for _ in range(BOOKS))
        self.decoder = DacDecoder(DacConfig(**self.config))
        if books is not None:
            self._start_from(books)

    def latent(self, codes: Tensor) -> Tensor:
        """[B, LATENT, frames]: the sum over books."""
        parts = [
            project(functional.embedding(codes[:, i], self.tables[i])) for i, project in enumerate(self.projections)
        ]
        return torch.stack(parts).sum(0).transpose(1, 2)

    def meaning(self) -> list[nn.Parameter]:
        """The parameters that say what a code stands for; the rest says how that sounds."""
        return [self.tables, *self.projections.parameters()]

    def forward(self, codes: Tensor) -> Tensor:
        return self.decoder(self.latent(codes)).squeeze(1)

    @torch.no_grad()
    def _start_from(self, books: Codebooks) -> None:
        """Codes that mean similar things start with similar rows: pitch and level on curves, spectra as they are."""
        scale = float(np.abs(books.envelopes[0]).mean())
        count, width = books.envelopes.shape[0], books.envelopes.shape[2]
        self.tables[2 : 2 + count, :, width:] = 0
        self.tables[2 : 2 + count, :, :width] = torch.from_numpy(books.envelopes) / scale
        self.tables[1] = _pitch_rows()


def _pitch_rows() -> Tensor:
    """[BOOK_SIZE, CODE_WIDTH]: waves over the pitch scale, a mark for pitch and one for none, steps over the level."""
    pitch, level = torch.tensor([pitch_and_level(code) for code in range(BOOK_SIZE)]).unbind(1)
    voiced = (pitch > 0).float()[:, None]
    waves = torch.arange(1, CODE_WIDTH - 2 - LEVEL_STEPS + 1)
    angles = (pitch / (PITCHES + 1))[:, None] * torch.pi * waves
    steps = (level[:, None] / len(LEVELS) - torch.linspace(0, 1, LEVEL_STEPS)).tanh()
    return torch.cat([voiced * torch.cos(angles), 1 - voiced, voiced, steps], dim=1)


assert math.prod(RATIOS) == FRAME, RATIOS
