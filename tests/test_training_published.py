"""A codec that was exported is read back, and a training can begin with it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_fixtures import random_books, small_codec

from training import published
from training.codec import train_encoder, train_vocoder
from training.codec.codebooks import BOOK_SIZE, BOOKS
from training.codec.encoder import Listener
from training.codec.vocoder import Vocoder
from training.export import write_codec
from training.frames import FRAME

pytestmark = pytest.mark.usefixtures("small_codec")
__all__ = ["small_codec"]
FRAMES = 40


@pytest.fixture
def halves() -> tuple[Vocoder, Listener]:
    """Of float16's numbers, and not those that a training begins with."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(5)
        vocoder = Vocoder(random_books())
        listener = Listener(vocoder)
        for parameter in (*vocoder.parameters(), *listener.parameters()):
            parameter.mul_(1.25).copy_(parameter.half().float())
    return vocoder, listener


@pytest.fixture
def folder(halves: tuple[Vocoder, Listener], tmp_path: Path) -> Path:
    vocoder, listener = halves
    write_codec(tmp_path, vocoder, *listener.tensors())
    return tmp_path / "codec"


def crop() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    codes = torch.randint(BOOK_SIZE, (2, BOOKS, FRAMES), generator=random)
    return codes, torch.randn(2, FRAMES * FRAME, generator=random) * 0.1


def same(ours: torch.nn.Module, theirs: torch.nn.Module) -> bool:
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    return all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())


def test_what_was_written_is_read_back(halves: tuple[Vocoder, Listener], folder: Path) -> None:
    vocoder, listener = halves
    assert same(published.load_vocoder(folder), vocoder)
    assert same(published.load_listener(folder), listener)


class OneCrop:
    def __init__(self, run: Path, frames: int, shards: int) -> None: ...

    def draw(self, batch: int, random: object) -> tuple[Tensor, Tensor]:
        return crop()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    random_books().save(tmp_path / "codebooks.npz")
    for training in (train_vocoder, train_encoder):
        monkeypatch.setattr(training, "Crops", OneCrop)
    monkeypatch.setattr(train_encoder, "BATCH", 2)
    return tmp_path


def test_a_vocoder_begins_with_what_codes_meant_and_keeps_it(
    halves: tuple[Vocoder, Listener], folder: Path, run: Path
) -> None:
    recipe = train_vocoder.VocoderRecipe()
    train_vocoder.train(run, 1, judged_from=0, shards=1, recipe=recipe, begin_with=folder)
    state = torch.load(run / "vocoder" / "vocoder.pt", weights_only=True)["vocoder"]
    expected = halves[0].state_dict()
    for name, tensor in state.items():
        if name.startswith("decoder."):
            assert (tensor - expected[name]).abs().max() < 1e-3, name
        else:
            assert torch.equal(tensor, expected[name]), name
    assert not all(torch.equal(tensor, expected[name]) for name, tensor in state.items())


def test_an_encoder_begins_where_another_ended_and_is_not_balanced_anew(
    halves: tuple[Vocoder, Listener], folder: Path, run: Path
) -> None:
    vocoder, listener = halves
    (run / "vocoder").mkdir()
    torch.save({"average": vocoder.state_dict()}, run / "vocoder" / "vocoder.pt")
    train_encoder.train(run, 1, shards=1, seed=0, begin_with=folder)
    first = train_encoder.load_listener(run).state_dict()
    assert not same(train_encoder.load_listener(run), listener)
    for name, tensor in listener.state_dict().items():
        assert (first[name] - tensor).abs().max() < 1e-3, name
    train_encoder.train(run, 2, shards=1, seed=0, begin_with=folder)  # goes on, and does not begin again
    second = train_encoder.load_listener(run).state_dict()
    assert max((second[name] - tensor).abs().max() for name, tensor in first.items()) > 0
