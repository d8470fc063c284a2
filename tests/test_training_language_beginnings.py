"""Before anything is learned, the tables already say that a frame is like the one before, and how a phase goes on."""

import pytest
import torch
from torch import Tensor
from training_fixtures import random_books
from training_language_fixtures import PHONES, SIZE

from models.dia.config import DiaConfig
from training.codec.codebooks import BOOK_SIZE, BOOKS, PHASE_BOOK
from training.codec.features import BANDS, PHASES, PITCHES, band_of, scale
from training.frames import FRAME_RATE
from training.language.beginnings import LOUDNESS, begin
from training.language.network import DiaTraining
from training.language.recipe import Size, hub_config

WIDE = Size(**{**vars(SIZE), "codes": BOOK_SIZE, "codebooks": BOOKS, "decoder_width": 256})


def drawn() -> DiaTraining:
    return DiaTraining.seeded(DiaConfig.from_dict(hub_config(WIDE), "test"), BOOKS, PHONES, torch.float32, seed=3)


@pytest.fixture(scope="module")
def begun() -> DiaTraining:
    network = drawn()
    begin(network, random_books(), seed=3)
    return network


def tables(network: DiaTraining) -> tuple[Tensor, Tensor]:
    """Embeddings and rows of the logits [codebooks, vocabulary, D]."""
    said = network.head().detach()
    return network.model.decoder.table.detach().unflatten(0, (-1, said.shape[1])), said


def likeliest(network: DiaTraining, book: int, codes: int) -> Tensor:
    """[codes]: what is said of each code that was read, were there nothing between embedding and logits."""
    read, said = (torch.nn.functional.normalize(table[book, :codes], dim=-1) for table in tables(network))
    return (read @ said.T).argmax(-1)


def test_the_seed_alone_decides(begun: DiaTraining) -> None:
    again = drawn()
    begin(again, random_books(), seed=3)
    assert all(torch.equal(a, b) for a, b in zip(tables(again), tables(begun), strict=True))


@pytest.mark.parametrize("book", [book for book in range(BOOKS) if book != PHASE_BOOK])
def test_what_was_read_is_said_again(begun: DiaTraining, book: int) -> None:
    again = likeliest(begun, book, BOOK_SIZE) == torch.arange(BOOK_SIZE)
    assert again.float().mean() > 0.99


def test_a_phase_goes_on_by_its_band(begun: DiaTraining) -> None:
    found = likeliest(begun, PHASE_BOOK, 1 + BANDS * PHASES)
    assert found[0] == 0, "no pitch stays none"
    band, phase = (found[1:] - 1).view(BANDS, PHASES) // PHASES, (found[1:] - 1).view(BANDS, PHASES) % PHASES
    assert torch.equal(band, torch.arange(BANDS)[:, None].expand(-1, PHASES))
    bands = band_of(torch.arange(1, PITCHES + 1).numpy())
    cycles = torch.tensor([scale()[bands == b].mean() / FRAME_RATE for b in range(BANDS)])[:, None]
    slip = (phase - torch.arange(PHASES)) / PHASES - cycles
    assert ((slip + 0.5) % 1 - 0.5).abs().max() < 1 / PHASES


def test_what_is_no_code_and_how_large_rows_are_stays(begun: DiaTraining) -> None:
    read_loud = [LOUDNESS.get(book, 1.0) for book in range(BOOKS)]
    for before, after, expected in zip(tables(drawn()), tables(begun), (read_loud, [1.0] * BOOKS), strict=True):
        assert torch.equal(after[:, BOOK_SIZE:], before[:, BOOK_SIZE:])
        assert torch.equal(after[BOOKS:], before[BOOKS:])
        louder = after[:BOOKS, :BOOK_SIZE].norm(dim=(1, 2)) / before[:BOOKS, :BOOK_SIZE].norm(dim=(1, 2))
        assert louder.tolist() == pytest.approx(expected, rel=1e-3)
