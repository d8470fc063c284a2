"""Phones: what espeak-ng's symbols for a sentence stand for, one entry a sound. Knows no audio.

Both teachers read the same phones, so the two voices say a word alike. Symbols are those of espeak-ng's en-us voice.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # grouping symbols needs no espeak-ng
    from piper.phonemize_espeak import EspeakPhonemizer

STRESS = "ˈˌ"
FOLLOWERS = "ːʲ\u0329\u0303"  # length, palatal off-glide, syllabic, nasal: they belong to the sound before
PAIRS = frozenset({"aɪ", "aʊ", "eɪ", "oʊ", "ɔɪ", "dʒ", "tʃ"})
PAUSES = frozenset(" ,.?!")
_SENTENCE = re.compile(r"[^.?!]+[.?!]*")


@dataclass(frozen=True)
class Phone:
    """One sound or gap: `symbols` are espeak-ng's, `name` is the sound with ˈ before it if its vowel is stressed."""

    name: str
    symbols: tuple[str, ...]

    @property
    def pause(self) -> bool:
        return self.name in PAUSES


def phones_of(text: str) -> list[list[Phone]]:
    """The phones of each sentence of a text.

    espeak-ng takes a full stop before a small letter for no end of a sentence and drops it, so it gets one at a time.
    """
    return [group(symbols) for part in _SENTENCE.findall(text) for symbols in _espeak().phonemize("en-us", part)]


def group(symbols: Iterable[str]) -> list[Phone]:
    """espeak-ng's symbols, joined into sounds."""
    sounds: list[list[str]] = []
    for symbol in symbols:
        last = sounds[-1] if sounds else []
        if last and (symbol in FOLLOWERS or last[-1] in STRESS or last[-1] + symbol in PAIRS):
            last.append(symbol)
        else:
            sounds.append([symbol])
    return [Phone(_name(sound), tuple(sound)) for sound in sounds]


def _name(symbols: list[str]) -> str:
    stressed = "ˈ" if "ˈ" in symbols else ""  # secondary stress sounds much like none
    return stressed + "".join(s for s in symbols if s not in STRESS and s not in "ʲ\u0303")


@cache
def _espeak() -> "EspeakPhonemizer":
    from piper.phonemize_espeak import EspeakPhonemizer

    return EspeakPhonemizer()
