"""What the tables of the language model begin with: codes that mean similar things are read and said alike.

The same directions are used for reading a code and for saying it, so a decoder that has learned nothing yet says what
the row before held. Of a phase it says more: what it will be one frame later, at the middle of its band. The exact
pitch, which stands in the same row, is left to learn. A trained model did not learn this sum in 500 steps from the
vocoder's rows, nor in 250 from these, as quiet as the others: beside what attention adds a quiet row is lost. Units are
as loud: beside loud phases alone the attention to the text came no nearer than 0.6 within reach in 1,200 steps.
"""

import math

import torch
from torch import Tensor

from training.codec.codebooks import BOOK_SIZE, PHASE_BOOK, Codebooks
from training.codec.features import BANDS, PHASES, band_middles
from training.codec.vocoder import first_rows
from training.frames import FRAME_RATE
from training.language.network import DiaTraining

LOUDNESS = {0: 10.0, PHASE_BOOK: 10.0}  # of the embeddings, in times those of other codes
PARTIALS = 6  # of a phase: its sine and cosine and those of its multiples


def begin(network: DiaTraining, books: Codebooks, seed: int) -> None:
    """Write rows of the codebooks in use into the network's embeddings and logits."""
    random = torch.Generator().manual_seed(seed)
    meanings = first_rows(books, random)
    for book in range(min(network.codebooks, len(meanings))):
        read = said = meanings[book]
        if book == PHASE_BOOK:
            read, said = phase_rows(frames_later=1), phase_rows(frames_later=0)
        directions = torch.randn(read.shape[1], network.config.decoder.width, generator=random)
        network.begin(book, read @ directions, said @ directions, LOUDNESS.get(book, 1.0))


def phase_rows(frames_later: int) -> Tensor:
    """[BOOK_SIZE, ...]: what each code of the phase is some frames later, at the middle of its band; and the band."""
    cycles = torch.arange(PHASES) / PHASES + frames_later * torch.from_numpy(band_middles())[:, None] / FRAME_RATE
    angles = 2 * math.pi * cycles[..., None] * torch.arange(1, PARTIALS + 1)
    where = torch.eye(BANDS)[:, None].expand(-1, PHASES, -1)
    rows = torch.zeros(BOOK_SIZE, 2 * PARTIALS + BANDS + 1)
    rows[0, -1] = math.sqrt(PARTIALS)  # no pitch
    rows[1 : 1 + BANDS * PHASES, :-1] = torch.cat([angles.cos(), angles.sin(), 2 * where], dim=-1).flatten(0, 1)
    return rows
