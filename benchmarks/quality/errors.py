"""Word errors between what should have been said and what was heard, fair to both spellings. Knows no audio.

Both sides go through the normaliser that Whisper's authors published for this purpose (transformers has it): lower
case, no punctuation, contractions written out, numbers as digits. What remains is spelling that no ear can tell apart:
"5:30" and "five thirty", "p.m." and "PM", "anymore" and "any more". So numbers side by side count as one, and a
compound written apart or together is no error.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from functools import cache

from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

LONGEST_COMPOUND = 3  # words that one word may stand for
ALIKE = 0.5  # difflib's ratio: "flour" and "floor" have 0.6, "sofa" and "film" 0.25

_LEADING_ZERO = re.compile(r"(?<![.,\d])0\d+")  # of a telephone number; the normaliser would drop the zero
_A_BEFORE_HUNDREDS = re.compile(r"\ba (?=\$?\d{3})")  # "a hundred and one" is "101"
_ORDINAL = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b")  # "March 3" is read as "March 3rd"
_SPELLINGS = {"one": "1", "okay": "ok"}
_SPLIT_NUMBER = re.compile(r"(?<![.\d])(\d+) (?=\d+\b(?!\.\d))")


@dataclass(frozen=True)
class Step:
    """A stretch of the reference and the stretch of the hypothesis that stands for it; either may be empty."""

    reference: range
    hypothesis: range
    matches: bool

    @property
    def cost(self) -> int:
        return 0 if self.matches else 1


class LastWord(StrEnum):
    """What became of the reference's last word."""

    RIGHT = "right"
    MISHEARD = "misheard"  # a word that is spelled much like it stands in its place
    MISSING = "missing"
    REPEATED = "repeated"  # it, or what stands in its place, is not the last that was heard, or comes too often

    @property
    def there(self) -> bool:
        return self in (LastWord.RIGHT, LastWord.MISHEARD)


@dataclass(frozen=True)
class WordErrors:
    """Errors in one text."""

    words: int  # of the reference
    substitutions: int
    deletions: int
    insertions: int
    last_word: LastWord

    @property
    def total(self) -> int:
        return self.substitutions + self.deletions + self.insertions


@cache
def _normaliser() -> EnglishTextNormalizer:
    return EnglishTextNormalizer({})  # without its British spellings: the lists are in American English, as the judge


def normalise(text: str) -> list[str]:
    """The words of a text in the form in which they are compared."""
    text = _LEADING_ZERO.sub(lambda m: " ".join(m[0]), text.replace("’", "'"))
    plain = _A_BEFORE_HUNDREDS.sub("", _ORDINAL.sub(r"\1", _normaliser()(text)))
    words = (_SPELLINGS.get(word, word) for word in plain.split())
    return _SPLIT_NUMBER.sub(r"\1", " ".join(words)).split()


def count_errors(reference: str, hypothesis: str) -> WordErrors:
    """Substitutions, deletions and insertions of the cheapest alignment. Raises ValueError for an empty reference."""
    expected, heard = normalise(reference), normalise(hypothesis)
    if not expected:
        raise ValueError(f"The reference {reference!r} has no words to compare.")
    steps = align(expected, heard)
    errors = [step for step in steps if not step.matches]
    return WordErrors(
        words=len(expected),
        substitutions=sum(1 for step in errors if step.reference and step.hypothesis),
        deletions=sum(1 for step in errors if not step.hypothesis),
        insertions=sum(1 for step in errors if not step.reference),
        last_word=_last_word(expected, heard, steps),
    )


def _last_word(expected: Sequence[str], heard: Sequence[str], steps: Sequence[Step]) -> LastWord:
    (last,) = (step for step in steps if len(expected) - 1 in step.reference)
    word = expected[-1]
    in_its_place = "".join(heard[i] for i in last.hypothesis)
    if not last.matches and SequenceMatcher(None, word, in_its_place).ratio() < ALIKE:
        return LastWord.MISSING
    again = any(heard.count(one) > max(1, expected.count(one)) for one in (word, in_its_place))
    if again or steps[-1] is not last:
        return LastWord.REPEATED
    return LastWord.RIGHT if last.matches else LastWord.MISHEARD


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Step]:
    """The cheapest way through both, in order (Levenshtein; compounds match in either spelling)."""
    rows, columns = len(reference) + 1, len(hypothesis) + 1
    best: dict[tuple[int, int], tuple[int, Step | None]] = {(0, 0): (0, None)}
    for i in range(rows):
        for j in range(columns):
            for step in _steps_to(i, j, reference, hypothesis):
                cost = best[step.reference.start, step.hypothesis.start][0] + step.cost
                if (i, j) not in best or cost < best[i, j][0]:
                    best[i, j] = cost, step
    path: list[Step] = []
    at = rows - 1, columns - 1
    while (last := best[at][1]) is not None:
        path.append(last)
        at = last.reference.start, last.hypothesis.start
    return path[::-1]


def _steps_to(i: int, j: int, reference: Sequence[str], hypothesis: Sequence[str]) -> Iterable[Step]:
    """Every step that ends before word i of the reference and word j of the hypothesis."""
    here, there = range(i - 1, i), range(j - 1, j)
    if i and j:
        yield Step(here, there, reference[i - 1] == hypothesis[j - 1])
        for size in range(2, LONGEST_COMPOUND + 1):
            if size <= i and "".join(reference[i - size : i]) == hypothesis[j - 1]:
                yield Step(range(i - size, i), there, True)
            if size <= j and "".join(hypothesis[j - size : j]) == reference[i - 1]:
                yield Step(here, range(j - size, j), True)
    if i:
        yield Step(here, range(j, j), False)
    if j:
        yield Step(range(i, i), there, False)
