"""What the six codes of a frame say, and how audio with known phones is turned into them.

Book 0 is the *unit*: voice, phone and third of the phone, known exactly from the teacher. It is what text decides, so
the language model plans in it. Book 1 is pitch (64) times level (8). Book 2 is the phase of the pitch (32) and the band
it lies in (15): convolutions do the same in every frame of the same codes, so without a phase a vocoder could sing no
notes but multiples of the frame rate. It comes one frame later than the pitch, so that the decoder reads a phase and
the pitch that moves it on in one row. Books 3 to 5 are the spectral envelope, each what the one before left over
(residual vector quantisation by k-means, no training).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from training.codec.features import BANDS, CEPSTRA, PHASES, PITCHES, envelope, level, phase, pitch
from training.corpus import Utterance
from training.files import whole_file
from training.frames import VOICES

Codes = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float32]

BOOK_SIZE = 512
PARTS = 3  # of a phone
NAMES = BOOK_SIZE // (PARTS * len(VOICES))  # phones a voice has units for: 85
LEVELS = np.arange(-58.0, -9.0, 7.0)  # decibels: the seven steps between eight levels
PHASE_BOOK = 2
ENVELOPES = 3
BOOKS = PHASE_BOOK + 1 + ENVELOPES
FIT_ROUNDS = 15
FIT_FRAMES = 80_000  # of each voice
SAME = {"ɬ": "l", "x": "k", "ç": "h", "r": "ɹ", "e": "ɛ", "o": "oː", "a": "æ"}  # rare borrowed sounds


@dataclass(frozen=True)
class Codebooks:
    """names: the phones of each voice, most frequent first. envelopes: float32 [ENVELOPES, BOOK_SIZE, CEPSTRA]."""

    names: tuple[tuple[str, ...], ...]
    envelopes: Floats

    @classmethod
    def fit(cls, voices: Sequence[Sequence[Utterance]], seed: int) -> Self:
        """From some readings of each voice, in the order of VOICES."""
        names = tuple(tuple(phone_names(utterances)) for utterances in voices)
        random = np.random.default_rng(seed)
        frames = [_some(np.concatenate([envelope(pcm(u)) for u in us]), FIT_FRAMES, random) for us in voices]
        return cls(names, residual_books(np.concatenate(frames), random))

    def encode(self, utterance: Utterance, voice: int) -> Codes:
        """[frames, BOOKS]"""
        audio = pcm(utterance)
        codes = np.empty((utterance.frames, BOOKS), np.uint16)
        codes[:, 0] = self.units(utterance, voice)
        pitches = pitch(audio)
        codes[:, 1] = pitches * (len(LEVELS) + 1) + np.searchsorted(LEVELS, level(audio))
        codes[:, PHASE_BOOK] = phase(audio, pitches)
        codes[:, PHASE_BOOK + 1 :] = self.quantise(envelope(audio))
        return codes

    def units(self, utterance: Utterance, voice: int) -> npt.NDArray[np.int64]:
        """[frames]: the unit of each frame."""
        units = np.zeros(utterance.frames, np.int64)
        start = 0
        for name, end in utterance.phones:
            if end > start:
                units[start:end] = self.unit(voice, name) + parts_of(end - start)
            start = max(start, end)
        return units

    def unit(self, voice: int, name: str) -> int:
        """The first of a phone's units. Rare sounds are counted as their nearest neighbour."""
        names = self.names[voice]
        forms = (name, SAME.get(name, name), name.lstrip("ˈ"), name.strip("ˈː"), f"ˈ{name}", f"{name}ː", "ə")
        known = next(form for form in forms if form in names)
        return (voice * NAMES + names.index(known)) * PARTS

    def counterparts(self, voice: int, other: int) -> list[int]:
        """For each unit of `other` the one of `voice` for the same part of the same phone; -1 if it has none."""
        table = [-1] * BOOK_SIZE
        for name in self.names[other]:
            if name in self.names[voice]:
                theirs, own = self.unit(other, name), self.unit(voice, name)
                table[theirs : theirs + PARTS] = range(own, own + PARTS)
        return table

    def quantise(self, envelopes: Floats) -> Codes:
        """[frames, CEPSTRA] → [frames, ENVELOPES]"""
        rest, codes = envelopes, []
        for book in self.envelopes:
            at = nearest(rest, book)
            rest = rest - book[at]
            codes.append(at)
        return np.stack(codes, axis=1).astype(np.uint16)

    def save(self, path: Path) -> None:
        with whole_file(path) as file:
            np.savez(file, envelopes=self.envelopes, names=np.array(["\n".join(names) for names in self.names]))

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path) as file:
            return cls(tuple(tuple(str(names).split("\n")) for names in file["names"]), file["envelopes"])


def pcm(utterance: Utterance) -> Floats:
    return utterance.audio.astype(np.float32) / np.float32(32767)


def pitch_and_level(code: int) -> tuple[int, int]:
    """The pitch (0: none, else 1 + index on the scale) and the level of a code of book 1."""
    return divmod(code, len(LEVELS) + 1)


def residual_books(vectors: Floats, random: np.random.Generator) -> Floats:
    """[ENVELOPES, BOOK_SIZE, CEPSTRA], each fitted to what the ones before leave."""
    books = []
    for _ in range(ENVELOPES):
        book = _k_means(vectors, random)
        vectors = vectors - book[nearest(vectors, book)]
        books.append(book)
    return np.stack(books)


def parts_of(frames: int) -> npt.NDArray[np.int64]:
    """[frames]: the part of a phone that each of its frames is in; one too short for all parts has the first ones."""
    return np.arange(frames) * PARTS // max(frames, PARTS)


def phone_names(utterances: Iterable[Utterance]) -> list[str]:
    """The phones of one voice, most frequent first."""
    counts = Counter(name for u in utterances for name, _ in u.phones)
    return [name for name, _ in counts.most_common(NAMES)]


def _some(vectors: Floats, count: int, random: np.random.Generator) -> Floats:
    return vectors[random.permutation(len(vectors))[:count]]


def _k_means(vectors: Floats, random: np.random.Generator) -> Floats:
    book = _some(vectors, BOOK_SIZE, random)
    for _ in range(FIT_ROUNDS):
        at = nearest(vectors, book)
        counts = np.bincount(at, minlength=BOOK_SIZE)
        sums = np.stack([np.bincount(at, vectors[:, d], BOOK_SIZE) for d in range(CEPSTRA)], axis=1)
        strays = vectors[random.integers(len(vectors), size=BOOK_SIZE)]
        book = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], strays).astype(np.float32)
    return book


def nearest(vectors: Floats, book: Floats) -> npt.NDArray[np.int64]:
    """vectors [N, D], book [codes, D] → [N]: the code nearest to each."""
    halves = (book**2).sum(axis=1) / 2
    pieces = np.array_split(vectors, len(vectors) // 8192 + 1)
    return np.concatenate([np.argmax(piece @ book.T - halves, axis=1) for piece in pieces])


assert (PITCHES + 1) * (len(LEVELS) + 1) == BOOK_SIZE
assert PHASES * BANDS < BOOK_SIZE
