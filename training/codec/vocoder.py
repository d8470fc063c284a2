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

from training.codec.codebooks import BOOK_SIZE, BOOKS, LEVELS, PHASE_BOOK, Codebooks, pitch_and_level
from training.codec.features import BANDS, PHASES, PITCH_LOW, PITCHES, band_middles
from training.codec.snake import use_own_snakes
from training.frames import ALL_BOOKS, FRAME, SAMPLE_RATE

CODE_WIDTH = 32
RATIOS = (8, 4, 4, 4)  # ten frames of look-ahead, half the work of 8·8·4·2
HIDDEN = 256
LATENT = 256
LEVEL_STEPS = 6  # of a row that says a level
PULSE_DECAY = 0.8  # of each partial of a row that says a phase, to the one below


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
        self.tables = nn.Parameter(torch.zeros(BOOKS, BOOK_SIZE, CODE_WIDTH) if books is None else first_rows(books))
        self.projections = nn.ModuleList(nn.Linear(CODE_WIDTH, LATENT) for _ in range(BOOKS))
        self.decoder = DacDecoder(DacConfig(**self.config))
        use_own_snakes(self.decoder)

    def parts(self, codes: Tensor) -> Tensor:
        """[BOOKS, B, frames, LATENT]: what each book's codes stand for."""
        parts = [
            project(functional.embedding(codes[:, i], self.tables[i])) for i, project in enumerate(self.projections)
        ]
        return torch.stack(parts)

    def latent(self, codes: Tensor) -> Tensor:
        """[B, LATENT, frames]: the sum over books."""
        return self.parts(codes).sum(0).transpose(1, 2)

    def meaning(self) -> list[nn.Parameter]:
        """The parameters that say what a code stands for; the rest says how that sounds."""
        return [self.tables, *self.projections.parameters()]

    def forward(self, codes: Tensor) -> Tensor:
        return self.decoder(self.latent(codes)).squeeze(1)


def first_rows(books: Codebooks, random: torch.Generator | None = None) -> Tensor:
    """[BOOKS, BOOK_SIZE, CODE_WIDTH]: tables to begin with, in which codes that mean similar things have similar rows.

    Pitch, level and phase lie on curves, spectra are as they are, units are random.
    """
    rows = torch.zeros(BOOKS, BOOK_SIZE, CODE_WIDTH)
    rows[0] = torch.randn(BOOK_SIZE, CODE_WIDTH, generator=random) * 0.5
    rows[1] = _pitch_rows()
    rows[PHASE_BOOK] = _phase_rows()
    scale = float(np.abs(books.envelopes[0]).mean())
    rows[PHASE_BOOK + 1 :, :, : books.envelopes.shape[2]] = torch.from_numpy(books.envelopes) / scale
    return rows


def _pitch_rows() -> Tensor:
    """[BOOK_SIZE, CODE_WIDTH]: waves over the pitch scale, a mark for pitch and one for none, steps over the level."""
    pitch, level = torch.tensor([pitch_and_level(code) for code in range(BOOK_SIZE)]).unbind(1)
    voiced = (pitch > 0).float()[:, None]
    waves = torch.arange(1, CODE_WIDTH - 2 - LEVEL_STEPS + 1)
    angles = (pitch / (PITCHES + 1))[:, None] * torch.pi * waves
    steps = (level[:, None] / len(LEVELS) - torch.linspace(0, 1, LEVEL_STEPS)).tanh()
    return torch.cat([voiced * torch.cos(angles), 1 - voiced, voiced, steps], dim=1)


def _phase_rows() -> Tensor:
    """[BOOK_SIZE, CODE_WIDTH]: one frame of pulses of that phase and band; nothing where there is no pitch."""
    hertz = torch.from_numpy(band_middles())[:, None, None]
    seconds = ((torch.arange(CODE_WIDTH) + 0.5) / CODE_WIDTH - 0.5) * FRAME / SAMPLE_RATE
    cycles = torch.arange(PHASES)[:, None] / PHASES + hertz * seconds
    most = CODE_WIDTH / 2 * SAMPLE_RATE / FRAME  # Hz that the row can hold
    partials = range(1, math.ceil(most / PITCH_LOW))
    pulses = [PULSE_DECAY**n * torch.cos(2 * torch.pi * n * cycles) * (n * hertz < most) for n in partials]
    rows = torch.zeros(BOOK_SIZE, CODE_WIDTH)
    rows[1 : 1 + BANDS * PHASES] = torch.stack(pulses).sum(0).flatten(0, 1)
    return rows / rows.std()


assert math.prod(RATIOS) == FRAME, RATIOS
