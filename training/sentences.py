"""The sentences the teachers read: drawn from a seed, every one different, none of those that quality is measured with.

Sources: our own patterns (templates.py), the example sentences and short definitions of WordNet 3.0 (Debian package
wordnet-base; its licence allows any use), rows of rare words from its index, rows of words from a spelling list
(Debian package wamerican; its licence allows any use) and of names, those of the patterns and those of many countries.
A share of each goes into every stretch of the list, so any beginning of it is a fair sample.
"""

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from training.files import whole_file
from training.names import names
from training.plain import plain, words
from training.templates import Templates

WORDNET = Path("/usr/share/wordnet")
SPELLING = Path("/usr/share/dict/american-english")
PARTS = ("adj", "adv", "noun", "verb")
SHARES = {"templates": 0.42, "examples": 0.36, "definitions": 0.12, "pairs": 0.06, "rare": 0.04}
WORDY = {
    "templates": 0.08,
    "examples": 0.12,
    "definitions": 0.05,
    "rare": 0.1,
    "spelling": 0.42,
    "names": 0.08,
    "foreign": 0.15,
}
HELD_OUT = Path(__file__).parents[1] / "benchmarks" / "quality" / "sentences"

_SENTENCE_ENDS = re.compile(r"\[S[12]\]|[.?!\n]")
_QUOTED = re.compile(r'"([^"]+)"')


def write_sentences(path: Path, count: int, seed: int) -> None:
    """Write `count` different sentences to `path` as a JSON list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(json.dumps(draw(count, seed), indent=0).encode())


def draw(count: int, seed: int, shares: Mapping[str, float] = SHARES) -> list[str]:
    """`count` sentences. Raises FileNotFoundError without the Debian package wordnet-base, or, where they are to be
    drawn from "spelling", without wamerican."""
    chance = random.Random(seed)
    sources = _sources(chance)
    held_out = {sentence for path in sorted(HELD_OUT.glob("*.txt")) for sentence in _telling(path.read_text())}
    taken: set[tuple[str, ...]] = set()
    found: list[str] = []
    while len(found) < count:
        name = chance.choices(list(shares), list(shares.values()))[0]
        text = plain(next(sources[name]))
        if text and words(text) not in taken and held_out.isdisjoint(_telling(text)):
            taken.add(words(text))
            found.append(text)
    return found


def _telling(text: str) -> Iterator[tuple[str, ...]]:
    """The words of each sentence of a text. Those of up to three words ("Thank you.") are anyone's and left out."""
    return (found for part in _SENTENCE_ENDS.split(text) if len(found := words(part)) > 3)


def _sources(chance: random.Random) -> dict[str, Iterator[str]]:
    glosses = [line.rpartition("| ")[2].strip() for part in PARTS for line in _lines(f"data.{part}")]
    examples = [quote for gloss in glosses for quote in _QUOTED.findall(gloss)]
    definitions = [gloss.split(";")[0].split("(")[0] for gloss in glosses]
    rare = [line.split(" ")[0].replace("_", " ") for part in PARTS for line in _lines(f"index.{part}")]
    templates = Templates()
    return {
        "templates": templates.stream(chance),
        "examples": _shuffled(_of_length(examples, 12, 120), chance),
        "definitions": _shuffled(_of_length(definitions, 20, 100), chance),
        "pairs": _pairs(templates.stream(chance)),
        "rare": _rows(_again(rare, chance), chance),
        "spelling": _rows(_spelling(chance), chance),
        "names": _rows(_again(templates.names(), chance), chance),
        "foreign": _rows(_foreign(chance), chance),
    }


def _lines(name: str) -> Iterator[str]:
    with (WORDNET / name).open() as lines:
        yield from (line for line in lines if not line.startswith("  "))


def _of_length(texts: Iterable[str], shortest: int, longest: int) -> list[str]:
    return [text for text in texts if shortest <= len(text) <= longest]


def _shuffled(texts: list[str], chance: random.Random) -> Iterator[str]:
    yield from chance.sample(texts, len(texts))


def _again(texts: list[str], chance: random.Random) -> Iterator[str]:
    """All of them in one order after another."""
    while True:
        yield from _shuffled(texts, chance)


def _spelling(chance: random.Random) -> Iterator[str]:
    """Words of the spelling list, which is opened when the first one is asked for."""
    yield from _again([word for word in SPELLING.read_text().split() if not word.endswith("'s")], chance)


def _foreign(chance: random.Random) -> Iterator[str]:
    """Names of many countries, which are gathered when the first one is asked for."""
    yield from _again(names(), chance)


def _pairs(texts: Iterator[str]) -> Iterator[str]:
    """Two sentences read in one breath."""
    for text in texts:
        yield f"{text} {next(texts)}"


def _rows(entries: Iterator[str], chance: random.Random) -> Iterator[str]:
    """Words in rows of two to four, with commas: their reading no context gives away."""
    while True:
        yield ", ".join(next(entries) for _ in range(chance.randint(2, 4)))
