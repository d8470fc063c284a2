"""Codes of a frame: units from phones, pitch and level, envelopes in residual books."""

from pathlib import Path

import numpy as np
import pytest
from training_fixtures import random_books, tone, utterance

from training.codec import codebooks
from training.codec.codebooks import (
    BOOK_SIZE,
    BOOKS,
    CEPSTRA,
    ENVELOPES,
    LEVELS,
    NAMES,
    PARTS,
    Codebooks,
    pitch_and_level,
    residual_books,
)
from training.codec.features import PITCHES, envelope, scale
from training.corpus import Utterance
from training.frames import FRAME

BOOK = Codebooks((("ə", "s", " ", "ˈo", "iː"), (" ", "a", "ə")), np.zeros((ENVELOPES, BOOK_SIZE, CEPSTRA), np.float32))


def spoken(*phones: tuple[str, int]) -> Utterance:
    frames = phones[-1][1]
    return Utterance("x", frames, phones, np.zeros(frames * FRAME, np.int16))


def test_codes_have_a_column_for_every_book_and_stay_in_range() -> None:
    u = utterance(0)
    codes = random_books().encode(u, 1)
    assert (codes.shape, codes.dtype) == ((u.frames, BOOKS), np.uint16)
    assert codes.max() < BOOK_SIZE
    assert (codes[:, 0] >= NAMES * PARTS).all(), "the second voice has units of its own"
    assert random_books().encode(u, 0)[:, 0].max() < NAMES * PARTS
    assert 2 * NAMES * PARTS <= BOOK_SIZE


def test_there_is_a_phase_where_there_is_a_pitch() -> None:
    codes = random_books().encode(utterance(0), 0)
    voiced = codes[:, 1] >= len(LEVELS) + 1
    assert voiced.any()
    assert not voiced.all()
    np.testing.assert_array_equal(codes[:, codebooks.PHASE_BOOK] > 0, voiced)


def test_units_are_the_thirds_of_a_phone() -> None:
    units = BOOK.units(spoken(("s", 7), ("ə", 10), (" ", 12), ("ˈo", 13)), 0)
    assert list(units[:7]) == [3, 3, 3, 4, 4, 5, 5]
    assert list(units[7:10]) == [0, 1, 2]
    assert list(units[10:12]) == [6, 7], "two frames: the first two parts"
    assert list(units[12:]) == [9]


def test_a_phone_of_no_frames_has_no_unit() -> None:
    assert list(BOOK.units(spoken(("s", 3), ("ˈo", 3), ("ə", 6)), 0)) == [3, 4, 5, 0, 1, 2]


@pytest.mark.parametrize(
    ("name", "counted_as"), [("o", "ˈo"), ("ˈə", "ə"), ("i", "iː"), ("ˈiː", "iː"), ("ʒ", "ə"), ("sː", "s")]
)
def test_an_unknown_phone_counts_as_its_neighbour(name: str, counted_as: str) -> None:
    assert BOOK.unit(0, name) == BOOK.unit(0, counted_as)


def test_pitch_and_level_of_a_tone_are_in_its_code() -> None:
    audio = np.concatenate([tone(200, 20 * FRAME, 0.3), np.zeros(20 * FRAME, np.float32)])
    u = Utterance("x", 40, (("s", 40),), np.round(audio * 32767).astype(np.int16))
    codes = random_books().encode(u, 0)[:, 1]
    heard, loud = pitch_and_level(int(codes[10]))
    assert abs(scale()[heard - 1] / 200 - 1) < 0.04
    assert LEVELS[loud - 1] < 20 * np.log10(np.sqrt((audio[: 20 * FRAME] ** 2).mean())) < [*LEVELS, 0][loud]
    assert pitch_and_level(int(codes[30])) == (0, 0)
    assert pitch_and_level(BOOK_SIZE - 1) == (PITCHES, len(LEVELS))


def test_each_book_leaves_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codebooks, "FIT_ROUNDS", 3)
    random = np.random.default_rng(0)
    vectors = random.standard_normal((3000, CEPSTRA)).astype(np.float32)
    books = residual_books(vectors, random)
    assert (books.shape, books.dtype) == ((ENVELOPES, BOOK_SIZE, CEPSTRA), np.float32)
    codes = Codebooks((), books).quantise(vectors)
    left = [vectors]
    for i in range(ENVELOPES):
        left.append(left[-1] - books[i, codes[:, i]])
    errors = [float((rest**2).mean()) for rest in left]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.35 * errors[0]


def test_a_vector_of_the_first_book_is_found_in_it() -> None:
    books = random_books()
    codes = books.quantise(books.envelopes[0][[7, 400, 3]])
    assert list(codes[:, 0]) == [7, 400, 3]


@pytest.fixture(scope="module")
def fitted() -> Codebooks:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codebooks, "FIT_ROUNDS", 2)
        return Codebooks.fit([[utterance(i) for i in range(12)], [utterance(20 + i) for i in range(12)]], seed=3)


def test_a_fit_counts_phones_and_describes_what_it_was_fitted_to(fitted: Codebooks) -> None:
    assert all(set(names) == {" ", ".", "a", "ˈo", "s", "ə"} for names in fitted.names)
    heard = envelope(codebooks.pcm(utterance(3)))
    codes = fitted.quantise(heard)
    rebuilt = sum(fitted.envelopes[i, codes[:, i]] for i in range(ENVELOPES))
    assert ((heard - rebuilt) ** 2).mean() < 0.05 * heard.var()


def test_the_same_seed_fits_alike(fitted: Codebooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codebooks, "FIT_ROUNDS", 2)
    again = Codebooks.fit([[utterance(i) for i in range(12)], [utterance(20 + i) for i in range(12)]], seed=3)
    assert again.names == fitted.names
    assert (again.envelopes == fitted.envelopes).all()


def test_books_come_back_from_disk(fitted: Codebooks, tmp_path: Path) -> None:
    fitted.save(tmp_path / "books.npz")
    back = Codebooks.load(tmp_path / "books.npz")
    assert back.names == fitted.names
    assert (back.envelopes == fitted.envelopes).all()
    assert (back.encode(utterance(5), 1) == fitted.encode(utterance(5), 1)).all()
