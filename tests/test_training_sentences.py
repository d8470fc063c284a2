"""Sentences to train on: what is usable, the patterns, and that none of the measured ones is among them."""

import json
import random
import re
from pathlib import Path

import pytest

from training.names import names
from training.plain import ALPHABET, LONGEST, plain, words

ROOT = Path(__file__).parent.parent
MEASURED = sorted((ROOT / "benchmarks" / "quality" / "sentences").glob("*.txt"))


@pytest.mark.parametrize(
    ("sentence", "form"),
    [
        ("Hello there", "hello there."),
        ("It's  a well-known fact; isn't it?", "it's a well known fact, isn't it?"),
        ('He said "go" ,', "he said go."),
        ("I'm sure they'd say the dog's tail can't wag!", "i'm sure they'd say the dog's tail can't wag!"),
        ("At four o'clock,", "at four o'clock."),
        ("A cat and I", "a cat and i."),
        ("Wait... what?", ""),
        ("In 1999 it rained", ""),
        ("The letter b", ""),
        ("An x ray", ""),
        ("the dogs' tails", ""),
        ("Café", ""),
        ("", ""),
        ("a" * LONGEST, ""),
    ],
)
def test_a_sentence_takes_the_form_that_is_read_or_none(sentence: str, form: str) -> None:
    assert plain(sentence) == form


def test_the_form_is_kept_once_taken() -> None:
    for sentence in ("Hello there", "It's fine, isn't it?", "Go!"):
        assert plain(plain(sentence)) == plain(sentence) != ""


def test_sentences_are_the_same_by_their_words() -> None:
    assert words("Don't go, Anna!") == words("don't go anna") == ("don't", "go", "anna")
    assert words("Don't go") != words("Do go")


def templates():
    pytest.importorskip("faker", reason="needs training/requirements.txt")
    pytest.importorskip("num2words", reason="needs training/requirements.txt")
    from training.templates import Templates

    return Templates()


def test_patterns_fill_alike_from_the_same_seed_and_unlike_from_another() -> None:
    first, second = templates(), templates()
    drawn = [first.draw(random.Random(seed)) for seed in range(200)]
    assert drawn == [second.draw(random.Random(seed)) for seed in range(200)]
    assert len(set(drawn)) > 150


def test_patterns_leave_no_slot_open_and_are_mostly_usable() -> None:
    stream = templates().stream(random.Random(0))
    drawn = [next(stream) for _ in range(1000)]
    assert not [text for text in drawn if re.search(r"[{}|\[\]]", text)]
    assert all(text[0] == text[0].upper() for text in drawn)
    usable = [plain(text) for text in drawn if plain(text)]
    assert len(usable) > 900, len(usable)
    assert {letter for text in usable for letter in text} <= set(ALPHABET)
    assert any("n't" in text for text in usable)


def test_every_slot_that_the_patterns_name_is_defined() -> None:
    """All of them, not only those that a draw happens to meet."""
    made = templates()
    chance = random.Random(0)
    texts = [*made._patterns, *(line for lines in made._slots.values() for line in lines)]
    for slot in {found[1:-1] for text in texts for found in re.findall(r"\{[^}]*\}", text)}:
        assert made._value(slot, chance), slot
    with pytest.raises(KeyError, match="nothing"):
        made._value("nothing", chance)


def test_a_vowel_takes_an() -> None:
    made = templates()
    made._patterns = ["a apple and a pear"]
    assert made.draw(random.Random(0)) == "An apple and a pear"


@pytest.fixture(scope="module")
def drawn() -> list[str]:
    templates()
    from training.sentences import WORDNET, draw

    if not (WORDNET / "data.noun").exists():
        pytest.skip(f"{WORDNET} is missing: install the Debian package wordnet-base")
    return draw(700, seed=3)


def test_every_sentence_is_different_and_of_the_alphabet(drawn: list[str]) -> None:
    assert len(drawn) == 700
    assert len({words(text) for text in drawn}) == 700
    assert {letter for text in drawn for letter in text} <= set(ALPHABET)
    assert all(plain(text) == text for text in drawn)
    assert sum("n't" in text or "'s" in text for text in drawn) > 20, "contractions are a part of everyday speech"


def test_a_seed_decides_the_sentences(drawn: list[str], tmp_path: Path) -> None:
    from training.sentences import write_sentences

    write_sentences(tmp_path / "new" / "sentences.json", 100, seed=3)
    again = json.loads((tmp_path / "new" / "sentences.json").read_text())
    assert again == drawn[:100], "a shorter list is the beginning of a longer one"


def test_no_measured_sentence_is_drawn(drawn: list[str]) -> None:
    lines = [line for path in MEASURED for line in path.read_text().splitlines()]
    assert lines, "nothing to compare with"
    turns = {words(turn) for line in lines for turn in re.split(r"\[S[12]\]|(?<=[.?!])\s", line)}
    measured = {turn for turn in turns | {words(line) for line in lines} if len(turn) > 3}
    assert measured.isdisjoint(words(text) for text in drawn)


def test_a_measured_sentence_is_left_out_also_as_a_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    templates()
    from training import sentences

    (tmp_path / "lines.txt").write_text("[S1] Where is my blue hat? [S2] I don't know.\nThank you.\n")
    offered = ["I saw it. Where is my blue hat?", "Where is my blue hat.", "Thank you. I saw it.", "Where is my hat?"]
    monkeypatch.setattr(sentences, "HELD_OUT", tmp_path)
    monkeypatch.setattr(sentences, "_sources", lambda chance: dict.fromkeys(sentences.SHARES, iter(offered)))
    assert sentences.draw(2, seed=0) == ["thank you. i saw it.", "where is my hat?"]


def test_names_of_many_countries_need_no_other_letters() -> None:
    pytest.importorskip("faker", reason="needs training/requirements.txt")
    found = names()
    assert len(found) > 10_000
    assert {"Adeyemi", "Kujala", "Nkosi"} <= set(found)
    assert found == sorted(set(found))
    assert all(name.isascii() for name in found)
