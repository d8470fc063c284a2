"""From an export and some readings the codebooks come back that its training had."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_fixtures import SPELLING, random_books, small_codec, utterance
from training_language_fixtures import RECIPE

from training import recovery
from training.codec import codebooks
from training.codec.codebooks import BOOKS, CEPSTRA, ENVELOPES, NAMES, Codebooks, residual_books
from training.codec.encoder import Listener
from training.codec.vocoder import Vocoder, first_rows
from training.coding import encode_corpus
from training.corpus import Utterance, _write, shard_path
from training.export import write_codec, write_model
from training.frames import VOICES
from training.language.checkpoints import state_for_export
from training.language.train import train
from training.published import SCALES
from training.recovery import centres, in_order, recover, with_rare_phones

__all__ = ["small_codec"]
NOISE = 0.02  # deviation of what training leaves in rows of the vocoder's tables that began as zeros
TINY = replace(RECIPE, size=replace(RECIPE.size, codes=512, codebooks=BOOKS))
SHUFFLED = (("s", ".", "a", " ", "ə", "ˈo"), ("ˈo", "ə", " ", "a", "s", "."))


def trained(rows: torch.Tensor) -> torch.Tensor:
    return rows + NOISE * torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))


def test_centres_come_back_from_rows_that_are_scaled_and_noisy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codebooks, "FIT_ROUNDS", 5)
    random = np.random.default_rng(0)
    sounds = np.linspace(6, 1, CEPSTRA) * random.standard_normal((300, CEPSTRA))
    vectors, others = (
        (sounds[random.integers(300, size=20_000)] + random.standard_normal((20_000, CEPSTRA))).astype(np.float32)
        for _ in range(2)
    )
    books = residual_books(vectors, random)
    rows = trained(first_rows(Codebooks((), books))[-ENVELOPES:, :, :CEPSTRA]).numpy()
    found = centres(rows, others)
    assert found.dtype == np.float32
    scale = (found[0] * rows[0]).sum() / np.square(rows[0]).sum()
    assert scale == pytest.approx(np.abs(books[0]).mean(), rel=0.05)
    right, now = (Codebooks((), b).quantise(others) for b in (books, found))
    assert (right[:, 0] == now[:, 0]).mean() > 0.9
    left = [others - sum(b[i, codes[:, i]] for i in range(ENVELOPES)) for b, codes in ((books, right), (found, now))]
    assert np.square(left[1]).mean() < 1.02 * np.square(left[0]).mean()


def readings(voice: int, count: int) -> list[Utterance]:
    return [utterance(1000 * voice + i, sounds=3) for i in range(count)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for voice, name in enumerate(VOICES):
        (tmp_path / "corpus" / name).mkdir(parents=True)
        _write(shard_path(tmp_path / "corpus", name, 0), iter(readings(voice, 120)))
    return tmp_path


def checkpoint(folder: Path, books: Codebooks, steps: int) -> Path:
    """An export of a language model that was trained for `steps` in FOLDER, and of a vocoder that was not."""
    books.save(folder / "codebooks.npz")
    encode_corpus(folder, seed=0)
    write_model(folder / "export", {}, state_for_export(train(folder, TINY, steps=steps, threads=1)), SCALES)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        vocoder = Vocoder(books)
        vocoder.tables.copy_(trained(vocoder.tables))
        write_codec(folder / "export", vocoder, *Listener(vocoder).tensors())
    return folder / "export"


@pytest.mark.usefixtures("small_codec")
def test_a_checkpoint_tells_the_order_of_its_phones(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    books = Codebooks(SHUFFLED, random_books().envelopes)
    export = checkpoint(corpus, books, steps=200)
    other = tmp_path_factory.mktemp("another machine")
    (other / "corpus").symlink_to(corpus / "corpus")
    recover(other, export, TINY)
    found = Codebooks.load(other / "codebooks.npz")
    assert found.names == books.names
    assert found.envelopes.shape == books.envelopes.shape
    with pytest.raises(FileExistsError, match=r"codebooks\.npz is there\. Move it"):
        recover(other, export, TINY)


@pytest.mark.usefixtures("small_codec")
def test_a_checkpoint_that_knows_nothing_of_these_teachers_is_refused(
    corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    export = checkpoint(corpus, Codebooks(SHUFFLED, random_books().envelopes), steps=1)
    other = tmp_path_factory.mktemp("another machine")
    (other / "corpus").symlink_to(corpus / "corpus")
    with pytest.raises(ValueError, match="expects the right phone with a probability of 0"):
        recover(other, export, TINY)
    assert not (other / "codebooks.npz").exists()


def test_phones_of_both_voices_stay_apart() -> None:
    shares = np.zeros((2 * NAMES, 2 * NAMES))
    shares[0, NAMES] = 1.0  # of the other voice: impossible
    shares[0, 3] = 0.2
    shares[NAMES, NAMES + 5] = 0.2
    found = recovery._matched(shares)
    assert (found[0], found[NAMES]) == (3, NAMES + 5)
    assert sorted(found) == list(range(2 * NAMES))


def test_places_without_a_name_are_kept() -> None:
    assert in_order(["a", "s"], np.array([2, 0, 1])) == ("s", "#1", "a")


def test_readings_with_rare_phones_come_first() -> None:
    spoken = [
        Utterance("x", 9, tuple((name, 9) for name in names), np.zeros(0, np.int16)) for names in ("aa", "as", "a")
    ]
    assert with_rare_phones(spoken, 2) == [spoken[1], spoken[0]]
    assert set(SPELLING) == set(SHUFFLED[0]) == set(SHUFFLED[1])
