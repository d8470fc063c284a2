"""Grouping of espeak-ng's symbols into sounds, and the alignment of sounds with letters."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.alignment import Aligner
from training.phones import group, phones_of


@pytest.mark.parametrize(
    ("symbols", "names"),
    [
        ("həlˈoʊ", ["h", "ə", "l", "ˈoʊ"]),
        ("tʃˈɜːtʃ.", ["tʃ", "ˈɜː", "tʃ", "."]),
        ("ˌaɪ sˈiː", ["aɪ", " ", "s", "ˈiː"]),
        ("bˈʌʔn\u0329", ["b", "ˈʌ", "ʔ", "n\u0329"]),
        ("nʲuː", ["n", "uː"]),
        ("", []),
    ],
)
def test_symbols_group_into_sounds(symbols: str, names: list[str]) -> None:
    phones = group(symbols)
    assert [phone.name for phone in phones] == names
    assert "".join(s for phone in phones for s in phone.symbols) == symbols, "no symbol is lost"


def test_gaps_are_pauses_and_sounds_are_not() -> None:
    assert [phone.pause for phone in group("a, b.")] == [False, True, True, False, True]


def test_espeak_gives_the_phones_of_each_sentence() -> None:
    pytest.importorskip("piper", reason="needs training/requirements.txt")
    first, second = phones_of("hello. good boy!")
    assert [phone.name for phone in first] == ["h", "ə", "l", "ˈoʊ", "."], "a full stop ends also what is not capital"
    assert [phone.name for phone in second][-3:] == ["b", "ˈɔɪ", "!"]


WORDS = {
    "cat": ["k", "ˈæ", "t"],
    "ax": ["ˈæ", "k", "s"],
    "sat": ["s", "ˈæ", "t"],
    "kit": ["k", "ˈɪ", "t"],
    "knit": ["n", "ˈɪ", "t"],
    "six": ["s", "ˈɪ", "k", "s"],
    "ask": ["ˈæ", "s", "k"],
    "at": ["ˈæ", "t"],
    "it": ["ˈɪ", "t"],
}


def joined(words: list[str]) -> tuple[str, list[str]]:
    phones = [phone for word in words for phone in (*WORDS[word], " ")]
    return " ".join(words) + ".", [*phones[:-1], "."]


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    random = np.random.default_rng(0)
    return Aligner.fit([joined([str(w) for w in random.choice(list(WORDS), 4)]) for _ in range(100)])


def test_each_sound_finds_its_letter(aligner: Aligner) -> None:
    text, phones = joined(["six", "cat", "knit"])
    path = aligner.align(text, phones)
    assert "".join(text[i] for i in path[:4]) == "sixx", "one letter may be read as two sounds"
    assert list(path[4:9]) == [3, 4, 5, 6, 7], "gap, cat, gap"
    assert path[-1] == len(text) - 1


def test_a_letter_may_be_silent(aligner: Aligner) -> None:
    assert list(aligner.align(*joined(["knit"]))) == [1, 2, 3, 4]


def test_a_letter_or_sound_never_met_is_refused_by_name(aligner: Aligner) -> None:
    with pytest.raises(KeyError, match="z"):
        aligner.align("zat", ["s", "ˈæ", "t"])
    with pytest.raises(KeyError, match="ʒ"):
        aligner.align("cat", ["ʒ", "ˈæ", "t"])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_best_path_is_that_of_trying_them_all(sounds: int, letters: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    text, phones = "abcdef"[:letters], list("uvwxy"[:sounds])
    aligner = Aligner(text, phones)
    aligner._read = random.normal(size=(sounds, letters))
    aligner._silent = random.normal(size=letters)

    def score(path: tuple[int, ...]) -> float:
        unread = [i for i in range(letters) if i not in path]
        return float(sum(aligner._read[i, at] for i, at in enumerate(path)) + aligner._silent[unread].sum())

    path = aligner.align(text, phones)
    assert (np.diff(path) >= 0).all()
    best = max(score(p) for p in combinations_with_replacement(range(letters), sounds))
    assert score(tuple(int(i) for i in path)) == pytest.approx(best)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(sorted(WORDS)), min_size=1, max_size=6))
def test_no_sound_goes_back(aligner: Aligner, words: list[str]) -> None:
    text, phones = joined(words)
    path = aligner.align(text, phones)
    assert len(path) == len(phones)
    assert (np.diff(path) >= 0).all()
    gaps = [i for i, phone in enumerate(phones) if phone == " "]
    assert [text[path[i]] for i in gaps] == [" "] * len(gaps)
