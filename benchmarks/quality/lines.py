"""The sentence lists: what is spoken, by whom, with which seed. Knows no audio.

sentences/NAME.txt holds a line of text a line. One without tags is spoken by [S1] if its number is odd, else by [S2].
"""

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.dia.normalise import CUES

HELD_OUT = ("everyday", "open", "dialogues", "conversations", "special")
DEVELOPMENT = "development"  # the one list that tuning may look at
LISTS = (*HELD_OUT, DEVELOPMENT)
SENTENCES = Path(__file__).parent / "sentences"

_TAG = re.compile(r"\[S([12])\]")
_CUE = re.compile("|".join(map(re.escape, sorted(CUES))))


@dataclass(frozen=True)
class Line:
    """One text to speak, with its tags."""

    list: str
    number: int  # from 1, within its list
    script: str

    @property
    def name(self) -> str:
        return f"{self.list}-{self.number:03}"

    @property
    def turns(self) -> tuple[tuple[int, str], ...]:
        """(speaker, words) of each turn, cues left out: what a listener should hear."""
        _, *rest = _TAG.split(self.script)
        spoken = (" ".join(_CUE.sub(" ", words).split()) for words in rest[1::2])
        return tuple(zip(map(int, rest[::2]), spoken, strict=True))

    @property
    def words(self) -> str:
        return " ".join(words for _, words in self.turns)

    @property
    def speaker(self) -> int | None:
        """1 or 2 where one voice says it all, else None."""
        speakers = {speaker for speaker, _ in self.turns}
        return speakers.pop() if len(speakers) == 1 else None

    def seed(self, base: int) -> int:
        """32 bits that depend on `base` and the line's name alone, so that a shorter run speaks the same takes."""
        return zlib.crc32(f"{base}/{self.name}".encode())


def read_list(name: str, limit: int | None = None) -> tuple[Line, ...]:
    """The first `limit` lines of a list, or all."""
    texts = (SENTENCES / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(tagged(texts, name))[:limit]


def tagged(texts: Iterable[str], name: str) -> Iterable[Line]:
    for number, text in enumerate(texts, start=1):
        yield Line(name, number, text if _TAG.match(text) else f"[S{2 - number % 2}] {text}")
